"""Remembers which model files have passed the check, so that none is tried twice.

A file is known by the digest of its content, together with the versions of onnxruntime and of the check. What is
kept is an empty file of that name in the user's cache folder. It counts only where nobody else could have made it; a
cache that cannot be used means that the model is checked.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnxruntime

from i2i.runtime.remembered import keep, recall

FIRST_BYTE = b"\x08"
"""Tag of the field ``ir_version``, with which every ONNX file begins."""
MAX_BYTES = 1 << 31
"""Bytes of a message that Protocol Buffers can parse, and so of an ONNX file."""
_KIND = "checked-models"


def verdict_name(file: Path) -> str:
    """The name under which the verdict on a model file is kept; empty for what cannot be an ONNX file.

    The whole file is read each time: nothing that the system says of a file tells for sure that it did not change.

    Raises:
        OSError: the file cannot be read.
    """
    if file.stat().st_size > MAX_BYTES:
        return ""
    with file.open("rb") as stream:
        if stream.read(1) != FIRST_BYTE:  # so that no other large file is read
            return ""
        stream.seek(0)
        digest = hashlib.file_digest(stream, "sha256")
    for part in (_digest_of_check(), onnxruntime.__version__):
        digest.update(f"\0{part}".encode())
    return digest.hexdigest()


def has_passed(name: str) -> bool:
    """Whether a model of that verdict's name has passed the check before.

    Args:
        name: as `verdict_name` gives it.
    """
    return recall(_KIND, name) is not None


def remember_passed(name: str) -> None:
    """Keeps that a model of that verdict's name has passed the check, where only this user can write.

    Args:
        name: as `verdict_name` gives it.
    """
    keep(_KIND, name)


def _digest_of_check() -> str:
    """A digest of the source of the check and of what it runs models with."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
