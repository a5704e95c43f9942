"""Checks of backends, the graph that they compute, and what making one imports."""
