"""Which validation is the best so far, by which figure, and whether the run is still getting better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from i2i.config.sections import TrainConfig
from i2i.errors import ConfigError
from i2i.metrics.building import BuiltMetric
from i2i.metrics.figures import Figure


@dataclass(frozen=True)
class Deciding:
    """The figure by which validations are compared.

    Attributes:
        metric: its name.
        higher_is_better: whether the higher of two values is the better one.
    """

    metric: str
    higher_is_better: bool

    def score(self, figures: Mapping[str, Figure]) -> float | None:
        """A number that is higher for a better validation; None where the figure was not measured or is not finite."""
        value = figures[self.metric].value if self.metric in figures else math.nan
        return None if not math.isfinite(value) else value if self.higher_is_better else -value


@dataclass(frozen=True)
class Best:
    """The best validation so far.

    Attributes:
        figure: what decides; None as long as nothing was measured.
        step: its step; None as long as there is none.
        value: its figure.
        waited: how many validations came after it, without being better.
    """

    figure: Deciding | None = None
    step: int | None = None
    value: float = math.nan
    waited: int = 0

    def after(self, step: int, figures: Mapping[str, Figure], figure: Deciding | None) -> Best:
        """The best validation once one more is done.

        Args:
            step: its step.
            figures: what was measured.
            figure: what decides; values of another figure than before are not compared with earlier ones.
        """
        if figure is None or figure.metric not in figures:  # a run that goes on may lack the metric's network
            return self
        known = self if self.figure == figure else Best(figure)
        score, value = figure.score(figures), known.value if figure.higher_is_better else -known.value
        if score is not None and (known.step is None or score > value):
            return Best(figure, step, figures[figure.metric].value)
        return Best(figure, known.step, known.value, known.waited + 1)

    def end(self, patience: int | None) -> str:
        """Why the run ends early, in a few words; empty if it goes on.

        Args:
            patience: validations without improvement after which it ends; None: it never does.
        """
        if patience is None or self.figure is None or self.waited < patience:
            return ""
        since = f" since step {self.step} ({self.value:.4g})" if self.step is not None else ""
        times = "validation" if self.waited == 1 else "validations"
        return f"{self.figure.metric} has not become better in {self.waited} {times}{since}"

    def to_json(self) -> dict[str, Any]:
        """The values for a JSON file, which has no NaN."""
        return {
            "figure": None if self.figure is None else asdict(self.figure),
            "step": self.step,
            "value": None if self.step is None else self.value,
            "waited": self.waited,
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Best:
        """The best validation that `to_json` wrote."""
        figure, value = entry["figure"], entry["value"]
        known = None if figure is None else Deciding(**figure)
        return cls(known, entry["step"], math.nan if value is None else value, entry["waited"])


def deciding_figure(
    train: TrainConfig, metrics: Mapping[str, BuiltMetric], figures: Mapping[str, Figure], recipe: str
) -> Deciding | None:
    """The figure that decides which checkpoint is the best.

    Args:
        train: `best_metric`, or the first metric that was measured; `best_direction`, or what the metric says.
        metrics: the metrics by the names of their figures, in order.
        figures: what was measured.
        recipe: the recipe, whose own figures are called ``RECIPE.NAME``; ``score`` decides where no metric does.

    Returns:
        None where `best_metric` is not set and nothing was measured that could decide.

    Raises:
        ConfigError: `best_metric` is no figure, or it is not known which of two values is better.
    """
    if train.best_metric is None:
        usual = (*metrics, f"{recipe}.score")
        name = next((one for one in usual if one in figures and math.isfinite(figures[one].value)), None)
        if name is None:
            return None
    else:
        name = full_name(train.best_metric, metrics)
    if train.best_direction != "auto":
        return Deciding(name, train.best_direction == "higher")
    higher = figures[name].higher_is_better if name in figures else None
    if higher is None and name in figures and name != f"{recipe}.score":
        raise ConfigError(f"train.best_metric={name}: say train.best_direction=higher or lower, which is better")
    return Deciding(name, higher is not False)


def full_name(asked: str, metrics: Mapping[str, BuiltMetric]) -> str:
    """The name of the figure that is meant: ``fid`` may be ``fid-random``, where no other metric is meant.

    Args:
        asked: a figure's name, or one that begins with a metric's name.
        metrics: the metrics by the names of their figures.

    Raises:
        ConfigError: several metrics may be meant.
    """
    first, slash, rest = asked.partition("/")
    if first in metrics:
        return asked
    meant = [name for name, one in metrics.items() if one.component == first]
    if len(meant) > 1:
        raise ConfigError(f"train.best_metric={asked}: several figures may be meant: {', '.join(meant)}; name one")
    return f"{meant[0]}{slash}{rest}" if meant else asked


def refuse_unknown(
    train: TrainConfig, figures: Mapping[str, Figure], metrics: Mapping[str, BuiltMetric], missing: Mapping[str, str]
) -> None:
    """Refuses a figure that cannot decide, before a training.

    Args:
        train: `best_metric` and `patience`.
        figures: what was measured of the untrained networks.
        metrics: the metrics by the names of their figures.
        missing: why metrics are not there, by name.

    Raises:
        ConfigError: `best_metric` is not among the figures or has no value; or nothing is, and `patience` is set.
    """
    asked = train.best_metric
    if asked is None:
        if train.patience is not None and not figures:
            raise ConfigError(f"train.patience={train.patience}: nothing is measured that could become better")
        return
    if (first := asked.partition("/")[0]) in missing:
        raise ConfigError(f"train.best_metric={asked}: {missing[first]}")
    name = full_name(asked, metrics)
    if name not in figures:
        known = ", ".join(figures) or "none"
        raise ConfigError(f"train.best_metric={asked}: no such figure is measured; there are: {known}")
    if figures[name].problem:
        raise ConfigError(f"train.best_metric={asked}: {figures[name].problem}")
