"""Small files in the user's cache folder that count only where nobody else could have made them.

A cache that cannot be used is as good as an empty one: nothing is raised.
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from i2i.files import cache_folder, temporary_path

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_MAX_BYTES = 1 << 16


def own_folder(kind: str, name: str = "", most: int = 0) -> Path | None:
    """A folder of the cache that only this user can write to, made if it is missing; None where there can be none.

    Args:
        kind: its name, such as ``checked-models``.
        name: a folder in it, which is meant then.
        most: how many such folders are kept; those used longest ago are removed. 0: all.
    """
    cache = cache_folder()
    if cache is None:
        return None
    folder = cache / kind
    with suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    if not _only_ours(folder) or not name:
        return folder if _only_ours(folder) else None
    with suppress(OSError):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
        os.utime(folder / name)
        others = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in others[most or len(others) :]:
            shutil.rmtree(old, ignore_errors=True)
    return folder / name if _only_ours(folder / name) else None


def recall(kind: str, name: str) -> bytes | None:
    """What was kept under a name; None for nothing that counts.

    Args:
        kind: as for `keep`.
        name: as for `keep`.
    """
    cache = cache_folder()
    if not name or cache is None or not _only_ours(cache / kind) or not _only_ours(cache / kind / name):
        return None
    try:
        with (cache / kind / name).open("rb") as stream:
            return stream.read(_MAX_BYTES)
    except OSError:
        return None


def keep(kind: str, name: str, data: bytes = b"") -> None:
    """Keeps a few bytes under a name, in the place of what is there.

    Args:
        kind: the folder, such as ``checked-models``.
        name: such as a digest; empty: nothing is kept.
        data: at most 64 KiB.
    """
    folder = own_folder(kind) if name else None
    if folder is None:
        return
    with suppress(OSError), temporary_path(folder / name) as temporary:
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        temporary.replace(folder / name)


def forget(kind: str, name: str) -> None:
    """Removes what was kept under a name, if anything was."""
    folder = own_folder(kind) if name else None
    if folder is not None:
        with suppress(OSError):
            (folder / name).unlink()


def _only_ours(path: Path) -> bool:
    """Whether a file or folder is there, belongs to this user and can be written by nobody else; no link will do."""
    try:
        status = path.lstat()
    except OSError:
        return False
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        return False
    if not hasattr(os, "geteuid"):  # Windows: the rights of the user's own folder are inherited
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & _OTHERS_MAY_WRITE
