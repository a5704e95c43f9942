"""Facts about image files, kept from one check to the next in the user's cache folder.

A file is known by its path, size and times of change. What cannot be read or written is as good as not there: the cache
saves time and nothing depends on it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import PIL

from i2i.files import write_file

if TYPE_CHECKING:
    from i2i.data.checks.facts import Facts

VERSION = f"1, Pillow {PIL.__version__}, OpenCV {cv2.__version__}"
"""Facts of another version are not used: it may read other files, or say other things of them."""


def cache_folder() -> Path | None:
    """The user's cache folder for i2i, or what ``I2I_CACHE`` names; None where there is no home."""
    if folder := os.environ.get("I2I_CACHE"):
        return Path(folder)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "i2i"
    if sys.platform == "win32" and (base := os.environ.get("LOCALAPPDATA")):
        return Path(base) / "i2i" / "Cache"
    try:
        return Path.home() / ".cache" / "i2i"
    except RuntimeError:
        return None


class Store:
    """The facts about the files of one data folder.

    Several processes may use it at the same time; the last one to save wins.

    Args:
        root: the data folder; None keeps nothing.
    """

    def __init__(self, root: Path | None) -> None:
        folder = cache_folder() if root is not None else None
        self._file: Path | None = None
        self._place = ""
        self._known: dict[str, Any] = {}
        self._asked: dict[str, Any] = {}
        self._new = False
        if root is None or folder is None:
            return
        self._place = str(root.resolve())
        name = hashlib.sha256(self._place.encode(errors="surrogateescape")).hexdigest()[:32]
        self._file = folder / "data-checks" / f"{name}.json"
        with contextlib.suppress(OSError, ValueError):
            kept = json.loads(self._file.read_bytes())
            if isinstance(kept, dict) and kept.get("version") == VERSION and kept.get("folder") == self._place:
                self._known = dict(kept["files"])

    def state(self, path: Path) -> list[int] | None:
        """What changes when a file does: size and times in nanoseconds; None if it cannot be looked at."""
        try:
            status = path.stat()
        except OSError:
            return None
        return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]

    def get(self, path: Path) -> dict[str, Any] | None:
        """The facts of a file that has not changed since, as arguments of `Facts`; None if there are none."""
        entry = self._known.get(str(path.absolute()))
        try:
            if entry is None or entry[0] != self.state(path):
                return None
            facts = dict(entry[1])
            for key in {"shape", "left", "right"} & facts.keys():
                facts[key] = tuple(facts[key])
        except (TypeError, ValueError, LookupError):  # somebody has written into the cache
            return None
        self._asked[str(path.absolute())] = entry
        return facts

    def put(self, path: Path, state: list[int] | None, facts: Facts) -> None:
        """Notes what was found in a file that was in that state before it was read."""
        if self._file is None or state is None:
            return
        usual = {one.name: one.default for one in fields(facts)}
        kept = {key: value for key, value in asdict(facts).items() if value != usual[key]}
        self._asked[str(path.absolute())] = [state, kept]
        self._new = True

    def save(self, *, whole: bool) -> None:
        """Writes what is new.

        Args:
            whole: whether all files were asked for, so that what was not asked for is there no more.
        """
        if self._file is None or not self._new:
            return
        files = self._asked if whole else self._known | self._asked
        with contextlib.suppress(OSError, UnicodeError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_file(self._file, json.dumps({"version": VERSION, "folder": self._place, "files": files}).encode())
