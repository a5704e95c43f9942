"""Runs test files with a pytest inside this one: as their authors would, but without the start of a process."""

import sys
from pathlib import Path

import pytest


class _Outcomes:
    """A pytest plugin that keeps what became of each test."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.problems: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.problems.append(f"{report.nodeid}\n{report.longreprtext}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed or report.skipped:
            self.problems.append(f"{report.nodeid}\n{report.longreprtext}")
        elif report.when == "call":
            self.passed.append(report.nodeid)


def passed_tests(*files: Path) -> list[str]:
    """Runs the files and returns the tests that passed.

    Raises:
        AssertionError: a test failed or was skipped, or a file could not be read.
    """
    outcomes, folder = _Outcomes(), files[0].parent
    alone = [
        "-c",
        "/dev/null",
        f"--rootdir={folder}",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-p",
        "no:faulthandler",
    ]
    loaded, meta_path, path = set(sys.modules), list(sys.meta_path), list(sys.path)
    try:
        code = pytest.main(["-q", *alone, *map(str, files)], plugins=[outcomes])
    finally:
        sys.meta_path[:], sys.path[:] = meta_path, path
        for name in {file.stem for file in files} - loaded:
            sys.modules.pop(name, None)
    assert code == 0, "\n".join([f"pytest left with {code}", *outcomes.problems])
    return outcomes.passed
