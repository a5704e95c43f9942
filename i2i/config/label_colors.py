"""Tables of the colours that stand for classes in label maps: built-in ones, and those of files and configurations."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from i2i.errors import short_repr, system_reason
from i2i.files import user_path
from i2i.kinds import CLASS_COLOR, ClassColor, LabelColors, is_class_color

_CITYSCAPES = (
    (128, 64, 128),  # road
    (244, 35, 232),  # sidewalk
    (70, 70, 70),  # building
    (102, 102, 156),  # wall
    (190, 153, 153),  # fence
    (153, 153, 153),  # pole
    (250, 170, 30),  # traffic light
    (220, 220, 0),  # traffic sign
    (107, 142, 35),  # vegetation
    (152, 251, 152),  # terrain
    (70, 130, 180),  # sky
    (220, 20, 60),  # person
    (255, 0, 0),  # rider
    (0, 0, 142),  # car
    (0, 0, 70),  # truck
    (0, 60, 100),  # bus
    (0, 80, 100),  # train
    (0, 0, 230),  # motorcycle
    (119, 11, 32),  # bicycle
)
"""The 19 classes that are trained on, by ``trainId``, as in cityscapesscripts/helpers/labels.py of the data set."""
_VOC_CLASSES = 21
TABLES = ("cityscapes", "voc")
"""Names of the built-in tables."""


def built_in_table(name: str) -> tuple[ClassColor, ...]:
    """The built-in table of that name: rows of a class, red, green and blue."""
    from i2i.images import default_palette  # numpy and Pillow, which `i2i config` does without

    colours = _CITYSCAPES if name == "cityscapes" else default_palette()[:_VOC_CLASSES]
    return tuple((number, *colour) for number, colour in enumerate(colours))


def parse_label_colors(value: Any) -> str | tuple[ClassColor, ...] | None:
    """The option ``data.label_colors`` as runs keep it: the name of a built-in table, or the rows of another.

    Args:
        value: the name of a table; the path of a file of lines ``class,red,green,blue``, perhaps with a name behind
            them, or of the same in JSON; rows; or a mapping from class to colour.

    Raises:
        ValueError: it is none of these, or a colour stands for two classes.
        UserError: the path cannot be one.
    """
    if value is None or (isinstance(value, str) and value in TABLES):
        return value
    return _read(value) if isinstance(value, str) else LabelColors(_parsed(value)).classes


def _read(name: str) -> tuple[ClassColor, ...]:
    path = user_path(name, "data.label_colors")
    if not path.is_file():
        what = f"{path} is a folder" if path.is_dir() else f"there is no file {path}"
        raise ValueError(f"{what}: give a file, or the name of a table, {' or '.join(TABLES)}")
    of_json = path.suffix.lower() == ".json"
    try:
        text = path.read_text(encoding="utf-8-sig")
        value = json.loads(text) if of_json else None
    except OSError as error:
        raise ValueError(f"{path}: {system_reason(error)}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {'no JSON' if of_json else 'no text in UTF-8'}") from error
    rows = _parsed(value) if of_json else _rows(text, path)
    try:
        return LabelColors(rows).classes
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _rows(text: str, path: Path) -> tuple[tuple[Any, ...], ...]:
    """The rows of a text's lines, but for empty ones, those that begin with # and names of columns in the first one.

    Raises:
        ValueError: a line is no row.
    """
    stripped = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    lines = [(number, line) for number, line in stripped if line and not line.startswith("#")]
    if lines and not any(map(str.isdigit, lines[0][1])):
        del lines[0]
    rows = _parsed([re.split(r"[,;\s]+", line, maxsplit=4) for _, line in lines])
    for (number, line), row in zip(lines, rows, strict=True):
        if not is_class_color(row):
            raise ValueError(f"{path}, line {number}: must be {CLASS_COLOR}, not {short_repr(line)}")
    return rows


def _parsed(value: Any) -> tuple[tuple[Any, ...], ...]:
    """Rows, with texts of digits as numbers, and without the fifth entry, which is a name for readers."""
    rows = [[key, *_items(colour)] for key, colour in value.items()] if isinstance(value, Mapping) else _items(value)
    shortened = (row[:4] if len(row) == 5 else row for row in map(_items, rows))
    return tuple(tuple(map(_number, row)) for row in shortened)


def _number(value: Any) -> Any:
    text = str(value)
    return int(text) if text.isdecimal() and len(text) < 9 else value  # Python reads no number of thousands of digits


def _items(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
