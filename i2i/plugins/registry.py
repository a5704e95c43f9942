"""The plugins of a process, and the tables of the components that they give.

A plugin that breaks the contract of the hooks is set aside with its reason, and the others go on. Nothing is loaded
before the first question is asked.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pluggy

from i2i.api import Component
from i2i.errors import PluginError
from i2i.plugins import hookspecs
from i2i.plugins.discovery import Plugin, installed_plugins, requested_plugin
from i2i.plugins.names import KINDS, nearest, normalized
from i2i.plugins.registration import refuse_built_in_names, register


class Plugins:
    """The plugins of this process, discovered when the first question is asked.

    An object of this class can be sent to another process, which then looks for the same plugins itself.

    Args:
        extra: modules or ``.py`` files to load besides the installed plugins. One that cannot be used is an error at
            the first question; a broken installed plugin is not, see `failed`.
        disable: plugins to leave out, by their names or those of their distributions.
        autoload: whether to look at installed plugins at all, the built-in ones included; ``None`` does unless the
            environment variable ``I2I_DISABLE_PLUGIN_AUTOLOAD`` is set.

    Example:
        >>> from i2i.plugins import Plugins
        >>> plugins = Plugins(disable=["cyclegan"])
        >>> plugins.get("generator", "unet").summary
        'Encoder and decoder with skip connections (pix2pix)'
        >>> "cyclegan" in plugins.table("recipe")
        False
    """

    def __init__(
        self,
        extra: Iterable[str | os.PathLike[str]] = (),
        disable: Iterable[str] = (),
        autoload: bool | None = None,
    ) -> None:
        self._extra = tuple(dict.fromkeys(os.fspath(name) for name in extra))
        self._disable = frozenset(map(normalized, disable))
        blocked = os.environ.get("I2I_DISABLE_PLUGIN_AUTOLOAD", "") not in ("", "0")
        self._autoload = not blocked if autoload is None else autoload

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process looks for the plugins itself: modules cannot be sent."""
        return Plugins, (self._extra, self._disable, self._autoload)

    @cached_property
    def all(self) -> list[Plugin]:
        """Every plugin, the failed ones included: first the built-in ones, then `extra`, then other installed ones.

        Raises:
            PluginError: one of `extra` cannot be used, or there is no plugin of a name in `disable`.
        """
        found = self._found()
        manager = pluggy.PluginManager("i2i")
        manager.add_hookspecs(hookspecs)
        built_in: dict[tuple[str, str], Plugin] = {}
        for plugin in found:
            register(manager, plugin)
            if plugin.built_in:
                built_in |= {(kind, component.name): plugin for kind, component in plugin.components}
            else:
                refuse_built_in_names(plugin, built_in)
            if plugin.error and plugin.requested:
                raise PluginError(f"plugin {plugin.origin}: {plugin.error}") from plugin.cause
        return found

    def failed(self) -> list[Plugin]:
        """The installed plugins that could not be used; the attribute ``error`` of each says why.

        Raises:
            PluginError: as `all`.
        """
        return [plugin for plugin in self.all if plugin.error]

    def failures(self) -> str:
        """The plugins that could not be used and the reasons, those with the same reason together; empty without any.

        Raises:
            PluginError: as `all`.
        """
        by_reason: dict[str, list[str]] = {}
        for plugin in self.failed():
            by_reason.setdefault(plugin.error, []).append(str(plugin))
        return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in by_reason.items())

    def table(self, kind: str) -> dict[str, list[tuple[Plugin, Component]]]:
        """The components of a kind.

        Args:
            kind: one of `i2i.plugins.KINDS`.

        Returns:
            For each name, in alphabetical order, the components of that name, each with the plugin that gives it. There
            is more than one if several plugins give the name: see `conflicts`.

        Raises:
            PluginError: as `all`.
        """
        table: dict[str, list[tuple[Plugin, Component]]] = {}
        for plugin in self.all:
            for component_kind, component in plugin.components:
                if component_kind == kind:
                    table.setdefault(component.name, []).append((plugin, component))
        return dict(sorted(table.items()))

    def conflicts(self) -> list[str]:
        """A line for each name that several plugins give, which says how to leave one of them out.

        Raises:
            PluginError: as `all`.
        """
        return [
            _conflict(kind, name, entries)
            for kind in KINDS
            for name, entries in self.table(kind).items()
            if len(entries) > 1
        ]

    def get(self, kind: str, name: str) -> Component:
        """The component of that kind and name.

        Args:
            kind: one of `i2i.plugins.KINDS`.
            name: the component's name.

        Raises:
            PluginError: no plugin gives it, or more than one does; or as `all`.
        """
        table = self.table(kind)
        if name not in table:
            raise PluginError(self._unknown(kind, name, list(table)))
        entries = table[name]
        if len(entries) > 1:
            raise PluginError(_conflict(kind, name, entries))
        return entries[0][1]

    def share_options(self, kind: str, one: Any, other: Any) -> bool:
        """Whether two components have one class of options, as adam and sgd do.

        Args:
            kind: one of `i2i.plugins.KINDS`.
            one: the name of the first.
            other: the name of the second; whether there are such components does not matter if the names are equal.
        """
        if one == other:
            return True
        table = self.table(kind)
        classes = [{component.config for _, component in table.get(str(name), [])} for name in (one, other)]
        return len(classes[0]) == 1 and classes[0] == classes[1]

    @property
    def files(self) -> list[Path]:
        """The ``.py`` files among `extra`, as absolute paths."""
        return [Path(name).absolute() for name in self._extra if name.endswith(".py")]

    def full_name(self, kind: str, name: str) -> str:
        """A component's name in messages, such as ``generator 'stripes' of plugin stripes (i2i-stripes 0.1.0)``."""
        entries = self.table(kind).get(name, [])
        return f"{kind} '{name}'" + "".join(f" of plugin {plugin}" for plugin, _ in entries[:1])

    def _found(self) -> list[Plugin]:
        """The plugins of this process, imported and in order, before their hooks are called."""
        disabled: set[str] = set()

        def skip(plugin: Plugin) -> bool:
            hit = self._disable & plugin.names
            disabled.update(hit)
            return bool(hit)

        installed = installed_plugins(skip) if self._autoload else []
        if self._autoload and (unknown := sorted(self._disable - disabled)):
            hint = nearest(unknown[0], [plugin.name for plugin in installed])
            raise PluginError(f"--disable {unknown[0]}: no such plugin{hint}")
        extra = [requested_plugin(name) for name in self._extra]
        modules = {plugin.module_name for plugin in extra}  # they replace installed ones of the same name
        built_in = [plugin for plugin in installed if plugin.built_in]
        others = [plugin for plugin in installed if not plugin.built_in and plugin.module_name not in modules]
        return [*built_in, *extra, *others]

    def _unknown(self, kind: str, name: str, known: Sequence[str]) -> str:
        """The message about a name that no plugin gives; it names the plugins that could not be used."""
        broken = [plugin for plugin in self.failed() if normalized(name) in plugin.names]
        if broken:
            return f"{kind} '{name}': plugin {broken[0]} is not loaded: {broken[0].error}"
        hint = nearest(name, known) or " (of a plugin that is not installed? i2i -p FILE ... loads one)"
        message = f"unknown {kind} '{name}'{hint}; known: {', '.join(known) or 'none'}"
        if failures := self.failures():
            message += f"; not loaded: {failures}"
        return message


def _conflict(kind: str, name: str, entries: Sequence[tuple[Plugin, Component]]) -> str:
    """A line about a name that several plugins give."""
    names = " and ".join(str(plugin) for plugin, _ in entries)
    switch = " or ".join(f"--disable {plugin.name}" for plugin, _ in entries if plugin.distribution)
    return f"{kind} '{name}' is given by {names}: leave one out" + (
        f" with {switch} before the command" if switch else ""
    )
