"""Training: phases, optimisers, precision, checkpoints, validation and logs; knows recipes only by their interface."""

from i2i.engine.device.launch import launch
from i2i.engine.loop import Outcome, train

__all__ = ["Outcome", "launch", "train"]
