"""Commands that each break one promise; `kit_mutants` says what a mutant is, and gives them to plugins."""

from pathlib import Path
from typing import Literal

from pydantic import Field

import i2i
from helpers.kit_lists import MUTANTS, SOUND, Mutant


class Options(i2i.Config):
    """What the sound command takes."""

    run: Path
    """The run folder."""
    files: list[Path]
    """Any number of files."""
    steps: int = 8
    """How many."""
    sizes: tuple[int, int] = (8, 8)
    """Height and width."""
    seed: int | None = None
    """Of random numbers."""
    quick: bool = False
    """Less exact."""
    out: Path
    """Where results go."""


def command(config, *, plugins):
    """Does nothing."""


def positional(config, run):
    """Takes more than there is."""


def bare(*, plugins):
    """Takes no options."""


class Undocumented(i2i.Config):
    run: Path
    steps: int = 8
    """How many."""


class Helpful(i2i.Config):
    help: str = ""
    """Shadows --help."""


class TwoLists(i2i.Config):
    first: list[str]
    """Words."""
    third: list[int]
    """Numbers."""


class Opposite(i2i.Config):
    x: bool = True
    """A switch."""
    no_x: bool = False
    """Another one."""


class NeedsMapping(i2i.Config):
    weights: dict[str, float]
    """A mapping that must be given."""


class Contradictory(i2i.Config):
    run: Path
    """The run folder."""
    mode: Literal["linear", "sphere"] = "cubic"  # type: ignore[assignment]
    """The way between two points."""


class Nested(i2i.Config):
    weights: dict[str, float] = Field(default_factory=lambda: {"l1": 1.0})
    """A mapping, which no text becomes."""


class Numbered(i2i.Config):
    factor: Literal[1, 2] = 1
    """A number that is compared with texts."""


SOUND.append(Mutant("command", i2i.Component("sound-command", command, Options, "Sound")))
for name, build, config, check, words in (
    ("own-help", command, Helpful, "command-line", "rename option 'help'"),
    ("two-lists", command, TwoLists, "command-line", "give 'third' a default, .*: only one list, 'first', can be an"),
    ("opposite", command, Opposite, "command-line", "rename option 'no_x': --no-x sets option 'x' to false"),
    ("needs-mapping", command, NeedsMapping, "command-line", "give 'weights' a default: a mapping cannot be given"),
    ("wrong-default", command, Contradictory, "command-line", "option mode: the default is refused"),
    ("a-mapping", command, Nested, "command-line", "option weights: the default as a text is refused"),
    ("of-numbers", command, Numbered, "command-line", "option factor: the default as a text is refused"),
    ("two-things", positional, Options, "call", r"as command\(config\): missing a required argument: 'run'"),
    ("no-config", bare, Options, "call", r"as command\(config, plugins=plugins\): too many positional arguments"),
):
    MUTANTS.append(Mutant("command", i2i.Component(name, build, config, "Broken"), check, words))
note = "say what run means in a docstring under it"
MUTANTS.append(
    Mutant("command", i2i.Component("no-help", command, Undocumented, "Broken"), "command-line", note, note=True)
)
