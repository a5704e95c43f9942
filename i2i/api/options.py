"""Options of components: their base class, and choosing another component by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class Config(BaseModel):
    """Base class of every component's options: a pydantic model of annotated fields with defaults.

    The docstring under a field, or ``Field(description=...)``, is what ``i2i config`` and ``i2i plugins show`` print.
    Unknown keys, values of the wrong type, infinities and NaN are refused. An object cannot be changed.

    Raises:
        pydantic.ValidationError: a key or value does not fit; on the command line that is one line and exit code 2.

    Example:
        >>> import i2i
        >>> class StripesConfig(i2i.Config):
        ...     width: int = 8
        ...     '''Width of a stripe in pixels.'''
        >>> StripesConfig(width=4)
        StripesConfig(width=4)
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
        coerce_numbers_to_str=True,
    )


@dataclass(frozen=True)
class Choice:
    """A component chosen by name, together with its options.

    Use the subclass of the kind in question as the type of a recipe's option; users then choose any plugin's component
    of that kind, and set its options: ``--set RECIPE.generator=unet --set RECIPE.generator.depth=8``, or
    ``generator: {name: unet, depth: 8}`` in a file. Hand the object to `Build`, which builds the component.

    The options are checked against the component's own `Config` when a run is configured; from then on `options` holds
    all of them, those with default values too.

    Attributes:
        kind: kind of component, such as ``generator``; each subclass has its own.
        name: the component's name.
        options: values by option; as keywords they can be given, too: ``LossChoice("r1", weight=10)``.

    Example:
        >>> import i2i
        >>> class StripesConfig(i2i.Config):
        ...     generator: i2i.GeneratorChoice = i2i.GeneratorChoice("unet")
        ...     '''Network that translates.'''
        >>> StripesConfig(generator={"name": "resnet", "blocks": 3}).generator
        GeneratorChoice(name='resnet', options={'blocks': 3})
    """

    kind: ClassVar[str]
    name: str
    options: Mapping[str, Any]

    def __init__(self, name: str, options: Mapping[str, Any] = MappingProxyType({}), **more: Any) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "options", {**options, **more})

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Reads a choice from its form in a configuration.

        Args:
            value: a name; a mapping with ``name`` and options; or a `Choice`.

        Returns:
            An object of the class on which the method is called.

        Raises:
            ValueError: the value is something else.
        """
        if isinstance(value, Choice):
            value = value.to_dict()
        if isinstance(value, str):
            return cls(value)
        if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
            article = "an" if cls.kind[0] in "aeiou" else "a"
            raise ValueError(f"expected the name of {article} {cls.kind}, or a mapping with name and options")
        return cls(value["name"], {key: option for key, option in value.items() if key != "name"})

    def to_dict(self) -> dict[str, Any]:
        """The choice as a mapping that `parse` takes: ``name`` first, then the options."""
        return {"name": self.name, **self.options}

    def plain(self) -> str | dict[str, Any]:
        """The shortest form that `parse` takes: the name alone if there are no options, else a mapping."""
        return self.to_dict() if self.options else self.name

    def _serialized(self) -> Any:
        """The value that pydantic writes for the choice."""
        return self.to_dict()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        write = core_schema.plain_serializer_function_ser_schema(lambda choice: choice._serialized())
        return core_schema.no_info_plain_validator_function(cls.parse, serialization=write)


class GeneratorChoice(Choice):
    """A generator by name."""

    kind = "generator"


class DiscriminatorChoice(Choice):
    """A discriminator by name."""

    kind = "discriminator"


class LossChoice(Choice):
    """A loss by name."""

    kind = "loss"


class FeaturesChoice(Choice):
    """A feature network by name."""

    kind = "features"


class DatasetChoice(Choice):
    """A dataset layout by name."""

    kind = "dataset"


class TransformChoice(Choice):
    """A transform by name."""

    kind = "transform"


class OptimizerChoice(Choice):
    """An optimiser by name."""

    kind = "optimizer"


class ScheduleChoice(Choice):
    """A schedule of the learning rate by name."""

    kind = "schedule"


class MetricChoice(Choice):
    """A metric by name; in a configuration file one without options is written as its name alone."""

    kind = "metric"
    _serialized = Choice.plain


class TrackerChoice(Choice):
    """A tracker by name; in a configuration file one without options is written as its name alone."""

    kind = "tracker"
    _serialized = Choice.plain
