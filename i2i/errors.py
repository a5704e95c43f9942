"""The errors that a user can mend: one line that says what, where and what to do.

The command line prints `str(error)` and leaves with `exit_code`; nothing else of i2i is meant to be caught by name.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Something the user asked for cannot be done; the message is one line for a person to read."""

    exit_code = 2


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


def brief(value: object) -> str:
    """A value as a message shows it: in one line, and not much of it."""
    try:
        text = repr(value)
    except Exception:  # somebody else's class
        text = f"a {type(value).__name__}"
    return " ".join(text.split())[:60]


@contextmanager
def blaming(who: str, culprit: Callable[[BaseException], str] = lambda error: "") -> Iterator[None]:
    """Whatever goes wrong inside is named as the fault of `who`, in one line; a `UserError` says enough by itself.

    Args:
        who: what runs inside.
        culprit: what it was in, found from the error; goes behind `who`.

    Raises:
        PluginError: anything else was raised; SystemExit too, for no plugin may end the process.
    """
    try:
        yield
    except UserError as error:
        if "\n" not in str(error):
            raise
        raise type(error)(" ".join(str(error).split())) from error
    except (Exception, SystemExit) as error:
        raise PluginError(f"{who}{culprit(error)}: {one_line(error)} (I2I_DEBUG=1 shows where)") from error
