"""How much memory a network's activations take."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from i2i.api import Translator
from i2i.export.rewriting import is_rewritable


def bytes_per_pixel(translator: Translator, image: Tensor) -> int:
    """Peak memory of a network's activations in bytes, divided by the pixels of the input.

    Args:
        translator: on the CPU, ready for inference.
        image: the input of its example whose pixels are counted, ``(N, C, H, W)`` or ``(N, H, W)``.
    """
    mode = _Counting()
    with torch.no_grad(), mode:  # inference mode would hide what operations are made of
        translator.module(*translator.example.values())
    pixels = image.shape[0] * image.shape[-2] * image.shape[-1]
    return max(1, -(-mode.peak // pixels))


class _Counting(TorchDispatchMode):
    """Adds up the storages that operations make, and takes off those that are freed."""

    def __init__(self) -> None:
        super().__init__()
        self.current = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.convolution.default and args[6]:
            size = result.untyped_storage().nbytes()
            rewritten = is_rewritable(args[1].shape[2:], args[3], args[5], args[8])
            beside = size if rewritten else _columns(args[0], args[1], args[8])  # rewritten: its channels, then pixels
            self.peak = max(self.peak, self.current + size + beside)
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._count(leaf.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.current += size
        self.peak = max(self.peak, self.current)
        weakref.finalize(storage, self._freed, key, size)

    def _freed(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.current -= size


def _columns(image: Tensor, weight: Tensor, groups: int) -> int:
    """Bytes of what onnxruntime multiplies out for a transposed convolution before it adds up the overlaps."""
    return weight[0].numel() * groups * image[0, 0].numel() * image.element_size()
