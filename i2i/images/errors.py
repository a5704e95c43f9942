"""How a failure at an image file is told: one short line that names the file and the reason."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import UnidentifiedImageError

from i2i.errors import DataError, UserError

_LONGEST_REASON = 160  # characters; some decoders report whole source lines


class Unfit(Exception):  # noqa: N818 - never leaves the package: it becomes a DataError with the file's name
    """The reason why an image cannot be used, without the name of the file."""


class Exists(Unfit):
    """A file is there already that may not be replaced."""


def shown(path: str | os.PathLike[str]) -> str:
    """The path as text that fits on one line of any terminal: what cannot be printed is escaped."""
    return _printable(os.fspath(path))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def reason(error: BaseException) -> str:
    """What an exception says, on one line and without paths or source positions."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, UnidentifiedImageError):
        return "not an image in a known format"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = _printable(" ".join(str(getattr(error, "err", None) or error).split()))[:_LONGEST_REASON]
    if isinstance(error, Unfit):
        return text
    if "truncated" in text.lower():
        return f"cut off ({text})"
    return f"damaged or not supported ({text or type(error).__name__})"


@contextmanager
def named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns what is raised inside, but for our own errors, into a `DataError` of one line that begins with the path."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise DataError(f"{shown(path)}: {reason(error)}") from error


def regular_file(path: str | os.PathLike[str]) -> Path:
    """The path, once it is known that opening and reading it will not block.

    Raises:
        Unfit: it is a folder, FIFO, socket or device, or has no bytes.
        OSError: it does not exist or cannot be looked at.
    """
    file = Path(path)
    status = file.stat()
    if stat.S_ISDIR(status.st_mode):
        raise Unfit("a folder, not an image")
    if not stat.S_ISREG(status.st_mode):
        raise Unfit("not a regular file")
    if status.st_size == 0:
        raise Unfit("the file is empty")
    return file
