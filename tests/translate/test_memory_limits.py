"""How much memory there is, and which errors say that it ran out."""

import pytest

from i2i import memory
from i2i.errors import DataError, ErrorKind, FileError, ModelError
from i2i.memory import available, ran_out

GIB = 2**30


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine whose system tells what is written into the files of this folder."""
    monkeypatch.setattr(memory, "_MEMORY_INFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CONTROL_GROUPS", tmp_path / "cgroup")
    (tmp_path / "cgroup" / "memory").mkdir(parents=True)
    (tmp_path / "meminfo").write_text(f"MemTotal: 9999999 kB\nMemAvailable: {8 * 2**20} kB\n")
    return tmp_path


def test_all_that_is_available_counts_where_there_is_no_limit(machine):
    assert available() == 8 * GIB
    (machine / "cgroup" / "memory.max").write_text("max\n")
    (machine / "cgroup" / "memory.current").write_text("5\n")
    assert available() == 8 * GIB


@pytest.mark.parametrize(
    ("folder", "limit", "used", "cached"),
    [
        ("", "memory.max", "memory.current", "inactive_file"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ],
    ids=["version 2", "version 1"],
)
def test_a_control_group_limits_it_and_its_cached_files_count_as_free(machine, folder, limit, used, cached):
    place = machine / "cgroup" / folder
    (place / limit).write_text(f"{4 * GIB}\n")
    (place / used).write_text(f"{3 * GIB}\n")
    assert available() == GIB
    (place / "memory.stat").write_text(f"anon 5\n{cached} {GIB}\n")
    assert available() == 2 * GIB


def test_a_group_beyond_its_limit_leaves_nothing(machine):
    (machine / "cgroup" / "memory.max").write_text(f"{GIB}\n")
    (machine / "cgroup" / "memory.current").write_text(f"{2 * GIB}\n")
    assert available() == 0


def test_where_nothing_tells_something_is_assumed(machine, monkeypatch):
    (machine / "meminfo").unlink()
    monkeypatch.setattr(memory.os, "sysconf", lambda name: {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}[name])
    assert available() == 1000 * 4096 // 2

    def unknown(name):
        raise ValueError

    monkeypatch.setattr(memory.os, "sysconf", unknown)
    assert available() == 2 * GIB


@pytest.mark.parametrize(
    "text",
    [
        "std::bad_alloc",
        "bad allocation",
        "Failed to allocate memory for requested buffer of size 1073741824",
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "DefaultCPUAllocator: not enough memory: you tried to allocate 4 bytes",
        "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory",
        "CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED",
        "CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ],
)
def test_what_libraries_say_when_memory_runs_out(text):
    assert ran_out(RuntimeError(text))


def caused(error, cause):
    error.__cause__ = cause
    return error


def test_the_cause_behind_an_error_counts():
    assert ran_out(MemoryError())
    assert ran_out(caused(ModelError("the model failed"), RuntimeError("std::bad_alloc")))
    assert not ran_out(caused(ModelError("the model failed"), RuntimeError("shapes differ")))
    assert not ran_out(None)


def test_of_our_own_errors_the_kind_counts_and_not_the_words():
    assert ran_out(DataError("a.png: too much", kind=ErrorKind.OUT_OF_MEMORY))
    assert ran_out(FileError(ErrorKind.OUT_OF_MEMORY, "too much"))
    assert not ran_out(DataError("out of memory.png: no such file", kind=ErrorKind.MISSING))


def test_a_library_may_have_a_class_of_its_own_for_it():
    class OutOfFramesError(Exception):
        pass

    assert ran_out(caused(ValueError("batch"), OutOfFramesError()), OutOfFramesError)
    assert not ran_out(OutOfFramesError(), KeyError)
