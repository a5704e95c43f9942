"""Training: phases, optimisers, precision, checkpoints, validation and logs; knows recipes only by their interface."""

from i2i.engine.device.launch import launch
from i2i.engine.trainer import Outcome, dry_run, train

__all__ = ["Outcome", "dry_run", "launch", "train"]
