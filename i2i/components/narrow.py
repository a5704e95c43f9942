"""Convolutions to few channels, which CPUs compute as if there were 16 of them."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import conv2d

MAX_CHANNELS = 4
"""Output channels up to which a convolution is narrow: 3 of 16 lanes are used, with 27 rows of a kernel 27 of 32."""
MIN_HEIGHT = 9
"""Height of a kernel from which rows are worth it in float32, on the CPU that was measured: with 7 they are slower."""
MAX_PIXELS = 96 * 96
"""Pixels of an image up to which rows are worth it; the outputs of the rows of larger ones leave the cache.

Measured from 64 channels to 3 with a kernel of 9 x 9, forward and backward: 1.2 to 1.7 times as fast with 24 x 24 and
96 x 96 pixels, 0.9 to 1.3 times with 128 x 128, 0.5 to 0.8 times with 256 x 256.
"""


class NarrowConv2d(nn.Conv2d):
    """A convolution computed by rows while training: the same sums in another order, and the same parameters.

    Each row of a kernel is a convolution of its own, all of them together one to ``channels * height`` channels. Their
    outputs, shifted against each other by a pixel, are added. In bfloat16 that is mostly slower than an ordinary
    convolution, and rounds more, as each row is rounded by itself.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` -> ``(N, out_channels, H', W')``."""
        if not self.training or x.shape[2:].numel() > MAX_PIXELS:  # what is exported is an ordinary convolution
            return super().forward(x)
        channels, inputs, height, width = self.weight.shape
        kernels = self.weight.permute(0, 2, 1, 3).reshape(channels * height, inputs, 1, width)
        rows = conv2d(x, kernels, padding=self.padding).unflatten(1, (channels, height)).unbind(2)
        length = rows[0].shape[2] - height + 1
        y = rows[0][:, :, :length]
        for shift, row in enumerate(rows[1:], 1):
            y = y + row[:, :, shift : shift + length]
        return y if self.bias is None else y + self.bias[:, None, None]


def is_narrow(layer: nn.Module) -> bool:
    """Whether a layer is a convolution that is faster by rows on a CPU, in float32."""
    return (
        type(layer) is nn.Conv2d
        and layer.out_channels <= MAX_CHANNELS
        and layer.kernel_size[0] >= MIN_HEIGHT
        and layer.stride == layer.dilation == (1, 1)
        and layer.groups == 1
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
    )
