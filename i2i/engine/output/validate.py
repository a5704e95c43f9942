"""Validation: metrics over the validation images, and some of their inputs as example files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from i2i.api import Translator
from i2i.components.inference import run_translator
from i2i.config import RunConfig
from i2i.data.batches import SKIPPED, collate, to_device
from i2i.data.loading import Data
from i2i.errors import PluginError, attributed_to
from i2i.interface import Image, LabelMap, Output
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder

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
        usable = (t for t in translators.values() if t.target and t.image_output and "image" in t.example)
        translator = next(usable, None)
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
                output = translated_images(translator, batch)
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


def translated_images(translator: Translator, batch: Batch, label: int | None = None) -> Tensor:
    """What the translator makes of a batch: its images, or where it gives none its label maps.

    Args:
        translator: on copies of the networks for inference, with an image or a label map among its outputs.
        batch: the inputs; what it lacks is taken from the translator's example.
        label: the label to translate to, instead of the batch's.

    Returns:
        Images ``(N, C, H, W)`` in [-1, 1], or label maps ``(N, H, W)`` int64.
    """
    count = next((len(v) for n in translator.example if (v := batch.get(translator.batch_key(n))) is not None), 1)
    values = {}
    for name, example in translator.example.items():
        given = batch.get(translator.batch_key(name))
        values[name] = example[:1].expand(count, *example.shape[1:]) if given is None else given.to(example.device)
    if label is not None:
        values["label"] = torch.full_like(values["label"], label)
    outputs = run_translator(translator, values)
    return outputs[translator.image_output or next(n for n, of in translator.outputs.items() if is_visible(of))]


def is_visible(output: Output) -> bool:
    """Whether an output can be shown as a picture."""
    return isinstance(output, Image | LabelMap)


def _alone() -> bool:
    return False
