"""The fixtures of ``pytest_plugins = "i2i.testing"``."""

from __future__ import annotations

from pathlib import Path

import pytest

from i2i.plugins import Plugins
from i2i.testing import folders


@pytest.fixture(scope="session")
def plugins() -> Plugins:
    """The installed plugins."""
    return Plugins()


@pytest.fixture(scope="session")
def paired_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Side-by-side pairs, see `i2i.testing.folders.paired`."""
    return folders.paired(tmp_path_factory.mktemp("paired"))


@pytest.fixture(scope="session")
def unpaired_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two kinds of images, see `i2i.testing.folders.unpaired`."""
    return folders.unpaired(tmp_path_factory.mktemp("unpaired"))


@pytest.fixture(scope="session")
def labelled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a class, see `i2i.testing.folders.labelled`."""
    return folders.labelled(tmp_path_factory.mktemp("labelled"))


@pytest.fixture(scope="session")
def hr_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Larger pictures, see `i2i.testing.folders.high_resolution`."""
    return folders.high_resolution(tmp_path_factory.mktemp("hr"))
