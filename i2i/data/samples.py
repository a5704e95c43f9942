"""The sample sets drawn by code, as datasets without a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from i2i.api import Config
from i2i.data.facades import draw_facade

VALIDATION_START = 1_000_000
"""Index of the first validation drawing, far from any training drawing."""


class FacadesConfig(Config):
    """How many facades are drawn, and how large."""

    count: Annotated[int, Field(ge=1, le=VALIDATION_START)] = 160
    """Training samples."""
    val_count: Annotated[int, Field(ge=1)] = 24
    """Validation samples."""
    size: Annotated[int, Field(ge=16)] = 128
    """Height and width of a drawing, in pixels."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Another seed draws other facades."""


class Facades:
    """Label map (A) and rendered facade (B), drawn when first asked for.

    Args:
        config: see `FacadesConfig`.
        root: not used.
        split: ``train`` or ``val``.
        transform: called with each sample.
    """

    has_splits = True

    def __init__(
        self,
        config: FacadesConfig,
        *,
        root: Path | None = None,
        split: str,
        transform: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> None:
        self.config, self.transform = config, transform
        self.start, self.count = (0, config.count) if split == "train" else (VALIDATION_START, config.val_count)
        self._drawn: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index not in self._drawn:
            self._drawn[index] = draw_facade(self.start + index, size=self.config.size, seed=self.config.seed)
        labels, facade = self._drawn[index]
        return self.transform({"source": labels, "target": facade})
