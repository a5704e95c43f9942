"""The errors that a user can mend: one line that says what, where and what to do.

The command line prints `str(error)` and leaves with `exit_code`. The message is for people: code that has to tell
errors apart looks at the class and at `kind`, never at the message.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum


class ErrorKind(StrEnum):
    """What is wrong, for code and for ``--json``."""

    MISSING = "missing"
    """There is no such file or folder."""
    UNREADABLE = "unreadable"
    """The system does not let it be read: missing rights, a broken disk, a device in place of a file."""
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
    """Valid, but of a sort that i2i does not read or cannot write."""
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
    """The work was interrupted, by a signal or by the caller."""
    OTHER = "other"
    """Nothing that code needs to tell apart."""


class FileError(Exception):
    """Why a file cannot be used, without its name: callers that know the name turn it into a `DataError`.

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
        kind: what is wrong, for code.
        path: name of the file that the error is about, as `i2i.files.printable` makes it; the message begins with it.

    Attributes:
        exit_code: exit code of the command line.
        kind: what is wrong, for code.
        reason: the message without the file's name.
        path: name of the file that the error is about; empty if there is none, or if `reason` already has the name.
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
    """A file is not an i2i model, or a model does not do what its metadata say."""


class RunError(UserError):
    """A run folder is missing, in use or damaged, or does not hold what was asked for."""


class TrainingError(UserError):
    """Training had begun and cannot go on; the checkpoints written so far are whole."""

    exit_code = 1


def debugging() -> bool:
    """Whether ``I2I_DEBUG`` asks for tracebacks instead of one line."""
    return os.environ.get("I2I_DEBUG", "") not in ("", "0")


def one_line(error: BaseException) -> str:
    """An error as ``Type: message`` in one line, the message cut to 500 characters."""
    try:
        text = str(error)
    except Exception:  # somebody else's class
        text = ""
    return f"{type(error).__name__}: {' '.join(text.split())[:500] or 'no reason given'}"


def system_reason(error: BaseException) -> str:
    """What the system says of an error, such as ``Permission denied``: never the text of a Python exception."""
    return getattr(error, "strerror", None) or "the system gives no reason"


def short_repr(value: object) -> str:
    """The beginning of a value's ``repr`` in one line of at most 60 characters, for messages."""
    try:
        text = repr(value)
    except Exception:  # somebody else's class
        text = f"a {type(value).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def plugin_failures() -> tuple[type[BaseException], ...]:
    """What somebody else's code may raise and must not end the process by, for an ``except`` clause.

    KeyboardInterrupt is among them only where it cannot come from the keyboard: where SIGINT has another handler than
    Python's, as it has in the command line.
    """
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return (Exception, SystemExit) if interruptible else (Exception, SystemExit, KeyboardInterrupt)


@contextmanager
def attributed_to(who: str, detail: Callable[[BaseException], str] = lambda error: "") -> Iterator[None]:
    """Turns any error inside into a `PluginError` of one line that names `who`.

    A `UserError` keeps its class, its kind and its message, which is put on one line.

    Args:
        who: the plugin's code that runs inside, as messages name it.
        detail: text to put behind `who`, found from the error, such as the failing component.

    Raises:
        PluginError: something else than a `UserError` was raised, such as SystemExit: no plugin may end the process.
    """
    try:
        yield
    except UserError as error:
        if "\n" not in str(error):
            raise
        raise type(error)(" ".join(str(error).split()), kind=error.kind) from error
    except plugin_failures() as error:
        raise PluginError(f"{who}{detail(error)}: {one_line(error)} (I2I_DEBUG=1 shows where)") from error
