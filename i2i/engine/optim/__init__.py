"""The optimiser and the schedule of each phase."""
