"""Validation during a training: what is measured, the best step, and the share of the time that it may take."""
