"""Batches of samples: their reproducible order, loading, stacking, and moving to the device.

Sample number n of a run is a function of the seed and n alone: the epoch's order is drawn from (seed, epoch) and every
random number of a sample from (seed, draw, index). The draw, which tells apart the times that a sample comes, is the
number of the epoch, or n itself where samples are drawn by weight. So neither the number of loader processes nor of
training processes changes what is seen, and a resumed run only has to know its step.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from multiprocessing.context import BaseContext
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from i2i.errors import UserError

SKIPPED = "_skipped"
"""Batch key of a list of lines, each about a sample that could not be used and was replaced, and why."""


class LoadableSamples(Protocol):
    """Samples of which batches are made; see `i2i.data.loading.Samples`."""

    def __len__(self) -> int:
        """Number of samples."""

    def __getitem__(self, place: tuple[int, int]) -> dict[str, Any]:
        """The sample at (draw, position); see `BatchOrder`."""

    def preload(self) -> None:
        """Reads into memory what loader processes are to share."""


class BatchOrder:
    """Iterates over batches of (draw, position) pairs from any step on, for one of several processes; never ends.

    The epochs follow one another without a gap, so a batch may span two epochs and nothing is dropped. An epoch is a
    permutation, and its number the draw of all its samples. By weight it is as many choices with replacement as there
    are samples, and the draw counts the samples of the run: one that comes again has other random numbers.

    Args:
        samples: number of samples, or of each how often it is drawn, relative to the others.
        batch: samples in a batch over all processes.
        seed: the run's seed.
        taken: samples that earlier batches have taken, over all processes.
        rank: number of this process, from 0.
        world: number of processes; divides `batch`.
    """

    def __init__(
        self, samples: int | np.ndarray, batch: int, seed: int, *, taken: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        self.weights = None if isinstance(samples, int) else samples / samples.max()
        self.length = samples if isinstance(samples, int) else len(samples)
        self.batch, self.seed, self.taken = batch, seed, taken
        self.rank, self.share = rank, batch // world

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, positions = -1, np.empty(0, int)
        taken = self.taken
        while True:
            first = taken + self.rank * self.share
            places = []
            for sample in range(first, first + self.share):
                if sample // self.length != epoch:
                    epoch = sample // self.length
                    positions = self._positions(epoch)
                draw = epoch if self.weights is None else sample
                places.append((draw, int(positions[sample % self.length])))
            yield places
            taken += self.batch

    def _positions(self, epoch: int) -> np.ndarray:
        """The samples of an epoch in their order."""
        generator = np.random.default_rng((self.seed, epoch))
        if self.weights is None:
            return generator.permutation(self.length)
        return generator.choice(self.length, self.length, p=self.weights / self.weights.sum())


def batches(
    samples: LoadableSamples,
    order: BatchOrder,
    workers: int,
    *,
    pin_memory: bool = False,
    context: BaseContext | None = None,
) -> Iterator[dict[str, Any]]:
    """Batches that loader processes read ahead; the processes have started when this returns.

    Args:
        samples: the data set.
        order: draws and positions of the samples of each batch.
        workers: number of loader processes; 0: this process loads.
        pin_memory: whether batches are in pinned memory, which moves to a GPU faster.
        context: the multiprocessing context that makes the loader processes; None: the usual one.

    Raises:
        UserError: from the iterator: a sample raised it, in this or in a loader process.
    """
    if workers:
        samples.preload()
    loader = DataLoader(
        _ErrorsAsValues(samples),
        batch_sampler=order,
        num_workers=workers,
        collate_fn=_collate_or_error,
        pin_memory=pin_memory,
        worker_init_fn=_quiet_worker,
        persistent_workers=workers > 0,
        multiprocessing_context=context if workers else None,
    )
    return _raising(iter(loader))


def _raising(loaded: Iterator[dict[str, Any] | UserError]) -> Iterator[dict[str, Any]]:
    """The batches; raises an error that was loaded in place of one."""
    for batch in loaded:
        if isinstance(batch, UserError):
            raise batch
        yield batch


class _ErrorsAsValues(Dataset):
    """Gives errors of samples as values: torch would raise them with the loader process's traceback in the message."""

    def __init__(self, samples: LoadableSamples) -> None:
        self.samples = samples

    def __getitem__(self, place: tuple[int, int]) -> dict[str, Any] | UserError:
        try:
            return self.samples[place]
        except UserError as error:
            return _portable(error) if get_worker_info() is not None else error


def _collate_or_error(samples: Sequence[dict[str, Any] | UserError]) -> dict[str, Any] | UserError:
    errors = [sample for sample in samples if isinstance(sample, UserError)]
    return errors[0] if errors else collate([sample for sample in samples if not isinstance(sample, UserError)])


def _portable(error: UserError) -> UserError:
    """The error as one of i2i's own classes, as a plugin's own class may be unknown in the process that gets it."""
    known = next(cls for cls in type(error).__mro__ if cls.__module__ == UserError.__module__)
    sent: UserError = known(error.reason, kind=error.kind, path=error.path)
    sent.add_note("".join(traceback.format_exception(error)))
    return sent


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
    """Stacks tensors; if some images are uint8 and others not, the uint8 ones become float32 in [-1, 1] first."""
    if values[0].ndim == 3 and len({value.dtype for value in values}) > 1:
        values = [value.float() / 127.5 - 1 if value.dtype == torch.uint8 else value for value in values]
    return torch.stack(list(values))


def to_device(batch: dict[str, Any], device: torch.device, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Moves a batch to a device; uint8 images, a quarter the bytes of floats, become `dtype` in [-1, 1] there."""
    moved = {key: value.to(device, non_blocking=True) for key, value in batch.items() if key != SKIPPED}
    return {key: _scaled(value, dtype) for key, value in moved.items()}


def _scaled(value: Tensor, dtype: torch.dtype) -> Tensor:
    if value.dtype == torch.uint8:
        return value.to(dtype) / 127.5 - 1 if value.ndim == 4 else value.long()
    return value.to(dtype) if value.is_floating_point() else value
