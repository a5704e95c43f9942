"""The plugins of a process, and the tables of the components that they give.

A plugin that breaks the contract of the hooks is set aside with its reason, and the others go on. Nothing is loaded
before the first question is asked.
"""

from __future__ import annotations

import difflib
import inspect
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from i2i.api import Component, Config
from i2i.errors import PluginError, brief, one_line
from i2i.plugins import hookspecs
from i2i.plugins.discovery import Plugin, installed, named, normal, printing_to_stderr

KINDS = {
    "generator": "i2i_generators",
    "discriminator": "i2i_discriminators",
    "loss": "i2i_losses",
    "features": "i2i_features",
    "dataset": "i2i_datasets",
    "transform": "i2i_transforms",
    "metric": "i2i_metrics",
    "recipe": "i2i_recipes",
}
"""Kind of component -> the hook that gives it."""


class Plugins:
    """The plugins of this process; discovered at the first question.

    Args:
        extra: modules or ``.py`` files to load besides the installed plugins; a failure of these is raised at once.
        disable: plugins to leave out, by their names or their distributions'.
        autoload: whether to look at installed plugins at all; ``None`` follows ``I2I_DISABLE_PLUGIN_AUTOLOAD``.
    """

    def __init__(self, extra: Iterable[str] = (), disable: Iterable[str] = (), autoload: bool | None = None) -> None:
        self._extra = tuple(dict.fromkeys(extra))
        self._disable = frozenset(map(normal, disable))
        blocked = os.environ.get("I2I_DISABLE_PLUGIN_AUTOLOAD", "") not in ("", "0")
        self._autoload = not blocked if autoload is None else autoload
        self._left_out: set[str] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process looks for itself: modules cannot be sent."""
        return Plugins, (self._extra, self._disable, self._autoload)

    @cached_property
    def all(self) -> list[Plugin]:
        """Every plugin found, the failed ones included: built-in ones, those asked for, the other installed ones.

        Raises:
            PluginError: one that was asked for cannot be used, or one to be left out is not there.
        """
        there = installed(self._disabled) if self._autoload else []
        if self._autoload and (unknown := sorted(self._disable - self._left_out)):
            raise PluginError(f"--disable {unknown[0]}: no such plugin{nearest(unknown[0], [p.name for p in there])}")
        asked = [named(name) for name in self._extra]
        modules = {plugin.module_name for plugin in asked}
        there = [plugin for plugin in there if plugin.built_in or plugin.module_name not in modules]  # asked for wins
        found = [p for p in there if p.built_in] + asked + [p for p in there if not p.built_in]
        manager = pluggy.PluginManager("i2i")
        manager.add_hookspecs(hookspecs)
        built_in = {(kind, c.name): p for p in found if p.built_in for kind, c in _registered(manager, p)}
        for plugin in found:
            if not plugin.built_in:
                _registered(manager, plugin)
                _refuse_taken(plugin, built_in)
            if plugin.error and plugin in asked:
                raise PluginError(f"plugin {plugin.origin}: {plugin.error}")
        return found

    def failed(self) -> list[Plugin]:
        """The plugins that could not be used, each with its reason."""
        return [plugin for plugin in self.all if plugin.error]

    def table(self, kind: str) -> dict[str, list[tuple[Plugin, Component]]]:
        """All components of a kind by name; a name that several plugins give has several entries."""
        table: dict[str, list[tuple[Plugin, Component]]] = {}
        for plugin in self.all:
            for component_kind, component in plugin.components:
                if component_kind == kind:
                    table.setdefault(component.name, []).append((plugin, component))
        return dict(sorted(table.items()))

    def conflicts(self) -> list[str]:
        """One line for each name that several plugins give."""
        return [
            _conflict(kind, name, givers)
            for kind in KINDS
            for name, givers in self.table(kind).items()
            if len(givers) > 1
        ]

    def get(self, kind: str, name: str) -> Component:
        """The component of that kind and name.

        Raises:
            PluginError: no plugin gives it, or more than one does.
        """
        table = self.table(kind)
        if name not in table:
            raise PluginError(self._unknown(kind, name, list(table)))
        givers = table[name]
        if len(givers) > 1:
            raise PluginError(_conflict(kind, name, givers))
        return givers[0][1]

    @property
    def files(self) -> list[Path]:
        """The ``.py`` files among the plugins that were asked for."""
        return [Path(name).absolute() for name in self._extra if name.endswith(".py")]

    def owner(self, kind: str, name: str) -> str:
        """A component as messages name it: with its plugin, distribution and version."""
        givers = self.table(kind).get(name, [])
        return f"{kind} '{name}'" + "".join(f" of plugin {plugin}" for plugin, _ in givers[:1])

    def _disabled(self, plugin: Plugin) -> bool:
        hit = self._disable & plugin.names
        self._left_out.update(hit)
        return bool(hit)

    def _unknown(self, kind: str, name: str, known: list[str]) -> str:
        broken = [plugin for plugin in self.failed() if normal(name) in plugin.names]
        if broken:
            return f"{kind} '{name}': plugin {broken[0]} is not loaded: {broken[0].error}"
        hint = nearest(name, known) or " (of a plugin that is not installed? i2i -p FILE ... loads one)"
        message = f"unknown {kind} '{name}'{hint}; known: {', '.join(known) or 'none'}"
        if failures := self.failed():
            message += "; not loaded: " + "; ".join(f"{plugin}: {plugin.error}" for plugin in failures)
        return message


def nearest(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the known name most like `name`, or nothing."""
    match = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean '{match[0]}'?)" if match else ""


def _conflict(kind: str, name: str, givers: list[tuple[Plugin, Component]]) -> str:
    names = " and ".join(str(plugin) for plugin, _ in givers)
    switch = " or ".join(f"--disable {plugin.name}" for plugin, _ in givers if plugin.distribution)
    return f"{kind} '{name}' is given by {names}: leave one out" + (
        f" with {switch} before the command" if switch else ""
    )


def _refuse_taken(plugin: Plugin, taken: dict[tuple[str, str], Plugin]) -> None:
    """Sets a plugin aside that gives a name of a built-in one: installing something breaks nothing that worked."""
    for kind, component in plugin.components:
        if owner := taken.get((kind, component.name)):
            plugin.error = (
                f"{kind} '{component.name}' is a built-in one, of plugin {owner}: rename it, "
                f"or leave the built-in plugin out with --disable {owner.name} before the command"
            )
            plugin.components = []
            return


def _registered(manager: pluggy.PluginManager, plugin: Plugin) -> list[tuple[str, Component]]:
    """Registers a plugin and calls its hooks; one that breaks the contract is taken out again."""
    if plugin.error:
        return []
    try:
        _check_hooks(manager, plugin)
        with warnings.catch_warnings(record=True) as caught:  # of hooks that are on their way out
            warnings.simplefilter("always")
            manager.register(plugin.module, str(plugin))
        plugin.warnings = [one_line(warning.message) for warning in caught if isinstance(warning.message, Warning)]
        with printing_to_stderr():
            plugin.components = list(_components(manager, plugin))
        _check_names(plugin)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        plugin.error = str(error) if isinstance(error, PluginError) else one_line(error)
        plugin.components = []
        if manager.has_plugin(str(plugin)):
            manager.unregister(name=str(plugin))
    return plugin.components


def _check_hooks(manager: pluggy.PluginManager, plugin: Plugin) -> None:
    """Refuses what pluggy would pass over in silence: a forgotten marker, a misspelt name, no hook at all."""
    hooks = list(KINDS.values())
    what = plugin.origin if isinstance(plugin.module, ModuleType) else f"{plugin.origin} ({brief(plugin.module)})"
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
    others = [other for other in manager.get_plugins() if other is not plugin.module]
    for kind, hook in KINDS.items():
        caller = manager.subset_hook_caller(hook, remove_plugins=others)
        for result in caller():
            if not isinstance(result, list | tuple):
                raise PluginError(f"{hook} must return a list of i2i.Component, not {type(result).__name__}")
            for component in result:
                yield kind, _checked(hook, component)


def _checked(hook: str, component: Any) -> Component:
    if not isinstance(component, Component):
        raise PluginError(
            f"{hook} must return i2i.Component objects, not {type(component).__name__} {brief(component)}"
        )
    if not isinstance(component.name, str) or not re.fullmatch(r"[A-Za-z0-9][\w-]*", component.name):
        raise PluginError(f"{hook}: the name {brief(component.name)} must be letters, digits and hyphens")
    if not (isinstance(component.config, type) and issubclass(component.config, Config)):
        raise PluginError(f"{hook}: the config of '{component.name}' must be a subclass of i2i.Config")
    if type(component.name) is not str or type(component.summary) is not str:
        raise PluginError(f"{hook}: name and summary of '{component.name}' must be plain texts")
    try:
        inspect.signature(component.build)
    except (TypeError, ValueError) as error:
        raise PluginError(f"{hook}: the build of '{component.name}' cannot be called: {one_line(error)}") from error
    return component


def _check_names(plugin: Plugin) -> None:
    counted = Counter((kind, component.name) for kind, component in plugin.components)
    for (kind, name), count in counted.items():
        if count > 1:
            raise PluginError(f"{KINDS[kind]} gives {kind} '{name}' {count} times")
