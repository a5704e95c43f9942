"""Limits the memory that decoded images take while a folder is translated."""

from __future__ import annotations

import threading


class MemoryBudget:
    """Limits the bytes of pixels in memory; a few images are always allowed, however large, so that stages overlap.

    Args:
        max_bytes: bytes that may be held.
        min_images: images that may be held whatever their size.
    """

    def __init__(self, max_bytes: int, min_images: int) -> None:
        self.max_bytes, self.min_images = max_bytes, min_images
        self._held = self._images = 0
        self._changed = threading.Condition()

    def acquire(self, size: int, *, wait: bool) -> None:
        """Counts an image of that many bytes.

        Args:
            size: bytes.
            wait: whether to wait until the budget allows it; a thread that holds an image must not, or all could wait
                for each other.
        """
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._images < self.min_images or self._held + size <= self.max_bytes)
            self._held += size
            self._images += 1

    def release(self, size: int) -> None:
        """Ends counting an image for which `acquire` was called with that many bytes."""
        with self._changed:
            self._held -= size
            self._images -= 1
            self._changed.notify_all()
