"""From YAML and ``--set`` to one checked configuration, which every run saves."""

from i2i.config.resolve import RunConfig, Settings, resolve, setting_layers, validation_reason
from i2i.config.sections import (
    DataConfig,
    EngineConfig,
    PhaseConfig,
    TrainConfig,
    parse_range,
)
from i2i.config.text import commented_yaml, plain_yaml, setting

__all__ = [
    "DataConfig",
    "EngineConfig",
    "PhaseConfig",
    "RunConfig",
    "Settings",
    "TrainConfig",
    "commented_yaml",
    "parse_range",
    "plain_yaml",
    "resolve",
    "setting",
    "setting_layers",
    "validation_reason",
]
