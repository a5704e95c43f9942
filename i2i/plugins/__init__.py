"""Plugins: finding them, the hooks that they implement, the tables of their components, and building by name."""

from i2i.plugins.registry import KINDS, Plugins, nearest

__all__ = ["KINDS", "Plugins", "nearest"]
