"""Batches of samples in a reproducible order, and on their way to the device.

Sample number n of a run is a function of the seed and n alone: the epoch's permutation is drawn from (seed, epoch) and
every random number of a sample from (seed, epoch, index). So neither the number of loader processes nor of training
processes changes what is seen, and a resumed run only has to know its step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from i2i.errors import UserError

SKIPPED = "_skipped"
"""Batch key under which what was wrong with replaced samples travels to the main process, a line each."""


class Order:
    """Batches of sample places from any step on, for one of several processes; never ends.

    The epochs' permutations follow one another without a gap, so a batch may span two epochs and nothing is dropped.

    Args:
        length: number of samples.
        batch: samples in a batch over all processes.
        seed: the run's seed.
        start: number of the first batch.
        rank: this process.
        world: number of processes; divides `batch`.
    """

    def __init__(self, length: int, batch: int, seed: int, *, start: int = 0, rank: int = 0, world: int = 1) -> None:
        self.length, self.batch, self.seed, self.start = length, batch, seed, start
        self.rank, self.share = rank, batch // world

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, permutation = -1, np.empty(0, int)
        number = self.start
        while True:
            first = number * self.batch + self.rank * self.share
            places = []
            for sample in range(first, first + self.share):
                if sample // self.length != epoch:
                    epoch = sample // self.length
                    permutation = np.random.default_rng((self.seed, epoch)).permutation(self.length)
                places.append((epoch, int(permutation[sample % self.length])))
            yield places
            number += 1


def batches(samples: Dataset, order: Order, workers: int, *, pin_memory: bool = False) -> Iterator[dict[str, Any]]:
    """Batches in that order, read ahead by `workers` processes (0: in this one)."""
    if workers and hasattr(samples, "read_ahead"):
        samples.read_ahead()
    loader = DataLoader(
        samples,
        batch_sampler=order,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        worker_init_fn=_quiet_worker,
        persistent_workers=workers > 0,
    )
    try:
        yield from loader
    except UserError as error:
        if not str(error).startswith("Caught "):
            raise
        # a loader process sends its whole traceback as the message, the error's own line at the end
        raise type(error)(str(error).strip().splitlines()[-1].partition("Error: ")[2]) from error


def _quiet_worker(_: int) -> None:
    cv2.setNumThreads(0)  # the loader's processes are the parallelism
    torch.set_num_threads(1)


def collate(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Stacks samples: images to ``(N, C, H, W)``, integers to ``(N,)``."""
    batch: dict[str, Any] = {SKIPPED: [line for sample in samples for line in sample.get(SKIPPED, ())]}
    for key in samples[0]:
        if key != SKIPPED:
            batch[key] = _stacked([torch.as_tensor(sample[key]) for sample in samples])
    return batch


def _stacked(values: Sequence[Tensor]) -> Tensor:
    """One tensor; images of 8 bits beside others come to their range, which torch would not do."""
    if values[0].ndim == 3 and len({value.dtype for value in values}) > 1:
        values = [value.float() / 127.5 - 1 if value.dtype == torch.uint8 else value for value in values]
    return torch.stack(list(values))


def to_device(batch: dict[str, Any], device: torch.device, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Moves a batch; uint8 images become `dtype` in [-1, 1] there, four times cheaper to move than floats."""
    moved = {key: value.to(device, non_blocking=True) for key, value in batch.items() if key != SKIPPED}
    return {key: _scaled(value, dtype) for key, value in moved.items()}


def _scaled(value: Tensor, dtype: torch.dtype) -> Tensor:
    if value.dtype == torch.uint8:
        return value.to(dtype) / 127.5 - 1 if value.ndim == 4 else value.long()
    return value.to(dtype) if value.is_floating_point() else value
