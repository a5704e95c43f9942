"""The health of a training: keeps what the last steps showed, and says what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from statistics import fmean

from torch import Tensor, nn

from i2i.engine.health.signs import EVERY, signs
from i2i.engine.health.watch import Seen, Subject, Watch
from i2i.engine.health.window import Step, Window

FORGOTTEN = 25
"""After so many looks in a row without it, a sign may be said again."""
LOGGED = ("accuracy/", "grad/")
"""Figures that are logged beside the losses."""


class Health:
    """What the last steps showed, and warnings about it.

    Each process looks at its share of the images, and the first one tells. A resumed run begins to look anew.

    Args:
        subjects: translators to watch.
        paired: whether every input has its own target.
        enabled: whether anything is watched.
    """

    def __init__(self, subjects: Sequence[Subject], *, paired: bool = False, enabled: bool = True) -> None:
        self.paired = paired
        self.watch = Watch(subjects) if enabled else None
        self.forget()
        self._absent: dict[str, int] = {}  # looks without it, of each sign that was said

    def forget(self) -> None:
        """Begins to look anew, as after going back to an older state."""
        self.window = Window(paired=self.paired)
        self._new: list[Mapping[str, float]] = []
        self._lasting: dict[str, int] = {}
        self._logged: dict[str, float] = {}

    def step(self, step: int, batch: Mapping[str, Tensor]) -> AbstractContextManager[Seen]:
        """Looks on while a step, counted from 0, runs."""
        return self.watch.step(step, batch) if self.watch else nullcontext(Seen())

    def changing(self, phase: str, parameters: Sequence[nn.Parameter]) -> AbstractContextManager[None]:
        """Looks on while a phase that has computed its losses changes its weights."""
        return self.watch.changing(phase, parameters) if self.watch else nullcontext()

    def done(self, step: int, figures: Mapping[str, float], seen: Seen) -> None:
        """Keeps what a step showed.

        Args:
            step: finished steps.
            figures: its losses, norms and what else was seen, all finite.
            seen: its images.
        """
        if self.watch:
            self.window.add(Step(step, figures, seen.images))
            self._new.append({name: value for name, value in figures.items() if name.startswith(LOGGED)})

    def figures(self) -> dict[str, float]:
        """What is logged: means since the last call of accuracies and norms, or the last ones, and diversities."""
        names = dict.fromkeys(name for figures in self._new for name in figures)
        self._logged |= {name: fmean(figures[name] for figures in self._new if name in figures) for name in names}
        self._new.clear()
        found = {f"diversity/{name}": self.window.diversity(name) for name in self.window.translators()}
        return self._logged | {name: value for name, value in found.items() if math.isfinite(value)}

    def warnings(self, step: int) -> list[str]:
        """What is wrong and was not said before; to be asked after every step, it looks after every `EVERY`-th."""
        if not self.watch or step % EVERY:
            return []
        found = {sign.kind: sign for sign in signs(self.window)}
        said = []
        self._lasting = {kind: self._lasting.get(kind, 0) + 1 for kind in found}
        self._absent = {kind: 0 if kind in found else looks + 1 for kind, looks in self._absent.items()}
        self._absent = {kind: looks for kind, looks in self._absent.items() if looks < FORGOTTEN}
        for kind, sign in found.items():
            if kind not in self._absent and self._lasting[kind] >= sign.lasting:
                said.append(f"step {step}: {sign}")
                self._absent[kind] = 0
        return said
