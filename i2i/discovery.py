"""Where plugins come from: entry points of installed distributions, modules and files named by the user.

Importing is isolated: whatever goes wrong in one plugin becomes its `error`, and the others are not touched.
"""

from __future__ import annotations

import configparser
import contextlib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from i2i.api import PLUGIN_API, Component
from i2i.errors import one_line

DISTRIBUTION = "i2i-toolkit"
"""Our own: its plugins are the built-in ones."""

GROUP = "i2i"
"""Of the entry points."""


@dataclass
class Plugin:
    """One plugin as found: where it is from, what it gives, or why it gives nothing.

    Attributes:
        name: of the entry point, or of the module or file that was named.
        distribution: the installed package; empty for a module or file that was named.
        version: of the distribution.
        origin: the entry point's value, the module or the file.
        module: what was imported; None if that failed.
        error: why the plugin is not used, in one line; empty if it is.
        warnings: what will not work for ever, a line each.
        components: what it gives, with the kinds.
    """

    name: str
    distribution: str
    version: str
    origin: str
    module: Any = None
    error: str = ""
    warnings: list[str] = field(default_factory=list)
    components: list[tuple[str, Component]] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.name} ({self.source})"

    @property
    def source(self) -> str:
        """Distribution and version, or where it was loaded from."""
        return f"{self.distribution} {self.version}" if self.distribution else self.origin

    @property
    def module_name(self) -> str:
        """Of the module that was imported."""
        return str(getattr(self.module, "__name__", ""))

    @property
    def built_in(self) -> bool:
        """Whether it comes with i2i."""
        return self.distribution == DISTRIBUTION


def installed(skip: Callable[[Plugin], bool]) -> list[Plugin]:
    """The installed plugins, imported; built-in ones first, the others by distribution and name.

    Args:
        skip: says which are not even imported.
    """
    found = [plugin for distribution in _distributions() for plugin in _entry_points(distribution) if not skip(plugin)]
    found.sort(key=lambda plugin: (not plugin.built_in, plugin.distribution, plugin.name))
    for plugin in found:
        if not plugin.error:
            _import_into(plugin, partial(_load_entry_point, plugin.origin))
    return found


def named(name: str) -> Plugin:
    """A plugin named by the user, imported: a ``.py`` file or a module."""
    path = Path(name)
    is_file = path.suffix == ".py"
    plugin = Plugin(name=path.stem if is_file else name, distribution="", version="", origin=name)
    _import_into(plugin, lambda: _import_file(path) if is_file else importlib.import_module(name))
    return plugin


def _distributions() -> Iterator[importlib.metadata.Distribution]:
    """Each distribution once: of two in different places, the one that is imported."""
    seen: set[str] = set()
    for distribution in importlib.metadata.distributions():
        with contextlib.suppress(Exception):  # an unrelated package's broken metadata is not ours to report
            name = distribution.metadata["Name"].lower().replace("_", "-")
            if name not in seen:
                seen.add(name)
                yield distribution


def _entry_points(distribution: importlib.metadata.Distribution) -> Iterator[Plugin]:
    """A distribution's plugins, not imported; one that names i2i in metadata that cannot be read has an error."""
    name, version = distribution.metadata["Name"], distribution.metadata["Version"] or "?"
    try:
        text = distribution.read_text("entry_points.txt") or ""
        if GROUP not in text:
            return
        parser = configparser.ConfigParser(delimiters=("=",), strict=False, interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their capitals
        parser.read_string(text)
        plugins = parser.items(GROUP) if parser.has_section(GROUP) else []
    except Exception as error:
        if name.lower().startswith("i2i") or not isinstance(error, UnicodeError):
            reason = f"its entry_points.txt cannot be read: {one_line(error)}"
            yield Plugin(name, name, version, "entry_points.txt", error=reason)
        return
    for plugin, value in plugins:
        yield Plugin(plugin, name, version, value or "")


def _load_entry_point(value: str) -> Any:
    point = importlib.metadata.EntryPoint(name="", value=value, group=GROUP)
    if not point.pattern.match(value):
        raise ValueError(f"the entry point '{value}' must name a module, such as i2i_something")
    return point.load()


def _import_file(path: Path) -> ModuleType:
    """The module of a file; the same one again while the file stays as it is, so that its classes can be pickled."""
    if not path.is_file():
        raise FileNotFoundError("no such file")
    source = (str(path.resolve()), hashlib.sha256(path.read_bytes()).hexdigest())
    there = sys.modules.get(path.stem)
    if getattr(there, "__i2i_source__", None) == source:
        assert there is not None
        return there
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    if there is None or hasattr(there, "__i2i_source__"):
        sys.modules[path.stem] = module  # loader processes unpickle the plugin's classes by module name
    spec.loader.exec_module(module)
    module.__i2i_source__ = source  # type: ignore[attr-defined]
    return module


def _import_into(plugin: Plugin, load: Callable[[], Any]) -> None:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what a command prints is read by programs
            plugin.module = load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: no plugin may end the process
        plugin.error = one_line(error)
        return
    wanted = getattr(plugin.module, "PLUGIN_API", PLUGIN_API)
    if isinstance(wanted, int) and wanted > PLUGIN_API:
        plugin.error = (
            f"it needs version {wanted} of the plugin API, and this i2i has {PLUGIN_API}: update {DISTRIBUTION}, "
            f"or install an older {plugin.distribution or plugin.name}"
        )
