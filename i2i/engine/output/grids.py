"""Sample grids: outputs of the networks for a few validation images, or for fixed noise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from i2i.api import Translator
from i2i.components.inference import Inference, has_own
from i2i.engine.checks.outputs import checked_columns
from i2i.engine.validation.translating import drawn_inputs, is_visible, translated_images
from i2i.engine.validation.validate import Validation
from i2i.errors import PluginError, attributed_to
from i2i.images import default_palette
from i2i.metrics.measuring import Batch
from i2i.runs.disk import writing
from i2i.runs.grid import Column, Grid, GridLayout, Role, write_grid

MAX_LABELS = 8
"""Columns for labels on a grid."""
BORDER = 2
"""Pixels around each picture of a grid."""


@torch.inference_mode()
def draw_grid(inference: Inference, validation: Validation, count: int) -> Grid | None:
    """The sample grid: the recipe's own, or where it has none that of its translators; see `sample_grid`.

    Raises:
        PluginError: the recipe's `grid` fails or returns something else than images by name, or a translator fails.
    """
    who = validation.recipe_owner
    rows: list[Row] = []
    for batch in validation.images(count) if has_own(inference.recipe, "grid") else ():
        with attributed_to(f"{who}, grid"):
            columns = inference.recipe.grid(inference.networks, batch)
        if columns is None and not rows:
            break
        rows.append(Row([(_own_column(name), image) for name, image in checked_columns(who, columns).items()]))
        if len(rows[-1].cells) != len(rows[0].cells):
            counts = f"{len(rows[0].cells)}, {len(rows[-1].cells)}"
            raise PluginError(f"{who}: grid must return as many columns for each sample: {counts}")
    if rows:
        return picture(rows)
    with attributed_to(f"{who}, translators"):
        return sample_grid(inference.translators, validation, count)


@torch.inference_mode()
def sample_grid(translators: Mapping[str, Translator], validation: Validation, count: int) -> Grid | None:
    """One picture of all translators; None without validation images.

    A translator of images has source | output | target, a row an image; with labels one output for each of them. One
    that draws from noise has a row a label, each from the same noise.

    Args:
        translators: on copies of the networks for inference.
        validation: gives the images.
        count: rows, or columns from noise.
    """
    shown = {name: one for name, one in translators.items() if any(map(is_visible, one.outputs.values()))}
    prefix = {name: f"{name}: " if len(shown) > 1 else "" for name in shown}
    of_images = {name: one for name, one in shown.items() if "image" in one.example}
    batches = validation.images(count) if of_images else ()
    rows = [
        Row([cell for name, one in of_images.items() for cell in _translated(one, batch, prefix[name])])
        for batch in batches
    ]
    for name, translator in shown.items():
        if name not in of_images:
            rows += _drawn(translator, count, prefix[name])
    return picture(rows) if rows else None


@dataclass(frozen=True)
class Row:
    """A row of a grid.

    Attributes:
        cells: what each column is, and its image ``(1, C, H, W)`` in [-1, 1] or label map ``(1, H, W)``.
        caption: of the whole row.
    """

    cells: Sequence[tuple[Column, Tensor]]
    caption: str = ""


def picture(rows: Sequence[Row]) -> Grid:
    """A grid of rows, each of whose images has the size of its row's largest one; a column is called what all call it.

    Args:
        rows: at least one, with at least one cell.
    """
    count = max(len(row.cells) for row in rows)
    cells = [cell for row in rows for cell in _equal([_viewable(image) for _, image in row.cells], count)]
    height, width = (max(cell.shape[axis] for cell in cells) for axis in (1, 2))
    padded = [pad(cell, (0, width - cell.shape[2], 0, height - cell.shape[1]), value=1.0) for cell in cells]
    grid = tiled(torch.stack(padded), count, fill=1.0)
    columns = [{row.cells[place][0] for row in rows if place < len(row.cells)} for place in range(count)]
    layout = GridLayout(
        columns=[one.pop() if len(one) == 1 else Column() for one in columns],
        rows=[row.caption for row in rows],
        height=height,
        width=width,
        border=BORDER if len(cells) > 1 else 0,
    )
    return Grid((grid.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy(), layout)


def image_row(images: Tensor) -> Any:
    """Up to 8 images ``(N, C, H, W)`` in [-1, 1] beside each other, uint8 ``(H, W, C)``."""
    visible = images[:8, : 3 if images.shape[1] > 2 else 1]
    grid = tiled((visible.float().clamp(-1, 1).cpu() + 1) / 2, 8)
    return (grid * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def tiled(images: Tensor, columns: int, fill: float = 0.0) -> Tensor:
    """Pictures in rows with a border around each; one alone has none. As torchvision's, which is slow to import.

    Args:
        images: ``(N, C, H, W)`` with 1 or 3 channels; grey ones become colours.
        columns: how many stand beside each other at most.
        fill: the value of the border, and of what is left free.

    Returns:
        ``(3, H', W')``.
    """
    images = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
    if len(images) == 1:
        return images[0]
    columns = min(columns, len(images))
    height, width = (side + BORDER for side in images.shape[2:])
    rows = -(-len(images) // columns)
    grid = images.new_full((images.shape[1], rows * height + BORDER, columns * width + BORDER), fill)
    for number, image in enumerate(images):
        top, left = number // columns * height + BORDER, number % columns * width + BORDER
        grid[:, top : top + image.shape[1], left : left + image.shape[2]] = image
    return grid


def save_grid(path: Path, grid: Grid) -> None:
    """Writes a grid as PNG."""
    with writing(path):
        path.parent.mkdir(exist_ok=True)
        write_grid(path, grid)


def _own_column(name: str) -> Column:
    """A column that a recipe draws; one that is called as a role has it."""
    roles: dict[str, Role] = {role: role for role in get_args(Role)}
    return Column(name, roles.get(name, ""))


def _translated(translator: Translator, batch: Batch, prefix: str) -> Iterator[tuple[Column, Tensor]]:
    if (source := translator.batch_key("image")) in batch:
        yield Column(f"{prefix}source", "source"), batch[source]
    if "label" in translator.example and "target_label" not in batch:
        for label, name in enumerate(_label_names(translator)):
            yield Column(f"{prefix}output {name}", "output"), translated_images(translator, batch, label)
    else:
        yield Column(f"{prefix}output", "output"), translated_images(translator, batch)
    if translator.target in batch:
        yield Column(f"{prefix}target", "target"), batch[translator.target]


def _drawn(translator: Translator, count: int, prefix: str) -> list[Row]:
    """Rows of images from the same noise, a row a label."""
    batch = drawn_inputs(translator, count, torch.Generator().manual_seed(0))
    column = Column(f"{prefix}output", "output")
    if "label" not in translator.example:
        return [Row([(column, image) for image in translated_images(translator, batch).split(1)])]
    return [
        Row([(column, image) for image in translated_images(translator, batch, label).split(1)], name)
        for label, name in enumerate(_label_names(translator))
    ]


def _label_names(translator: Translator) -> list[str]:
    """Names of the labels that a grid shows, at most `MAX_LABELS`."""
    return [*translator.labels[:MAX_LABELS]] or ["0"]


def _equal(row: list[Tensor], count: int) -> list[Tensor]:
    """A row's images ``(3, H, W)`` in the size of its largest one, small ones with their pixels visible.

    Args:
        row: the images.
        count: how many cells the row is to have; those that are missing are white.
    """
    size = max((cell.shape[1:] for cell in row), key=lambda shape: shape[0] * shape[1])
    cells = [interpolate(cell[None], size, mode="nearest")[0] for cell in row]
    return cells + [torch.ones_like(cells[0])] * (count - len(row))


def _viewable(image: Tensor) -> Tensor:
    """One image ``(1, C, H, W)`` in [-1, 1], or label map ``(1, H, W)``, as ``(3, H, W)`` in [0, 1] on the CPU."""
    if image.ndim == 3:
        colours = torch.tensor(default_palette())
        return colours[image[0].cpu().long().clamp(0, len(colours) - 1)].permute(2, 0, 1) / 255
    image = (image[0, :3].float().clamp(-1, 1).cpu() + 1) / 2
    return image[:1].expand(3, -1, -1) if image.shape[0] < 3 else image
