"""Which metrics an evaluation measures, and the metrics themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from i2i.api import MetricChoice, MetricContext
from i2i.errors import ConfigError, ModelError
from i2i.evaluation.feature_cache import FeatureCache
from i2i.metrics.building import BuiltMetric, build_metrics
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder

OF_PAIRS = ("psnr", "ssim", "l1")
"""What is measured of pairs unless other metrics are asked for."""
OF_LABEL_MAPS = ("miou", "pixel-accuracy")
"""What is measured of label maps and their targets unless other metrics are asked for."""
OF_SETS = ("fid", "kid", "precision", "recall")
"""What is measured of two sets of images unless other metrics are asked for."""


@dataclass(frozen=True)
class Comparable:
    """What the outputs can be compared with.

    Attributes:
        pairs: whether each one has a target.
        sets: whether there is a set of real images, of colours or grey.
        label_maps: whether the outputs are label maps.
    """

    pairs: bool
    sets: bool
    label_maps: bool = False

    @property
    def fitting(self) -> list[str]:
        """The metrics that are measured unless others are asked for."""
        pairs = OF_LABEL_MAPS if self.label_maps else OF_PAIRS
        return [*(pairs if self.pairs else ()), *(OF_SETS if self.sets else ())]


@dataclass(frozen=True)
class Wanted:
    """Which metrics are wanted.

    Attributes:
        metrics: names, or mappings with ``name`` and options; none: those that fit what is measured.
        features: the network through which all metrics look that have an option `features`, as a name or a mapping with
            ``name`` and options; None: what each metric says, and of the metrics that fit the best one that is here.
    """

    metrics: Sequence[str | Mapping[str, Any]] = ()
    features: str | Mapping[str, Any] | None = None

    def choices(self, plugins: Plugins, comparable: Comparable) -> list[MetricChoice]:
        """The metrics with their options.

        Args:
            plugins: where metrics are looked up.
            comparable: what there is to compare with.

        Raises:
            ConfigError: a metric has no name.
            PluginError: a metric is unknown.
        """
        features = self.features or (None if self.metrics else "available")
        found = []
        for metric in self.metrics or comparable.fitting:
            options: dict[str, Any] = {"name": metric} if isinstance(metric, str) else dict(metric)
            name = options.pop("name", None)
            if not isinstance(name, str):
                raise ConfigError(f"a metric is a name, or a mapping with name and options, not {metric!r}")
            config = plugins.get("metric", name).config
            if features is not None and config is not None and "features" in config.model_fields:
                options.setdefault("features", features)
            found.append(MetricChoice(name, **options))
        return found


@dataclass(frozen=True)
class Measuring:
    """How everything in an evaluation is measured.

    Attributes:
        wanted: which metrics.
        context: what the metrics have in common.
        plugins: where components are looked up.
        cache: keeps features.
        resamples: of the bootstrap.
        progress: called with how many images are done, and how many there are.
    """

    wanted: Wanted
    context: MetricContext
    plugins: Plugins
    cache: FeatureCache
    resamples: int
    progress: Callable[[int, int], None]


def chosen_metrics(
    measuring: Measuring, comparable: Comparable, *, scale: int = 1
) -> tuple[dict[str, BuiltMetric], list[str]]:
    """Builds the metrics of an evaluation.

    Args:
        measuring: which ones, and what they have in common.
        comparable: what there is to compare with.
        scale: how many times larger the outputs are than the inputs, by which some metrics cut a border.

    Returns:
        The metrics by the names of their figures, and a line about each one that lacks a network.

    Raises:
        ConfigError: an option does not fit, or two figures have one name.
        ModelError: all of them lack a network.
        PluginError: a metric is unknown, or cannot be built.
    """
    missing: dict[str, str] = {}
    choices = measuring.wanted.choices(measuring.plugins, comparable)
    builder = Builder(measuring.plugins, (0, 0))
    built = build_metrics(builder, choices, measuring.context, scale=scale, on_missing=missing.__setitem__)
    lines = grouped(missing)
    if not built:
        raise ModelError("; ".join(lines) or "there is nothing to measure: name metrics")
    return built, [f"not measured: {line}" for line in lines]


def grouped(reasons: Mapping[str, str]) -> list[str]:
    """A line for each reason, behind the names that it is about: ``fid, kid: the weights are missing``."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    return [f"{', '.join(found)}: {reason}" for reason, found in names.items()]
