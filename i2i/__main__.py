"""The entry of the ``i2i`` command and of ``python -m i2i``."""

import atexit
import os
import sys

from i2i.signals import end_at_once_on_signals


def main() -> None:
    """Runs the command line; a signal ends it at any moment, also while its modules are imported."""
    end_at_once_on_signals()
    atexit.register(_close_stderr)  # what is registered first runs last
    from i2i.cli import main as run

    run()


def _close_stderr() -> None:
    """Leads stderr to nowhere once all is said: triton, which torch's export imports, prints 30 lines at the very end.

    They are about objects that it did not free itself, and would hide the last lines of a training.
    """
    if "triton" in sys.modules and sys.stderr is not None:
        sys.stderr.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


if __name__ == "__main__":
    main()
