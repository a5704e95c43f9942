"""Adversarial distillation: a small generator learns what a large, slow one makes, and runs many times as fast."""

from __future__ import annotations

import i2i


@i2i.hookimpl
def i2i_recipes() -> list[i2i.Component]:
    """The recipe `distill`."""
    from i2i_distill import options as o

    presets = {"realtime": o.REALTIME, "samples": o.SAMPLES}
    summary = "A small network learns from a slow model"
    return [i2i.Component("distill", "i2i_distill.recipe:Distill", o.DistillConfig, summary, presets)]
