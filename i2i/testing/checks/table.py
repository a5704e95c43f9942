"""The checks of each kind of component, in the order in which they run.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from i2i.testing.checks.backends.promises import BACKEND
from i2i.testing.checks.commands import COMMAND
from i2i.testing.checks.common import COMMON, documentation
from i2i.testing.checks.datasets import DATASET
from i2i.testing.checks.losses import LOSS
from i2i.testing.checks.metrics import METRIC
from i2i.testing.checks.networks import DISCRIMINATOR, FEATURES, GENERATOR
from i2i.testing.checks.recipes import RECIPE
from i2i.testing.checks.trackers.promises import TRACKER
from i2i.testing.checks.training import OPTIMIZER, SCHEDULE
from i2i.testing.checks.transforms import TRANSFORM
from i2i.testing.subject import Check

CHECKS: Mapping[str, Sequence[Check]] = {
    "recipe": (*COMMON, *RECIPE),
    "generator": (*COMMON, *GENERATOR),
    "discriminator": (*COMMON, *DISCRIMINATOR),
    "features": (*COMMON, *FEATURES),
    "loss": (*COMMON, *LOSS),
    "dataset": (*COMMON, *DATASET),
    "transform": (*COMMON, *TRANSFORM),
    "optimizer": (*COMMON, *OPTIMIZER),
    "schedule": (*COMMON, *SCHEDULE),
    "metric": (*COMMON, *METRIC),
    "command": (documentation, *COMMAND),
    "backend": (*COMMON, *BACKEND),
    "tracker": (*COMMON, *TRACKER),
}
"""Kind of component -> its checks."""


def check_name(check: Check) -> str:
    """The name of a check as people read and type it: the function's, with hyphens."""
    return check.__name__.replace("_", "-")
