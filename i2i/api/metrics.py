"""What metrics get besides their options."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from i2i.api.protocols import Build

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class MetricContext:
    """What the metrics of one measurement have in common; a keyword `context` of a metric's `build` gets it.

    Attributes:
        build: builds feature networks by name.
        device: where networks of metrics compute; images come on the CPU.
        shared: what metrics keep for each other, such as a feature network and what it saw. Keys should be tuples that
            begin with the name of the plugin.
    """

    build: Build
    device: torch.device | str = "cpu"
    shared: MutableMapping[Any, Any] = field(default_factory=dict)
