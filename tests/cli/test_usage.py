"""What the command line answers to somebody who does not know it: the sentence says what to write instead."""

import os
import shlex
import sys

import pytest
import shellingham

from i2i.cli import main

WORDS = [
    ("score", "no command 'score'; did you mean `i2i evaluate`? The commands of i2i are train, config"),
    ("predict", "did you mean `i2i translate`? The commands of i2i are train, config, translate"),
    ("version", "did you mean `i2i --version`?"),
    ("trian", "did you mean `i2i train`?"),
    ("zzz", "no command 'zzz'; the commands of i2i are train,"),
    ("data chekc", "did you mean `i2i data check`? The commands of i2i data are check"),
    ("plugins lst", "did you mean `i2i plugins list`? The commands of i2i plugins are list, show"),
    ("train pix2pix photos", "unexpected photos; the data folder is given as --data photos"),
    ("train photos pix2pix", "name that first, and then the data folder: pix2pix --data photos"),
    ("train pix2pix size=64", "unexpected size=64; options of the configuration are given as --set size=64"),
    ("train pix2pix --size 64", "no option --size; it is one of the configuration: --set size=64"),
    ("train pix2pix --size=64", "--set size=64"),
    ("train --batch-size 4 pix2pix", "no option --batch-size; it is one of the configuration: --set batch_size=4"),
    ("train pix2pix --lr", "options that `i2i config RECIPE` prints are given as --set lr=VALUE"),
    ("train pix2pix --stepz 3", "no option --stepz; did you mean --steps"),
    ("train pix2pix -p x.py", "-p stands before the command, as in: i2i -p ... train"),
    ("translate m.onnx a.png --disable x", "--disable stands before the command, as in: i2i --disable ... translate"),
    ("config pix2pix --size 64", "--set size=64"),
    ("config pix2pix unet", "unexpected unet; there is one recipe"),
    ("data check photos pix2pix", "its recipe is given as --recipe pix2pix"),
    ("data check photos --size 64", "--set size=64"),
]


@pytest.fixture
def i2i(tmp_path, monkeypatch, capsys):
    """Runs the command in this process, in a folder with a folder `photos`: exit code, stdout and stderr."""

    def run(line: str):
        monkeypatch.setattr(sys, "argv", ["i2i", *shlex.split(line)])
        with pytest.raises(SystemExit) as exit_:
            main()
        return exit_.value.code or 0, *capsys.readouterr()

    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    return run


@pytest.mark.parametrize(("line", "said"), WORDS, ids=[line for line, _ in WORDS])
def test_a_wrong_word_is_answered_by_the_right_one(i2i, line, said):
    code, _, error = i2i(line)
    assert code == 2
    assert said in error
    assert error.startswith("i2i: error: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("line", ["-h", "train -h", "data -h", "data check -h", "plugins new -h"])
def test_the_short_option_for_help(i2i, line):
    code, shown, _ = i2i(line)
    assert code == 0
    assert shown.startswith("Usage: i2i")
    assert shown == i2i(line.replace("-h", "--help"))[1]


def test_the_version_is_that_of_the_distribution(i2i):
    from importlib.metadata import version

    assert i2i("--version") == (0, f"i2i {version('i2i-toolkit')}\n", "")


def test_a_shell_completes_commands_and_options(i2i, monkeypatch, tmp_path):
    monkeypatch.setenv("_I2I_COMPLETE", "complete_bash")
    for words, found in (("i2i tra", {"train", "translate"}), ("i2i train --dry", {"--dry-run"}), ("i2i zz x", set())):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        code, shown, error = i2i("")
        assert (code, set(shown.split()), error) == (0, found, "")
    monkeypatch.delenv("_I2I_COMPLETE")
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, os.fspath(tmp_path))
    monkeypatch.setattr(shellingham, "detect_shell", lambda: ("bash", "/bin/bash"))  # else that of the tests' parent
    code, shown, error = i2i("--install-completion")
    assert (code, error) == (0, "")
    assert "_I2I_COMPLETE=complete_bash" in "".join(file.read_text() for file in tmp_path.rglob("*.sh"))
    code, shown, _ = i2i("--show-completion")
    assert code == 0
    assert "complete -o default -F _i2i_completion i2i" in shown


def test_what_to_run_next_is_what_runs_here(monkeypatch, tmp_path):
    from i2i.extras import run_command

    monkeypatch.setenv("UV", "/usr/bin/uv")  # as uv sets it for what it runs
    assert run_command() == "uv run i2i"
    monkeypatch.delenv("UV")
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    assert run_command() == shlex.join([sys.executable, "-m", "i2i"])
    name = "i2i.exe" if os.name == "nt" else "i2i"
    (tmp_path / name).touch()
    (tmp_path / name).chmod(0o755)
    assert run_command() == "i2i"
