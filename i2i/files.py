"""Files: their names as text, their order, and putting one in place in one step."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from i2i.errors import ErrorKind, FileError


def printable(text: str | os.PathLike[str]) -> str:
    """A path or another text on one line of any terminal: what cannot be printed is escaped."""
    text = os.fspath(text)
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def natural_order(path: Path) -> list[str]:
    """Sort key of a path in which numbers count by their value, unique to each path."""
    return [*(natural_key(part) for part in path.parts), "", str(path)]


def natural_key(name: str) -> str:
    """Sort key of a name in which numbers count by their value and come before other text."""
    return re.sub("[0-9]+", _sortable, name)


def _sortable(number: re.Match[str]) -> str:
    digits = number[0].lstrip("0")
    return f"\0{chr(len(digits))}{digits}"


def regular_file(path: str | os.PathLike[str]) -> Path:
    """The path, once it is known that opening and reading it will not block.

    Raises:
        FileError: it is a folder, FIFO, socket or device, or has no bytes.
        OSError: it does not exist or cannot be looked at.
    """
    file = Path(path)
    status = file.stat()
    if stat.S_ISDIR(status.st_mode):
        raise FileError(ErrorKind.NOT_AN_IMAGE, "a folder, not an image")
    if not stat.S_ISREG(status.st_mode):
        raise FileError(ErrorKind.UNREADABLE, "not a regular file")
    if status.st_size == 0:
        raise FileError(ErrorKind.EMPTY, "the file is empty")
    return file


def put_file(target: Path, data: bytes, *, replace: bool = True) -> None:
    """Writes `data` to `target` in one step: at every moment what lies under the name is whole, also after a kill.

    A link that lies there is replaced, never followed. Nothing is flushed to the disk (fsync): results can be made
    again from their inputs, and waiting for the disk would cost more than encoding. A power failure may therefore lose,
    or leave empty, what was written in its last seconds.

    On Linux the data go to a file without a name, which is then linked into the folder: no partial file exists even
    for a moment. Where a system or file system cannot do that, they go to a hidden temporary name beside the target,
    which only a kill leaves behind.

    Args:
        target: where to; its folder is there.
        data: the whole content.
        replace: whether a file that is there by then is replaced.

    Raises:
        FileError: something is there and may not or cannot be replaced.
        OSError: it cannot be written.
    """
    if replace and target.is_dir() and not target.is_symlink():
        raise FileError(ErrorKind.BLOCKED, "a folder is in the way")
    try:
        if not _put_nameless(target, data, replace):
            _put_hidden(target, data, replace)
    except FileExistsError as error:
        if target.is_dir() and not target.is_symlink():
            raise FileError(ErrorKind.BLOCKED, "a folder is in the way") from error
        raise FileError(ErrorKind.EXISTS, "exists already") from error


def _put_nameless(target: Path, data: bytes, replace: bool) -> bool:
    """By way of a file without a name; False, and nothing done, where that does not work."""
    if not hasattr(os, "O_TMPFILE"):
        return False
    try:
        handle = os.open(target.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
    except OSError:
        return False
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        try:
            _link_nameless(handle, target)
        except FileExistsError:
            if not replace:
                raise
            with _hidden_name(target) as temporary:
                _link_nameless(handle, temporary)
                temporary.replace(target)
        except OSError:  # no /proc, or a file system without links
            return False
    return True


def _link_nameless(handle: int, name: Path) -> None:
    # `src_dir_fd` means nothing beside an absolute path, but makes Python call linkat, which follows the link in /proc.
    os.link(f"/proc/self/fd/{handle}", name, src_dir_fd=handle, follow_symlinks=True)


def _put_hidden(target: Path, data: bytes, replace: bool) -> None:
    with _hidden_name(target) as temporary:
        with temporary.open("xb") as file:
            file.write(data)
        if replace:
            temporary.replace(target)
        else:
            _rename_to_new(temporary, target)


def _rename_to_new(temporary: Path, target: Path) -> None:
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # no links on this file system: what appears between these two lines is replaced
        if os.path.lexists(target):
            raise FileExistsError from None
        temporary.rename(target)


@contextmanager
def _hidden_name(target: Path) -> Iterator[Path]:
    """A temporary name beside the target; nothing is left there, also after an interrupt."""
    temporary = target.parent / f".i2i-{secrets.token_hex(8)}.tmp"
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
