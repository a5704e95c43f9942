"""Building the backends that plugins give."""

from __future__ import annotations

import inspect

from i2i.errors import PluginError, attributed_to
from i2i.plugins.builder import imported_builder
from i2i.plugins.registry import Plugins
from i2i.runtime.computing.backend import Backend, Opening


def build_backend(plugins: Plugins, name: str) -> Backend:
    """Builds a backend, with the defaults of its options.

    Args:
        plugins: where the name is looked up.
        name: the backend's name.

    Raises:
        PluginError: no plugin gives it, it cannot be built, or what is built is no backend.
    """
    component, who = plugins.get("backend", name), plugins.full_name("backend", name)
    build = imported_builder(component, who)
    with attributed_to(f"{who} cannot be built"):
        options = {"plugins": plugins} if "plugins" in inspect.signature(build).parameters else {}
        backend = build(component.config(), **options)
    if not isinstance(backend, Backend):
        raise PluginError(f"{who}: must build an i2i.Backend, not a {type(backend).__name__}")
    return backend


def problem_of(backend: Backend, opening: Opening, who: str) -> str:
    """Why a backend cannot be used, in one line; "" if it can.

    Args:
        backend: the backend.
        opening: what is asked for.
        who: its name in messages, as `Plugins.full_name` gives it.

    Raises:
        PluginError: it fails, or gives no text.
    """
    with attributed_to(f"{who}: problem() fails"):
        problem = backend.problem(opening)
    if not isinstance(problem, str):
        raise PluginError(f"{who}: problem must return a text, not a {type(problem).__name__}")
    return " ".join(problem.split())
