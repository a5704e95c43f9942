"""That README and documentation say what is so."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from i2i.cli import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_plugin_in_the_readme_is_the_one_that_is_tested():
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert (ROOT / "tests" / "wgan.py").read_text(encoding="utf-8") in blocks


def test_every_command_and_option_in_the_readme_exists():
    commands = get_command(app).commands
    used = re.findall(r"i2i (train|translate|export|config|plugins|report|doctor|[a-z]+)\b((?: [^`\n#]*)?)", README)
    lines = [(name, rest) for name, rest in used if name in commands or (f"i2i {name} " in README and "--" in rest)]
    assert len(lines) > 8
    for name, rest in lines:
        assert name in commands
        known = {option for parameter in commands[name].params for option in parameter.opts}
        assert set(re.findall(r"(?<=\s)--[a-z-]+", rest)) <= known, (name, rest)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#\"]+)\)", README))))
def test_every_link_in_the_readme_leads_somewhere(target):
    assert target.startswith("https://") or (ROOT / target).exists()


def test_no_file_is_longer_than_people_read():
    for path in [*ROOT.glob("i2i/**/*.py"), *ROOT.glob("plugins/**/*.py")]:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path
