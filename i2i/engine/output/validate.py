"""Validation: metrics over the validation images, and some of their inputs as example files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

import torch
from torch import Tensor

from i2i.api import MetricContext, Translator
from i2i.components.inference import Inference, has_own, run_translator
from i2i.config import RunConfig
from i2i.data.batches import SKIPPED, collate, to_device
from i2i.data.loading import Data
from i2i.engine.checks.outputs import checked_figures
from i2i.errors import PluginError, attributed_to
from i2i.interface import Image, LabelMap, Output, VectorInput
from i2i.metrics.building import build_metrics
from i2i.metrics.showing import Shown, kind_of, problem_of, takes_labels, update
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

    Attributes:
        metrics: the metrics by the names of their figures.

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
        context = MetricContext(builder, device)
        built = build_metrics(builder, config.train.metrics, context, scale=config.data.scale)
        self.metrics = {name: one.metric for name, one in built.items()}
        self.owners = {name: one.owner for name, one in built.items()}
        self.recipe, self.recipe_owner = config.recipe, plugins.full_name("recipe", config.recipe)
        self.should_stop = should_stop
        for metric in self.metrics.values():
            with suppress(AttributeError):  # torchmetrics would wait for processes that do not validate
                metric.distributed_available_fn = _alone

    def images(self, count: int) -> Iterator[Batch]:
        """The first batches of one image each, ready for the networks."""
        for index in range(min(count, self.count)):
            batch = collate([self.samples[0, index]])
            batch.pop(SKIPPED)
            yield to_device(batch, self.device)

    def figures(self, inference: Inference) -> dict[str, float]:
        """Metrics of the translators and figures of the recipe's own, by name; empty when stopped before the end."""
        measured = self.measure(inference.translators)
        own = None if self.should_stop() else self.evaluate(inference)
        return {} if own is None else measured | {f"{self.recipe}.{name}": value for name, value in own.items()}

    @torch.inference_mode()
    def evaluate(self, inference: Inference) -> dict[str, float] | None:
        """What the recipe's `evaluate` returns by name; empty without samples, None when stopped before the end.

        Raises:
            PluginError: it fails, or returns something else than numbers by name.
        """
        if not self.count or not has_own(inference.recipe, "evaluate"):
            return {}
        stopped = False

        def batches() -> Iterator[Batch]:
            nonlocal stopped
            for batch in self.images(self.count):
                if stopped := self.should_stop():
                    return
                yield batch

        try:
            with attributed_to(f"{self.recipe_owner}, evaluate"):
                figures = inference.recipe.evaluate(inference.networks, batches())
        except PluginError:
            if stopped:  # it had too few samples
                return None
            raise
        return None if stopped else checked_figures(self.recipe_owner, figures)

    @torch.inference_mode()
    def measure(self, translators: Mapping[str, Translator]) -> dict[str, float]:
        """Metrics by name; empty when none can be computed, or when stopped before the end.

        Pairs are compared for the first translator from images that has a target. Sets of images are compared for all
        translators: the first one's value has the metric's name, those of others are called ``METRIC/TRANSLATOR``.
        """
        making = {name: one for name, one in translators.items() if one.image_output}
        paired = next((name for name, one in making.items() if one.target and "image" in one.example), None)
        measured: dict[str, float] = {}
        for name, translator in making.items():
            metrics = [metric for metric in self.metrics if self._fits(metric, translator, paired=name == paired)]
            values = self._measure_one(translator, metrics) if metrics else {}
            if values is None:
                return {}
            measured |= {f"{metric}/{name}" if metric in measured else metric: v for metric, v in values.items()}
        return measured

    def _measure_one(self, translator: Translator, metrics: Sequence[str]) -> dict[str, float] | None:
        """Metrics of one translator's images; empty without real images to compare them with, None when stopped."""
        for name in metrics:
            with attributed_to(self.owners[name]):
                self.metrics[name].reset()
        generator, seen = torch.Generator().manual_seed(0), set[str]()
        for batch in self.images(self.count):
            if self.should_stop():
                return None
            real = batch.get(translator.real_key)
            real = None if real is None or real.ndim != 4 else real.cpu()
            shown = [name for name in metrics if real is not None or kind_of(self.metrics[name]) == "scores"]
            if not shown:
                continue
            inputs = _with_drawn(translator, batch, generator)
            with attributed_to(f"{self.recipe_owner}, translator"):
                output = translated_images(translator, inputs).float().cpu().contiguous()
            for name in shown:
                self._check_shapes(name, output, real)
            labels = inputs.get(translator.batch_key("label")) if "label" in translator.example else None
            images = Shown(output, real, None if labels is None else labels.cpu())
            update({self.owners[name]: self.metrics[name] for name in shown}, images)
            seen.update(shown)
        return {name: self._value(name) for name in metrics if name in seen}

    def _check_shapes(self, name: str, output: Tensor, real: Tensor | None) -> None:
        """Refuses images of other shapes than a metric can compare; sets may differ in size."""
        kind = kind_of(self.metrics[name])
        same = slice(1, 2) if kind == "distribution" else slice(None)
        if real is None or kind == "scores" or output.shape[same] == real.shape[same]:
            return
        got, want = tuple(output.shape), tuple(real.shape)
        raise PluginError(f"{self.recipe_owner}: its translator gives images {got}, and the real ones are {want}")

    def _fits(self, name: str, translator: Translator, *, paired: bool) -> bool:
        """Whether a metric can measure a translator's images."""
        metric = self.metrics[name]
        if takes_labels(metric):
            return "label" in translator.example
        return paired or kind_of(metric) != "pair"

    def left_out(self, measured: Mapping[str, float]) -> list[str]:
        """Lines about the metrics that cannot be computed for this run's translators and samples.

        Args:
            measured: what `measure` returned.
        """
        if not self.count or self.should_stop():
            return []
        what = {
            "pair": "compares outputs with targets, and there are none",
            "distribution": "compares sets of images, and there are no real ones",
            "scores": "asks for images of a class, and no translator takes a label",
        }
        missing = [name for name in self.metrics if name not in measured]
        found = {kind: [name for name in missing if kind_of(self.metrics[name]) == kind] for kind in what}
        lines = [f"note: not measured: {', '.join(names)}: {what[kind]}" for kind, names in found.items() if names]
        without = [name for name in self.metrics if math.isnan(measured.get(name, 0.0))]
        problems = {name: problem_of(self.metrics[name]) for name in without}
        return lines + [f"note: not measured: {name}: {problem}" for name, problem in problems.items() if problem]

    def _value(self, name: str) -> float:
        with attributed_to(f"{self.owners[name]}, compute must return a scalar"):
            return float(self.metrics[name].compute())

    def score(self, measured: dict[str, float]) -> float | None:
        """Of two checkpoints the higher score is the better one: the first metric, negated if lower is better.

        Where no metric could be computed, it is the figure ``score`` of the recipe's own; None without.
        """
        for name, metric in self.metrics.items():
            if math.isfinite(measured.get(name, math.nan)):
                return measured[name] if getattr(metric, "higher_is_better", False) else -measured[name]
        own = measured.get(f"{self.recipe}.score", math.nan)
        return own if math.isfinite(own) else None


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


def drawn_inputs(translator: Translator, count: int, generator: torch.Generator) -> Batch:
    """Values from N(0, 1) for the inputs that are noise or vectors, by key of the batch, `count` of each."""
    drawn = {}
    for name, example in translator.example.items():
        if name == "noise" or isinstance(translator.inputs.get(name), VectorInput):
            values = torch.randn(count, *example.shape[1:], generator=generator)
            drawn[translator.batch_key(name)] = values.to(example.device, example.dtype)
    return drawn


def _with_drawn(translator: Translator, batch: Batch, generator: torch.Generator) -> Batch:
    """A batch of one with noise and a label where the translator takes them and the batch has none.

    Images from noise get the real image's own label, so that both sets have the same classes; images that are
    translated any label, each as likely.
    """
    drawn = drawn_inputs(translator, 1, generator)
    if "image" not in translator.example and "label" in batch:
        drawn["target_label"] = batch["label"]
    elif "label" in translator.example and translator.labels:
        drawn["target_label"] = torch.randint(len(translator.labels), (1,), generator=generator)
    return drawn | batch


def is_visible(output: Output) -> bool:
    """Whether an output can be shown as a picture."""
    return isinstance(output, Image | LabelMap)


def _alone() -> bool:
    return False
