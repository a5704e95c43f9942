"""The pictures of the page: which sample grids it shows, and cells cut out of them, all within a number of bytes.

A page is to be sent and opened anywhere, so it stays below 5 MB however many grids a run has. First the steps are
thinned to `MAX_GRIDS`. Then the grids are coded in the best of `QUALITIES` at which all of them fit.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from i2i.runs.facts import RunFacts
from i2i.runs.grid import Column, GridLayout, read_grid

MAX_GRIDS = 20
"""Sample grids of a run: those of the first, the best and the last step, and evenly spaced ones between."""

MAX_PAGE_GRIDS = 40
"""Sample grids of all runs of a page together, but for `MIN_GRIDS` of each run."""

MIN_GRIDS = 3
"""Sample grids of a run that a page has however many runs are compared."""

MAX_GRID_BYTES = 2_400_000
"""Of all grids of a page together, before base64 makes four bytes of three."""

MAX_CELL_BYTES = 900_000
"""Of all single cells of a page together."""

MAX_PAIRS = 8
"""Cells of a run that are shown before and after."""

QUALITIES = ((1600, 0), (1600, 86), (1200, 82), (900, 78), (700, 72), (500, 64), (320, 50), (160, 40))
"""Largest width in pixels and quality of WebP, best first; quality 0 is without loss."""

MAX_LOSSLESS_PIXELS = 2_000_000
"""Pixels of all pictures together beyond which coding them without loss is not tried."""

MAX_HEIGHT = 6 * 1600
"""Height in pixels beyond which a picture is scaled down further; WebP has 16383 at most."""

SAME_INPUT = 3.0
"""Mean distance of two small grey pictures, of values to 255, up to which they show the same input."""


@dataclass(frozen=True)
class PageImage:
    """A picture as the page holds it.

    Attributes:
        uri: its content as a ``data:`` URI.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        shown: width at which the page shows it at most, in CSS pixels; small ones are enlarged.
    """

    uri: str
    width: int
    height: int
    shown: int


@dataclass(frozen=True)
class StepGrid:
    """The sample grid of a step.

    Attributes:
        step: the training step.
        picture: the grid.
        columns: captions above it; empty if they are not known.
        rows: captions of its rows that are not empty.
    """

    step: int
    picture: PageImage
    columns: Sequence[str]
    rows: Sequence[str]


@dataclass(frozen=True)
class CutRow:
    """A row of the last grid, cut into cells.

    Attributes:
        cells: what each is, and its picture.
        caption: of the row; may be empty.
    """

    cells: Sequence[tuple[Column, Image.Image]]
    caption: str = ""

    def first(self, role: str) -> Image.Image | None:
        """The first cell of a role."""
        return next((image for column, image in self.cells if column.role == role), None)

    def pairs(self) -> list[tuple[Column, Image.Image, Image.Image]]:
        """For each output that stands behind a source: its column, the source and the output."""
        found, source = [], None
        for column, image in self.cells:
            if column.role == "source":
                source = image
            elif column.role == "output" and source is not None:
                found.append((column, source, image))
        return found


def grid_files(run: Path) -> dict[int, Path]:
    """The sample grids of a run by step, first to last."""
    found = {}
    for path in run.glob("samples/step-*.png"):
        if match := re.fullmatch(r"step-(\d+)\.png", path.name):
            found[int(match[1])] = path
    return dict(sorted(found.items()))


def chosen_steps(steps: Sequence[int], best: int | None, most: int = MAX_GRIDS) -> list[int]:
    """Some steps: the first, the last and the best one, and evenly spaced ones between.

    Args:
        steps: all steps, in order.
        most: how many are chosen if there are more; at least `MIN_GRIDS`.
        best: the best step; None, or one that has no grid, adds none.
    """
    count = min(most, len(steps))
    even = [steps[round(place * (len(steps) - 1) / max(count - 1, 1))] for place in range(count)]
    if best is not None and best in steps and best not in even:
        nearest = min(range(1, len(even) - 1), key=lambda place: abs(even[place] - best))
        even[nearest] = best
    return even


def step_grids(facts: RunFacts, runs: int) -> list[StepGrid]:
    """The grids of the chosen steps; those that cannot be read are left out.

    Args:
        facts: of the run.
        runs: how many runs share the page.
    """
    files = grid_files(facts.run.path)
    most = max(MIN_GRIDS, min(MAX_GRIDS, MAX_PAGE_GRIDS // runs))
    read = {}
    for step in chosen_steps([*files], facts.best.step if facts.best else None, most):
        if opened := _opened(files[step]):
            read[step] = _scaled(opened[0], QUALITIES[0][0]), opened[1]  # at once, for many large ones fill the memory
    pictures = encoded([image for image, _ in read.values()], MAX_GRID_BYTES // runs)
    return [
        StepGrid(
            step,
            picture,
            [column.caption for column in layout.columns] if layout else [],
            [caption for caption in layout.rows if caption] if layout else [],
        )
        for (step, (_, layout)), picture in zip(read.items(), pictures, strict=True)
    ]


def last_rows(run: Path) -> list[CutRow]:
    """The rows of the last grid that can be read; none if it does not say where its cells are."""
    for path in reversed(grid_files(run).values()):
        if opened := _opened(path):
            image, layout = opened
            return _cut(image, layout) if layout else []
    return []


def picture_of(path: Path, budget: int) -> tuple[PageImage, GridLayout | None] | None:
    """A picture in a file, such as that of training samples; None if it is not there or cannot be read."""
    opened = _opened(path)
    if opened is None:
        return None
    [picture] = encoded([opened[0]], budget)
    return picture, opened[1]


def encoded(images: Sequence[Image.Image], budget: int) -> list[PageImage]:
    """Pictures in the best of `QUALITIES` at which they fit together; in the last one, whether they do or not.

    Args:
        images: RGB.
        budget: bytes that they may have together.
    """
    lossless = sum(image.width * image.height for image in images) <= MAX_LOSSLESS_PIXELS
    best: list[PageImage] = []
    for width, quality in QUALITIES if lossless else QUALITIES[1:]:
        best, size = [], 0
        for image in images:
            fitting = _scaled(image, width)
            data = _webp(fitting, quality)
            size += len(data)
            best.append(_picture(data, fitting, image))
            if size > budget and (width, quality) != QUALITIES[-1]:
                break
        else:
            return best
    return best


def matched_rows(runs: Sequence[Sequence[CutRow]]) -> list[list[CutRow]]:
    """Rows that show the same input in all runs, as a list with a row of each run; none for a single run."""
    if len(runs) < 2:
        return []
    matched = []
    for row in runs[0]:
        others = [next((other for other in rows if _same_input(row, other)), None) for rows in runs[1:]]
        found = [other for other in others if other is not None]
        if len(found) == len(others):
            matched.append([row, *found])
    return matched


def _same_input(one: CutRow, other: CutRow) -> bool:
    first, second = one.first("source"), other.first("source")
    if first is None or second is None:
        return False
    small = [np.asarray(image.convert("L").resize((16, 16)), np.float32) for image in (first, second)]
    return float(np.abs(small[0] - small[1]).mean()) <= SAME_INPUT


def _opened(path: Path) -> tuple[Image.Image, GridLayout | None] | None:
    try:
        return read_grid(path)
    except (OSError, ValueError):
        return None


def _cut(image: Image.Image, layout: GridLayout) -> list[CutRow]:
    return [
        CutRow([(column, image.crop(layout.box(row, place))) for place, column in enumerate(layout.columns)], caption)
        for row, caption in enumerate(layout.rows)
    ]


def _scaled(image: Image.Image, width: int) -> Image.Image:
    """The image, scaled down where it is wider than `width` or higher than `MAX_HEIGHT`."""
    scale = min(1.0, width / image.width, MAX_HEIGHT / image.height)
    if scale == 1.0:
        return image
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _webp(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    if quality:
        image.save(buffer, "WEBP", quality=quality, method=2)
    else:
        image.save(buffer, "WEBP", lossless=True, quality=50, method=1)
    return buffer.getvalue()


def _picture(data: bytes, image: Image.Image, original: Image.Image) -> PageImage:
    uri = f"data:image/webp;base64,{base64.b64encode(data).decode()}"
    return PageImage(uri, image.width, image.height, original.width * (2 if original.width < 500 else 1))
