"""``i2i run``: the commands of plugins, from their options on the command line to how they fail."""

import shlex
import subprocess
import sys

import pytest

from helpers.cold import cold
from i2i.cli import main

PLUGIN = '''
"""Commands that say what they were given."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

import i2i


class ShowConfig(i2i.Config):
    run: Path
    """The run folder."""
    images: list[str]
    """Any images."""
    steps: Annotated[int, Field(ge=2)] = 8
    """Images between two points."""
    mode: Literal["linear", "sphere"] = "linear"
    """The way."""
    flip: bool = True
    """Mirror them."""
    only_label: tuple[int, ...] = ()
    """Classes."""
    seed: int | None = None
    """Of random numbers."""
    out: Path
    """Folder for the images."""


def show(config, *, plugins):
    print(config.model_dump_json(), "show" in plugins.table("command"))


class FailConfig(i2i.Config):
    how: str
    """The way to fail."""


def fail(config):
    if config.how == "user":
        raise i2i.DataError("nothing\\nto see")
    if config.how == "exit":
        raise SystemExit("enough")
    if config.how == "package":
        import torch_that_is_not_there
    raise KeyError("gone")


class LeaveConfig(i2i.Config):
    codes: list[int]
    """The exit code, or none."""


def leave(config):
    print("left")
    raise SystemExit(*config.codes[1:])


class TypesConfig(i2i.Config):
    many: list[int] = []
    """Numbers."""
    mapping: dict[str, int] = {}
    """Cannot be given."""
    some: set[str] = set()
    """No words."""
    words: list = []
    """Any words."""
    three: frozenset[int] = frozenset({3, 1, 2})
    """Three numbers."""
    mode: Literal["RGB", "L"] = "L"
    """Channels."""
    paths: list[Path] = []
    """Files."""
    path: Path | None = None
    """A file."""
    low: int = 0
    """Lower bound."""

    @model_validator(mode="after")
    def _ordered(self):
        if self.low > 5:
            raise ValueError("Low is above High")
        return self


class TwoLists(i2i.Config):
    first: list[str]
    third: list[int]


class Helpful(i2i.Config):
    help: bool = False


class Opposite(i2i.Config):
    x: bool = False
    no_x: bool = False


class NeedsMapping(i2i.Config):
    weights: dict[str, int]


def printing(config):
    print(config.model_dump_json())


def endless(config):
    while True:
        print("line")


@i2i.hookimpl
def i2i_commands():
    return [
        i2i.Component("show", show, ShowConfig, "Shows its options"),
        i2i.Component("fail", fail, FailConfig, "Fails"),
        i2i.Component("leave", leave, LeaveConfig, "Leaves"),
        i2i.Component("types", printing, TypesConfig, "Has types"),
        i2i.Component("lists", printing, TwoLists, "Has two lists"),
        i2i.Component("helpful", printing, Helpful, "Has help"),
        i2i.Component("opposite", printing, Opposite, "Has an opposite"),
        i2i.Component("mapping", printing, NeedsMapping, "Needs a mapping"),
        i2i.Component("endless", endless, summary="Prints"),
        i2i.Component("lost", "no_such_module:command", summary="Is nowhere"),
    ]
'''


@pytest.fixture
def i2i(tmp_path, monkeypatch, capsys):
    """Runs the command in this process, with the plugin: exit code, stdout and stderr."""

    def run(line: str, *plugins: str):
        loaded = [word for name in plugins or ["mine.py"] for word in ("-p", name)]
        monkeypatch.setattr(sys, "argv", ["i2i", *loaded, *shlex.split(line)])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code or 0, *capsys.readouterr()

    (tmp_path / "mine.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    return run


def test_fields_become_arguments_and_options_with_their_types(i2i):
    line = "run show RUN a.png 2.png --steps 5 --no-flip --only-label 3 --only-label 1 --mode sphere --seed 7 -o 2024"
    code, output, errors = i2i(line)
    assert (code, errors) == (0, "")
    assert output == (
        '{"run":"RUN","images":["a.png","2.png"],"steps":5,"mode":"sphere","flip":false,'
        '"only_label":[3,1],"seed":7,"out":"2024"} True\n'
    )


def test_what_is_not_given_has_its_default(i2i):
    code, output, _ = i2i("run show RUN a.png --out OUT")
    assert code == 0
    assert '"steps":8,"mode":"linear","flip":true,"only_label":[],"seed":null' in output


def test_a_list_of_anything_is_given_one_by_one_too(i2i):
    code, output, _ = i2i("run types --words a --words b --many 3")
    assert code == 0
    assert '"many":[3]' in output
    assert '"words":["a","b"]' in output


def test_the_help_has_every_meaning_and_default(i2i):
    code, output, _ = i2i("run show --help")
    assert code == 0
    text = " ".join(output.split())
    for words in (
        "Shows its options",
        "The run folder. [required]",
        "--steps INTEGER Images between two points. [default: 8]",
        "--mode [linear|sphere] The way. [default: linear]",
        "--flip / --no-flip Mirror them. [default: true]",
        "--only-label INTEGER Classes.",
        "--seed INTEGER Of random numbers.",
        "-o, --out PATH Folder for the images. [required]",
    ):
        assert words in text, output


def test_the_list_has_the_commands_of_all_plugins_with_their_summaries(i2i):
    code, output, errors = i2i("run --help")
    assert (code, errors) == (0, "")
    for name, summary in (("show", "Shows its options"), ("fail", "Fails"), ("lost", "Is nowhere")):
        assert [name, *summary.split()] in [line.split() for line in output.splitlines()]
    code, _, errors = i2i("run")
    assert code == 2
    assert "Shows its options" in errors


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run shwo", "unknown command 'shwo' (did you mean 'show'?); known: endless, fail,"),
        ("run show", "Missing argument 'RUN'."),
        ("run show RUN a.png", "Missing option '-o' / '--out'."),
        ("run show RUN a.png -o O --stepz 3", "No such option: --stepz"),
        ("run show RUN a.png -o O --steps 1", "command 'show', --steps '1': input should be greater than or equal to"),
        ("run show RUN a.png -o O --steps x", "command 'show', --steps 'x': input should be a valid integer"),
        ("run show RUN a.png -o O --mode x", "command 'show', --mode 'x': input should be 'linear' or 'sphere'"),
        (
            "run show RUN a.png -o O --only-label 1 --only-label x",
            "command 'show', --only-label 'x': input should be a",
        ),
        ("run leave 1 x", "command 'leave', CODES 'x': input should be a valid integer"),
        ("run types --mode rgb", "command 'types', --mode 'rgb': input should be 'RGB' or 'L'"),
        ("run types --low 6", "command 'types': value error, Low is above High"),
        ("run types --mapping 6", "No such option: --mapping"),
        ("run types --path ''", "command 'types', --path: the path is empty; the current folder is ."),
        ("run types --paths a --paths ''", "command 'types', --paths: the path is empty; the current folder is ."),
        ("run show '' a.png -o O", "command 'show', RUN: the path is empty; the current folder is ."),
        ("run show RUN a.png -o ''", "command 'show', --out: the path is empty; the current folder is ."),
        (
            "run lists --help",
            "command 'lists' of plugin mine (mine.py): give 'third' a default, which makes it an option",
        ),
        ("run helpful --help", "command 'helpful' of plugin mine (mine.py): rename option 'help': --help prints"),
        (
            "run opposite --no-x",
            "command 'opposite' of plugin mine (mine.py): rename option 'no_x': --no-x sets option",
        ),
        ("run mapping x", "command 'mapping' of plugin mine (mine.py): give 'weights' a default: a mapping"),
        ("run show RUN a.png -p x.py", "-p stands before the command, as in: i2i -p ... run show"),
        ("run fail user", "nothing to see"),
        ("run fail exit", "command 'fail' of plugin mine (mine.py): SystemExit: enough"),
        ("run fail any", "command 'fail' of plugin mine (mine.py): KeyError: 'gone'"),
        (
            "run fail package",
            "command 'fail' of plugin mine (mine.py): ModuleNotFoundError: No module named 'torch_",
        ),
        ("run lost", "command 'lost' of plugin mine (mine.py) cannot be built: ModuleNotFoundError: No module named"),
    ],
)
def test_what_goes_wrong_is_one_line_and_exit_code_2(i2i, line, words):
    code, output, errors = i2i(line)
    assert (code, output) == (2, "")
    assert errors.startswith(f"i2i: error: {words}"), errors
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize(("words", "expected"), [("0", 0), ("0 0", 0), ("0 1", 1), ("0 5", 5)])
def test_a_command_that_leaves_has_the_exit_code_that_it_gives(i2i, words, expected):
    assert i2i(f"run leave {words}") == (expected, "left\n", "")


def test_a_plugin_that_leaves_when_it_is_imported_is_still_an_error(i2i, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "leaves.py").write_text("raise SystemExit(0)")
    (tmp_path / "mine.py").write_text(PLUGIN.replace("no_such_module:command", "leaves:command"))
    code, _, errors = i2i("run lost")
    assert code == 2
    assert "command 'lost' of plugin mine (mine.py) cannot be built: SystemExit: 0" in errors


def test_the_help_has_no_mapping_and_no_empty_default(i2i):
    code, output, _ = i2i("run types --help")
    assert code == 0
    assert "mapping" not in output
    lines = [" ".join(line.split()) for line in output.splitlines()]
    assert "--some TEXT No words." in lines
    assert "--three INTEGER Three numbers. [default: [1, 2, 3]]" in lines


@pytest.mark.parametrize("line", ["run", "run show"])
def test_without_any_command_it_says_how_to_load_one(i2i, tmp_path, line):
    none = "import i2i\n\n\n@i2i.hookimpl\ndef i2i_commands():\n    return []\n"
    (tmp_path / "none.py").write_text(none)
    expected = "i2i: error: no plugin gives a command; load one that does, as in: i2i -p FILE run\n"
    assert i2i(line, "none.py") == (2, "", expected)
    assert i2i("run --help", "none.py")[0] == 0


def test_a_name_that_two_plugins_give_is_an_error_only_when_it_is_called(i2i, tmp_path):
    (tmp_path / "other.py").write_text(PLUGIN.replace('"fail", fail', '"other", fail'))
    code, output, _ = i2i("run --help", "mine.py", "other.py")
    assert code == 0
    assert "Shows its options" in output
    assert i2i("run other user", "mine.py", "other.py")[2] == "i2i: error: nothing to see\n"
    code, _, errors = i2i("run show RUN a.png -o O", "mine.py", "other.py")
    assert code == 2
    assert "command 'show' is given by mine (mine.py) and other (other.py): leave one out" in errors


def test_plugins_list_and_show_have_commands(i2i):
    assert "command        show             Shows its options" in i2i("plugins list")[1]
    lines = i2i("plugins show show")[1].splitlines()
    assert "  run = (to be given)  (path)  The run folder." in lines
    assert "  steps = 8  (integer)  Images between two points." in lines


def test_a_reader_that_closes_the_pipe_ends_it_quietly(tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN)
    words = [sys.executable, "-m", "i2i", "-p", "mine.py", "run", "endless"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"line\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_listing_and_calling_import_nothing_that_the_command_does_not(tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN)
    lines = ["--help", "run --help", "-p mine.py run --help", "-p mine.py run show --help", "-p mine.py run fail any"]
    done = cold([(line, "") for line in lines], cwd=tmp_path, preload=("typer", "pydantic", "pluggy"))
    for line, one in zip(lines, done, strict=True):
        assert not one.modules & {"torch", "torchvision", "kornia", "numpy", "cv2", "ruamel"}, line
    assert [one.returncode for one in done] == [0, 0, 0, 0, 2]
