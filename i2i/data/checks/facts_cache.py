"""Facts about image files, kept from one check to the next in the user's cache folder.

A file is known by its path, size and times of change. A cache that cannot be read or written counts as empty: it saves
time, and no result depends on it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import PIL

from i2i.data.checks.facts import ImageFacts
from i2i.errors import ErrorKind
from i2i.files import cache_folder, write_file

VERSION = f"6, Pillow {PIL.__version__}, OpenCV {cv2.__version__}"
"""Version of the facts: those of another version are ignored, as it may decode other files or keep other facts."""


class FactsCache:
    """The facts about the files of one data folder.

    Several processes may use it at the same time; the last one to save wins.

    Args:
        root: the data folder; None keeps nothing.
        reading: how files are read, if it is not as usual; each way has a cache of its own.
    """

    def __init__(self, root: Path | None, reading: str = "") -> None:
        folder = cache_folder() if root is not None else None
        self._file: Path | None = None
        self._root = ""
        self._known: dict[str, Any] = {}
        self._asked: dict[str, Any] = {}
        self._changed = False
        if root is None or folder is None:
            return
        self._root = str(root.resolve())
        name = hashlib.sha256((self._root + reading).encode(errors="surrogateescape")).hexdigest()[:32]
        self._file = folder / "data-checks" / f"{name}.json"
        with contextlib.suppress(OSError, ValueError):
            kept = json.loads(self._file.read_bytes())
            if isinstance(kept, dict) and kept.get("version") == VERSION and kept.get("folder") == self._root:
                self._known = dict(kept["files"])

    def state(self, path: Path) -> list[int] | None:
        """Size in bytes and times of change in nanoseconds, by which a change is noticed; None if unknown."""
        try:
            status = path.stat()
        except OSError:
            return None
        return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]

    def get(self, path: Path) -> ImageFacts | None:
        """The facts about a file, if they are known and it has not changed since."""
        entry = self._known.get(str(path.absolute()))
        try:
            if entry is None or entry[0] != self.state(path):
                return None
            facts = _parsed(entry[1])
        except (TypeError, ValueError, LookupError):  # somebody has written into the cache
            return None
        self._asked[str(path.absolute())] = entry
        return facts

    def put(self, path: Path, state: list[int] | None, facts: ImageFacts) -> None:
        """Adds the facts about a file.

        Args:
            path: the file.
            state: the result of `state` before the file was read.
            facts: the facts from reading it.
        """
        if self._file is None or state is None:
            return
        values = ((field, getattr(facts, field.name)) for field in fields(facts))
        kept = {field.name: value for field, value in values if value != field.default}
        self._asked[str(path.absolute())] = [state, kept]
        self._changed = True

    def save(self, *, complete: bool) -> None:
        """Writes the cache file, if there are new facts.

        Args:
            complete: whether all files of the folder were asked for, so that facts about other files can be dropped.
        """
        if self._file is None or not self._changed:
            return
        files = self._asked if complete else self._known | self._asked
        with contextlib.suppress(OSError, UnicodeError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_file(self._file, json.dumps({"version": VERSION, "folder": self._root, "files": files}).encode())


def _parsed(values: dict[str, Any]) -> ImageFacts:
    """The facts from their values in the file.

    Raises:
        TypeError: there is a value of an unknown name, or of a wrong type.
        ValueError: there is an unknown kind.
    """
    values = dict(values)
    for key in {"shape", "left", "right", "left_extremes", "right_extremes", "few"} & values.keys():
        values[key] = tuple(values[key])
    if "kind" in values:
        values["kind"] = ErrorKind(values["kind"])
    return ImageFacts(**values)
