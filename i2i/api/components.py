"""What hooks return: components, and the marker for the functions that return them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pluggy

from i2i.api.options import Config

PLUGIN_API = 1
"""Version of the hooks; it grows only when a plugin that kept to the old ones would no longer work.

A plugin that needs a certain version says so by a module attribute ``PLUGIN_API``; an older i2i then sets it aside.
"""

hookimpl = pluggy.HookimplMarker("i2i")
"""Decorator that marks a module's function as an implementation of the hook of the same name."""


@dataclass(frozen=True)
class Component:
    """What a hook returns: a named builder with its options.

    Attributes:
        name: what users type: letters, digits, hyphens and underscores; unique among the components of one kind.
        build: a class or function, called with an instance of `config` first; the hook's page says what else it gets
            and what it returns. A ValueError that it raises is shown as the user's mistake. Or where to find it, as
            ``module:name``: the module is imported when the component is first built, so that listing plugins does
            not import torch for it.
        config: class of the component's options.
        summary: one line for ``i2i plugins list``.
        presets: for recipes only: named sets of values in the shape of a configuration file. The first one is the
            default; one called ``samples`` is used, on top of it, when training starts without data.

    Example:
        >>> import i2i
        >>> class ScaleConfig(i2i.Config):
        ...     factor: float = 1.0
        ...     '''Factor of all values.'''
        >>> class Scale:
        ...     def __init__(self, config):
        ...         self.factor = config.factor
        ...     def __call__(self, sample):
        ...         return sample | {"source": sample["source"] * self.factor}
        >>> @i2i.hookimpl
        ... def i2i_transforms():
        ...     return [i2i.Component("scale", Scale, ScaleConfig, "Multiplies the source")]
        >>> i2i_transforms()[0].name
        'scale'
    """

    name: str
    build: Callable[..., Any] | str
    config: type[Config] = Config
    summary: str = ""
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def builder(self) -> Callable[..., Any]:
        """The class or function that `build` is, or names; its module is imported if it has to be.

        Raises:
            ImportError: the module that `build` names cannot be imported.
            AttributeError: it has nothing of that name.
        """
        if not isinstance(self.build, str):
            return self.build
        module, _, name = self.build.partition(":")
        found: Callable[..., Any] = getattr(importlib.import_module(module), name)
        return found
