"""The health of a training: keeps figures of the last steps, logs them, and warns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from statistics import fmean

from torch import Tensor, nn

from i2i.api import Phase
from i2i.engine.health.diagnosis import CHECK_INTERVAL, diagnose
from i2i.engine.health.observer import Observation, ObservedTranslator, StepObserver
from i2i.engine.health.window import StepRecord, Window

REPEAT_AFTER = 25
"""A warning may be given again after so many checks in a row that did not find it."""
LOGGED = ("accuracy/", "grad/")
"""Figures that are logged beside the losses, by the beginning of their names."""


class Health:
    """Figures of the last steps, and warnings about them.

    Each process observes its share of the images; the first process warns. A resumed run starts with an empty window.

    Args:
        translators: translators whose outputs are observed.
        paired: whether every input has its own target.
        enabled: whether anything is observed.
    """

    def __init__(
        self, translators: Sequence[ObservedTranslator], *, paired: bool = False, enabled: bool = True
    ) -> None:
        self.paired = paired
        self.observer = StepObserver(translators) if enabled else None
        self.reset()
        self._absent: dict[str, int] = {}  # checks in a row without it, for each kind of warning that was given

    def reset(self) -> None:
        """Empties the window, as after going back to an older state; warnings that were given are remembered."""
        self.window = Window(paired=self.paired)
        self._unlogged: list[Mapping[str, float]] = []
        self._found_in_a_row: dict[str, int] = {}
        self._logged: dict[str, float] = {}

    def observe_step(self, step: int, batch: Mapping[str, Tensor]) -> AbstractContextManager[Observation]:
        """Observes a step, counted from 0, while it runs."""
        return self.observer.observe_step(step, batch) if self.observer else nullcontext(Observation())

    def begin_phase(self, phase: Phase) -> None:
        """To be called before a phase computes its losses for a batch."""
        if self.observer:
            self.observer.begin_phase(phase)

    def observe_update(self, phase: str, parameters: Sequence[nn.Parameter]) -> AbstractContextManager[None]:
        """Observes the optimiser step of a phase that has computed its losses."""
        return self.observer.observe_update(phase, parameters) if self.observer else nullcontext()

    def record(self, step: int, figures: Mapping[str, float], observation: Observation) -> None:
        """Adds a step to the window.

        Args:
            step: finished steps.
            figures: the step's losses, norms and observed figures, all finite.
            observation: the images observed in the step.
        """
        if self.observer:
            self.window.add(StepRecord(step, figures, observation.images))
            self._unlogged.append({name: value for name, value in figures.items() if name.startswith(LOGGED)})

    def figures(self) -> dict[str, float]:
        """Figures for the log.

        Accuracies and norms are means over the steps since the last call, or the figures of that call where no step had
        them; diversities are those of the window.
        """
        names = dict.fromkeys(name for figures in self._unlogged for name in figures)
        self._logged |= {name: fmean(figures[name] for figures in self._unlogged if name in figures) for name in names}
        self._unlogged.clear()
        found = {f"diversity/{name}": self.window.diversity(name) for name in self.window.translators()}
        return self._logged | {name: value for name, value in found.items() if math.isfinite(value)}

    def warnings(self, step: int) -> list[str]:
        """New warnings, one line each; to be called after every step, it checks after every `CHECK_INTERVAL`-th."""
        if not self.observer or step % CHECK_INTERVAL:
            return []
        found = {warning.kind: warning for warning in diagnose(self.window)}
        self._found_in_a_row = {kind: self._found_in_a_row.get(kind, 0) + 1 for kind in found}
        self._absent = {kind: 0 if kind in found else checks + 1 for kind, checks in self._absent.items()}
        self._absent = {kind: checks for kind, checks in self._absent.items() if checks < REPEAT_AFTER}
        new = []
        for kind, warning in found.items():
            if kind not in self._absent and self._found_in_a_row[kind] >= warning.min_checks:
                new.append(f"step {step}: {warning}")
                self._absent[kind] = 0
        return new
