"""Builds components by name: what `Recipe.networks` gets as `build`."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from i2i.api import Choice, Component, Config, Recipe
from i2i.errors import ConfigError, PluginError, attributed_to
from i2i.plugins.names import nearest
from i2i.plugins.registry import Plugins

if TYPE_CHECKING:
    from torch import Tensor, nn


MODULES = ("generator", "discriminator", "loss", "features")
"""Kinds of components that are modules of torch."""


@dataclass(frozen=True)
class Built:
    """A component that was built, and what it was asked for.

    Attributes:
        kind: of component.
        who: its name, its plugin's and its distribution's, for messages.
        module: the component.
        size: (height, width) of images that are made from no image.
        out_channels: of a generator.
    """

    kind: str
    who: str
    module: nn.Module
    size: tuple[int, int]
    out_channels: int = 0


def build_recipe(plugins: Plugins, name: str, config: Config) -> Recipe:
    """The recipe of that name.

    Raises:
        PluginError: it cannot be built, or is no recipe.
    """
    who = plugins.full_name("recipe", name)
    with attributed_to(who):
        recipe = plugins.get("recipe", name).build(config)
    if not isinstance(recipe, Recipe):
        raise PluginError(f"{who}: must build an i2i.Recipe, not a {type(recipe).__name__}")
    needs = recipe.needs
    if isinstance(needs, str) or not isinstance(needs, Collection) or not all(isinstance(key, str) for key in needs):
        raise PluginError(f"{who}: needs must be a set of names, such as {{'source', 'target'}}, not {recipe.needs!r}")
    return recipe


class Builder:
    """See `i2i.api.Build`.

    Args:
        plugins: where names are looked up.
        size: (height, width) of the training images, passed on to networks.
        labels: names of the data's classes.
        inference: build no feature networks, which only losses use.

    Attributes:
        built: the modules built so far.
    """

    def __init__(
        self, plugins: Plugins, size: tuple[int, int], labels: Sequence[str] = (), *, inference: bool = False
    ) -> None:
        self.plugins, self.size, self.labels, self.inference = plugins, size, tuple(labels), inference
        self.built: list[Built] = []

    def generator(
        self,
        name: str | Choice,
        *,
        in_channels: int,
        out_channels: int,
        size: tuple[int, int] | None = None,
        inputs: tuple[str, ...] | None = None,
        **options: Any,
    ) -> nn.Module:
        """Builds a generator.

        Raises:
            ConfigError: an option is unknown or does not fit, the network cannot be built for that size, or it is
                called with something else than `inputs`.
        """
        module: nn.Module = self._build(
            "generator", name, options, in_channels=in_channels, out_channels=out_channels, size=size or self.size
        )
        takes = tuple(getattr(module, "inputs", ("image",)))
        wrong = ""
        if inputs and takes != inputs:
            wrong = f"makes images of {' and '.join(takes)}, here it would get {' and '.join(inputs)}: choose another"
        elif inputs and (scale := getattr(module, "scale", 1)) != options.get("scale", 1):
            wrong = f"makes images {scale} times as large, which nothing here asks for: set its scale=1, or another"
        if wrong:
            raise ConfigError(f"generator '{name.name if isinstance(name, Choice) else name}' {wrong}")
        return module

    def discriminator(
        self, name: str | Choice, *, in_channels: int, size: tuple[int, int] | None = None, **options: Any
    ) -> nn.Module:
        """Builds a discriminator; raises as `generator`."""
        return self._build("discriminator", name, options, in_channels=in_channels, size=size or self.size)

    def loss(self, name: str | Choice, **options: Any) -> nn.Module:
        """Builds a loss; raises as `generator`."""
        return self._build("loss", name, options)

    def features(self, name: str | Choice, **options: Any) -> nn.Module:
        """Builds a feature network, frozen and unsaved; raises as `generator`."""
        from torch import nn

        return nn.Identity() if self.inference else _frozen(self._build("features", name, options))

    def metric(self, name: str | Choice, *, scale: int = 1, **options: Any) -> Any:
        """Builds a metric, told the scale if it wants to know; raises as `generator`."""
        return self._build("metric", name, options, optional={"scale": scale})

    def transform(self, name: str | Choice, *, scale: int = 1, **options: Any) -> Any:
        """Builds a transform, told the scale if it wants to know; raises as `generator`."""
        return self._build("transform", name, options, optional={"scale": scale})

    def _build(
        self,
        kind: str,
        name: str | Choice,
        options: dict[str, Any],
        optional: dict[str, Any] | None = None,
        **shape: Any,
    ) -> Any:
        choice = name if isinstance(name, Choice) else Choice(name)
        component = self.plugins.get(kind, choice.name)
        if lacking := [key for key in options if key not in component.config.model_fields]:
            hint = nearest(lacking[0], component.config.model_fields)
            raise ConfigError(f"{kind} '{choice.name}' has no option {lacking[0]}, which is needed here{hint}")
        config = _configured(kind, component, dict(choice.options) | options)
        who = self.plugins.full_name(kind, choice.name)
        with attributed_to(f"{who} cannot be built"):
            wanted = inspect.signature(component.build).parameters
            optional = {key: value for key, value in (optional or {}).items() if key in wanted}
            try:
                made = component.build(config, **shape, **optional)
            except ValueError as error:  # the component's word that its options and the images do not go together
                raise ConfigError(f"{who}: {error}") from error
        if kind in MODULES:
            self._note(kind, who, made, shape)
        return made

    def _note(self, kind: str, who: str, made: Any, shape: Mapping[str, Any]) -> None:
        from torch import nn

        if not isinstance(made, nn.Module):
            raise PluginError(f"{who}: must build an nn.Module, not a {type(made).__name__}")
        self.built.append(Built(kind, who, made, shape.get("size", self.size), shape.get("out_channels", 0)))


def image_size(sample: Mapping[str, Tensor], default: int) -> tuple[int, int]:
    """(height, width) of a batch's source images, else of its targets; `default` squared when it has no images."""
    images = [sample[key] for key in ("source", "target") if key in sample and sample[key].ndim == 4]
    return (images[0].shape[2], images[0].shape[3]) if images else (default, default)


def _frozen(module: nn.Module) -> nn.Module:
    """Makes every weight a buffer that no checkpoint holds: it moves with the module, and is never trained."""
    for layer in module.modules():
        own = [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]
        for name, tensor in own:
            delattr(layer, name)
            layer.register_buffer(name, tensor.detach(), persistent=False)
    return module.eval()


def _configured(kind: str, component: Component, options: dict[str, Any]) -> Any:
    try:
        return component.config(**options)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        hint = nearest(key, component.config.model_fields) if first["type"] == "extra_forbidden" else ""
        raise ConfigError(f"{kind} '{component.name}', option {key}: {first['msg'].lower()}{hint}") from error
