"""Validation: metrics over the validation images, and some of their inputs as example files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from i2i.api import Translator
from i2i.components.inference import mirror_padded
from i2i.config import RunConfig
from i2i.data.batches import SKIPPED, collate, to_device
from i2i.data.loading import Data
from i2i.errors import PluginError, attributed_to
from i2i.images import Extras, ValueRange, write_pixels
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder
from i2i.runs.disk import writing

Batch = dict[str, Tensor]


class Validation:
    """The validation images of a run; the same ones, in the same order, every time.

    Args:
        data: its validation samples are used; there may be none.
        config: the run's configuration: how many images, which metrics, the scale.
        plugins: where the metrics are looked up.
        device: where the networks are.
        should_stop: asked before each image; once true, nothing more is measured.

    Raises:
        PluginError: a metric is unknown.
    """

    def __init__(
        self,
        data: Data,
        config: RunConfig,
        plugins: Plugins,
        device: torch.device,
        *,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.values, self.bands = data.values, data.bands
        self.samples, self.count, self.device = data.val, min(config.train.val_images, len(data.val)), device
        builder = Builder(plugins, (0, 0))
        self.metrics = {metric.name: builder.metric(metric, scale=config.data.scale) for metric in config.train.metrics}
        self.owners = {name: plugins.full_name("metric", name) for name in self.metrics}
        self.recipe_owner = plugins.full_name("recipe", config.recipe)
        self.should_stop = should_stop
        for metric in self.metrics.values():
            metric.distributed_available_fn = _alone  # torchmetrics would wait for processes that do not validate

    def images(self, count: int) -> Iterator[Batch]:
        """The first batches of one image each, ready for the networks."""
        for index in range(min(count, self.count)):
            batch = collate([self.samples[0, index]])
            batch.pop(SKIPPED)
            yield to_device(batch, self.device)

    @torch.inference_mode()
    def measure(self, translators: Mapping[str, Translator]) -> dict[str, float]:
        """Metrics of the first translator that has targets; empty when none has, or when stopped before the end."""
        translator = next((t for t in translators.values() if t.target and "image" in t.example), None)
        if translator is None or translator.target is None:
            return {}
        for name, metric in self.metrics.items():
            with attributed_to(self.owners[name]):
                metric.reset()
        seen = 0
        for batch in self.images(self.count):
            if self.should_stop():
                return {}
            if translator.target not in batch:
                continue
            with attributed_to(f"{self.recipe_owner}, translator"):
                output = run_translator(translator, batch)
            if output.shape != batch[translator.target].shape:
                got, want = tuple(output.shape), tuple(batch[translator.target].shape)
                raise PluginError(f"{self.recipe_owner}: its translator gives images {got}, and the targets are {want}")
            for name, metric in self.metrics.items():
                with attributed_to(self.owners[name]):
                    metric.update(output.float().cpu().contiguous(), batch[translator.target].cpu())
            seen += 1
        return {name: self._value(name) for name in self.metrics} if seen else {}

    def _value(self, name: str) -> float:
        with attributed_to(f"{self.owners[name]}, compute must return a scalar"):
            return float(self.metrics[name].compute())

    def score(self, measured: dict[str, float]) -> float | None:
        """The first metric, negated if lower is better: of two checkpoints the higher score is the better one."""
        for name, metric in self.metrics.items():
            if math.isfinite(measured.get(name, math.nan)):
                return measured[name] if getattr(metric, "higher_is_better", False) else -measured[name]
        return None


def run_translator(translator: Translator, batch: Batch, label: int | None = None) -> Tensor:
    """The translator's output for a batch, images padded and cropped back as in the exported model.

    Args:
        translator: on copies of the networks for inference.
        batch: the inputs; what it lacks is taken from the translator's example.
        label: the label to translate to, instead of the batch's.
    """
    keys = {"image": translator.source, "label": "target_label"}
    inputs = {n: batch.get(keys.get(n, n), example).to(example.device) for n, example in translator.example.items()}
    if label is not None:
        inputs["label"] = torch.full_like(inputs["label"], label)
    if (image := inputs.get("image")) is None:
        return translator.module(*inputs.values())
    module = translator.module
    inputs["image"] = mirror_padded(image, int(getattr(module, "multiple", 1)), int(getattr(module, "minimum", 1)))
    output = module(*inputs.values())
    scale = output.shape[-1] // inputs["image"].shape[-1]
    return output[..., : image.shape[-2] * scale, : image.shape[-1] * scale]


def save_examples(folder: Path, validation: Validation, translators: Mapping[str, Translator], count: int) -> None:
    """Writes inputs of the first translator as image files of the data's type and units, to try the model on."""
    translator = next(iter(translators.values()))
    if "image" not in translator.example:
        return
    for number, batch in enumerate(validation.images(count)):
        image = batch.get(translator.source)
        if image is None:
            return
        values = validation.values.get(translator.source, ValueRange("uint8"))
        unit = (image[0].float().clamp(-1, 1) + 1) / 2
        pixels = values.from_unit(unit.permute(1, 2, 0).cpu().numpy())
        ending = ".tif" if values.dtype == "float32" else ".png"
        with writing(folder):
            folder.mkdir(exist_ok=True)
            rule = validation.bands.get(translator.source)
            is_bands = rule is not None and rule.of > 0 and pixels.shape[2] not in (1, 3)  # PNG makes alpha of the last
            place = folder / f"example-{number + 1}{'.tif' if is_bands else ending}"
            write_pixels(place, pixels, Extras(bands=is_bands))


def _alone() -> bool:
    return False
