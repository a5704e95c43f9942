"""What a plugin author uses: the base classes, the records that hooks return, and the marker for hook functions.

This package is the lowest of i2i but for the errors, and imports no torch: reading a plugin's table stays cheap.
"""

from i2i.api.components import PLUGIN_API, Component, hookimpl
from i2i.api.datasets import Dataset, Reader, Transform
from i2i.api.metrics import MetricContext
from i2i.api.options import (
    Choice,
    Config,
    DatasetChoice,
    DiscriminatorChoice,
    FeaturesChoice,
    GeneratorChoice,
    LossChoice,
    MetricChoice,
    OptimizerChoice,
    ScheduleChoice,
    TrackerChoice,
    TransformChoice,
)
from i2i.api.protocols import Build, Context, ImagePool
from i2i.api.recipes import Phase, Recipe, Translator
from i2i.api.trackers import TrackedRun, Tracker
from i2i.interface import (
    Image,
    ImageInput,
    LabelMap,
    LabelMapInput,
    MaskInput,
    Number,
    NumberInput,
    TextInput,
    Vector,
    VectorInput,
    encode_text,
)

__all__ = [
    "PLUGIN_API",
    "Build",
    "Choice",
    "Component",
    "Config",
    "Context",
    "Dataset",
    "DatasetChoice",
    "DiscriminatorChoice",
    "FeaturesChoice",
    "GeneratorChoice",
    "Image",
    "ImageInput",
    "ImagePool",
    "LabelMap",
    "LabelMapInput",
    "LossChoice",
    "MaskInput",
    "MetricChoice",
    "MetricContext",
    "Number",
    "NumberInput",
    "OptimizerChoice",
    "Phase",
    "Reader",
    "Recipe",
    "ScheduleChoice",
    "TextInput",
    "TrackedRun",
    "Tracker",
    "TrackerChoice",
    "Transform",
    "TransformChoice",
    "Translator",
    "Vector",
    "VectorInput",
    "encode_text",
    "hookimpl",
]
