"""Trying out model files of unknown origin in a process that may fail in its place."""
