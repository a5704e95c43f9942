"""Folders that tests read."""

import os
from pathlib import Path

HELPERS = Path(__file__).resolve().parent
ROOT = HELPERS.parents[1]
DATA = Path(os.environ.get("I2I_DATA", ROOT.parent / "shared" / "data"))
"""Real images; tests that need them are skipped where it is absent."""
