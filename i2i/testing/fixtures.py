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
    """A folder of side-by-side pairs: ``train`` and ``val``, 8 and 3 files of 72x144 pixels."""
    return folders.paired(tmp_path_factory.mktemp("paired"))


@pytest.fixture(scope="session")
def unpaired_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of unpaired images: ``trainA trainB valA valB``, 8 and 3 files of 72x72 pixels each."""
    return folders.unpaired(tmp_path_factory.mktemp("unpaired"))


@pytest.fixture(scope="session")
def labelled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four classes: a folder for each in ``train`` and ``val``, with 8 and 3 files of 72x72 pixels."""
    return folders.labelled(tmp_path_factory.mktemp("labelled"))


@pytest.fixture(scope="session")
def hr_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures for super-resolution: ``train`` and ``val``, 8 and 3 files of 144x144 pixels."""
    return folders.high_resolution(tmp_path_factory.mktemp("hr"))
