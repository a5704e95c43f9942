"""Sizes on disk as text, and errors for a disk that is full or cannot be written to."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from i2i.errors import DataError, TrainingError, system_reason

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def cannot_write(path: Path, error: BaseException, needed: int | None = None) -> str:
    """One line about a write that failed: what, why, and on a full disk how many bytes are free.

    Args:
        path: the file or folder that was to be written.
        error: the error that writing raised.
        needed: bytes to be written; None if not known.
    """
    reason = system_reason(error).strip()
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
    """Turns a failure to write a file or image inside into the error that ends a training.

    Args:
        path: the file or folder that is written.

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


def byte_text(count: float) -> str:
    """A number of bytes in the unit that makes it short, such as ``3.25 MB``."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
