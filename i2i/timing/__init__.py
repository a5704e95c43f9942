"""Time of a training: where that of a step goes, and which settings need the least."""
