"""Layers of values -> one checked `RunConfig`.

From weak to strong: the defaults of the models, the recipe's default preset, the chosen preset (``samples`` when there
is no data), the file, each ``--set``, and the options of the command.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from i2i.api import Choice, Component, Config
from i2i.config.sections import DataConfig, EngineConfig, PhaseConfig, TrainConfig
from i2i.config.text import KeyPath, Layer, commented_yaml, parse_set, plain_yaml, read_yaml, setting
from i2i.errors import ConfigError, PluginError
from i2i.plugins import Plugins

SHARED: dict[str, type[Config]] = {"data": DataConfig, "train": TrainConfig, "engine": EngineConfig}
"""The sections that every recipe has."""
HEAD = {"recipe": str, "preset": str, "seed": int}
"""Keys that stand beside the sections, and their types."""
SAMPLES: dict[str, Any] = {
    "data": {"size": 64},
    "train": {"batch_size": 4, "steps": 200, "sample_every": 50, "checkpoint_every": 100},
}
"""The preset ``samples`` of recipes that have none: values for training on drawn samples when there is no data."""

Settings = Mapping[str, Any] | Sequence[str | Layer]
"""Single values of a configuration; see `resolve`."""


@dataclass(frozen=True)
class RunConfig:
    """The whole configuration of a run; written to the run folder and read back from there.

    Attributes:
        recipe: name of the recipe.
        preset: name of the preset that was used.
        seed: seed of all random numbers, from 0 to 2**63 - 1.
        data: the section ``data``.
        train: the section ``train``.
        engine: the section ``engine``.
        options: the recipe's own section.
    """

    recipe: str
    preset: str
    seed: int
    data: DataConfig
    train: TrainConfig
    engine: EngineConfig
    options: Config

    @property
    def sections(self) -> dict[str, Config]:
        """The sections by their name in the file."""
        return {"data": self.data, "train": self.train, "engine": self.engine, self.recipe: self.options}

    def to_dict(self) -> dict[str, Any]:
        """The configuration as nested plain values, as in its YAML file."""
        head = {"recipe": self.recipe, "preset": self.preset, "seed": self.seed}
        return head | {name: section.model_dump(mode="json") for name, section in self.sections.items()}

    def to_yaml(self) -> str:
        """The file that ``--config`` takes."""
        return plain_yaml(self.to_dict())

    def to_commented_yaml(self, plugins: Plugins, header: str) -> str:
        """The file that ``--config`` takes, with the meaning and type of every option above it."""
        head = {"recipe": self.recipe, "preset": self.preset, "seed": self.seed}
        return commented_yaml(header, head, self.sections, plugins)

    def digest(self) -> str:
        """SHA-256 of the values, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()


def resolve(
    plugins: Plugins,
    recipe: str | None = None,
    *,
    preset: str | None = None,
    config: Path | Mapping[str, Any] | None = None,
    sets: Settings = (),
    samples: bool = True,
) -> RunConfig:
    """Puts the layers of a configuration together and checks them.

    Args:
        plugins: where recipes and components are looked up.
        recipe: name of the recipe; may be left out when `config` names it.
        preset: one of the recipe's presets.
        config: any part of the configuration: a YAML file, or the nested values of one.
        sets: single values that replace those of `config`, the later ones stronger: values by key
            (``{"train.batch_size": 4}``), or texts (``"train.batch_size=4"``) and layers.
        samples: use the preset ``samples`` when no data is named.

    Raises:
        ConfigError: a key is unknown or a value does not fit; names the key, the nearest key and the place.
        PluginError: the recipe or a chosen component is unknown.
    """
    user = [*_base_layer(config), *setting_layers(sets)]
    name = _recipe_name(recipe, user)
    component = plugins.get("recipe", name)
    if name in SHARED or name in HEAD:
        raise PluginError(f"a recipe cannot be called '{name}': that is a section which all recipes share")
    models = SHARED | {name: component.config}
    user = [_qualified(layer, name, models) for layer in user]
    preset = preset or _last(user, "preset")
    if preset is not None and not isinstance(preset, str):
        raise ConfigError(_at(_place(user, ("preset",)), f"preset: expected a name, got {preset!r}"))
    presets = _presets(component, preset, user, samples=samples)
    layers = [*presets.values(), *user]
    tree: dict[str, Any] = {"recipe": name, "preset": next(reversed(presets), "default"), "seed": 0}
    tree |= {section: _defaults(model, (section,)) for section, model in models.items()}
    for layer in layers:
        _check_sections(layer, models)
        tree = _merge(tree, layer.values, models, plugins)
    return _validated(tree, models, component, layers, plugins)


def data_section(plugins: Plugins, values: Mapping[str, Any], sets: Settings = ()) -> DataConfig:
    """The section ``data`` alone, as an exported model has it.

    Args:
        plugins: where components are looked up.
        values: those of the section.
        sets: single options in their place, as for `resolve`.

    Raises:
        ConfigError: an option is unknown or does not fit.
        PluginError: a component is unknown.
    """
    models: dict[str, type[Config]] = {"data": DataConfig}
    layers = [Layer({"data": dict(values)}, "the model's metadata")]
    layers += [_qualified(layer, "data", models) for layer in setting_layers(sets)]
    tree: dict[str, Any] = {"data": _defaults(DataConfig, ("data",))}
    for layer in layers:
        _check_sections(layer, models)
        tree = _merge(tree, layer.values, models, plugins)
    section = _parse(DataConfig, tree["data"], ("data",), models, layers)
    found: DataConfig = _with_options(section, ("data",), models, layers, plugins)
    return found


def setting_layers(sets: Settings) -> list[Layer]:
    """A layer for each single value, in their order; see `resolve`."""
    if isinstance(sets, Mapping):
        return [setting(key, value, f"sets[{key!r}]", may_omit_section=True) for key, value in sets.items()]
    return [one if isinstance(one, Layer) else parse_set(one) for one in sets]


def _base_layer(config: Path | Mapping[str, Any] | None) -> list[Layer]:
    if config is None:
        return []
    return [Layer(dict(config), "the given values") if isinstance(config, Mapping) else read_yaml(config)]


def _recipe_name(recipe: str | None, user: Sequence[Layer]) -> str:
    named = _last(user, "recipe")
    if recipe and named and recipe != named:
        raise ConfigError(f"recipe '{recipe}' was asked for, but the configuration is for '{named}'")
    if not (recipe or named):
        raise ConfigError("no recipe: name one, such as `i2i train pix2pix`, or give a --config file that has one")
    return str(recipe or named)


def _qualified(layer: Layer, recipe: str, models: Mapping[str, type[Config]]) -> Layer:
    """Adds the section to a key such as ``scale``: that with such an option, the recipe's own section first."""
    if not layer.may_omit_section:
        return layer
    (key,) = layer.values
    if key == "batch" and "batch" not in models[recipe].model_fields:  # what every other tool calls it
        return Layer({"train": {"batch_size": layer.values[key]}}, layer.origin)
    owners = [section for section, model in models.items() if key in model.model_fields]
    if key in models or key in HEAD or not owners or (len(owners) > 1 and recipe not in owners):
        return layer
    return Layer({recipe if recipe in owners else owners[0]: layer.values}, layer.origin)


def _last(layers: Sequence[Layer], *path: str) -> Any:
    """The value at `path` of the strongest layer that has one, or None."""
    found = None
    for layer in layers:
        node: Any = layer.values
        for key in path:
            node = node.get(key) if isinstance(node, Mapping) else None
        found = node if node is not None else found
    return found


def _presets(component: Component, preset: str | None, user: Sequence[Layer], *, samples: bool) -> dict[str, Layer]:
    """The presets that apply, weakest first: the default one, the chosen one, and without data the samples."""
    presets = dict(component.presets) | ({} if "samples" in component.presets else {"samples": SAMPLES})
    if preset and preset not in presets and preset != "default":
        raise ConfigError(f"recipe '{component.name}' has no preset '{preset}'; it has: {', '.join(presets)}")
    chosen = [next((name for name in presets if name != "samples"), "default"), preset or "default"]
    layout = _last(user, "data", "layout")
    layout = layout.get("name") if isinstance(layout, Mapping) else layout
    if samples and _last(user, "data", "root") is None and layout in (None, "auto"):
        chosen.append("samples")
    layers = {
        name: Layer(dict(presets[name]), f"preset {name} of {component.name}") for name in chosen if name in presets
    }
    by_default = [layer for name, layer in layers.items() if name == chosen[0]]
    others = [layer for name, layer in layers.items() if name != chosen[0]]
    degrades = [_last(some, "data", "degrade") is not None for some in (by_default, [*others, *user])]
    if "samples" in layers and degrades == [False, True]:  # it makes sources of pictures: drawn pairs have some
        data = {key: value for key, value in layers["samples"].values.get("data", {}).items() if key != "layout"}
        layers["samples"] = replace(layers["samples"], values={**layers["samples"].values, "data": data})
    return layers


def _defaults(model: type[Config], path: KeyPath) -> dict[str, Any]:
    try:
        return model().model_dump()
    except ValidationError as error:
        raise ConfigError(
            f"{'.'.join(path)}: the defaults of {model.__name__} do not fit: {error.errors()[0]['msg']}"
        ) from error


def _check_sections(layer: Layer, models: Mapping[str, type[Config]]) -> None:
    for key, value in layer.values.items():
        if key not in models and key not in HEAD:
            raise ConfigError(_unknown((key,), models, layer.place((key,))))
        if key in models and not isinstance(value, Mapping):
            raise ConfigError(_at(layer.place((key,)), f"{key} is a section: write {key}.OPTION, not {key} itself"))


def _merge(
    base: Mapping[str, Any], over: Mapping[str, Any], models: Mapping[str, Any], plugins: Plugins
) -> dict[str, Any]:
    """`base` with the values of `over`.

    A choice that names another component drops the options of the old one, unless both have one class of options, or
    the old ones were set without a name.
    """
    merged = dict(base)
    for key, value in over.items():
        model, old = models.get(key), base.get(key)
        chosen = (kind for kind in (model, *get_args(model)) if isinstance(kind, type) and issubclass(kind, Choice))
        if choice := next(chosen, None):
            value = {"name": value} if isinstance(value, str) else value
            if isinstance(value, Mapping) and isinstance(old, Mapping):
                names = old.get("name"), value.get("name", old.get("name"))
                if names[0] is None or plugins.share_options(choice.kind, *names):
                    value = _merge(old, value, {}, plugins)
        elif isinstance(value, Mapping):
            value = _merge(old if isinstance(old, Mapping) else {}, value, _field_models(model, value), plugins)
        merged[key] = value
    return merged


def _field_models(model: Any, values: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """The types of a model's fields by name; of a dictionary the type of its values, by the keys of `values`."""
    if get_origin(model) is dict:
        return dict.fromkeys(values, get_args(model)[1])
    is_model = isinstance(model, type) and issubclass(model, BaseModel)
    return {name: info.annotation for name, info in model.model_fields.items()} if is_model else {}


def _validated(
    tree: dict[str, Any],
    models: Mapping[str, type[Config]],
    component: Component,
    layers: Sequence[Layer],
    plugins: Plugins,
) -> RunConfig:
    sections = {}
    for name, model in models.items():
        section = _parse(model, tree[name], (name,), models, layers)
        sections[name] = _with_options(section, (name,), models, layers, plugins)
    seed = tree["seed"]
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise ConfigError(
            _at(_place(layers, ("seed",)), f"seed: expected an integer from 0 to 2**63 - 1, got {seed!r}")
        )
    return RunConfig(
        recipe=component.name,
        preset=str(tree["preset"]),
        seed=seed,
        data=sections["data"],
        train=sections["train"],
        engine=sections["engine"],
        options=sections[component.name],
    )


def _parse(
    model: type[Config], values: Any, path: KeyPath, models: Mapping[str, type[Config]], layers: Sequence[Layer]
) -> Any:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = (*path, *(str(part) for part in first["loc"] if not isinstance(part, int)))
        place = _place(layers, where) if first["loc"] else ""  # else it is about several options
        if first["type"] == "extra_forbidden":
            raise ConfigError(_unknown(where, dict(models) | {path[-1]: model}, place, prefix=path)) from None
        message = validation_reason(error)
        got = "" if isinstance(first["input"], Mapping) else f", got {first['input']!r}"
        raise ConfigError(
            _at(place, f"{'.'.join(_known_part(where, model, path))}: {message[0].lower()}{message[1:]}{got}")
        ) from None


def validation_reason(error: ValidationError) -> str:
    """The message of pydantic's first error, without the prefix that it adds to a `ValueError` of a validator."""
    return error.errors()[0]["msg"].removeprefix("Value error, ")


def _known_part(where: KeyPath, model: type[BaseModel], prefix: KeyPath) -> KeyPath:
    """`where` without the names of union members that pydantic adds at the end."""
    known = {".".join(key) for key in _keys(model, prefix)}
    end = len(where)
    while end > len(prefix) + 1 and ".".join(where[:end]) not in known:
        end -= 1
    return where[:end]


def _with_options(
    section: Any, path: KeyPath, models: Mapping[str, type[Config]], layers: Sequence[Layer], plugins: Plugins
) -> Any:
    """Replaces every choice in a section by one that holds all options of its component, checked."""

    def completed(value: Any, where: KeyPath) -> Any:
        if isinstance(value, Choice) and value.name != "auto":
            component = plugins.get(value.kind, value.name)
            options = _parse(component.config, dict(value.options), where, models, layers)
            complete = _with_options(options, where, models, layers, plugins)
            return type(value)(value.name, complete.model_dump(mode="json"))
        if isinstance(value, PhaseConfig):  # its choices are completed with what the recipe says of the phase
            return value
        if isinstance(value, BaseModel):
            return _with_options(value, where, models, layers, plugins)
        if isinstance(value, tuple):
            return tuple(completed(item, where) for item in value)
        if isinstance(value, dict):
            return {key: completed(item, (*where, key)) for key, item in value.items()}
        return value

    return section.model_copy(
        update={name: completed(getattr(section, name), (*path, name)) for name in type(section).model_fields}
    )


def _keys(model: type[BaseModel], prefix: KeyPath) -> Iterator[KeyPath]:
    for name, annotation in _field_models(model).items():
        yield (*prefix, name)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from _keys(annotation, (*prefix, name))


def _unknown(where: KeyPath, models: Mapping[str, type[Config]], place: str, prefix: KeyPath = ()) -> str:
    if len(prefix) > 1:  # options of a chosen component
        known = [".".join(key) for key in _keys(models[prefix[-1]], prefix)]
    else:
        known = [*HEAD, *(".".join(key) for name, model in models.items() for key in [(name,), *_keys(model, (name,))])]
    key = ".".join(where)
    known = [name for name in known if not key.startswith(name + ".")]
    same_end = [name for name in known if name.rpartition(".")[2] == where[-1]]
    near = same_end[:1] or difflib.get_close_matches(key, known, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]}?" if near else ""
    return _at(place, f"unknown key {key}{hint}")


def _place(layers: Sequence[Layer], path: KeyPath) -> str:
    """Where the strongest value at `path`, or at what holds it, was written."""
    for end in range(len(path), 0, -1):
        for layer in reversed(layers):
            if place := layer.place(path[:end]):
                return place
    return ""


def _at(place: str, message: str) -> str:
    return f"{place}: {message}" if place else message
