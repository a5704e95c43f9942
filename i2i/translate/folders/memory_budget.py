"""How much the threads that translate a folder may hold at once."""

from __future__ import annotations

import threading


class Room:
    """Bytes of pixels that may be held at once; in any case a few images, however large, so that their stages overlap.

    Args:
        most: bytes.
        least: images that may be there whatever their size.
    """

    def __init__(self, most: int, least: int) -> None:
        self.most, self.least = most, least
        self._held = self._images = 0
        self._changed = threading.Condition()

    def enter(self, size: int, *, wait: bool) -> None:
        """Counts an image of that many bytes, once there is room for it or at once.

        Who holds an image must not wait: all could wait for each other.
        """
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._images < self.least or self._held + size <= self.most)
            self._held += size
            self._images += 1

    def leave(self, size: int) -> None:
        """Takes an image that was counted with that size out again."""
        with self._changed:
            self._held -= size
            self._images -= 1
            self._changed.notify_all()
