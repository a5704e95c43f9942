"""Options of components: their base class, and choosing another component by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class Config(BaseModel):
    """Base of every component's options.

    Annotated fields with defaults; a docstring under a field, or ``Field(description=...)``, is what
    ``i2i config`` prints. Unknown keys are refused.
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
    """A component chosen by name, with its options beside the name: ``{name: unet, depth: 8}`` or just ``unet``.

    Use the subclass of the wanted kind as a field's type: ``generator: GeneratorChoice = GeneratorChoice("unet")``. The
    options are checked against the chosen component's own `Config` when a run is configured; after that `options` holds
    all of them.
    """

    kind: ClassVar[str]
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Reads a name, or a mapping with ``name`` and options.

        Raises:
            ValueError: it is something else.
        """
        if isinstance(value, Choice):
            value = value.to_dict()
        if isinstance(value, str):
            return cls(value)
        if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
            raise ValueError(f"expected the name of a {cls.kind}, or a mapping with name and options")
        return cls(value["name"], {key: option for key, option in value.items() if key != "name"})

    def to_dict(self) -> dict[str, Any]:
        """The mapping that `parse` takes."""
        return {"name": self.name, **self.options}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(Choice.to_dict)
        )


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


class MetricChoice(Choice):
    """A metric by name; metrics stand in lists, where one without options is written as its name alone."""

    kind = "metric"

    def plain(self) -> str | dict[str, Any]:
        """What `parse` takes, as short as possible."""
        return self.to_dict() if self.options else self.name

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(cls.plain)
        )
