"""The built wheel with all extras: foreign packages are installed beside it and used."""

import json
import re
import shlex
from pathlib import Path

import pytest

from helpers.paths import ROOT

pytestmark = pytest.mark.wheel

EXTERNAL = ROOT / "tests" / "external_plugin"


def test_it_is_the_wheel_that_is_tested(full, tmp_path):
    where = full.run("python -c 'import i2i, i2i_pix2pix; print(i2i.__file__); print(i2i_pix2pix.__file__)'", tmp_path)
    for line in where.splitlines():
        assert Path(line).is_relative_to(full.root), line


def test_a_foreign_package_is_found_checked_and_used(full, tmp_path):
    full.run(f"python -m pip install --quiet {shlex.quote(str(EXTERNAL))}", tmp_path)
    listed = full.run("i2i plugins list", tmp_path)
    assert re.search(r"^denoise\s.*i2i-denoise 0\.3\.1", listed, re.MULTILINE), listed
    for name in ("dncnn", "gaussian-noise", "psnr-mean"):
        assert re.search(rf"^\s+\w+\s+{name}\s", listed, re.MULTILINE), name

    checked = full.run("i2i plugins check denoise", tmp_path)
    assert "recipe dncnn" in checked

    full.run("i2i train dncnn --steps 30 --out run", tmp_path)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert "validation psnr-mean" in summary
    full.run("i2i report run -o report.html", tmp_path)
    full.run("i2i export run -o exported.onnx", tmp_path)
    full.run("i2i translate exported.onnx run/examples -o clean", tmp_path)
    examples = sorted(path.name for path in (tmp_path / "run" / "examples").iterdir())
    assert examples
    assert sorted(path.name for path in (tmp_path / "clean").iterdir()) == examples


def test_the_commands_in_a_new_plugin_s_readme_work_one_after_the_other(full, tmp_path):
    full.run("i2i plugins new stripes --kind recipe", tmp_path)
    folder = tmp_path / "i2i-stripes"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    [block] = re.findall(r"```bash\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    lines = block.splitlines()
    assert [line.split()[0] for line in lines] == ["pip", "i2i", "pytest", "i2i"]
    for line in lines:
        full.run(line, folder)
    assert (folder / "runs" / "stripes-001" / "model.onnx").is_file()
    assert {name: (folder / name).read_bytes() for name in before} == before

    full.run("pip install --quiet --force-reinstall --no-deps ./i2i-stripes", tmp_path)  # not in editable mode
    assert "i2i-stripes 0.1.0" in full.run("i2i plugins list", tmp_path)
