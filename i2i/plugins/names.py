"""The kinds of components, and how names are compared and suggested."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

KINDS = {
    "generator": "i2i_generators",
    "discriminator": "i2i_discriminators",
    "loss": "i2i_losses",
    "features": "i2i_features",
    "dataset": "i2i_datasets",
    "transform": "i2i_transforms",
    "optimizer": "i2i_optimizers",
    "schedule": "i2i_schedules",
    "metric": "i2i_metrics",
    "recipe": "i2i_recipes",
    "command": "i2i_commands",
    "backend": "i2i_backends",
    "tracker": "i2i_trackers",
}
"""Kind of component -> the hook that gives components of that kind."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for messages about an unknown name.

    Args:
        name: what somebody wrote.
        known: the names that there are.

    Returns:
        `` (did you mean 'x'?)`` for the known name most like `name`; an empty text when none is like it.

    Example:
        >>> from i2i.plugins import nearest
        >>> nearest("unett", ["resnet", "unet"])
        " (did you mean 'unet'?)"
    """
    match = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean '{match[0]}'?)" if match else ""


def normalized(name: str) -> str:
    """The name of a distribution or plugin in the form in which names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
