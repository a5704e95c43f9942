"""The processes of a training, as the engine asks after them.

One process alone needs no library for that. `lightning_fabric` serves several of them, and costs more time to import
than torch itself, for it loads torchmetrics, torchvision and scipy to compare a version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch

T = TypeVar("T")


class Processes(Protocol):
    """This process among those of a training; `lightning_fabric.Fabric` is one, and so is `SingleProcess`."""

    @property
    def device(self) -> torch.device:
        """Where this process computes."""

    @property
    def world_size(self) -> int:
        """Number of processes."""

    @property
    def global_rank(self) -> int:
        """Number of this process, from 0."""

    @property
    def is_global_zero(self) -> bool:
        """Whether this is the first process, which writes and speaks."""

    def broadcast(self, obj: T) -> T:
        """What the first process gives; every process must ask."""

    def barrier(self) -> None:
        """Waits until every process is here."""


@dataclass(frozen=True)
class SingleProcess:
    """A training in one process; nothing needs to be sent or waited for.

    Attributes:
        device: where it computes.
    """

    device: torch.device

    @property
    def world_size(self) -> int:
        """There is one process."""
        return 1

    @property
    def global_rank(self) -> int:
        """It is the first."""
        return 0

    @property
    def is_global_zero(self) -> bool:
        """It writes and speaks."""
        return True

    def broadcast(self, obj: T) -> T:
        """The object itself."""
        return obj

    def barrier(self) -> None:
        """There is nobody to wait for."""
