"""What a network gave for the frame before, for networks that take it as an input."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from i2i.images import to_dtype
from i2i.runtime.network import Outputs
from i2i.translate.folders.planning.plan import PlannedImage


class PreviousOutputs:
    """Keeps outputs for the next frame: the next image of the same folder, or the next frame of the same file.

    Args:
        names: for each input the output whose value before it takes; empty where a network has no such input.
        dtype: type of the network's images.
    """

    def __init__(self, names: Mapping[str, str], dtype: np.dtype) -> None:
        self._names, self._dtype = names, dtype
        self._sequence: Path | None = None
        self._kept: Outputs = {}

    def feeds(self, image: PlannedImage, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        """The inputs for an image, each with one row; without those that begin anew, which the network knows.

        Args:
            image: the image.
            shape: its ``(H, W, C)``: outputs of another height and width are those of another sequence.
        """
        if self._sequence != _sequence(image):
            return {}
        kept = {name: self._kept[output] for name, output in self._names.items() if output in self._kept}
        return {name: value[np.newaxis] for name, value in kept.items() if value.shape[:2] == shape[:2]}

    def keep(self, image: PlannedImage, outputs: Outputs) -> None:
        """Keeps what the network gave for an image."""
        if self._names:
            self._sequence = _sequence(image)
            self._kept = {name: to_dtype(outputs[name], self._dtype) for name in self._names.values()}


def _sequence(image: PlannedImage) -> Path:
    """The folder or the file whose images follow one another."""
    return image.input.parent if image.frame is None else image.input
