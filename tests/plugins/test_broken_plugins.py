"""Everything that can be wrong with installed plugins, all at once, and how the command line goes on."""

import os
import signal
import subprocess
import sys

import pytest

from helpers.recipes import TINY
from i2i.cli import main
from i2i.plugins import Plugins

HOOK = "import i2i\n\n\n@i2i.hookimpl\ndef i2i_generators({}):\n    {}\n"
GIVE = "return [i2i.Component({!r}, print, summary='never built')]"

BROKEN = {  # name -> module, and what `plugins list` says; the entry point is the module unless it is given
    "raises": ("raise RuntimeError('no luck\\ntoday')", "RuntimeError: no luck today"),
    "syntax": ("def (", "SyntaxError: "),
    "exits": ("import sys\n\nsys.exit(0)", "SystemExit: 0"),
    "interrupts": ("raise KeyboardInterrupt('at import')", "KeyboardInterrupt: at import"),
    "pressed": (HOOK.format("", "raise KeyboardInterrupt('in a hook')"), "KeyboardInterrupt: in a hook"),
    "number": ("thing = 42", "(42) is not a module with i2i hooks"),
    "misspelt": (HOOK.format("", "return []").replace("generators", "generatorz"), "did you mean 'i2i_generators'?"),
    "argument": (HOOK.format("surprise", "return []"), "surprise"),
    "hook": (HOOK.format("", "raise ValueError('at call')"), "ValueError: at call"),
    "text": (HOOK.format("", "return ['a string']"), "must return i2i.Component objects, not str 'a string'"),
    "twin": (HOOK.format("", GIVE.format("unet")), "generator 'unet' is a built-in one"),
    "newer": ("PLUGIN_API = 2\n" + HOOK.format("", GIVE.format("later")), "it needs version 2 of the plugin API"),
    "malformed": ("", "its entry_points.txt cannot be read: "),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder of installed distributions, one for each way to be broken."""
    folder = tmp_path_factory.mktemp("site")
    for name, (source, _) in BROKEN.items():
        (folder / f"i2i_{name}.py").write_text(source)
        info = folder / f"i2i_{name}-0.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: i2i-{name}\nVersion: 0.3\n")
        value = f"i2i_{name}:thing" if name == "number" else f"i2i_{name}"
        text = f"[i2i]\n{name} = {value}\n" if name != "malformed" else f"[i2i]\nno equals sign\n{name} = {value}\n"
        (info / "entry_points.txt").write_text(text)
    return folder


@pytest.fixture
def i2i_with(cli, site, tmp_path):
    """The command with all of them installed."""
    return lambda *words: cli(*words, cwd=tmp_path, PYTHONPATH=str(site))


@pytest.fixture
def cold_i2i_with(cold_cli, site, tmp_path):
    """The same in a process that starts with them: its imports meet the malformed metadata."""
    return lambda *words: cold_cli(*words, cwd=tmp_path, PYTHONPATH=str(site))


def test_every_broken_plugin_is_listed_with_distribution_version_and_reason(i2i_with):
    done = i2i_with("plugins", "list")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for name, (_, reason) in BROKEN.items():
        where = f"i2i-{name} 0.3"
        [place] = [number for number, line in enumerate(lines) if line.endswith(f"({where})")]
        assert lines[place + 1].startswith("  not loaded: "), name
        assert reason in lines[place + 1]
    assert sum("not loaded" in line for line in lines) == len(BROKEN)
    assert "Traceback" not in done.stdout + done.stderr


def test_help_training_and_translation_go_on(cold_i2i_with, tmp_path):
    assert cold_i2i_with("--help").returncode == 0
    sets = [word for line in TINY for word in ("--set", line)]
    trained = cold_i2i_with("train", "pix2pix", "--steps", 2, "--out", "run", *sets)
    assert trained.returncode == 0, trained.stderr
    translated = cold_i2i_with("translate", "run", "run/examples", "-o", "out")
    assert translated.returncode == 0, translated.stderr
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.fixture
def error_line(site, monkeypatch, capsys):
    """Runs a command that fails in this process, with all of them installed, and gives its one line."""
    monkeypatch.syspath_prepend(str(site))

    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["i2i", *words])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 2
        [line] = capsys.readouterr().err.splitlines()
        return line

    return run


@pytest.mark.parametrize("name", BROKEN)
def test_asking_for_what_a_broken_plugin_would_have_given_says_why(error_line, name):
    for words in (["plugins", "show", f"i2i-{name}"], ["plugins", "check", f"i2i-{name}"], ["train", f"i2i-{name}"]):
        line = error_line(*words)
        assert f"(i2i-{name} 0.3) is not loaded: " in line
        assert BROKEN[name][1] in line


def test_a_component_that_is_missing_lists_what_was_not_loaded(error_line):
    for words in (["train", "wonder"], ["train", "pix2pix", "--set", "pix2pix.generator=later"]):
        line = error_line(*words)
        assert f"unknown {'recipe' if words[1] == 'wonder' else 'generator'} '" in line
        for name, (_, reason) in BROKEN.items():
            assert f"(i2i-{name} 0.3): " in line
            assert reason in line


def test_a_signal_while_a_plugin_is_imported_ends_the_command(tmp_path):
    plugin = tmp_path / "slow.py"
    plugin.write_text("import os, signal\n\nos.kill(os.getpid(), signal.SIGTERM)\n")
    command = [sys.executable, "-m", "i2i", "-p", plugin, "train", "pix2pix", "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stderr == "i2i: error: interrupted\n"


def test_a_signal_ends_the_command_even_if_the_imported_module_catches_everything(tmp_path):
    plugin = tmp_path / "stubborn.py"
    catching = "try:\n    os.kill(os.getpid(), signal.SIGTERM)\nexcept BaseException:\n    import i2i_nothing\n"
    plugin.write_text(f"import os, signal\n\n{catching}")
    command = [sys.executable, "-m", "i2i", "-p", plugin, "train", "pix2pix", "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stderr == "i2i: error: interrupted\n"


def test_ctrl_c_while_python_code_looks_for_plugins_is_no_broken_plugin(tmp_path, monkeypatch):
    (tmp_path / "pressed.py").write_text("raise KeyboardInterrupt\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # other tests' libraries set their own
    try:
        with pytest.raises(KeyboardInterrupt):
            _ = Plugins(extra=["pressed"]).all
    finally:
        signal.signal(signal.SIGINT, before)


def test_help_imports_no_plugin(tmp_path):
    for number in range(20):
        (tmp_path / f"i2i_heavy{number}.py").write_text("import torch\n")
        info = tmp_path / f"i2i_heavy{number}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: i2i-heavy{number}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[i2i]\nheavy{number} = i2i_heavy{number}\n")
    script = (
        "import runpy, sys\nsys.argv = ['i2i', *sys.argv[1:]]\n"
        "try:\n    runpy.run_module('i2i', run_name='__main__')\nexcept SystemExit as end:\n    assert not end.code\n"
        "print([name for name in sys.modules if name == 'torch' or name.startswith('i2i_')], file=sys.stderr)\n"
    )
    for words in (["--help"], ["train", "--help"], ["plugins", "--help"], ["translate", "--help"]):
        command = [sys.executable, "-c", script, *words]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(tmp_path)})
        assert done.stderr.strip() == "[]", words
        assert "Usage" in done.stdout
