"""Building the metrics of a measurement by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from i2i.api import MetricChoice, MetricContext
from i2i.errors import ConfigError, ModelError
from i2i.plugins.builder import Builder


@dataclass(frozen=True)
class BuiltMetric:
    """A metric of a measurement.

    Attributes:
        metric: in the protocol of the hook `i2i_metrics`.
        component: the name of its component.
        owner: the component's name in messages, with its plugin.
        summary: what it measures, in a few words.
        choice: the component with its options as they were asked for.
    """

    metric: Any
    component: str
    owner: str
    summary: str = ""
    choice: MetricChoice | None = None

    @property
    def settled(self) -> MetricChoice | None:
        """The choice with what the metric found on this machine in place of options that left it open."""
        found = getattr(self.metric, "settled", {})
        return self.choice and MetricChoice(self.choice.name, {**self.choice.options, **found})

    @property
    def higher_is_better(self) -> bool:
        """Which of two values is the better one."""
        return getattr(self.metric, "higher_is_better", False) is True


def build_metrics(
    builder: Builder,
    choices: Sequence[MetricChoice],
    context: MetricContext,
    *,
    scale: int,
    on_missing: Callable[[str, str], None] | None = None,
) -> dict[str, BuiltMetric]:
    """Builds metrics.

    Args:
        builder: looks them up.
        choices: the metrics with their options.
        context: what they have in common.
        scale: ``data.scale``.
        on_missing: called with the name of each metric that lacks a network, which is then left out, and with a line
            that says how to get it; None: that is an error.

    Returns:
        The metrics by the names of their figures. A figure's name is the component's, unless the metric has an
        attribute `figure_name`.

    Raises:
        ConfigError: an option does not fit, or two figures have one name.
        ModelError: a metric lacks a network, such as a file with weights; the line says how to get it.
        PluginError: a metric is unknown, or cannot be built.
    """
    built: dict[str, BuiltMetric] = {}
    for choice in choices:
        try:
            metric = builder.metric(choice, scale=scale, context=context)
        except ModelError as error:
            if on_missing is None:
                raise
            on_missing(choice.name, str(error))
            continue
        name = str(getattr(metric, "figure_name", choice.name))
        if name in built:
            raise ConfigError(f"two metrics give a figure {name}: leave one of them out")
        summary = builder.plugins.get("metric", choice.name).summary
        owner = builder.plugins.full_name("metric", choice.name)
        built[name] = BuiltMetric(metric, choice.name, owner, summary, choice)
    return built
