"""From YAML and ``--set`` to one checked configuration, which every run saves."""

from i2i.config.resolve import RunConfig, resolve
from i2i.config.sections import DataConfig, EngineConfig, OptimizerConfig, PhaseConfig, ScheduleConfig, TrainConfig
from i2i.config.text import commented_yaml, plain_yaml

__all__ = [
    "DataConfig",
    "EngineConfig",
    "OptimizerConfig",
    "PhaseConfig",
    "RunConfig",
    "ScheduleConfig",
    "TrainConfig",
    "commented_yaml",
    "plain_yaml",
    "resolve",
]
