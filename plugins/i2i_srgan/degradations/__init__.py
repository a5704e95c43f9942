"""Transforms that make small, damaged images out of large ones."""
