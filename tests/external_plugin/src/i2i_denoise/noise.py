"""White Gaussian noise as a degradation: makes the noisy ``source`` of the clean ``target``."""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator

import i2i

Sample = dict[str, Any]
Sigma = Annotated[float, Field(ge=0, le=255)]


class NoiseConfig(i2i.Config):
    """Options of the noise."""

    sigma: Sigma = 25.0
    """Standard deviation in steps of 1/255 of the full range."""
    sigma_max: Sigma | None = None
    """Draw it for each sample, uniformly from sigma up to this; null: it is always sigma."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.sigma_max is not None and self.sigma_max < self.sigma:
            raise ValueError(f"sigma_max {self.sigma_max:g} is smaller than sigma {self.sigma:g}")
        return self


class GaussianNoise:
    """Adds noise, then clips and rounds as storing the image would.

    Args:
        config: see `NoiseConfig`.
    """

    def __init__(self, config: NoiseConfig) -> None:
        self.config = config

    def __call__(self, sample: Sample) -> Sample:
        """Adds ``source`` of the type of ``target``; a sample with a source stays as it is."""
        if "source" in sample:
            return sample
        target = sample["target"]
        sigma = self.config.sigma
        if self.config.sigma_max is not None:
            sigma = np.random.uniform(sigma, self.config.sigma_max)
        is_float = target.dtype.kind == "f"
        peak = 1.0 if is_float else float(np.iinfo(target.dtype).max)
        noisy = target + np.random.standard_normal(target.shape) * (sigma / 255 * peak)
        noisy = noisy.clip(0, peak) if is_float else np.rint(noisy).clip(0, peak)
        return sample | {"source": noisy.astype(target.dtype)}
