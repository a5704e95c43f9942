#!/usr/bin/env bash
# Training a network with InstanceNorm2d on the CPU in the channels-last memory format, one image at a time, as CycleGAN does.
#
# One would guess: the memory format changes the speed, never the gradient.
# What happens: with torch 2.15.0 the gradient for the input is wrong, without a warning, when the batch is 1 and the
# gradient that comes back is channels-last; with a batch of 2, or group_norm with as many groups as channels, it is right.
# What to do: torch.nn.functional.group_norm(x, channels), or keep such layers in the default format.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet numpy==2.4.6 torch==2.15.0
"$folder/env/bin/python" - <<'PYTHON'
import torch
from torch import nn

torch.manual_seed(0)


def gradient(batch, dtype, memory_format, group):
    generator = torch.Generator().manual_seed(batch)
    image = torch.randn(batch, 8, 16, 16, generator=generator, dtype=torch.float64).to(dtype)
    back = torch.randn(batch, 8, 16, 16, generator=generator, dtype=torch.float64).to(dtype)
    image = image.to(memory_format=memory_format).requires_grad_()
    norm = (lambda x: nn.functional.group_norm(x, 8)) if group else nn.InstanceNorm2d(8)
    norm(image).backward(back.to(memory_format=memory_format))
    return image.grad.double()


def error(batch, *, group):
    exact = gradient(batch, torch.float64, torch.contiguous_format, group)
    found = gradient(batch, torch.float32, torch.channels_last, group)
    return float((found - exact).norm() / exact.norm())


print("torch", torch.__version__)
wrong, two, group = error(1, group=False), error(2, group=False), error(1, group=True)
print(f"relative error of the input's gradient: batch 1 {wrong:.2g}, batch 2 {two:.2g}, group_norm batch 1 {group:.2g}")
assert wrong > 0.1
assert two < 1e-4 and group < 1e-4
PYTHON
