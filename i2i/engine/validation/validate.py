"""Validation: metrics of the translators, and figures of the recipe's own, on the validation images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

import torch

from i2i.api import MetricChoice, MetricContext, Translator
from i2i.components.inference import Inference, has_own
from i2i.config import RunConfig
from i2i.config.sections import LABEL_MAP_METRICS, PAIR_METRICS, SET_METRICS
from i2i.data.batches import SKIPPED, collate, to_device
from i2i.data.loading import Data
from i2i.engine.checks.outputs import checked_figures
from i2i.engine.state import Training
from i2i.engine.validation.best import Deciding, deciding_figure, refuse_unknown
from i2i.engine.validation.translating import is_visible, measurable
from i2i.errors import PluginError, attributed_to
from i2i.interface import LabelMap
from i2i.metrics.building import build_metrics
from i2i.metrics.figures import Figure
from i2i.metrics.measuring import Batch, SampleMetrics
from i2i.metrics.showing import kind_of
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder


class Validation:
    """The validation images of a run and what is measured on them; the same ones, in the same order, every time.

    Args:
        data: its validation samples are used; there may be none.
        config: the run's configuration: how many images, which metrics, the scale.
        plugins: where the metrics are looked up.
        device: where the networks are.
        should_stop: asked before each image; once true, nothing more is measured.

    Attributes:
        metrics: the metrics by the names of their figures.
        missing: why metrics that are asked for are not there, by name.
        config: the configuration, with what metrics found on this machine in place of options that left it open.

    Raises:
        ConfigError: two metrics give figures of one name.
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
        self.values, self.bands, self.labels = data.values, data.bands, data.labels
        self.samples, self.count, self.device = data.val, min(config.train.val_images, len(data.val)), device
        self.recipe, self.recipe_owner = config.recipe, plugins.full_name("recipe", config.recipe)
        self.should_stop = should_stop
        self.missing: dict[str, str] = {}
        builder, choices = Builder(plugins, (0, 0)), config.train.metrics or ()
        context = MetricContext(builder, device)
        note = self.missing.__setitem__
        self.metrics = build_metrics(builder, choices, context, scale=config.data.scale, on_missing=note)
        for one in self.metrics.values():
            with suppress(AttributeError):  # torchmetrics would wait for processes that do not validate
                one.metric.distributed_available_fn = _alone
        settled = {id(one.choice): one.settled for one in self.metrics.values()}
        metrics = tuple(settled.get(id(choice)) or choice for choice in choices)
        self.config = replace(config, train=config.train.model_copy(update={"metrics": metrics}))
        self.sample_metrics = SampleMetrics(
            self.metrics,
            lambda: self.images(self.count),
            owner=self.recipe_owner,
            classes=data.labels,
            should_stop=should_stop,
        )

    def images(self, count: int) -> Iterator[Batch]:
        """The first batches of one image each, ready for the networks."""
        for index in range(min(count, self.count)):
            batch = collate([self.samples[0, index]])
            batch.pop(SKIPPED)
            yield to_device(batch, self.device)

    def figures(self, inference: Inference) -> dict[str, Figure]:
        """Figures of the translators and of the recipe's own, by name; empty when stopped before the end."""
        measured = self.measure(inference.translators)
        own = None if self.should_stop() else self.evaluate(inference)
        if own is None:
            return {}
        summary = f"figure of the recipe {self.recipe}"
        return measured | {f"{self.recipe}.{name}": Figure(value, summary=summary) for name, value in own.items()}

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

    def measure(self, translators: Mapping[str, Translator]) -> dict[str, Figure]:
        """Figures of the translators by name, see `SampleMetrics.figures`; empty when stopped before the end."""
        visible = {name: one for name, one in translators.items() if any(map(is_visible, one.outputs.values()))}
        return self.sample_metrics.figures({name: measurable(one) for name, one in visible.items()}) or {}

    def refuse_unknown_best(self, measured: Mapping[str, Figure]) -> None:
        """Refuses a figure in `train.best_metric` that nothing gives, before a training.

        Args:
            measured: what `figures` returned, of the untrained networks or last; empty when it was stopped.

        Raises:
            ConfigError: it cannot decide which checkpoint is the best.
        """
        if not self.should_stop():
            refuse_unknown(self.config.train, measured, self.metrics, self.missing)
            self.deciding(measured)

    def deciding(self, measured: Mapping[str, Figure]) -> Deciding | None:
        """The figure that decides which checkpoint is the best; see `deciding_figure`."""
        return deciding_figure(self.config.train, self.metrics, measured, self.recipe)

    def left_out(self, measured: Mapping[str, Figure]) -> list[str]:
        """Lines about the metrics that cannot be computed for this run's translators and samples.

        Args:
            measured: what `measure` returned.
        """
        reasons = dict(self.missing)
        what = {
            "pair": "compares images with their targets, and there are none",
            "distribution": "compares sets of images, and there are no real ones",
            "scores": "asks for images of a class, and no translator takes a label",
        }
        if self.count and not self.should_stop():
            reasons |= {name: what[kind_of(one.metric)] for name, one in self.metrics.items() if name not in measured}
            reasons |= {name: figure.problem for name, figure in measured.items() if figure.problem}
        return _not_measured(reasons)

    def missing_lines(self) -> list[str]:
        """Lines about the metrics that are asked for and not there: those of `left_out` that need no measurement."""
        return _not_measured(self.missing)


def open_validation(
    training: Training, data: Data, plugins: Plugins, should_stop: Callable[[], bool] = lambda: False
) -> Validation:
    """The validation of a run, whose configuration then says which metrics it has.

    Args:
        training: the run in memory.
        data: its samples.
        plugins: where the metrics are looked up.
        should_stop: see `Validation`.

    Raises:
        UserError: see `Validation`.
    """
    config = training.config
    if config.train.metrics is None:
        with attributed_to(f"{training.owner}, translators"):
            sample = training.data.sample
            metrics = default_metrics(training.recipe.translators(training.modules, sample), sample)
        config = replace(config, train=config.train.model_copy(update={"metrics": metrics}))
    validation = Validation(data, config, plugins, training.context.device, should_stop=should_stop)
    training.config = validation.config
    return validation


def default_metrics(translators: Mapping[str, Translator], sample: Batch) -> tuple[MetricChoice, ...]:
    """The metrics of a recipe where none are asked for, as `train.metrics` says.

    Args:
        translators: the recipe's translators by name.
        sample: a batch, for the channels: feature networks see colours or grey.
    """
    with_targets = [one for one in translators.values() if one.target and "image" in one.example]
    if any(one.image_output for one in with_targets):
        return PAIR_METRICS
    if any(isinstance(of, LabelMap) for one in with_targets for of in one.outputs.values()):
        return LABEL_MAP_METRICS
    reals = [sample.get(one.real_key) for one in translators.values() if one.image_output]
    channels = {real.shape[1] for real in reals if real is not None and real.ndim == 4}
    return SET_METRICS if channels and channels <= {1, 3} else ()


def _not_measured(reasons: Mapping[str, str]) -> list[str]:
    """A line for each reason, with the names that have it."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    return [f"note: not measured: {', '.join(found)}: {reason}" for reason, found in names.items()]


def _alone() -> bool:
    return False
