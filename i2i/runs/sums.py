"""SHA-256 digests of a folder's files, in a file that ``sha256sum --check`` reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

NAME = "SHA256SUMS"


class MismatchError(Exception):
    """A file is not as it was written; the message is its path and what is wrong."""


def write_sums(folder: Path) -> None:
    """Writes the digests of all files in a folder."""
    (folder / NAME).write_bytes(_text({path.name: digest(path) for path in sorted(folder.iterdir())}).encode())


def read_sums(folder: Path) -> dict[str, str]:
    """The digests by file name.

    Raises:
        MismatchError: the file of the digests is not as `write_sums` writes it.
        OSError: it cannot be read.
    """
    content = (folder / NAME).read_bytes()
    found = {}
    for line in content.split(b"\n")[:-1]:
        value, _, name = line.decode(errors="replace").partition("  ")
        found[name] = value
    if _text(found).encode() != content:
        raise MismatchError(f"{folder / NAME}: damaged: it is no list of digests")
    return found


def check_sums(folder: Path, sums: Mapping[str, str], names: Iterable[str]) -> None:
    """Compares files with their digests.

    Raises:
        MismatchError: one has no digest, or another one.
        OSError: one cannot be read.
    """
    for name in names:
        if name not in sums:
            raise MismatchError(f"{folder / name}: damaged: it has no digest")
        if digest(folder / name) != sums[name]:
            raise MismatchError(f"{folder / name}: damaged: its content does not match its digest")


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(sums: Mapping[str, str]) -> str:
    return "".join(f"{value}  {name}\n" for name, value in sums.items())
