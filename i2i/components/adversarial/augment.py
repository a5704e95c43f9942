"""Adaptive discriminator augmentation, ADA (Karras et al. 2020, arXiv:2006.06676), for trainings on few images.

All images that a discriminator sees are changed at random, generated ones and real ones alike, so that it cannot learn
the real ones by heart. The generator does not learn the changes as long as each image has a fair chance to stay as it
is (section 2.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from i2i.api import Context
from i2i.components.collective import all_mean, processes

STATE = "adversary.augment"
"""Name of a tensor (3,) in `Context.state`: the probability; and since it last changed, the sum of the mean signs of
all judgements, and how many these were."""
_INTERVAL = 4
"""Judgements between two changes of the probability (section 3)."""


@dataclass(frozen=True)
class Change:
    """How each image of a batch is changed.

    Attributes:
        matrix: ``(N, 2, 3)``: where the pixels of the result are taken from, in coordinates in [-1, 1], x first.
        brightness: ``(N, 1, 1, 1)``: added to all values.
        contrast: ``(N, 1, 1, 1)``: factor of all values.
        saturation: ``(N, 1, 1, 1)``: factor of each channel's difference from the mean of the channels.
    """

    matrix: Tensor
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor

    @classmethod
    def draw(cls, images: Tensor, probability: Tensor | float, ctx: Context) -> Change:
        """Draws changes, each of which an image gets with that probability (appendix B, without hue and filters).

        Args:
            images: ``(N, C, H, W)``; only their shape matters.
            probability: from 0 to 1.
            ctx: draws the random numbers.
        """
        count, height, width = len(images), images.shape[2], images.shape[3]
        chosen = (ctx.rand(count, 9) < probability).to(images.dtype).unbind(1)
        uniform = (2 * ctx.rand(count, 5) - 1).to(images.dtype).unbind(1)
        normal = ctx.randn(count, 5).to(images.dtype).unbind(1)
        flip = 1 - 2 * chosen[0] * (uniform[0] > 0)
        quarters = chosen[1] * torch.floor(2 * uniform[1] + 2).clamp(max=3)
        angle = math.pi * (quarters / 2 + chosen[2] * uniform[2])
        wide = torch.exp2(0.2 * (chosen[3] * normal[0] + chosen[4] * normal[1]))
        high = torch.exp2(0.2 * (chosen[3] * normal[0] - chosen[4] * normal[1]))
        cos, sin, aspect = torch.cos(angle), torch.sin(angle), height / width  # both sides are 2 long here
        x = torch.stack([flip * wide * cos, -high * sin * aspect, chosen[5] * uniform[3] / 4], 1)
        y = torch.stack([flip * wide * sin / aspect, high * cos, chosen[5] * uniform[4] / 4], 1)
        values = 0.2 * chosen[6] * normal[2], torch.exp2(0.5 * chosen[7] * normal[3]), torch.exp2(chosen[8] * normal[4])
        return cls(torch.stack([x, y], 1), *(value.view(-1, 1, 1, 1) for value in values))

    def moved(self, images: Tensor) -> Tensor:
        """Images ``(N, C, H, W)``, of any values, turned and moved: bilinear, mirrored at the borders."""
        grid = affine_grid(self.matrix, list(images.shape), align_corners=False)
        return grid_sample(images, grid, padding_mode="reflection", align_corners=False)

    def applied(self, images: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1], turned, moved and with other colours; values may leave that range."""
        moved = self.moved(images)
        grey = moved.mean(1, keepdim=True)
        return (grey + self.saturation * (moved - grey)) * self.contrast + self.brightness


def probability(ctx: Context) -> Tensor | float:
    """The present probability of a change, a scalar."""
    state = ctx.state.get(STATE)
    return state[0] if isinstance(state, Tensor) else 0.0


def adapt(ctx: Context, logits: Tensor, boundary: Tensor | float, *, target: float, images: int) -> None:
    """Makes changes likelier when the discriminator is too sure of real images, else less likely.

    Its measure is r_t, the mean sign of the logits of real images (equation 1): 1 when it takes all of them for real.
    After every four judgements the probability grows or falls by their images' share of `images` (section 3).

    Args:
        ctx: its `state` keeps the probability.
        logits: of real images, ``(N, ...)``.
        boundary: the logit above which an image counts as real.
        target: the value that r_t should have.
        images: number of images over which the probability could grow from 0 to 1.
    """
    state = ctx.state.get(STATE)
    old = state if isinstance(state, Tensor) else torch.zeros(3, device=logits.device)
    with torch.no_grad():
        signs = old[1] + all_mean(torch.sign(logits.detach().float() - boundary).mean())
        counted = old[2] + 1
        step = torch.sign(signs / counted - target) * counted * len(logits) * processes() / images
        due = counted >= _INTERVAL
        now = torch.where(due, (old[0] + step).clamp(0, 1), old[0])
        left = (~due).float()
        ctx.state[STATE] = torch.stack([now, signs * left, counted * left])
