"""Pictures of images in rows and columns, as PNG files that say what each column shows. Imports no torch."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from i2i.files import write_file

_ENTRY = "i2i.grid"
"""Name of the text in the PNG file that holds the layout as JSON."""

Role = Literal["source", "output", "target", ""]
"""What a column is to the translation: its input, its result, what the result should be, or something else."""


@dataclass(frozen=True)
class Column:
    """A column of a grid.

    Attributes:
        caption: for people, such as ``AtoB: output``; may be empty.
        role: what the column is to the translation.
    """

    caption: str = ""
    role: Role = ""


@dataclass(frozen=True)
class GridLayout:
    """Where the cells of a grid are and what they show.

    Attributes:
        columns: from left to right.
        rows: a caption for each row from top to bottom; may be empty.
        height: of a cell, in pixels.
        width: of a cell, in pixels.
        border: pixels around each cell; 0 where the grid is a single cell.
    """

    columns: Sequence[Column]
    rows: Sequence[str]
    height: int
    width: int
    border: int

    def box(self, row: int, column: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of a cell in pixels, as Pillow's `crop` takes them; row and column from 0."""
        left = self.border + column * (self.width + self.border)
        top = self.border + row * (self.height + self.border)
        return left, top, left + self.width, top + self.height


@dataclass(frozen=True)
class Grid:
    """A grid in memory.

    Attributes:
        pixels: uint8 ``(H, W, 3)``.
        layout: what they show.
    """

    pixels: np.ndarray
    layout: GridLayout


def write_grid(path: Path, grid: Grid) -> None:
    """Writes a grid as PNG in one step.

    Raises:
        OSError: it cannot be written.
    """
    text = PngInfo()
    text.add_text(_ENTRY, json.dumps(asdict(grid.layout)))
    buffer = io.BytesIO()
    Image.fromarray(grid.pixels).save(buffer, "PNG", pnginfo=text, compress_level=3)
    write_file(path, buffer.getvalue())


def read_grid(path: Path) -> tuple[Image.Image, GridLayout | None]:
    """The picture of a grid as RGB, and its layout; None for files that have none, as of older versions.

    Raises:
        OSError: the file cannot be read, or is no image.
        ValueError: it is damaged.
    """
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
            text = getattr(opened, "text", {}).get(_ENTRY, "")
    except (SyntaxError, Image.DecompressionBombError) as error:  # Pillow's errors of damaged files
        raise ValueError(f"{path}: {error}") from error
    layout = _parsed(text)
    return image, layout if layout and _fits(layout, image) else None


def _fits(layout: GridLayout, image: Image.Image) -> bool:
    right, bottom = layout.box(len(layout.rows) - 1, len(layout.columns) - 1)[2:]
    return right <= image.width and bottom <= image.height


def _parsed(text: str) -> GridLayout | None:
    """The layout in a text; None if there is none in it, or one that is not understood."""
    try:
        values: Mapping[str, Any] = json.loads(text)
        columns = [Column(str(one["caption"]), one["role"]) for one in values["columns"]]
        rows = [str(caption) for caption in values["rows"]]
        height, width, border = (int(values[key]) for key in ("height", "width", "border"))
    except (ValueError, KeyError, TypeError):
        return None
    known = columns and rows and all(column.role in get_args(Role) for column in columns)
    return GridLayout(columns, rows, height, width, border) if known and min(height, width) > 0 <= border else None
