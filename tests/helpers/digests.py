"""Digests of what a checkpoint holds, whatever bytes it was written as: equal values may be pickled in other ways."""

import hashlib

import torch
from torch import Tensor


def digest(value: object) -> str:
    """Of tensors and plain values in mappings and lists."""
    total = hashlib.sha256()

    def add(part: object) -> None:
        if isinstance(part, Tensor):
            total.update(repr((part.dtype, tuple(part.shape))).encode())
            total.update(part.contiguous().flatten().view(torch.uint8).numpy().tobytes() if part.numel() else b"")
        elif isinstance(part, dict):
            for key, item in part.items():
                total.update(repr(key).encode())
                add(item)
        elif isinstance(part, list | tuple):
            for item in part:
                add(item)
        else:
            total.update(repr(part).encode())

    add(value)
    return total.hexdigest()
