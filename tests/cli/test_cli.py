"""The command line: speed, exit codes, one line for each error."""

import json
import os
import statistics
import subprocess
import sys

import numpy as np
import pytest

from helpers.image_files import save
from helpers.recipes import TINY
from i2i_samples.facades import draw_facade

SMALL = [word for line in TINY for word in ("--set", line)]


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The error of a command that did nothing: exit code 2, one line, no traceback."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("i2i: error: ")]
    assert len(errors) == 1, done.stderr
    return errors[0]


def modules_after(words: list[str], cwd=None) -> set[str]:
    code = "import sys\nfrom i2i.cli import main\ntry:\n    main()\n"
    code += "except SystemExit as e:\n    assert not e.code, e.code\n"
    code += "print('MODULES', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=cwd, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("MODULES ")[2].split())


def test_help_imports_neither_torch_nor_a_plugin():
    loaded = modules_after(["--help"])
    assert not loaded & {"torch", "numpy", "pydantic", "i2i_pix2pix", "i2i.components", "onnxruntime"}


def test_help_is_quick():
    def seconds() -> float:
        begin = sum(os.times()[2:4])  # what its children computed, whatever else the machine does
        subprocess.run([sys.executable, "-m", "i2i", "--help"], check=True, capture_output=True)
        return sum(os.times()[2:4]) - begin

    assert statistics.median(seconds() for _ in range(3)) < 1.5  # it takes 0.15; torch alone takes over 3


@pytest.fixture(scope="module")
def run(pairs_root, tmp_path_factory):
    """A trained run, made by the command in this process."""
    import i2i

    return i2i.train("pix2pix", data=pairs_root, out=tmp_path_factory.mktemp("cli") / "run", sets=TINY, steps=2).run


def test_translate_imports_no_torch_and_keeps_names_and_sizes(run, tmp_path):
    sizes = {"a.png": (40, 40), "sub/b.png": (33, 57), "sub/c.png": (1, 1)}
    for name, size in sizes.items():
        save(tmp_path / "in" / name, np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8))
    loaded = modules_after(["translate", str(run), str(tmp_path / "in"), "-o", str(tmp_path / "out")])
    assert not loaded & {"torch", "onnx", "i2i_pix2pix", "i2i.plugins"}
    from i2i.images import image_info

    for name, (height, width) in sizes.items():
        info = image_info(tmp_path / "out" / name)
        assert (info.height, info.width, info.channels) == (height, width, 3)


def test_translate_goes_on_after_a_failure_and_says_so(run, tmp_path, cli):
    save(tmp_path / "in" / "good.png", draw_facade(0, size=40)[0])
    (tmp_path / "in" / "bad.png").write_bytes(b"no image")
    words = ("translate", run, tmp_path / "in", "-o", tmp_path / "out")
    done = cli(*words, "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert (report["written"], report["failed"]) == (1, 1)
    assert "bad.png" in done.stderr
    assert one_line(cli(*words)).endswith("--skip-existing") or "--overwrite" in one_line(cli(*words))
    again = cli(*words, "--skip-existing", "--json")
    assert json.loads(again.stdout)["skipped"] == 1
    (tmp_path / "in" / "good.png").unlink()
    assert cli("translate", run, tmp_path / "in", "-o", tmp_path / "out2").returncode == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "pix2pux"], "did you mean 'pix2pix'?"),
        (["train", "pix2pix", "--stepz", "3"], "--stepz"),
        (["train", "pix2pix", "--steps", "many"], "'--steps'"),
        (["train", "pix2pix", "--set", "data.sise=3"], "unknown key data.sise; did you mean data.size?"),
        (["train", "pix2pix", "--set", "data.size=big"], "data.size: input should be a valid integer"),
        (["train", "pix2pix", "--preset", "none"], "no preset 'none'"),
        (["train"], "no recipe"),
        (["train", "pix2pix", "--config", "absent.yaml"], "absent.yaml"),
        (["train", "pix2pix", "--data", "absent"], "absent: no such folder"),
        (["train", "pix2pix", "--data", "empty"], "no images in it"),
        (["train", "pix2pix", "--out", "full"], "not empty; add --resume"),
        (["train", "pix2pix", "--out", "file/run"], "cannot make the run folder"),
        (["train", "pix2pix", "--device", "cuda:77"], "expected auto, cpu or cuda"),
        (["train", "--resume"], "nothing to resume"),
        (["train", "pix2pix", "--steps", "3", "--epochs", "2"], "exclude each other"),
        (["train", "pix2pix", "--set", "data.size=100"], "sides divisible by 64"),
        (["-p", "absent.py", "train", "pix2pix"], "absent.py"),
        (["--disable", "pix2pix", "train", "pix2pix"], "unknown recipe 'pix2pix'"),
        (["translate", "absent.onnx", "empty", "-o", "out"], "absent.onnx"),
        (["translate", "text.onnx", "empty", "-o", "out"], "text.onnx"),
        (["translate", "empty", "empty", "-o", "out"], "empty"),
        (["export", "absent"], "no such run folder"),
        (["export", "empty"], "not a run folder"),
        (["report", "absent"], "absent"),
        (["plugins", "show", "unett"], "did you mean 'unet'?"),
        (["config", "nothing"], "unknown recipe 'nothing'"),
        (["trian"], "trian"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_one_line_and_exit_code_2(words, expected, tmp_path, monkeypatch, capsys):
    from i2i.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").write_text("x")
    (tmp_path / "file").write_text("x")
    (tmp_path / "text.onnx").write_text("this is text")
    monkeypatch.setattr(sys, "argv", ["i2i", *words])
    with pytest.raises(SystemExit) as exit_:
        main()
    error = capsys.readouterr().err
    assert exit_.value.code == 2
    lines = [line for line in error.splitlines() if line.startswith("i2i: error: ")]
    assert len(lines) == 1
    assert expected in lines[0]
    assert "Traceback" not in error
    assert (tmp_path / "full" / "precious").read_text() == "x"


def test_an_error_comes_without_traceback_unless_debugging(cli, tmp_path):
    assert "Traceback" not in cli("train", "nothing", cwd=tmp_path).stderr
    assert "Traceback" in cli("train", "nothing", cwd=tmp_path, I2I_DEBUG="1").stderr


def test_plugins_list_and_show(cli):
    listed = cli("plugins", "list")
    assert listed.returncode == 0
    for name in ("pix2pix", "unet", "patch", "lsgan", "side-by-side", "augment", "psnr"):
        assert name in listed.stdout
    shown = cli("plugins", "show", "pix2pix").stdout
    assert "presets: reference, paper, denoise, deblur, samples" in shown
    assert "l1 = 100.0  (number)  Weight of the mean absolute error" in shown


def test_config_is_taken_back(cli, tmp_path, pairs_root):
    printed = cli("config", "pix2pix", *SMALL)
    assert printed.returncode == 0
    (tmp_path / "c.yaml").write_text(printed.stdout)
    done = cli("train", "--config", tmp_path / "c.yaml", "--data", pairs_root, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "one step done, nothing written" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["c.yaml"]


def test_doctor_finds_nothing_wrong_here(cli):
    done = cli("doctor")
    assert "torch" in done.stdout
    assert "no problems found" in done.stdout


@pytest.mark.parametrize(("words", "command"), [([], "train"), (["plugins"], "list"), (["data"], "check")])
def test_a_missing_command_shows_which_there_are(cli, words, command):
    done = cli(*words)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: ")
    assert f"\n  {command} " in done.stderr
