"""What the documentation shows: fenced blocks, command lines, links, and the folder in which it can all be run."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import i2i
from helpers import typed_data
from helpers.image_files import save
from helpers.paths import ROOT
from helpers.recipes import OWN
from i2i.plugins import Plugins
from i2i_samples.facades import draw_facade

SETUP = {
    "pip install": "changes an environment: tests/packaging runs it in one of its own",
    "uv pip install": "changes an environment: tests/packaging runs it in one of its own",
    "uv run --with 'onnxruntime-gpu": "installs 1.5 GB and needs a GPU",
    ".ci/run": "makes an environment from nothing and runs these tests in it",
    "uv run pytest": "is these tests",
}
"""Lines that are not run: how they begin, and why."""

FILES = {"wgan-gp": "wgan.py", "middle": "losses.py"}
"""Names of the documentation's plugin files where they are not those of their (first) components."""

ONLY_QUICK = ["--set", "data.size=32", "--skip", "resume", "--skip", "processes", "--skip", "export"]
"""For `plugins check` of a recipe: another test runs all of its checks."""

SMALL = ["data.jitter=1", "data.size=32", "train.log_every=1", "train.val_images=2", "train.sample_count=2"]
SMALL += ["train.steps=2", "engine.threads=1", "engine.precision=fp32"]
"""Settings that come before those of the documentation, which replace them."""


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        path: the Markdown file, relative to the project.
        line: of its first line of text, from 1.
        language: as the fence says; empty if it does not.
        text: with the newline at its end.
    """

    path: Path
    line: int
    language: str
    text: str

    def __str__(self):
        return f"{self.path.as_posix()}:{self.line}"

    @property
    def is_plugin(self):
        return "@i2i.hookimpl" in self.text

    @property
    def is_test_file(self):
        return "def test_" in self.text


def pages():
    """The Markdown files of the project that are for readers."""
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [path.relative_to(ROOT) for path in files]


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def _blocks(page):
    """The blocks of a page; a fence that is never closed is an error."""
    start, language, text = 0, "", []
    for number, line in enumerate(read(page).splitlines(), start=1):
        if line.lstrip().startswith(("```", "~~~")) and not start:
            assert re.fullmatch(r"```[a-z]*", line), f"{page}:{number}: fences are ``` and a language, not indented"
            start, language, text = number + 1, line[3:], []
        elif line == "```":
            yield Block(page, start, language, "".join(f"{each}\n" for each in text))
            start = 0
        elif start:
            text.append(line)
    assert not start, f"{page}:{start}: the block is not closed"


def prose(page):
    """The page with the lines of its blocks left empty."""
    lines = read(page).splitlines()
    for block in BLOCKS:
        if block.path == page:
            end = block.line - 1 + len(block.text.splitlines())
            lines[block.line - 2 : end + 1] = [""] * (end + 1 - (block.line - 2))
    return "\n".join(lines)


@dataclass(frozen=True)
class Command:
    """A command line of a shell block.

    Attributes:
        block: where it stands.
        text: without its comment.
    """

    block: Block
    text: str

    def __str__(self):
        return f"{self.block} {self.text}"

    @property
    def i2i(self):
        """The words after ``i2i``, or None if it does not start i2i."""
        words = shlex.split(self.text)
        words = words[2:] if words[:2] == ["uv", "run"] else words
        if words[:1] == ["i2i"]:
            return words[1:]
        return words[3:] if words[:3] == ["python", "-m", "i2i"] else None


def _commands(block):
    """The commands of a shell block, one for each line; a backslash at the end goes on in the next."""
    for line in block.text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line.removeprefix("$ "), comments=True):
            yield Command(block, shlex.join(words))


def runnable(words):
    """The words of an ``i2i`` command that takes seconds: a training made small, and tried with its first step only."""
    if words[:2] == ["plugins", "check"] and "--data" not in words:
        return [*words, *ONLY_QUICK]
    if "train" not in words or "--resume" in words:
        return words
    place = words.index("train") + 1
    recipe = words[place]
    own = [f"{recipe}.{line}" for line in OWN.get(recipe, ())]
    sets = [word for line in (*SMALL, *own) for word in ("--set", line)]
    short = ["--steps", "1"] if "bench" in words else ["--dry-run"]
    return [*words[: place + 1], *sets, *words[place + 1 :], *short]


README = read("README.md")
BLOCKS = [block for page in pages() for block in _blocks(page)]
PYTHON = [block for block in BLOCKS if block.language == "python"]
PLUGINS = [block for block in PYTHON if block.is_plugin]
TEST_FILES = [block for block in PYTHON if block.is_test_file]
CODE = [block for block in PYTHON if not block.is_plugin and not block.is_test_file]
LINES = [line for block in BLOCKS if block.language in ("bash", "console") for line in _commands(block)]
COMMANDS = [line for line in LINES if line.i2i]
OTHER_LINES = [line for line in LINES if not line.i2i]


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    found = set()
    for heading in re.findall(r"^#+ +(.*?)\s*$", prose(page), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", words).replace(" ", "-"))
    return found


def links(page):
    """Targets of the links of a page."""
    return sorted(set(re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "code", prose(page)))))


def draw_folders(folder):
    """The data folders that the documentation names, small, under their names."""
    (folder / "SLICES").mkdir(exist_ok=True)
    for index in range(6):
        labels, facade = draw_facade(index, size=40)
        split = "train" if index < 4 else "val"
        save(folder / "FOLDER" / split / f"{index}.png", np.hstack([labels, facade]))
        save(folder / "MASKS" / split / f"{index}.png", np.hstack([labels, facade])[..., 0] // 128 * 255)
        save(folder / "PICTURES" / f"{index}.png", facade)
        save(folder / "PHOTOS" / f"{index}.png", facade)
        save(folder / "DIV2K" / f"{index}.png", draw_facade(index, size=96)[1])
        side = {"train": "train", "val": "test"}[split]
        save(folder / "horse2zebra" / f"{side}A" / f"{index}.png", labels)
        save(folder / "horse2zebra" / f"{side}B" / f"b{index}.png", facade)
        units = np.kron(facade.mean(2) * 8 - 1000, np.ones((13, 13)))[:512, :512]
        pair = np.stack([np.random.default_rng(index).normal(units, 60), units])
        pair.astype(np.int16).tofile(folder / "SLICES" / f"{index}.raw")
        save(folder / "LISTED" / f"{index}.png", facade)
    (folder / "LISTED" / "labels.csv").write_text("".join(f"{n}.png,{('day', 'night')[n % 2]}\n" for n in range(6)))
    return folder


def write_plugins(folder):
    """The documentation's plugins as files under the names that it gives them."""
    for block in PLUGINS:
        name = re.findall(r'Component\((?:name=)?"([\w-]+)"', block.text)[0]
        (folder / FILES.get(name, f"{name}.py")).write_text(block.text, encoding="utf-8")
    return folder


def train_runs(folder):
    """The runs that the documentation names, with small networks trained for two steps, in the folder `runs`."""
    typed_data.make(folder / "typed")
    out, sets = folder / "runs" / "inpainting-001", [*SMALL, "data.layout=masked"]
    plugins = Plugins([ROOT / "tests/methods/plugins/inpainting.py"])
    i2i.train("inpainting", data=folder / "typed" / "masked", out=out, sets=sets, plugins=plugins)
    for recipe, data in (("pix2pix", folder / "FOLDER"), ("cgan", None)):
        own = [f"{recipe}.{line}" for line in OWN[recipe]]
        drawn = [] if data else ["data.layout.count=12", "data.layout.val_count=3", "train.batch_size=4"]
        i2i.train(recipe, data=data, out=folder / "runs" / f"{recipe}-001", sets=[*SMALL, *drawn, *own])
