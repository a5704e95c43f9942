"""Calls a plugin's hooks and checks what they return; a plugin that breaks their contract is not used."""

from __future__ import annotations

import inspect
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pluggy

from i2i.api import Component, Config
from i2i.errors import PluginError, one_line, plugin_failures, short_repr
from i2i.plugins.discovery import Plugin, printing_to_stderr
from i2i.plugins.names import KINDS, nearest


def register(manager: pluggy.PluginManager, plugin: Plugin) -> None:
    """Registers an imported plugin with the manager and collects its components.

    If it breaks the contract of the hooks, its `error` says how, and it is unregistered. A plugin with an `error` is
    skipped.

    Args:
        manager: has the specifications of the hooks.
        plugin: changed in place.
    """
    if plugin.error:
        return
    try:
        _check_hooks(manager, plugin)
        with warnings.catch_warnings(record=True) as caught:  # deprecated hooks
            warnings.simplefilter("always")
            manager.register(plugin.module, str(plugin))
        plugin.warnings = [one_line(warning.message) for warning in caught if isinstance(warning.message, Warning)]
        with printing_to_stderr():
            plugin.components = list(_components(manager, plugin))
        _refuse_repeated_names(plugin)
    except plugin_failures() as error:  # no plugin may end the process; signals and Ctrl-C do
        plugin.set_aside_by(error)
        if manager.has_plugin(str(plugin)):
            manager.unregister(name=str(plugin))


def refuse_built_in_names(plugin: Plugin, built_in: dict[tuple[str, str], Plugin]) -> None:
    """Marks a plugin as not used if a component has the name of a built-in one, so that installing it breaks nothing.

    Args:
        plugin: a plugin whose components are known; changed in place.
        built_in: kind and name of each built-in component, with the plugin that gives it.
    """
    for kind, component in plugin.components:
        if other := built_in.get((kind, component.name)):
            plugin.set_aside(
                f"{kind} '{component.name}' is a built-in one, of plugin {other}: rename it, "
                f"or leave the built-in plugin out with --disable {other.name} before the command"
            )
            return


def _check_hooks(manager: pluggy.PluginManager, plugin: Plugin) -> None:
    """Refuses what pluggy would pass over in silence: a forgotten marker, a misspelt name, no hook at all."""
    hooks = list(KINDS.values())
    what = plugin.origin if isinstance(plugin.module, ModuleType) else f"{plugin.origin} ({short_repr(plugin.module)})"
    options = {name: manager.parse_hookimpl_opts(plugin.module, name) for name in dir(plugin.module)}
    marked = {(opts["specname"] or name): opts for name, opts in options.items() if opts is not None}
    for name, opts in marked.items():
        if name not in hooks and not opts["optionalhook"]:
            raise PluginError(f"{what}: there is no hook {name}{nearest(name, hooks)} in this version of i2i")
    for name in hooks:
        if name not in marked and callable(getattr(plugin.module, name, None)):
            raise PluginError(f"{what}: {name} must be marked by @i2i.hookimpl")
    if not marked:
        raise PluginError(
            f"{what} is not a module with i2i hooks: functions such as {hooks[0]} marked by @i2i.hookimpl"
        )
    if manager.is_registered(plugin.module):
        raise PluginError(f"{what} is loaded already, as plugin {manager.get_name(plugin.module)}")


def _components(manager: pluggy.PluginManager, plugin: Plugin) -> Iterator[tuple[str, Component]]:
    """What the plugin's own hooks return: each component with its kind."""
    others = [other for other in manager.get_plugins() if other is not plugin.module]
    for kind, hook in KINDS.items():
        call_hook = manager.subset_hook_caller(hook, remove_plugins=others)
        for result in call_hook():
            if not isinstance(result, list | tuple):
                raise PluginError(f"{hook} must return a list of i2i.Component, not {type(result).__name__}")
            for component in result:
                yield kind, _checked_component(hook, component)


def _checked_component(hook: str, component: Any) -> Component:
    """The component that a hook returned.

    Raises:
        PluginError: it is no component, or one of its fields cannot be used.
    """
    if not isinstance(component, Component):
        raise PluginError(
            f"{hook} must return i2i.Component objects, not {type(component).__name__} {short_repr(component)}"
        )
    if not isinstance(component.name, str) or not re.fullmatch(r"[A-Za-z0-9][\w-]*", component.name):
        raise PluginError(f"{hook}: the name {short_repr(component.name)} must be letters, digits and hyphens")
    if not (isinstance(component.config, type) and issubclass(component.config, Config)):
        raise PluginError(f"{hook}: the config of '{component.name}' must be a subclass of i2i.Config")
    if hook == KINDS["backend"] and component.name == "auto":
        raise PluginError(f"{hook}: a backend cannot be called 'auto', which leaves the choice to i2i")
    if type(component.name) is not str or type(component.summary) is not str:
        raise PluginError(f"{hook}: name and summary of '{component.name}' must be plain texts")
    if hook == KINDS["optimizer"] and "lr" not in component.config.model_fields:
        raise PluginError(f"{hook}: the config of '{component.name}' needs an option lr, the learning rate")
    if isinstance(component.build, str):  # imported when it is first built
        if not re.fullmatch(r"\w+(\.\w+)*:\w+", component.build):
            raise PluginError(f"{hook}: the build of '{component.name}' must be a class, a function or 'module:name'")
        return component
    try:
        inspect.signature(component.build)
    except (TypeError, ValueError) as error:
        raise PluginError(f"{hook}: the build of '{component.name}' cannot be called: {one_line(error)}") from error
    return component


def _refuse_repeated_names(plugin: Plugin) -> None:
    counted = Counter((kind, component.name) for kind, component in plugin.components)
    for (kind, name), count in counted.items():
        if count > 1:
            raise PluginError(f"{KINDS[kind]} gives {kind} '{name}' {count} times")
