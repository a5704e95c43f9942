"""One training at a time in a run folder, on one machine or several. Imports no torch.

On one machine the kernel's lock decides: it is free as soon as its owner is dead, however it died. Network file systems
may keep such locks to one machine; so the owner also touches a file that has its process number and host. A process on
another host that finds the file waits for a touch: without one the owner is dead, and its run is taken over.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from i2i.errors import RunError
from i2i.runs.disk import cannot_write

HEARTBEAT_S = 5.0
"""Seconds between two heartbeats of the owner."""
DEAD_AFTER_S = 12.0
"""Seconds without a heartbeat after which an owner on another host counts as dead."""


class RunLock:
    """A run folder that belongs to this process until `release` or its death.

    Args:
        folder: the run's folder.

    Raises:
        RunError: another training is using it, or the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._lock, self._owner = FileLock(folder / ".lock", timeout=0), folder / ".owner"
        self._ended = threading.Event()
        advice = "wait for it, or choose another --out"
        try:
            self._lock.acquire()
        except Timeout as error:
            raise RunError(f"{folder}: in use by {_read(self._owner) or 'another process'}; {advice}") from error
        except (OSError, NotImplementedError) as error:
            raise RunError(cannot_write(folder, error)) from error
        try:
            if who := self._owner_elsewhere():
                raise RunError(f"{folder}: in use by {who}, which was just seen alive; {advice}")
            self._owner.write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
        except OSError as error:
            self._lock.release()
            raise RunError(cannot_write(folder, error)) from error
        except BaseException:
            self._lock.release()
            raise
        self._heartbeat = threading.Thread(target=self._keep_alive, name="heartbeat", daemon=True)
        self._heartbeat.start()

    def release(self) -> None:
        """Frees the run."""
        self._ended.set()
        self._heartbeat.join()
        with suppress(OSError):
            self._owner.unlink(missing_ok=True)
        self._lock.release()

    def _owner_elsewhere(self) -> str:
        """Who is training here on another host; empty if nobody has sent a heartbeat for long enough."""
        who, begin = _read(self._owner), time.monotonic()
        if not who or who.endswith(f" on {platform.node()}"):
            return ""
        first = _touched(self._owner)
        while time.monotonic() - begin < DEAD_AFTER_S:
            time.sleep(min(1.0, DEAD_AFTER_S / 10))
            if _touched(self._owner) != first:
                return _read(self._owner)
        return ""

    def _keep_alive(self) -> None:
        while not self._ended.wait(HEARTBEAT_S):
            with suppress(OSError):  # whatever is wrong with the disk, the training itself will find it
                os.utime(self._owner)


def _read(owner: Path) -> str:
    try:
        return owner.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _touched(owner: Path) -> int:
    """When the file was touched last; it is opened because network file systems refresh what they know then."""
    try:
        with owner.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return 0
