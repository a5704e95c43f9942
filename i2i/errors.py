"""The errors that a user can mend: one line that says what, where and what to do.

The command line prints `str(error)` and leaves with `exit_code`; nothing else of i2i is meant to be caught by name.
"""


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
