"""Rooms that are being put in order; what is found there is expected for now."""

import pytest

ROOMS = (
    "i2i/cli/data.py", "i2i/config", "i2i/data", "i2i/engine", "i2i/images",
    "i2i/training.py",
)  # fmt: skip


def settle(found: list[str], advice: str = "") -> None:
    """Fails for what was found, unless all of it is in rooms that are being put in order."""
    wrong = [line for line in found if not any(room in line for room in ROOMS)]
    assert not wrong, "\n".join([*wrong, advice])
    if found:
        pytest.xfail("being put in order: " + "; ".join(found))
