"""CUT and FastCUT: unpaired translation one way, by contrastive learning (Park et al. 2020, arXiv:2007.15651)."""

from __future__ import annotations

from typing import Any

import i2i

# The authors' code halves both contrastive losses of CUT, has a tenth of the paper's learning rate, and lets it fall
# once an epoch, as CycleGAN's code does.
REFERENCE: dict[str, Any] = {
    "train": {
        "epochs": 400,
        "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]},
        "schedule": {"name": "linear-epochs", "hold": 0.5},
    },
    "cut": {"nce": 0.5, "nce_identity": 0.5},
}
PAPER: dict[str, Any] = {
    "train": {
        "epochs": 400,
        "optimizer": {"name": "adam", "lr": 2e-3, "betas": [0.5, 0.999]},
        "schedule": {"name": "linear", "hold": 0.5},
    },
    "cut": {"nce": 1.0, "nce_identity": 1.0},
}
FAST_REFERENCE: dict[str, Any] = {
    "train": {**REFERENCE["train"], "epochs": 200, "schedule": {"name": "linear-epochs", "hold": 0.75}}
}
FAST_PAPER: dict[str, Any] = {"train": {**PAPER["train"], "epochs": 200}}
DRAWN: dict[str, Any] = {
    "data": {"layout": "day-night", "size": 64, "load_size": 64},
    "train": {
        "steps": 900,
        "optimizer": {"lr": 1e-3},
        "schedule": {"name": "linear"},
        "sample_every": 225,
        "checkpoint_every": 450,
    },
}
SMALL: dict[str, Any] = {
    "generator": {"filters": 16, "blocks": 3},
    "discriminator": {"filters": 16, "layers": 2},
    "layers": [0, 4, 8, 12],
    "patches": 64,
    "features": 64,
}
SAMPLES: dict[str, Any] = {**DRAWN, "cut": {**SMALL, "nce": 1.0, "nce_identity": 1.0}}
# with the paper's weight of 10 the houses stay as they are in so few steps
FAST_SAMPLES: dict[str, Any] = {**DRAWN, "fastcut": {**SMALL, "nce": 2.0}}


@i2i.hookimpl
def i2i_recipes() -> list[i2i.Component]:
    """The recipes `cut` and `fastcut`."""
    from i2i_cut.options import CUTConfig, FastCUTConfig

    cut = {"reference": REFERENCE, "paper": PAPER, "samples": SAMPLES}
    fast = {"reference": FAST_REFERENCE, "paper": FAST_PAPER, "samples": FAST_SAMPLES}
    build = "i2i_cut.recipe:CUT"
    return [
        i2i.Component("cut", build, CUTConfig, "Unpaired translation one way: patches keep their content", cut),
        i2i.Component("fastcut", build, FastCUTConfig, "The same with less work for each step", fast),
    ]
