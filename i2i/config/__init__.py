"""From YAML and ``--set`` to one checked configuration, which every run saves."""

from i2i.config.resolve import RunConfig, Settings, data_section, resolve, setting_layers, validation_reason
from i2i.config.sections import DataConfig, EngineConfig, PhaseConfig, TrainConfig
from i2i.config.text import commented_yaml, plain_yaml, setting
from i2i.config.values import Size, height_and_width, parse_range, size_text

__all__ = [
    "DataConfig",
    "EngineConfig",
    "PhaseConfig",
    "RunConfig",
    "Settings",
    "Size",
    "TrainConfig",
    "commented_yaml",
    "data_section",
    "height_and_width",
    "parse_range",
    "plain_yaml",
    "resolve",
    "setting",
    "setting_layers",
    "size_text",
    "validation_reason",
]
