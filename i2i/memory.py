"""How much memory the machine leaves to this process, and whether an error says that it ran out."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from i2i.errors import ErrorKind, FileError, UserError

_ASSUMED_FREE = 2 << 30
"""Bytes that count as free where the system does not tell how many are."""
_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_MEMORY_INFO = Path("/proc/meminfo")

# onnxruntime, cuDNN, cuBLAS and the C++ library raise no class of error that means a lack of memory: only the messages
# tell. This is the one place that reads them.
_OUT_OF_MEMORY = re.compile(
    r"bad_alloc|bad allocation|allocate memory|memory allocation|out of memory|not enough memory|STATUS_ALLOC",
    re.IGNORECASE,
)


def available() -> int:
    """Bytes that this process can get without swapping, within the limit of its container; 2 GiB where unknown."""
    found = [value for value in (_left_on_machine(), *_left_in_control_groups()) if value is not None]
    return max(0, min(found)) if found else _half_of_all() or _ASSUMED_FREE


def ran_out(error: BaseException | None, *classes: type[BaseException]) -> bool:
    """Whether an error, or what caused it, is a lack of memory.

    Args:
        error: the error; None, for convenience, is no lack of memory.
        classes: a library's own classes for a lack of memory, such as ``torch.OutOfMemoryError``.
    """
    while error is not None:
        if isinstance(error, UserError | FileError):
            found = error.kind is ErrorKind.OUT_OF_MEMORY
        else:
            found = isinstance(error, (MemoryError, *classes)) or _OUT_OF_MEMORY.search(str(error)) is not None
        if found:
            return True
        error = error.__cause__
    return False


def _left_on_machine() -> int | None:
    """Bytes that programs can get without swapping, as Linux says; None on other systems."""
    with suppress(OSError, ValueError, IndexError):
        for line in _MEMORY_INFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _left_in_control_groups() -> list[int]:
    """Bytes left below the limits of control groups, version 2 and 1; cached files can be dropped and count as free."""
    left = []
    for folder, limit, used, cached in [
        (_CONTROL_GROUPS, "memory.max", "memory.current", "inactive_file"),
        (_CONTROL_GROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ]:
        with suppress(OSError, ValueError):  # "max" is no number: no limit
            free = int((folder / limit).read_text()) - int((folder / used).read_text())
            with suppress(OSError, ValueError, KeyError):
                lines = (folder / "memory.stat").read_text().splitlines()
                free += int(dict(line.split(maxsplit=1) for line in lines)[cached])
            left.append(free)
    return left


def _half_of_all() -> int | None:
    """Half of the machine's memory in bytes; None where the system does not tell."""
    with suppress(AttributeError, OSError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return None
