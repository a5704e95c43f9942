"""The digest of a file's content, which is read again only if the file may have changed."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from i2i.runtime.remembered import keep, recall

_KIND = "file-digests"
_SETTLED_SECONDS = 2.0
"""Seconds after a file's last change from which on another change shows in its time, on every file system."""


def content_digest(file: Path) -> str:
    """SHA-256 of a file's content in hexadecimal digits: read, or remembered while nothing has changed.

    Whatever changes a file, or puts another one under its name, changes its inode or the time of its last change, which
    no program can set. A change right after that time may not show in it, so that the digest of such a file is not
    remembered; neither is any on Windows, which keeps no such time.

    Raises:
        OSError: the file cannot be read.
    """
    with file.open("rb") as stream:
        status = os.fstat(stream.fileno())
        seen = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        name = hashlib.sha256(repr(seen).encode()).hexdigest()
        settled = os.name == "posix" and 0 < status.st_ctime < time.time() - _SETTLED_SECONDS
        if settled and (known := recall(_KIND, name)):
            return known.decode("ascii", "replace")
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if settled and os.fstat(stream.fileno()).st_ctime_ns == status.st_ctime_ns:
            keep(_KIND, name, digest.encode())
        return digest
