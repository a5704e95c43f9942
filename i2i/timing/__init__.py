"""How fast models and trainings are on this machine, where a step's time goes, and which settings need the least."""
