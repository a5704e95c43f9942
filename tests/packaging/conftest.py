"""Environments with the wheel: a plain one, and one with all extras."""

import os
import shutil

import pytest

from helpers.environments import WHEEL, built_wheel, make_environment


@pytest.fixture(scope="module")
def new_environment(tmp_path_factory):
    """Makes environments with the packages asked for; they are removed when the tests of the file are done."""
    if WHEEL not in os.environ:
        pytest.skip(f"{WHEEL} names no folder with a wheel; .ci/run builds one")
    folder = tmp_path_factory.mktemp("environments")

    def make(name, *requirements):
        return make_environment(folder / name, *requirements)

    yield make
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def light(new_environment):
    """The plain distribution."""
    return new_environment("light", str(built_wheel()))


@pytest.fixture(scope="module")
def full(new_environment):
    """The distribution with all extras."""
    return new_environment("full", f"i2i-toolkit[all] @ {built_wheel().as_uri()}")
