"""Looking at what was learned: metrics over the validation images, and grids of some of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.utils import make_grid

from i2i.api import Translator
from i2i.builder import Builder
from i2i.data.images import write_image
from i2i.data.loading import SKIPPED, Samples, collate, to_device
from i2i.plugins import Plugins

Batch = dict[str, Tensor]


class Validation:
    """The validation images of a run; the same ones, in the same order, every time.

    Args:
        samples: validation samples; may be empty.
        count: how many of them are used.
        metrics: names of metric components.
        plugins: where the metrics are looked up.
        device: where the networks are.

    Raises:
        PluginError: a metric is unknown.
    """

    def __init__(
        self, samples: Samples, count: int, metrics: tuple[str, ...], plugins: Plugins, device: torch.device
    ) -> None:
        self.samples, self.count, self.device = samples, min(count, len(samples)), device
        builder = Builder(plugins, (0, 0))
        self.metrics = {name: builder.metric(name) for name in metrics}
        for metric in self.metrics.values():
            metric.distributed_available_fn = _alone  # torchmetrics would wait for processes that do not validate

    def images(self, count: int) -> Iterator[Batch]:
        """The first batches of one image each, ready for the networks."""
        for index in range(min(count, self.count)):
            batch = collate([self.samples[0, index]])
            batch.pop(SKIPPED)
            yield to_device(batch, self.device)

    @torch.inference_mode()
    def measure(self, translators: dict[str, Translator]) -> dict[str, float]:
        """Metrics of the first translator that has targets; empty when none has."""
        translator = next((t for t in translators.values() if t.target and "image" in t.example), None)
        if translator is None or translator.target is None:
            return {}
        for metric in self.metrics.values():
            metric.reset()
        seen = 0
        for batch in self.images(self.count):
            if translator.target not in batch:
                continue
            output = run(translator, batch)
            for metric in self.metrics.values():
                metric.update(output.float().cpu(), batch[translator.target].cpu())
            seen += 1
        return {name: float(metric.compute()) for name, metric in self.metrics.items()} if seen else {}

    def score(self, measured: dict[str, float]) -> float | None:
        """The first metric, negated if lower is better: of two checkpoints the higher score is the better one."""
        for name, metric in self.metrics.items():
            if math.isfinite(measured.get(name, math.nan)):
                return measured[name] if getattr(metric, "higher_is_better", False) else -measured[name]
        return None

    @torch.inference_mode()
    def grid(self, translators: dict[str, Translator], count: int) -> np.ndarray | None:
        """Source | output | target for each translator, a row an image: uint8 ``(H, W, 3)``; None without images."""
        cells: list[Tensor] = []
        columns = 0
        for batch in self.images(count):
            row: list[Tensor | None] = []
            for translator in translators.values():
                source = batch.get(translator.source) if "image" in translator.example else None
                row += [source, run(translator, batch), batch.get(translator.target or "")]
            shown = [_viewable(image) for image in row if image is not None]
            cells += shown
            columns = len(shown)
        if not cells:
            return None
        size = cells[0].shape[-2:]
        same = [nn.functional.interpolate(cell[None], size, mode="nearest")[0] for cell in cells]
        grid = make_grid(same, nrow=columns, padding=2, pad_value=1.0)
        return (grid.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()


def run(translator: Translator, batch: Batch) -> Tensor:
    """The translator's output for a batch; inputs that the batch does not have are taken from the example."""
    keys = {"image": translator.source, "label": "target_label"}
    inputs = [batch.get(keys.get(n, n), example).to(example.device) for n, example in translator.example.items()]
    return translator.module(*inputs)


def save_grid(path: Path, grid: np.ndarray) -> None:
    """Writes a grid as PNG."""
    path.parent.mkdir(exist_ok=True)
    write_image(path, grid)


def save_examples(folder: Path, validation: Validation, count: int) -> None:
    """Writes validation inputs as image files, to try the exported model on."""
    for number, batch in enumerate(validation.images(count)):
        image = batch.get("source")
        if image is None:
            return
        folder.mkdir(exist_ok=True)
        pixels = ((image[0].clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
        write_image(folder / f"example-{number + 1}.png", pixels)


def _alone() -> bool:
    return False


def _viewable(image: Tensor) -> Tensor:
    """One image ``(1, C, H, W)`` in [-1, 1] as ``(3, H, W)`` in [0, 1] on the CPU."""
    image = (image[0, :3].float().clamp(-1, 1).cpu() + 1) / 2
    return image[:1].expand(3, -1, -1) if image.shape[0] < 3 else image
