"""Sample grids: outputs of the networks for a few validation images, or for fixed noise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from i2i.api import Translator
from i2i.components.inference import Inference, has_own
from i2i.engine.checks.outputs import checked_columns
from i2i.engine.output.translating import drawn_inputs, is_visible, translated_images
from i2i.engine.output.validate import Validation
from i2i.errors import PluginError, attributed_to
from i2i.images import default_palette, write_image
from i2i.metrics.measuring import Batch
from i2i.runs.disk import writing

MAX_LABELS = 8
"""Columns for labels on a grid."""
BORDER = 2
"""Pixels around each picture of a grid."""


@torch.inference_mode()
def draw_grid(inference: Inference, validation: Validation, count: int) -> np.ndarray | None:
    """The sample grid: the recipe's own, or where it has none that of its translators; see `sample_grid`.

    Raises:
        PluginError: the recipe's `grid` fails or returns something else than images by name, or a translator fails.
    """
    who = validation.recipe_owner
    rows: list[list[Tensor]] = []
    for batch in validation.images(count) if has_own(inference.recipe, "grid") else ():
        with attributed_to(f"{who}, grid"):
            columns = inference.recipe.grid(inference.networks, batch)
        if columns is None and not rows:
            break
        rows.append(checked_columns(who, columns))
        if len(rows[-1]) != len(rows[0]):
            raise PluginError(
                f"{who}: grid must return as many columns for each sample: {len(rows[0])}, {len(rows[-1])}"
            )
    if rows:
        return _picture(rows)
    with attributed_to(f"{who}, translators"):
        return sample_grid(inference.translators, validation, count)


@torch.inference_mode()
def sample_grid(translators: Mapping[str, Translator], validation: Validation, count: int) -> np.ndarray | None:
    """One picture of all translators: uint8 ``(H, W, 3)``; None without validation images.

    A translator of images has source | output | target, a row an image; with labels one output for each of them. One
    that draws from noise has a row a label, each from the same noise.

    Args:
        translators: on copies of the networks for inference.
        validation: gives the images.
        count: rows, or columns from noise.
    """
    shown = [t for t in translators.values() if any(map(is_visible, t.outputs.values()))]
    of_images = [t for t in shown if "image" in t.example]
    batches = validation.images(count) if of_images else ()
    rows = [[image for t in of_images for image in _row(t, batch)] for batch in batches]
    for translator in shown:
        if "image" not in translator.example:
            rows += _drawn(translator, count)
    return _picture(rows) if rows else None


def _picture(rows: Sequence[Sequence[Tensor]]) -> np.ndarray:
    """Images ``(1, C, H, W)`` in [-1, 1] and label maps ``(1, H, W)`` in rows, uint8 ``(H, W, 3)``."""
    columns = max(map(len, rows))
    cells = [cell for row in rows for cell in _equal([_viewable(image) for image in row])]
    height, width = (max(cell.shape[axis] for cell in cells) for axis in (1, 2))
    padded = [pad(cell, (0, width - cell.shape[2], 0, height - cell.shape[1]), value=1.0) for cell in cells]
    grid = tiled(torch.stack(padded), columns, fill=1.0)
    return (grid.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()


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


def save_grid(path: Path, grid: np.ndarray) -> None:
    """Writes a grid as PNG."""
    with writing(path):
        path.parent.mkdir(exist_ok=True)
        write_image(path, grid)


def _row(translator: Translator, batch: Batch) -> Iterator[Tensor]:
    if (source := translator.batch_key("image")) in batch:
        yield batch[source]
    if "label" in translator.example and "target_label" not in batch:
        for label in range(min(MAX_LABELS, max(1, len(translator.labels)))):
            yield translated_images(translator, batch, label)
    else:
        yield translated_images(translator, batch)
    if translator.target in batch:
        yield batch[translator.target]


def _drawn(translator: Translator, count: int) -> list[list[Tensor]]:
    """Rows of images from the same noise, a row a label."""
    batch = drawn_inputs(translator, count, torch.Generator().manual_seed(0))
    if "label" not in translator.example:
        return [list(translated_images(translator, batch).split(1))]
    labels = range(min(MAX_LABELS, max(1, len(translator.labels))))
    return [list(translated_images(translator, batch, label).split(1)) for label in labels]


def _equal(row: list[Tensor]) -> list[Tensor]:
    """A row's images ``(3, H, W)`` in the size of its largest one, small ones with their pixels visible."""
    size = max((cell.shape[1:] for cell in row), key=lambda shape: shape[0] * shape[1])
    return [interpolate(cell[None], size, mode="nearest")[0] for cell in row]


def _viewable(image: Tensor) -> Tensor:
    """One image ``(1, C, H, W)`` in [-1, 1], or label map ``(1, H, W)``, as ``(3, H, W)`` in [0, 1] on the CPU."""
    if image.ndim == 3:
        colours = torch.tensor(default_palette())
        return colours[image[0].cpu().long().clamp(0, len(colours) - 1)].permute(2, 0, 1) / 255
    image = (image[0, :3].float().clamp(-1, 1).cpu() + 1) / 2
    return image[:1].expand(3, -1, -1) if image.shape[0] < 3 else image
