"""The figures of the last steps of a training, and statistics over them, on which warnings are based."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

WINDOW = 100
"""Steps that a window holds."""

MIN_CHANGE = 0.004
"""Half a grey level of 255, images in [-1, 1]: data whose images differ less have no diversity to compare with."""

MIN_IMAGES = 12
"""Images that are needed to compare."""

Images = Mapping[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class StepRecord:
    """What a step showed.

    Attributes:
        step: its number.
        figures: losses, norms, accuracies by name.
        images: outputs and real images, each ``(n, C, 8, 8)``, by translator.
    """

    step: int
    figures: Mapping[str, float]
    images: Images


class Window:
    """The last steps, and the beginning that they are compared with.

    A figure that is not there is NaN, which no comparison finds too high or too low.

    Args:
        paired: whether a real image is the target of the output beside it.

    Attributes:
        steps_seen: steps added altogether.
    """

    def __init__(self, *, paired: bool) -> None:
        self.paired = paired
        self.steps: deque[StepRecord] = deque(maxlen=WINDOW)
        self.first: dict[str, list[float]] = {}
        self._begun: dict[str, int] = {}
        self.steps_seen = 0

    def add(self, step: StepRecord) -> None:
        """Adds a step; the oldest goes."""
        self.steps.append(step)
        self.steps_seen += 1
        for name, value in step.figures.items():
            if self.steps_seen - self._begun.setdefault(name, self.steps_seen) < WINDOW // 2:
                self.first.setdefault(name, []).append(value)

    def __len__(self) -> int:
        return len(self.steps)

    def names(self, prefix: str) -> list[str]:
        """Names of the figures that begin with `prefix`."""
        names = dict.fromkeys(name for step in self.steps for name in step.figures)
        return [name for name in names if name.startswith(prefix)]

    def discriminators(self) -> list[str]:
        """Networks whose accuracy was observed, in order."""
        return list(dict.fromkeys(name.split("/")[1] for name in self.names("accuracy/")))

    def translators(self) -> list[str]:
        """Translators whose outputs were observed."""
        return list(dict.fromkeys(name for step in self.steps for name in step.images))

    def values(self, name: str) -> np.ndarray:
        """The values of a figure, in the steps that have it."""
        return np.array([step.figures[name] for step in self.steps if name in step.figures])

    def mean(self, name: str) -> float:
        """Mean of a figure; NaN if no step has it."""
        return float(values.mean()) if len(values := self.values(name)) else math.nan

    def median(self, name: str) -> float:
        """Median of a figure; NaN if no step has it."""
        return float(np.median(values)) if len(values := self.values(name)) else math.nan

    def remaining_share(self, name: str) -> float:
        """Median of a figure, divided by its median in the first steps that had it."""
        first = float(np.median(self.first.get(name) or [math.nan]))
        return self.median(name) / first if first else math.nan

    def phases(self, role: str) -> list[str]:
        """Phases by their role: ``discriminator``, or ``generator`` for all others."""
        return [name.rpartition("/")[2] for name in self.names(f"update/{role}/")]

    def diversity(self, translator: str) -> float:
        """How much outputs differ from one another, as a share of how much real images do.

        Neighbours are compared, of a batch or of two steps: over many steps outputs change because the network does.
        """
        outputs, real = self._images(translator)
        return _ratio(outputs, real) if len(outputs) >= MIN_IMAGES else math.nan

    def diversity_grows(self, translator: str) -> bool:
        """Whether outputs of the later half of the window are more diverse than those of the first."""
        outputs, real = self._images(translator)
        half = len(outputs) // 4 * 2
        return _ratio(outputs[half:], real) > 1.2 * _ratio(outputs[:half], real)

    def target_distance(self, translator: str) -> float:
        """Mean distance of outputs from their own real images, divided by that from all other real images.

        It is exactly 1 if all outputs are the same; small if outputs resemble their own images. NaN with too few
        images, or if the real ones hardly differ.
        """
        outputs, real = self._images(translator)
        if len(outputs) < MIN_IMAGES or _change(real) < MIN_CHANGE:
            return math.nan
        distances = np.stack([np.abs(output - real).mean(1) for output in outputs])
        own, count = float(np.trace(distances)), len(outputs)
        others = (float(distances.sum()) - own) / (count - 1)
        return own / others if others else math.nan

    def _images(self, translator: str) -> tuple[np.ndarray, np.ndarray]:
        """Its outputs and the real images, ``(n, values)``, n even; each two in a row are neighbours."""
        found = [step.images[translator] for step in self.steps if translator in step.images]
        sides = (torch.cat([pair[side] for pair in found]) for side in (0, 1))
        # a batch of one has its neighbour in the next step that is observed
        outputs, real = (images[len(images) % 2 :].flatten(1).cpu().numpy() for images in sides)
        return outputs, real


def _ratio(outputs: np.ndarray, real: np.ndarray) -> float:
    return _change(outputs) / _change(real) if _change(real) > MIN_CHANGE else math.nan


def _change(images: np.ndarray) -> float:
    """Mean difference of neighbours."""
    return float(np.abs(images[0::2] - images[1::2]).mean())
