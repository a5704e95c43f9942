"""Checks of trackers."""
