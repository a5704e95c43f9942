"""SPADE: label maps to photographs by spatially adaptive normalisation (Park et al. 2019, arXiv:1903.07291)."""

from __future__ import annotations

import i2i


@i2i.hookimpl
def i2i_generators() -> list[i2i.Component]:
    """The generator of SPADE."""
    from i2i_spade import options as o

    return [
        i2i.Component("spade", "i2i_spade.generator:build", o.SpadeGeneratorConfig, "Spatially adaptive norm (SPADE)")
    ]


@i2i.hookimpl
def i2i_recipes() -> list[i2i.Component]:
    """The recipe `spade`."""
    from i2i_spade import presets as p
    from i2i_spade.options import SpadeConfig

    presets = {"paper": p.PAPER, "reference": p.REFERENCE, "samples": p.SAMPLES}
    return [i2i.Component("spade", "i2i_spade.recipe:Spade", SpadeConfig, "Label maps to photographs", presets)]
