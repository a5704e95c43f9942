"""Plugins: finding them, the hooks that they implement, the tables of their components, and building by name."""

from i2i.plugins.names import KINDS, nearest
from i2i.plugins.registry import Plugins

__all__ = ["KINDS", "Plugins", "nearest"]
