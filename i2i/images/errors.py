"""Errors of image files: one short line with the file's name and the reason, and their kind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from i2i.errors import DataError, ErrorKind, FileError, UserError
from i2i.files import printable

_KINDS_OF_SYSTEM_ERRORS = {
    FileNotFoundError: ErrorKind.MISSING,
    FileExistsError: ErrorKind.EXISTS,
    IsADirectoryError: ErrorKind.BLOCKED,  # only writing raises it: reading refuses folders before it opens them
}


def kind_and_reason(error: BaseException) -> tuple[ErrorKind, str]:
    """The kind of an exception, and the reason on one line, without paths.

    The messages of decoders are written for programmers and are left out: those of damaged files name array indices and
    source positions. What can be told from the file itself, the formats have told by a `FileError` before.
    """
    if isinstance(error, MemoryError):
        return ErrorKind.OUT_OF_MEMORY, "not enough memory"
    if isinstance(error, OSError) and error.strerror:
        return _KINDS_OF_SYSTEM_ERRORS.get(type(error), ErrorKind.UNREADABLE), error.strerror
    if isinstance(error, FileError):
        return error.kind, printable(" ".join(str(error).split()))
    return ErrorKind.DAMAGED, "damaged, or of a sort that i2i does not read"


@contextmanager
def errors_about(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns any error inside, except a `UserError`, into a `DataError` of one line that begins with the path.

    Args:
        path: the image file that the code inside reads or writes.

    Raises:
        DataError: an error was raised inside.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        kind, text = kind_and_reason(error)
        raise DataError(text, kind=kind, path=printable(path)) from error
