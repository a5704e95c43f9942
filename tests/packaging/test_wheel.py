"""The built wheel in an environment of its own: foreign packages are installed beside it and used.

``.ci/run`` makes the environment: a virtual one with pip, the wheel and nothing of this folder. ``I2I_FRESH`` names it.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.paths import ROOT

pytestmark = pytest.mark.wheel

EXTERNAL = ROOT / "tests" / "external_plugin"
ADDED = ("i2i-denoise", "i2i-stripes")
"""What the tests install; removed again before and after them."""


class Fresh:
    """The environment, used by commands as in a shell in which it is activated."""

    def __init__(self, root: Path) -> None:
        self.root, self.bin = root, root / ("Scripts" if sys.platform == "win32" else "bin")
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("I2I_", "PYTHON", "VIRTUAL_ENV"))
        }
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        self.environment = kept | {"PATH": path, "VIRTUAL_ENV": str(root), "OMP_NUM_THREADS": "1"}

    def run(self, line: str, cwd: Path) -> str:
        """Runs a command line; what it printed."""
        done = subprocess.run(
            shlex.split(line), cwd=cwd, env=self.environment, capture_output=True, text=True, timeout=800
        )
        assert done.returncode == 0, f"{line}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    if "I2I_FRESH" not in os.environ:
        pytest.skip("I2I_FRESH names no environment; .ci/run makes one")
    environment = Fresh(Path(os.environ["I2I_FRESH"]).absolute())
    here = tmp_path_factory.mktemp("fresh")
    environment.run(f"python -m pip uninstall --quiet --yes {' '.join(ADDED)}", here)
    yield environment
    environment.run(f"python -m pip uninstall --quiet --yes {' '.join(ADDED)}", here)


def test_it_is_the_wheel_that_is_tested(fresh, tmp_path):
    where = fresh.run("python -c 'import i2i, i2i_pix2pix; print(i2i.__file__); print(i2i_pix2pix.__file__)'", tmp_path)
    for line in where.splitlines():
        assert Path(line).is_relative_to(fresh.root), line


def test_a_foreign_package_is_found_checked_and_used(fresh, tmp_path):
    fresh.run(f"python -m pip install --quiet {shlex.quote(str(EXTERNAL))}", tmp_path)
    listed = fresh.run("i2i plugins list", tmp_path)
    assert re.search(r"^denoise\s.*i2i-denoise 0\.3\.1", listed, re.MULTILINE), listed
    for name in ("dncnn", "gaussian-noise", "psnr-mean"):
        assert re.search(rf"^\s+\w+\s+{name}\s", listed, re.MULTILINE), name

    checked = fresh.run("i2i plugins check denoise", tmp_path)
    assert "recipe dncnn" in checked

    fresh.run("i2i train dncnn --steps 30 --out run", tmp_path)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert "validation psnr-mean" in summary
    fresh.run("i2i export run -o exported.onnx", tmp_path)
    fresh.run("i2i translate exported.onnx run/examples -o clean", tmp_path)
    examples = sorted(path.name for path in (tmp_path / "run" / "examples").iterdir())
    assert examples
    assert sorted(path.name for path in (tmp_path / "clean").iterdir()) == examples


def test_the_commands_in_a_new_plugin_s_readme_work_one_after_the_other(fresh, tmp_path):
    fresh.run("i2i plugins new stripes --kind recipe", tmp_path)
    folder = tmp_path / "i2i-stripes"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    [block] = re.findall(r"```bash\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    lines = block.splitlines()
    assert [line.split()[0] for line in lines] == ["pip", "i2i", "pytest", "i2i"]
    for line in lines:
        fresh.run(line, folder)
    assert (folder / "runs" / "stripes-001" / "model.onnx").is_file()
    assert {name: (folder / name).read_bytes() for name in before} == before

    fresh.run("pip install --quiet --force-reinstall --no-deps ./i2i-stripes", tmp_path)  # not in editable mode
    assert "i2i-stripes 0.1.0" in fresh.run("i2i plugins list", tmp_path)
