"""The errors that a user can mend: one line that says what, where and what to do.

The command line prints `str(error)` and leaves with `exit_code`. The message is for people: code that has to tell
errors apart looks at the class and at `kind`, never at the message.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum


class ErrorKind(StrEnum):
    """What is wrong, for code and for ``--json``."""

    MISSING = "missing"
    """There is no such file or folder."""
    UNREADABLE = "unreadable"
    """The system does not let it be read: rights, a broken disk, a file that is no regular one."""
    EMPTY = "empty"
    """The file has no bytes."""
    NOT_AN_IMAGE = "not-an-image"
    """The content is of no known format, or an array has no shape or type of an image."""
    CUT_OFF = "cut-off"
    """Data are missing at the end or in between."""
    DAMAGED = "damaged"
    """The content contradicts its format."""
    IMPLAUSIBLE = "implausible"
    """A header promises more than the data can hold: damaged, or made to fill the memory."""
    TOO_LARGE = "too-large"
    """More pixels, pages or bytes than a limit allows."""
    UNSUPPORTED = "unsupported"
    """Right by itself, but of a sort that is not read or cannot be written."""
    OUT_OF_RANGE = "out-of-range"
    """Values that are not finite, or outside of the range that they should have."""
    CHANNELS = "channels"
    """A number of channels that cannot be converted to what is needed."""
    UNEQUAL_SIZES = "unequal-sizes"
    """Images that belong together have sizes that do not fit."""
    NO_PARTNER = "no-partner"
    """One image of a pair is missing."""
    SAME_NAME = "same-name"
    """Two files differ in nothing but the ending of their name, where the name alone decides what belongs together."""
    EXISTS = "exists"
    """A file is there already that may not be replaced."""
    BLOCKED = "blocked"
    """Something else is where a file should be written."""
    OUT_OF_MEMORY = "out-of-memory"
    """The memory of machine or device was not enough."""
    INTERRUPTED = "interrupted"
    """It was asked to stop."""
    OTHER = "other"
    """Nothing that code needs to tell apart."""


class FileError(Exception):
    """Why a file cannot be used, without its name; who knows the name turns it into a `DataError`.

    Attributes:
        kind: what is wrong, for code.
    """

    def __init__(self, kind: ErrorKind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class UserError(Exception):
    """Something the user asked for cannot be done; the message is one line for a person to read.

    Args:
        reason: what is wrong.
        kind: the same for code.
        path: name of the file that it is about, as `i2i.files.printable` makes it; the message begins with it.

    Attributes:
        exit_code: exit code of the command line.
        kind: what is wrong, for code.
        reason: the message without the file's name.
        path: name of the file that it is about; empty where the message itself has to tell.
    """

    exit_code = 2

    def __init__(self, reason: object = "", *, kind: ErrorKind = ErrorKind.OTHER, path: str = "") -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.kind = kind
        self.reason = str(reason)
        self.path = path


class ConfigError(UserError):
    """A configuration file, `--set` or option has an unknown key or a value that does not fit."""


class PluginError(UserError):
    """A plugin cannot be loaded, breaks the hook's contract, or gives a name that another gives too."""


class DataError(UserError):
    """A data folder or an image cannot be used."""


class ModelError(UserError):
    """A file is no model of ours, or a model does not do what its metadata says."""


class RunError(UserError):
    """A run folder is in use, damaged, or holds something else than was asked for."""


class TrainingError(UserError):
    """Training had begun and cannot go on; the checkpoints written so far are whole."""

    exit_code = 1


def debugging() -> bool:
    """Whether ``I2I_DEBUG`` asks for tracebacks instead of one line."""
    return os.environ.get("I2I_DEBUG", "") not in ("", "0")


def one_line(error: BaseException) -> str:
    """An error as ``Type: message`` in one line."""
    try:
        text = str(error)
    except Exception:  # somebody else's class
        text = ""
    return f"{type(error).__name__}: {' '.join(text.split())[:500] or 'no reason given'}"


def short_repr(value: object) -> str:
    """The beginning of a value's ``repr`` in one line of at most 60 characters, for messages."""
    try:
        text = repr(value)
    except Exception:  # somebody else's class
        text = f"a {type(value).__name__}"
    return " ".join(text.split())[:60]


@contextmanager
def attributed_to(who: str, detail: Callable[[BaseException], str] = lambda error: "") -> Iterator[None]:
    """Turns any error inside into a `PluginError` of one line that names `who`; a `UserError` stays as it is.

    Args:
        who: what runs inside.
        detail: where inside, found from the error; put behind `who`.

    Raises:
        PluginError: anything else was raised; SystemExit too, for no plugin may end the process.
    """
    try:
        yield
    except UserError as error:
        if "\n" not in str(error):
            raise
        raise type(error)(" ".join(str(error).split()), kind=error.kind) from error
    except (Exception, SystemExit) as error:
        raise PluginError(f"{who}{detail(error)}: {one_line(error)} (I2I_DEBUG=1 shows where)") from error
