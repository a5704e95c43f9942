"""How much memory there is, and whether it ran out."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

_MOST = 2 << 30
_UNKNOWN = 2 << 30
_CGROUP = Path("/sys/fs/cgroup")
_NO_MEMORY = re.compile(r"bad_alloc|allocate memory|out of memory|memory allocation|CUDNN_STATUS_ALLOC", re.IGNORECASE)


def budget() -> int:
    """Bytes that the activations of one run may take: half of what is available, at most 2 GiB."""
    return min(_MOST, available() // 2)


def available() -> int:
    """Bytes that can be had without swapping, within the limit of the container; 2 GiB where nothing tells."""
    found = [value for value in (_from_meminfo(), *_from_cgroup()) if value is not None]
    return max(0, min(found)) if found else _from_sysconf() or _UNKNOWN


def ran_out(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is a lack of memory."""
    while error is not None:
        if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
            return True
        error = error.__cause__
    return False


def _from_meminfo() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _from_cgroup() -> list[int]:
    """What is left below the limits of versions 2 and 1 of control groups; cached files give way and count as free."""
    left = []
    for limit, used, folder, cached in [
        ("memory.max", "memory.current", "", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory", "total_inactive_file"),
    ]:
        with suppress(OSError, ValueError):  # "max" is no number: no limit
            free = int((_CGROUP / limit).read_text()) - int((_CGROUP / used).read_text())
            with suppress(OSError, ValueError, KeyError):
                lines = (_CGROUP / folder / "memory.stat").read_text().splitlines()
                free += int(dict(line.split(maxsplit=1) for line in lines)[cached])
            left.append(free)
    return left


def _from_sysconf() -> int | None:
    """Half of the memory built in, where the system tells that much."""
    with suppress(AttributeError, OSError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return None
