"""Metrics that compare an output with its target pixel by pixel, images ``(N, C, H, W)`` in [-1, 1].

They are not rounded to 8 bits, and need no library: every training measures them, and is to begin at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from i2i_metrics.options import PixelsConfig

if TYPE_CHECKING:
    from torch import Tensor


class MeanOverPixels:
    """The mean of a measure of the difference over all pixels of all images, in the protocol of torchmetrics.

    Args:
        measure: of outputs and targets, which have one shape, at each pixel.
        figure: the metric as a function of the mean.
        border: pixels that are cut off each side.
        higher_is_better: whether the higher figure is the better one.
    """

    def __init__(
        self,
        measure: Callable[[Tensor, Tensor], Tensor],
        figure: Callable[[Tensor], Tensor],
        *,
        border: int = 0,
        higher_is_better: bool,
    ) -> None:
        self.higher_is_better = higher_is_better
        self._measure, self._figure, self._border = measure, figure, border
        self.reset()

    def reset(self) -> None:
        """Forgets all images."""
        self._sums: list[float] = []
        self._counts: list[int] = []

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds images.

        Args:
            preds: outputs ``(N, C, H, W)``.
            target: what they should be, of the same shape.

        Raises:
            ValueError: the shapes differ.
            i2i.DataError: nothing is left of the images without the border.
        """
        from i2i_metrics.preparing import check_sides, without_border

        if preds.shape != target.shape:
            raise ValueError(f"outputs are {tuple(preds.shape)}, their targets {tuple(target.shape)}")
        if self._border:
            check_sides(target, 2 * self._border + 1, f"a border of {self._border} pixels")
            preds, target = (without_border(images, self._border) for images in (preds, target))
        self._sums += self._measure(preds.double(), target.double()).flatten(1).sum(1).tolist()
        self._counts += [target[0].numel()] * len(target)

    def compute(self) -> Tensor:
        """The figure for all images so far, a scalar in float32; NaN without any."""
        return self.of_images(range(len(self._sums)))

    def of_images(self, places: Sequence[int]) -> Tensor:
        """The figure of some of the images, by their places from 0, of which each may be there several times."""
        import torch

        chosen = [
            torch.tensor([one[place] for place in places], dtype=torch.float64) for one in (self._sums, self._counts)
        ]
        return self._figure(chosen[0].sum() / chosen[1].sum()).float()

    @property
    def protocol(self) -> dict[str, Any]:
        """How the figure came about."""
        colour = "the images' own channels in [-1, 1], not rounded"
        return {"images": len(self._sums), "colour": colour, "border": self._border, "mean": "over all pixels together"}


def l1(config: PixelsConfig) -> MeanOverPixels:
    """Mean absolute error; 2 is the largest possible."""
    return MeanOverPixels(lambda x, y: (x - y).abs(), lambda mean: mean, border=config.border, higher_is_better=False)


def psnr(config: PixelsConfig) -> MeanOverPixels:
    """``10 log10(2^2 / mean squared error)`` in dB, the mean taken over all images together."""
    return MeanOverPixels(
        lambda x, y: (x.clamp(-1, 1) - y.clamp(-1, 1)).square(),
        lambda mean: 10 * (4 / mean).log10(),
        border=config.border,
        higher_is_better=True,
    )
