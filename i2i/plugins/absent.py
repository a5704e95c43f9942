"""What stands for networks that only a training needs, where networks are built for inference."""

from __future__ import annotations

from typing import Any, NoReturn

from torch import nn

from i2i.errors import PluginError


class AbsentNetwork(nn.Module):
    """In the place of a network of `i2i.api.Build.frozen` or `features`, which no checkpoint holds."""

    def forward(self, *inputs: Any, **named: Any) -> NoReturn:
        """Raises PluginError: there is nothing to compute with."""
        raise PluginError("a network of build.frozen or build.features is there in a training only")
