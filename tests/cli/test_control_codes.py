"""Control characters of paths and names reach neither the terminal nor the report; YAML's escapes are pointed out."""

import numpy as np
import pytest

from helpers.image_files import save
from helpers.recipes import TINY

WEIRD = "r\x1b[31mu\x07n\u202e\u200b"
SHOWN = r"r\x1b[31mu\x07n\u202e\u200b"
SETS = [word for line in TINY for word in ("--set", line)]


def clean(text):
    return all(character.isprintable() or character == "\n" for character in text)


def test_training_and_its_report_show_the_run_folder_escaped(cli, pairs_root, tmp_path):
    run, page = tmp_path / WEIRD, tmp_path / f"{WEIRD}.html"
    words = ["train", "pix2pix", "--data", pairs_root, "--out", run, "--max-hours", "1e-9", *SETS]
    trained = cli(*words, "--set", "train.start_from=null")
    assert trained.returncode == 0, trained.stderr
    assert clean(trained.stdout) and clean(trained.stderr)
    assert f"training to step 2000 in {tmp_path}/{SHOWN}" in trained.stderr
    assert trained.stderr.count(SHOWN) >= 3  # the start, and what goes on and what exports
    reported = cli("report", run, "-o", page)
    assert (reported.returncode, reported.stdout.strip()) == (0, f"{tmp_path}/{SHOWN}.html")
    text = page.read_bytes().decode()
    assert clean(text) and f"<h1>{SHOWN}</h1>" in text and f"{tmp_path}/{SHOWN}" in text
    again = cli("train", "--resume", "--out", run, "--max-hours", "1e-9", "--set", "train.log_every=2")
    assert again.returncode == 0 and clean(again.stderr)
    assert "going on with train.log_every=2" in again.stderr


def test_data_check_and_translate_show_names_escaped(cli, model, tmp_path):
    folder, out = tmp_path / f"{WEIRD}", tmp_path / f"out {WEIRD}"
    image = np.random.default_rng(0).integers(0, 256, (16, 32, 3), np.uint8)
    for index in range(3):
        save(folder / f"{index}.png", image + index)
    (folder / f"{WEIRD}.png").write_bytes(b"no image")
    shown = cli("data", "check", folder)
    assert clean(shown.stdout) and clean(shown.stderr)
    assert f"{tmp_path}/{SHOWN}: layout" in shown.stdout and f"{SHOWN}/{SHOWN}.png" in shown.stdout
    translated = cli("translate", model().path, folder, "-o", out)
    assert translated.returncode == 1
    assert clean(translated.stdout) and clean(translated.stderr)
    assert f"in {tmp_path}/out {SHOWN}" in translated.stderr and f"{SHOWN}.png" in translated.stderr


@pytest.mark.parametrize(
    "words", [("report", WEIRD), ("export", WEIRD), ("train", "pix2pix", "--from", WEIRD), (WEIRD,)]
)
def test_errors_are_one_escaped_line(cli, tmp_path, words):
    done = cli(*words, cwd=tmp_path)
    assert done.returncode == 2 and clean(done.stderr)
    assert SHOWN in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_path_that_yaml_made_control_characters_of_is_told(cli, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text('data:\n  root: "C:\\new"\n')
    hint = r"; it holds a control character, as YAML makes of \n or \t in double quotes: use single quotes or none"
    for words, name in (
        (["--set", 'data.root="C:\\new"'], r"C:\new: no such folder (data.root)"),
        (["--config", file], r"C:\new: no such folder (data.root)"),
        (["--set", 'train.start_from="C:\\runs\\two"'], r"C:\runs\two: no such run folder"),
    ):
        done = cli("train", "pix2pix", *words, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1] == f"i2i: error: {name}{hint}"
    for text in ("data.root='C:\\new'", "data.root=C:\\new"):
        done = cli("train", "pix2pix", "--set", text, cwd=tmp_path)
        assert done.stderr.splitlines()[-1] == r"i2i: error: C:\new: no such folder (data.root)"
    save(tmp_path / "a.png", np.zeros((16, 32, 3), np.uint8))
    checked = cli("data", "check", tmp_path, "--set", 'data.val_root="C:\\new"')
    assert checked.stderr.splitlines()[-1] == rf"i2i: error: C:\new: no such folder (data.val_root){hint}"


def test_an_escape_that_yaml_does_not_know_is_refused_with_what_to_do(cli, tmp_path):
    done = cli("train", "pix2pix", "--set", 'data.root="C:\\data"', cwd=tmp_path)
    assert done.returncode == 2
    hint = "; in double quotes a backslash begins an escape: use single quotes or none"
    assert done.stderr == rf'i2i: error: --set data.root="C:\data": the value is no valid YAML{hint}' + "\n"
    (tmp_path / "c.yaml").write_text('data:\n  size: 64\n  root: "C:\\data"\n')
    done = cli("train", "pix2pix", "--config", "c.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("i2i: error: c.yaml line 3: ") and done.stderr.endswith(f"{hint}\n")
