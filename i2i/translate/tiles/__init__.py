"""Translating images that are too large for the network's memory, piece by piece."""
