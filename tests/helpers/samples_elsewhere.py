"""Reads samples that another process sent; it has not loaded the plugin that they come from."""

import pickle
import sys
from pathlib import Path


def write_shape(samples: Path, out: Path) -> None:
    """Writes whether the plugin was loaded before, and the shape of the first source."""
    before = "was loaded" if "misbehaving" in sys.modules else "was not loaded"
    first = pickle.loads(samples.read_bytes())[0, 0]["source"]
    out.write_text(f"misbehaving {before}; {first.shape}")
