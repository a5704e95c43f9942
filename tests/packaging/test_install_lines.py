"""Every ``pip install`` line that readers and users are given is run, in an environment of its own."""

import re
import shlex
import shutil
import subprocess
import tomllib

import pytest

from helpers.environments import built_wheel
from helpers.paths import ROOT
from helpers.recipes import TINY
from i2i.extras import EXTRAS, install_command
from i2i.plugins.scaffold import new_plugin

SMALL = [*TINY, "data.layout.count=12", "data.layout.val_count=3"]

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "tests" / "external_plugin").glob("*.md")),
    *sorted((ROOT / "i2i" / "plugins" / "scaffold" / "templates").glob("*.j2")),
    ROOT / "constraints.txt",
]
"""Files in which such lines may stand."""

WITHOUT_I2I = ["pip install uv"]
IN_THE_PLAIN_ONE = ["pip install .", "pip install i2i-toolkit"]
WITH_CONSTRAINTS = ["pip install -c constraints.txt ."]
IN_THE_FULL_ONE = [
    'pip install ".[train]"',
    'pip install "i2i-toolkit[mlflow]"',
    'pip install "i2i-toolkit[openvino]"',
    'pip install "i2i-toolkit[trackio]"',
    'pip install "i2i-toolkit[train]"',
    'pip install "i2i-toolkit[wandb]"',
    'pip install -e ".[test]"',
    "pip install ./i2i-denoise",
]
IN_A_CLONE = ["uv pip install ./i2i-stripes", "uv pip install -e ./i2i-sepia", "uv pip install -e PATH_OF_THIS_FOLDER"]
"""The lines that are run, by where."""


def given_lines():
    """The lines of the pages and of error messages, without what follows them."""
    texts = [path.read_text(encoding="utf-8") for path in PAGES]
    found = {line for text in texts for line in re.findall(r"(?:uv )?pip install .+?(?=`|\s+#|\s*$)", text, re.M)}
    return found | {install_command(extra) for extra in EXTRAS}


def test_every_line_is_run():
    run = {*WITHOUT_I2I, *IN_THE_PLAIN_ONE, *WITH_CONSTRAINTS, *IN_THE_FULL_ONE, *IN_A_CLONE}
    assert given_lines() == run


def test_constraints_name_every_package_that_is_asked_for():
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    packages = {re.match(r"[\w.-]+", line)[0].replace(".", "-") for line in project["dependencies"]}
    packages |= {package.replace(".", "-") for some in EXTRAS.values() for package in some}
    assert packages <= set(re.findall(r"^([\w-]+)==", constraints, re.MULTILINE))


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The files of this repository in another folder, with two new plugins."""
    folder = tmp_path_factory.mktemp("clone") / "i2i"
    left_out = shutil.ignore_patterns(".*", "__pycache__", "uv.lock")
    for name in ("i2i", "plugins", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "tests" / "external_plugin", folder / "i2i-denoise")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def own(clone, plugins):
    """The folder of a plugin made by ``i2i plugins new``, in the clone."""
    new_plugin("sepia", "transform", clone / "i2i-sepia", plugins)
    return new_plugin("stripes", "recipe", clone / "i2i-stripes", plugins)


@pytest.mark.wheel
@pytest.mark.parametrize("line", WITHOUT_I2I)
def test_without_i2i(line, new_environment, tmp_path):
    bare = new_environment("bare")
    bare.run(line, tmp_path)
    bare.run("uv --version", tmp_path)


@pytest.mark.wheel
@pytest.mark.parametrize("line", IN_THE_PLAIN_ONE)
def test_in_the_plain_environment(line, light, clone):
    light.run(line, clone)
    assert "no problems found" in light.run("i2i doctor", clone)


@pytest.mark.wheel
@pytest.mark.parametrize("line", WITH_CONSTRAINTS)
def test_with_constraints(line, new_environment, clone):
    constrained = new_environment("constrained", "-c", str(clone / "constraints.txt"), str(built_wheel()))
    constrained.run(line, clone)
    constrained.run("i2i doctor", clone)


@pytest.mark.wheel
@pytest.mark.parametrize("line", IN_THE_FULL_ONE)
def test_in_the_full_environment(line, full, clone, own):
    full.run(line, own if "[test]" in line else clone)
    assert "no problems found" in full.run("i2i doctor", clone)


@pytest.mark.wheel
def test_in_a_clone_uv_installs_everything_and_plugins_beside_it(clone, own, new_environment):
    shell = new_environment("shell")  # whose commands are not found: uv makes an environment in the clone
    variables = {key: value for key, value in shell.variables.items() if key != "VIRTUAL_ENV"}

    def run(line):
        done = subprocess.run(line, shell=True, cwd=clone, env=variables, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    run(f"uv run i2i train pix2pix --dry-run {shlex.join(word for line in SMALL for word in ('--set', line))}")
    for line in IN_A_CLONE:
        run(line.replace("PATH_OF_THIS_FOLDER", "i2i-stripes"))
    listed = run("uv run i2i plugins list")
    assert "stripes  (i2i-stripes 0.1.0)\n  recipe " in listed
    assert "sepia  (i2i-sepia 0.1.0)\n  transform " in listed
    assert run("uv run i2i plugins new dots --kind loss").splitlines()[1:] == [
        "  uv pip install -e ./i2i-dots",
        "  uv run i2i plugins check dots",
        "  uv run i2i train pix2pix --set pix2pix.adversary.loss=dots",
    ]
