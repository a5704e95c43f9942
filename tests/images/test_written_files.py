"""Files are written in one step, and what a killed process leaves is known by its name and removed."""

import errno
import os
import subprocess
import sys
import time

import pytest

from i2i.errors import ErrorKind
from i2i.files import clear_leftovers, clear_own_leftovers, temporary_path, write_file
from i2i.images.errors import kind_and_reason
from i2i.translate.folders.planning.plan import make_writable


@pytest.fixture
def dead():
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def left_over(folder, pid, hours=2):
    path = folder / f".i2i-{pid}-{hours:016x}.tmp"
    path.write_bytes(b"half")
    os.utime(path, (time.time() - hours * 3600,) * 2)
    return path


def test_a_temporary_name_is_gone_at_the_end_whatever_was_made_under_it(tmp_path):
    for make in (lambda path: path.mkdir(), lambda path: path.write_bytes(b"x"), lambda path: None):
        with temporary_path(tmp_path / "target") as temporary:
            make(temporary)
    with pytest.raises(KeyboardInterrupt), temporary_path(tmp_path / "target") as temporary:
        (temporary / "folder").mkdir(parents=True)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_is_renamed_from_a_temporary_name_stays(tmp_path):
    with temporary_path(tmp_path / "target") as temporary:
        temporary.write_bytes(b"x")
        temporary.replace(tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_left_overs_are_told_from_files_at_work(tmp_path, dead):
    gone, alive, own = (left_over(tmp_path, pid) for pid in (dead, os.getppid(), os.getpid()))
    young = left_over(tmp_path, dead, hours=0)  # a process of another machine may have that number
    theirs = [tmp_path / name for name in (".someone.tmp", f".someone.{dead}.tmp")]
    for path in theirs:
        path.write_bytes(b"another program's")
    clear_leftovers(tmp_path)
    assert {path for path in (gone, alive, own, young, *theirs) if path.exists()} == {alive, own, young, *theirs}


def test_in_a_folder_of_its_own_a_process_removes_what_was_left_a_moment_ago(tmp_path, dead):
    gone, alive, own = (left_over(tmp_path, pid, hours=0) for pid in (dead, os.getppid(), os.getpid()))
    clear_own_leftovers(tmp_path)
    assert {path for path in (gone, alive, own) if path.exists()} == {alive}


def test_a_new_translation_clears_what_a_killed_one_left(tmp_path, dead):
    gone = left_over(tmp_path, dead)
    make_writable(tmp_path)
    assert not gone.exists()


@pytest.mark.parametrize("nameless", [True, False])
def test_a_durable_file_is_flushed_before_it_has_its_name_and_the_folder_after(tmp_path, monkeypatch, nameless):
    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    seen, real = [], os.fsync

    def fsync(descriptor):
        seen.append((tmp_path / "a").exists())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_file(tmp_path / "a", b"1")
    assert seen == []
    (tmp_path / "a").unlink()
    write_file(tmp_path / "a", b"2", durable=True)
    assert seen == [False, True]
    assert (tmp_path / "a").read_bytes() == b"2"


def test_what_is_in_the_way_is_an_error_of_the_system_with_a_kind(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"old")
    for name, replace, number, kind in (
        ("folder", True, errno.EISDIR, ErrorKind.BLOCKED),
        ("folder", False, errno.EISDIR, ErrorKind.BLOCKED),
        ("file", False, errno.EEXIST, ErrorKind.EXISTS),
    ):
        with pytest.raises(OSError, match=r"way|exists already") as caught:
            write_file(tmp_path / name, b"new", replace=replace)
        assert caught.value.errno == number
        assert kind_and_reason(caught.value)[0] is kind
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have names on POSIX systems")
def test_devices_and_pipes_are_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to(os.devnull)
    (tmp_path / "file").write_bytes(b"mine")
    with (tmp_path / "file").open("rb") as file:
        (tmp_path / "stdout").symlink_to(f"/proc/{os.getpid()}/fd/{file.fileno()}")
        before = {path: path.lstat().st_ino for path in tmp_path.iterdir()}
        for name in ("pipe", "device", "stdout"):
            with pytest.raises(OSError, match="a device, pipe or socket"):
                write_file(tmp_path / name, b"x")
    assert {path: path.lstat().st_ino for path in tmp_path.iterdir()} == before
