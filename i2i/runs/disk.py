"""Disks: what is said when they are full, files that survive a power failure, left-overs of killed processes."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from i2i.errors import DataError, TrainingError, one_line

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_TEMPORARY = re.compile(r"\.(?:.+\.(?P<pid>\d+)|step-\d+(?:\.\d+)?|i2i-[0-9a-f]{16})\.tmp")


def cannot_write(path: Path, error: BaseException, needed: int | None = None) -> str:
    """One line about a write that failed: what, why, and on a full disk how many bytes are free.

    Args:
        path: what was to be written.
        error: what went wrong.
        needed: bytes to be written, where known.
    """
    reason = (getattr(error, "strerror", None) or one_line(error)).strip()
    free = free_bytes(path)
    if needed is not None:
        if free < needed and not isinstance(error, OSError):  # torch says "unexpected pos 576 vs 534"
            reason = os.strerror(errno.ENOSPC)
        reason += f"; it needs {needed:,} bytes, {free:,} are free"
    elif getattr(error, "errno", None) in _FULL:
        reason += f"; {free:,} bytes are free"
    return f"{path}: cannot write: {reason}"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A failure to write inside ends the training with one line, for an image too.

    Args:
        path: what is written.

    Raises:
        TrainingError: it could not be written.
    """
    try:
        yield
    except (OSError, DataError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError):
            raise
        raise TrainingError(f"{cannot_write(path, cause)}; make room and go on with --resume") from error


def free_bytes(path: Path) -> int:
    """Bytes that may still be written where `path` is, or is to be."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def sync(path: Path) -> None:
    """Makes a file's content, or a folder's list of names, survive a power failure."""
    if path.is_dir() and os.name == "nt":  # Windows cannot open folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_name(path: Path) -> Path:
    """A hidden name beside `path` from which `clear_left_overs` knows whose it is."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def clear_left_overs(folder: Path) -> None:
    """Removes temporary files and folders of processes that are no more; to be called at a start."""
    for path in folder.glob(".*.tmp"):
        if (found := _TEMPORARY.fullmatch(path.name)) and not _at_work(found["pid"]):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _at_work(pid: str | None) -> bool:
    """Whether another process of this number lives; this one has nothing to keep at its start."""
    if pid is None or int(pid) == os.getpid():
        return False
    if os.name == "nt":  # there a signal of 0 is Ctrl-C
        return True
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
