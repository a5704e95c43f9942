"""That README and documentation say what is so: every block is run or checked, every link leads somewhere."""

import json
import re
import shutil
import sys
import tomllib

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from helpers.doc_blocks import (
    BLOCKS,
    CODE,
    COMMANDS,
    OTHER_LINES,
    PLUGINS,
    SETUP,
    TEST_FILES,
    anchors,
    draw_folders,
    links,
    pages,
    prose,
    read,
    runnable,
    train_runs,
    write_plugins,
)
from helpers.inner_pytest import passed_tests
from helpers.paths import ROOT
from i2i.cli import app
from i2i.plugins import KINDS, Plugins

CHECKED_WITH = {
    "dream": {"data": "PICTURES"},
    "first": {"sets": ["data.size=16"]},  # a U-Net is as deep as the size allows
    "listed": {"data": "LISTED"},
    "slices": {"data": "SLICES"},
    "wgan-gp": {
        "sets": ["data.size=32"],
        "skip": ["bf16", "export", "resume", "processes"],
    },  # the test file does these
}
"""What the documentation's components are checked with: folders of their own kind, settings that make them small."""


WHOLE = [block.text for block in PLUGINS]
WHOLE += [file.read_text(encoding="utf-8") for file in (ROOT / "tests/methods/plugins").glob("*.py")]
"""Plugins of which the documentation shows pieces."""


def each(things):
    return [pytest.param(thing, id=str(thing)) for thing in things]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A folder with the data, plugins and runs that the documentation names."""
    folder = write_plugins(draw_folders(tmp_path_factory.mktemp("docs")))
    train_runs(folder)
    shutil.copytree(folder / "runs" / "pix2pix-001", folder / "runs" / "first-001")
    shutil.copy(folder / "runs" / "pix2pix-001" / "model.onnx", folder / "best.onnx")
    return folder


@pytest.fixture
def inside(workspace, monkeypatch):
    """That folder as the current one, as it was before the other commands, in a process that has loaded no plugin."""
    monkeypatch.chdir(workspace)
    for name in ("OUT", "i2i-sepia"):
        shutil.rmtree(workspace / name, ignore_errors=True)
    for file in workspace.glob("*.py"):
        sys.modules.pop(file.stem, None)
    return workspace


def test_the_plugin_in_the_readme_is_the_one_that_is_tested():
    whole = (ROOT / "tests" / "helpers" / "wgan.py").read_text(encoding="utf-8")
    assert [block.path.as_posix() for block in PLUGINS if block.text == whole] == ["README.md", "docs/plugins.md"]


@pytest.mark.parametrize("block", each({block.text: block for block in PLUGINS}.values()))
def test_every_plugin_keeps_the_contract(block, workspace, tmp_path):
    from i2i.testing import check_component

    file = tmp_path / f"documented_{block.path.stem}_{block.line}.py"
    file.write_text(block.text, encoding="utf-8")
    plugins = Plugins([str(file)])
    given = next(plugin for plugin in plugins.all if plugin.origin == str(file)).components
    assert given
    for kind, component in given:
        options = dict(CHECKED_WITH.get(component.name, {}))
        data = workspace / options.pop("data") if "data" in options else None
        check_component(kind, component.name, plugins=plugins, data=data, **options)


@pytest.mark.parametrize("block", each(CODE))
def test_every_other_piece_of_code_runs_or_is_part_of_a_plugin(block, inside):
    if not any(block.text in text for text in WHOLE):
        exec(compile(block.text, str(block), "exec"), {})


def test_every_test_file_passes(inside):
    for number, block in enumerate(TEST_FILES):
        (inside / f"test_documented_{number}.py").write_text(block.text, encoding="utf-8")
    assert len(passed_tests(*inside.glob("test_documented_*.py"))) == len(TEST_FILES)


@pytest.mark.parametrize("command", each(COMMANDS))
def test_every_command_works(command, inside):
    assert app(runnable(command.i2i), standalone_mode=False) in (None, 0)


@pytest.mark.parametrize("line", each(OTHER_LINES))
def test_every_other_line_is_set_up(line):
    assert [reason for start, reason in SETUP.items() if line.text.startswith(start)]


@pytest.mark.parametrize("page", each(pages()))
def test_every_command_in_the_text_has_these_options(page):
    for text in re.findall(r"`i2i ([^`]+)`", prose(page)):
        command, words = get_command(app), text.split()
        while words and getattr(command, "commands", None):  # those of `i2i run` are plugins'
            word = words.pop(0)
            if word in options_of(command):  # of the group, with its value if it has one
                del words[:1]
            else:
                assert word in command.commands, text
                command = command.commands[word]
        assert {word for word in words if word.startswith("-")} <= options_of(command), text


def options_of(command):
    return {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("block", each(block for block in BLOCKS if block.language in ("toml", "yaml", "json")))
def test_every_file_of_settings_can_be_read(block):
    read_text = {"toml": tomllib.loads, "json": json.loads, "yaml": YAML(typ="safe").load}[block.language]
    assert read_text(block.text)


def test_no_block_is_passed_over():
    assert {block.language for block in BLOCKS} <= {"", "python", "bash", "console", "toml", "yaml", "json"}
    assert all("i2i." not in block.text for block in BLOCKS if not block.language), "code needs a language"


@pytest.mark.parametrize("kind", KINDS)
def test_every_hook_has_a_page_with_an_example(kind):
    page = f"docs/hooks/{KINDS[kind]}.md"
    assert any(f"\ndef {KINDS[kind]}(" in block.text for block in PLUGINS if block.path.as_posix() == page)
    assert f"]({KINDS[kind]}.md)" in read("docs/hooks/README.md")


def test_every_page_is_of_a_hook():
    assert {path.stem for path in (ROOT / "docs" / "hooks").glob("*.md")} == {*KINDS.values(), "README"}


@pytest.mark.parametrize("page", each(pages()))
def test_every_link_leads_somewhere(page):
    for target in links(page):
        path, _, anchor = target.partition("#")
        if target.startswith("https://"):
            continue
        there = (ROOT / page).parent / path if path else ROOT / page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there.resolve().relative_to(ROOT)), target


def test_no_file_is_longer_than_people_read():
    for path in [*ROOT.glob("i2i/**/*.py"), *ROOT.glob("plugins/**/*.py")]:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path
