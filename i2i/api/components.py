"""What hooks return: components, and the marker for the functions that return them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pluggy

from i2i.api.options import Config

PLUGIN_API = 1
"""Version of the hook specifications; it grows only when an old plugin would no longer work."""

hookimpl = pluggy.HookimplMarker("i2i")
"""Marks a module's function as an implementation of the hook of the same name."""


@dataclass(frozen=True)
class Component:
    """What a hook returns: a named builder with its options.

    Attributes:
        name: what users type; unique among the components of one kind.
        build: called as the hook's documentation says, the first argument an instance of `config`.
        config: the component's options.
        summary: one line for ``i2i plugins list``.
        presets: for recipes only: named sets of values in the shape of a configuration file. The first one is the
            default; one called ``samples`` is used, on top of it, when training starts without data.
    """

    name: str
    build: Callable[..., Any]
    config: type[Config] = Config
    summary: str = ""
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
