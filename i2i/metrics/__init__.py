"""Metrics of a measurement: built by name, shown images, and their figures."""
