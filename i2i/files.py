"""Files: their names as text, their order, writing one in a single step, and where caches lie."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from i2i.errors import ErrorKind, FileError, UserError, short_repr

# Names of temporary files of this version, and of earlier ones; most hold the number of the process that wrote.
_TEMPORARY = re.compile(r"\.i2i-(?P<pid>\d+)-[0-9a-f]{16}\.tmp")
_OLD_TEMPORARY = re.compile(r"\.(?:.+\.(?P<pid>\d+)|step-\d+(?:\.\d+)?|i2i-[0-9a-f]{16})\.tmp")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(/+)|data:[a-z]+/")  # `Path` makes one slash of two
_MAX_WRITING_S = 3600


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


def printable(text: str | os.PathLike[str]) -> str:
    """A path or another text as one line that any terminal can show: unprintable characters are escaped."""
    text = os.fspath(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def user_path(path: object, what: str) -> Path:
    """The path that a user means: ``~`` at its beginning stands for the home folder, as in a shell.

    A shell leaves it as it is in quotes and behind ``=``. Where something has the name as it is written, that is meant.

    Args:
        path: what was given as a path.
        what: what it is to be, for messages, such as ``the output folder``.

    Raises:
        UserError: it is no path, is an address such as ``https://...``, has an empty name, or holds a character that no
            name can hold.
    """
    if not isinstance(path, str | os.PathLike):
        raise UserError(f"{what} is a path, not {short_repr(path)} of type {type(path).__name__}")
    text = os.fsdecode(path)
    if not text:
        raise UserError(f"{what} has an empty name")
    if "\0" in text:
        raise UserError(f"{what} has a null character in its name", path=printable(text))
    if os.path.lexists(text):
        return Path(text)
    if _ADDRESS.match(text):
        address = _ADDRESS.sub(r"\1://", text, count=1) if ":/" in text[:12] else text[:60]
        raise UserError("an address: i2i takes files, so download it first", path=printable(address))
    try:
        return Path(text).expanduser()
    except RuntimeError:  # no such user
        return Path(text)


def printable_lines(text: str) -> str:
    """A text of several lines that any terminal can show: all else that is unprintable is escaped."""
    return "\n".join(map(printable, text.split("\n")))


def control_hint(path: str | os.PathLike[str]) -> str:
    r"""Where a path that is not there has control characters: what may have made them, to end a message; else "".

    In double quotes YAML takes the ``\n`` of ``C:\new`` for a line break.
    """
    if all(c >= " " for c in os.fspath(path)):
        return ""
    return "; it holds a control character, as YAML makes of \\n or \\t in double quotes: use single quotes or none"


def natural_order(path: Path) -> list[str]:
    """Sort key of a path that compares numbers by value, ``2.png`` before ``10.png``; different for each path."""
    return [*(natural_key(part) for part in path.parts), "", str(path)]


def natural_key(name: str) -> str:
    """Sort key of a name that compares numbers by value; numbers come before other text."""
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


def write_file(target: Path, data: bytes, *, replace: bool = True, durable: bool = False) -> None:
    """Writes a file in one step: at every moment, also after a kill, its name stands for a complete file or none.

    A link that lies there is replaced, never followed. On Linux the data go to a file without a name, which is then
    linked into the folder: no partial file exists even for a moment. Where a system or file system cannot do that, they
    go to a temporary name beside the target, which only a kill leaves behind and `clear_leftovers` removes.

    Args:
        target: where to write; its folder must exist.
        data: the whole content.
        replace: whether a file that exists by then is replaced.
        durable: whether the file survives a power failure right afterwards (fsync). Waiting for the disk takes longer
            than encoding an image; without it, what was written in the last seconds may be lost or left empty.

    Raises:
        FileExistsError: something exists there and `replace` is false.
        IsADirectoryError: a folder has the name.
        OSError: it cannot be written, or a device, pipe or socket such as ``/dev/null`` has the name.
    """
    try:
        if replace:
            _refuse_blocked(target)
        if not _write_nameless(target, data, replace, durable):
            _write_hidden(target, data, replace, durable)
    except FileExistsError as error:
        _refuse_folder(target)
        raise FileExistsError(errno.EEXIST, "exists already", str(target)) from error
    if durable:
        sync(target.parent)


@contextmanager
def temporary_path(target: Path) -> Iterator[Path]:
    """A hidden name beside `target` for a file or folder that the caller writes, and then renames to keep it.

    What still has that name at the end is removed. A kill leaves it behind for `clear_leftovers`.
    """
    temporary = target.with_name(f".i2i-{os.getpid()}-{secrets.token_hex(8)}.tmp")
    try:
        yield temporary
    finally:
        with suppress(OSError):
            remove(temporary)


def clear_leftovers(folder: Path) -> None:
    """Removes the temporary files and folders of killed processes from a folder that others may be writing to.

    Those younger than an hour stay, for a process on another machine may be writing them; so do those that cannot be
    removed.

    Args:
        folder: its own entries are looked at, not those of the folders in it.
    """
    with suppress(OSError):
        for path in folder.glob(".i2i-*.tmp"):
            found = _TEMPORARY.fullmatch(path.name)
            if found and time.time() - path.stat().st_mtime > _MAX_WRITING_S and not _process_exists(int(found["pid"])):
                with suppress(OSError):
                    remove(path)


def clear_own_leftovers(folder: Path) -> None:
    """Removes the temporary files and folders of killed processes from a folder that this process alone writes to.

    Those with this process's own number are removed too, for in a container each program may get the same number; so
    are those of earlier versions of i2i.

    Args:
        folder: its own entries are looked at, not those of the folders in it.

    Raises:
        OSError: one cannot be removed.
    """
    for path in folder.glob(".*.tmp"):
        found = _TEMPORARY.fullmatch(path.name) or _OLD_TEMPORARY.fullmatch(path.name)
        if found is None:
            continue
        pid = int(found["pid"] or 0)  # 0: a name without a number, as earlier versions have it
        if pid in (0, os.getpid()) or not _process_exists(pid):
            remove(path)


def remove(path: Path) -> None:
    """Removes a file, a link, or a folder with all that it holds; nothing happens where none exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Makes a file's content, or a folder's list of names, survive a power failure."""
    if path.is_dir() and os.name == "nt":  # Windows cannot open folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_folder(target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        raise IsADirectoryError(errno.EISDIR, "a folder is in the way", str(target))


def _refuse_blocked(target: Path) -> None:
    """Refuses folders, and what programs share: root would replace ``/dev/null``, and ``/dev/stdout``, a link."""
    _refuse_folder(target)
    odd = target.exists() and not (target.is_file() or target.is_dir())
    if odd or (target.is_symlink() and str(target.readlink()).startswith("/proc/")):
        raise OSError(errno.EINVAL, "a device, pipe or socket is in the way, and no file", str(target))


def _write_nameless(target: Path, data: bytes, replace: bool, durable: bool) -> bool:
    """Writes through a file that has no name until it is complete; False, with nothing written, where unsupported."""
    if not hasattr(os, "O_TMPFILE"):
        return False
    try:
        handle = os.open(target.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
    except OSError:
        return False
    with os.fdopen(handle, "wb") as file:
        _fill(file, data, durable)
        try:
            _link_nameless(handle, target)
        except FileExistsError:
            if not replace:
                raise
            with temporary_path(target) as temporary:
                _link_nameless(handle, temporary)
                temporary.replace(target)
        except OSError:  # no /proc, or a file system without links
            return False
    return True


def _link_nameless(handle: int, name: Path) -> None:
    # `src_dir_fd` means nothing beside an absolute path, but makes Python call linkat, which follows the link in /proc.
    os.link(f"/proc/self/fd/{handle}", name, src_dir_fd=handle, follow_symlinks=True)


def _write_hidden(target: Path, data: bytes, replace: bool, durable: bool) -> None:
    with temporary_path(target) as temporary:
        with temporary.open("xb") as file:
            _fill(file, data, durable)
        if replace:
            temporary.replace(target)
        else:
            _rename_to_new(temporary, target)


def _fill(file: BinaryIO, data: bytes, durable: bool) -> None:
    file.write(data)
    file.flush()
    if durable:
        os.fsync(file.fileno())


def _rename_to_new(temporary: Path, target: Path) -> None:
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # no links on this file system: a file that appears between the next two lines is replaced
        if os.path.lexists(target):
            raise FileExistsError from None
        temporary.rename(target)


def _process_exists(pid: int) -> bool:
    if os.name == "nt":  # signal 0 would send Ctrl-C on Windows
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
