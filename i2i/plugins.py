"""Finding plugins, and the tables of the components that they give.

Entry points of the group ``i2i`` are loaded one by one: one that fails in any way is set aside with its reason, and
the others go on. Nothing is loaded before the first question is asked.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from i2i import hookspecs
from i2i.api import Component, Config
from i2i.errors import PluginError

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


@dataclass
class Plugin:
    """One plugin as found: where it is from, what it gives, or why it gives nothing."""

    name: str
    distribution: str
    version: str
    origin: str
    module: Any = None
    error: str = ""
    components: list[tuple[str, Component]] = field(default_factory=list)

    def __str__(self) -> str:
        source = f" ({self.distribution} {self.version})" if self.distribution else f" ({self.origin})"
        return self.name + source


class Plugins:
    """The plugins of this process; discovered at the first question.

    Args:
        extra: modules or ``.py`` files to load besides the installed plugins; a failure of these is raised at once.
        disable: names of plugins to leave out.
        autoload: whether to look at installed plugins at all; ``None`` follows ``I2I_DISABLE_PLUGIN_AUTOLOAD``.
    """

    def __init__(self, extra: Iterable[str] = (), disable: Iterable[str] = (), autoload: bool | None = None) -> None:
        self._extra = tuple(extra)
        self._disable = frozenset(disable)
        blocked = os.environ.get("I2I_DISABLE_PLUGIN_AUTOLOAD", "") not in ("", "0")
        self._autoload = not blocked if autoload is None else autoload

    @cached_property
    def all(self) -> list[Plugin]:
        """Every plugin found, the failed ones included, in the order of loading."""
        manager = pluggy.PluginManager("i2i")
        manager.add_hookspecs(hookspecs)
        found = [_load(name) for name in self._extra]
        entry_points = _entry_points() if self._autoload else ()
        found += [
            _load_entry_point(entry_point) for entry_point in entry_points if entry_point.name not in self._disable
        ]
        for plugin in found:
            if not plugin.error:
                _register(manager, plugin)
        for plugin in found[: len(self._extra)]:
            if plugin.error:
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
            names = " and ".join(str(plugin) for plugin, _ in givers)
            switch = " or ".join(f"--disable {plugin.name}" for plugin, _ in givers)
            raise PluginError(f"{kind} '{name}' is given by {names}: leave one out with {switch} before the command")
        return givers[0][1]

    def _unknown(self, kind: str, name: str, known: list[str]) -> str:
        if broken := next((plugin for plugin in self.failed() if plugin.name == name), None):
            return f"{kind} '{name}': plugin {broken} could not be loaded: {broken.error}"
        message = f"unknown {kind} '{name}'{nearest(name, known)}; known: {', '.join(known) or 'none'}"
        if failures := self.failed():
            message += "; not loaded: " + "; ".join(f"{plugin} ({plugin.error})" for plugin in failures)
        return message


def nearest(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the known name most like `name`, or nothing."""
    match = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean '{match[0]}'?)" if match else ""


def _entry_points() -> Iterator[importlib.metadata.EntryPoint]:
    """Entry points of the group, distribution by distribution, so that malformed metadata of one hides no other."""
    seen: set[str] = set()
    for distribution in importlib.metadata.distributions():
        try:
            name = distribution.metadata["Name"]
            if name in seen:  # the same package further down sys.path: the first one is what gets imported
                continue
            seen.add(name)
            yield from (point for point in distribution.entry_points if point.group == "i2i")
        except Exception:  # noqa: S112  an unrelated package's broken metadata is not ours to report
            continue


def _load_entry_point(entry_point: importlib.metadata.EntryPoint) -> Plugin:
    distribution = entry_point.dist
    plugin = Plugin(
        name=entry_point.name,
        distribution=distribution.name if distribution else "",
        version=distribution.version if distribution else "",
        origin=entry_point.value,
    )
    return _import_into(plugin, entry_point.load)


def _load(name: str) -> Plugin:
    """A plugin named on the command line: a ``.py`` file or a module."""
    path = Path(name)
    is_file = path.suffix == ".py"
    plugin = Plugin(name=path.stem if is_file else name, distribution="", version="", origin=name)
    return _import_into(plugin, lambda: _import_file(path) if is_file else importlib.import_module(name))


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError("no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # loader workers unpickle the plugin's classes by module name
    spec.loader.exec_module(module)
    return module


def _import_into(plugin: Plugin, load: Any) -> Plugin:
    try:
        plugin.module = load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: no plugin may end the process
        plugin.error = f"{type(error).__name__}: {_one_line(error)}"
        return plugin
    if not isinstance(plugin.module, ModuleType) and not any(hasattr(plugin.module, hook) for hook in KINDS.values()):
        plugin.error = f"{plugin.origin} is a {type(plugin.module).__name__}, not a module with i2i hooks"
    return plugin


def _register(manager: pluggy.PluginManager, plugin: Plugin) -> None:
    """Registers one plugin and calls its hooks; a plugin that breaks the contract is taken out again."""
    try:
        manager.register(plugin.module, plugin.name)
        manager.check_pending()
        plugin.components = list(_components(manager, plugin))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        plugin.error = f"{type(error).__name__}: {_one_line(error)}"
        plugin.components = []
        if manager.has_plugin(plugin.name):
            manager.unregister(name=plugin.name)


def _components(manager: pluggy.PluginManager, plugin: Plugin) -> Iterator[tuple[str, Component]]:
    others = [other for other in manager.get_plugins() if other is not plugin.module]
    for kind, hook in KINDS.items():
        caller = manager.subset_hook_caller(hook, remove_plugins=others)
        for result in caller():
            for component in _as_list(hook, result):
                yield kind, _checked(hook, component)


def _as_list(hook: str, result: Any) -> list[Any]:
    if not isinstance(result, list | tuple):
        raise PluginError(f"{hook} must return a list of i2i.Component, not {type(result).__name__}")
    return list(result)


def _checked(hook: str, component: Any) -> Component:
    if not isinstance(component, Component):
        raise PluginError(f"{hook} must return i2i.Component objects, not {type(component).__name__} {component!r:.60}")
    if not (isinstance(component.config, type) and issubclass(component.config, Config)):
        raise PluginError(f"{hook}: the config of '{component.name}' must be a subclass of i2i.Config")
    if not callable(component.build):
        raise PluginError(f"{hook}: the build of '{component.name}' cannot be called")
    return component


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or "no reason given"
