"""The context of a training step: reproducible random numbers, gradients, image pools."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed

from i2i.api.protocols import GameObserver

Pools = dict[str, Tensor]
"""Image pools by name: ``(processes, images, C, H, W)``."""


class StepContext:
    """The engine's `i2i.api.Context`. Random numbers of a step are a function of (seed, step), so none need be saved.

    Args:
        seed: the run's seed.
        steps: steps of the whole run.
        device: device of the tensors that it makes.
        dtype: type of the tensors that it makes.
        rank: number of this process, from 0.
        world: number of processes.
    """

    def __init__(
        self, seed: int, steps: int, device: torch.device, dtype: torch.dtype, rank: int = 0, world: int = 1
    ) -> None:
        self.step, self.steps, self.turn = 0, steps, 0
        self.images: dict[str, Tensor] = {}
        self.observer: GameObserver | None = None
        self.state: dict[str, Any] = {}
        self.device, self.dtype, self.world = device, dtype, world
        self._seed, self._rank = seed, rank
        self._generator = torch.Generator(device)
        self._pools: dict[str, Pool] = {}

    def begin(self, step: int) -> None:
        """Sets the step and seeds everything random in it: dropout too, differently in each process."""
        self.step = self.turn = step
        self._generator.manual_seed(_number(self._seed, step, 0))
        own = _number(self._seed, step, 1 + self._rank)
        torch.manual_seed(own)
        np.random.seed(own % 2**32)
        random.seed(own)
        for name in self._pools:
            self._seed_pool(name)

    def rand(self, *shape: int) -> Tensor:
        """See `i2i.api.Context.rand`."""
        return self._share(torch.rand, shape)

    def randn(self, *shape: int) -> Tensor:
        """See `i2i.api.Context.randn`."""
        return self._share(torch.randn, shape)

    def input_gradient(self, score: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """See `i2i.api.Context.input_gradient`."""
        x = x.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(score(x).sum(), x, create_graph=True)
        return gradient

    def pool(self, name: str, size: int) -> Pool:
        """See `i2i.api.Context.pool`."""
        if name not in self._pools:
            self._pools[name] = Pool(size)
            self._seed_pool(name)
        self._pools[name].size = size  # a restored pool learns it here
        return self._pools[name]

    def log_images(self, name: str, images: Tensor) -> None:
        """See `i2i.api.Context.log_images`."""
        self.images[name] = images.detach()

    def pools(self) -> Pools:
        """The image pools of all processes, in order; every process must ask at the same step."""
        return {name: self._gathered(torch.stack(pool.images)) for name, pool in self._pools.items() if pool.images}

    def load_pools(self, pools: Pools) -> None:
        """Puts the image pools back; one of another number of processes gets the pool of one that was there."""
        self._pools.clear()
        for name, images in pools.items():
            self._pools[name] = Pool(0)
            self._pools[name].images = list(images[self._rank % len(images)].to(self.device, self.dtype))

    def _gathered(self, images: Tensor) -> Tensor:
        if self.world == 1:
            return images[None]
        parts = [torch.empty_like(images) for _ in range(self.world)]
        distributed.all_gather(parts, images)
        return torch.stack(parts)

    def _seed_pool(self, name: str) -> None:
        self._pools[name].generator.manual_seed(_number(self._seed, self.step, 1 + self._rank, *name.encode()))

    def _share(self, draw: Callable[..., Tensor], shape: tuple[int, ...]) -> Tensor:
        """This process's part of numbers drawn for the whole batch, so that their number changes nothing."""
        whole = draw(shape[0] * self.world, *shape[1:], generator=self._generator, device=self.device, dtype=self.dtype)
        return whole[self._rank * shape[0] : (self._rank + 1) * shape[0]]


class Pool:
    """The engine's `i2i.api.ImagePool`.

    Args:
        size: images kept; 0 returns every batch as it is.
    """

    def __init__(self, size: int) -> None:
        self.size, self.images = size, list[Tensor]()
        self.generator = torch.Generator()

    def query(self, images: Tensor) -> Tensor:
        """See `i2i.api.ImagePool.query`; the pool keeps detached copies."""
        if self.size == 0:
            return images
        if self.images and self.images[0].shape != images.shape[1:]:  # a resumed run with another size of images
            self.images.clear()
        answer = []
        for image in images.detach():
            if len(self.images) < self.size:
                self.images.append(image.clone())
                answer.append(image)
            elif torch.rand((), generator=self.generator) < 0.5:
                place = int(torch.randint(self.size, (), generator=self.generator))
                answer.append(self.images[place])
                self.images[place] = image.clone()
            else:
                answer.append(image)
        return torch.stack(answer)


def _number(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0]) >> 1
