"""What SIGINT, SIGTERM and SIGHUP do while the program starts: they end it at once, with their exit code.

Imports nothing that takes time, for the handlers must be there before anything else is imported.
"""

import os
import signal
import sys


def ending_signals() -> list[int]:
    """The numbers of the signals that end the program; SIGHUP is none of them where it is ignored, as under nohup."""
    numbers: list[int] = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # Windows has none
        numbers.append(signal.SIGHUP)
    return numbers


def end_at_once_on_signals() -> None:
    """From now on a signal ends the process at once; its exit code is 128 plus the signal's number."""
    for number in ending_signals():
        signal.signal(number, lambda number, frame: exit_at_once(128 + number))


def exit_at_once(code: int) -> None:
    """Says that the program was interrupted and ends the process, without waiting for other threads.

    The files that they write appear whole or not at all.
    """
    try:
        os.write(2, b"i2i: error: interrupted\n")
        sys.stdout.flush()
    except Exception:  # noqa: S110  nobody is left to be told, or the signal came while the stream was flushed
        pass
    os._exit(code)
