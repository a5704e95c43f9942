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
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from i2i.api import PLUGIN_API, Component
from i2i.errors import UserError, one_line, plugin_failures, short_repr
from i2i.extras import missing_extra
from i2i.plugins.names import normalized

DISTRIBUTION = "i2i-toolkit"
"""The distribution of i2i itself, whose plugins are the built-in ones."""

GROUP = "i2i"
"""The group of entry points that are plugins."""


@dataclass
class Plugin:
    """A plugin that was found: where it is from, and its components or the reason why it is not used.

    Attributes:
        name: name of the entry point, or of the module or file that the user named.
        distribution: the installed package; empty for a module or file that the user named.
        version: version of the distribution.
        origin: the entry point's value, the module or the file.
        module: the imported module; None if the import failed.
        error: why the plugin is not used, in one line; empty if it is used.
        cause: the error that its import or one of its hooks raised, if that is why it is not used.
        warnings: lines about what will not work in a later version.
        components: its components, each with its kind.
    """

    name: str
    distribution: str
    version: str
    origin: str
    module: Any = None
    error: str = ""
    cause: BaseException | None = None
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
        """Name of its module; for a file, the name that the module would have if it were installed."""
        return Path(self.origin).stem if self.origin.endswith(".py") else self.origin.partition(":")[0].strip()

    @property
    def names(self) -> set[str]:
        """The names by which it can be asked for or left out: its own and its distribution's."""
        return {normalized(name) for name in (self.name, self.distribution) if name}

    @property
    def built_in(self) -> bool:
        """Whether it comes with i2i."""
        return self.distribution == DISTRIBUTION

    @property
    def requested(self) -> bool:
        """Whether the user named its module or file; the others are installed."""
        return not self.distribution

    def set_aside(self, error: str, cause: BaseException | None = None) -> None:
        """Marks the plugin as not used, and removes its components.

        Args:
            error: the reason, in one line.
            cause: the error that was raised, if the plugin raised one.
        """
        self.error, self.cause, self.components = error, cause, []

    def set_aside_by(self, error: BaseException) -> None:
        """Marks the plugin as not used because its import or one of its hooks raised an error."""
        cause = missing_extra(error) or error
        self.set_aside(str(cause) if isinstance(cause, UserError) else one_line(cause), cause)


def installed_plugins(skip: Callable[[Plugin], bool]) -> list[Plugin]:
    """The installed plugins, imported; built-in ones first, the others by distribution and name.

    Args:
        skip: says which plugins are to be left out; these are not even imported.
    """
    declared = [plugin for distribution, text in _distributions() for plugin in _entry_points(distribution, text)]
    found = [plugin for plugin in declared if not skip(plugin)]
    found.sort(key=lambda plugin: (not plugin.built_in, plugin.distribution, plugin.name))
    for plugin in found:
        if not plugin.error:
            _import_into(plugin, partial(_load_entry_point, plugin.origin))
    return found


def requested_plugin(name: str) -> Plugin:
    """The plugin that the user named, imported.

    Args:
        name: path of a ``.py`` file, or dotted name of a module.
    """
    path = Path(name)
    is_file = path.suffix == ".py"
    plugin = Plugin(name=path.stem if is_file else name, distribution="", version="", origin=name)
    _import_into(plugin, lambda: import_file(path) if is_file else importlib.import_module(name))
    return plugin


def import_file(path: Path) -> ModuleType:
    """Imports a ``.py`` file under a name made of its path and content; an unchanged file is imported once.

    Loader processes that import the file too find its classes under the same name.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError("no such file")
    digest = hashlib.sha256(os.fsencode(path.resolve()) + path.read_bytes()).hexdigest()[:16]
    name = f"i2i_file_{path.stem}_{digest}"  # not the stem: lpips.py may want to import lpips
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextlib.contextmanager
def printing_to_stderr() -> Iterator[None]:
    """Sends what is printed inside to stderr, for stdout is read by programs.

    It is a stream of its own, because some modules wrap ``sys.stdout.buffer`` and close what they wrapped.
    """
    try:
        descriptor = os.dup(2)
    except OSError:  # no stderr at all
        descriptor = os.open(os.devnull, os.O_WRONLY)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
        with contextlib.redirect_stdout(stream):
            yield
        with contextlib.suppress(ValueError):  # closed by a plugin
            stream.flush()


def _distributions() -> Iterator[tuple[importlib.metadata.Distribution, str | None]]:
    """The installed distributions that may have plugins, each with the content of its ``entry_points.txt``.

    The content is None if it cannot be decoded. Of several distributions of one name, the first on the path counts, as
    it does for ``import``.
    """
    seen: set[str] = set()
    for distribution in importlib.metadata.distributions():
        with contextlib.suppress(Exception):  # an unrelated package's broken metadata is not ours to report
            try:
                text = distribution.read_text("entry_points.txt") or ""
            except UnicodeError:
                text = None
            if text is None or GROUP in text:
                name = normalized(distribution.metadata["Name"])
                if name not in seen and (text is not None or name.startswith(GROUP)):
                    seen.add(name)
                    yield distribution, text


def _entry_points(distribution: importlib.metadata.Distribution, text: str | None) -> Iterator[Plugin]:
    """A distribution's plugins, not imported; one whose metadata cannot be read has an error."""
    name, version = distribution.metadata["Name"], distribution.metadata["Version"] or "?"
    parser = configparser.ConfigParser(delimiters=("=",), strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their capitals
    try:
        if text is None:
            raise ValueError("not a text in UTF-8")
        parser.read_string(text)
    except (configparser.Error, ValueError) as error:
        yield Plugin(
            name, name, version, "entry_points.txt", error=f"its entry_points.txt cannot be read: {one_line(error)}"
        )
        return
    for plugin, value in parser.items(GROUP) if parser.has_section(GROUP) else ():
        yield Plugin(plugin, name, version, value)


def _load_entry_point(value: str) -> Any:
    """The object that an entry point names.

    Raises:
        ValueError: the text has not the form of an entry point.
    """
    point = importlib.metadata.EntryPoint(name="", value=value, group=GROUP)
    if not point.pattern.match(value):
        raise ValueError(f"the entry point '{value}' must name a module, such as i2i_something")
    return point.load()


def _import_into(plugin: Plugin, load: Callable[[], Any]) -> None:
    """Imports a plugin and checks its version of the plugin API; what goes wrong becomes its `error`."""
    try:
        with printing_to_stderr():
            plugin.module = load()
            version = getattr(plugin.module, "PLUGIN_API", PLUGIN_API)
    except plugin_failures() as error:  # no plugin may end the process; signals and Ctrl-C do
        plugin.set_aside_by(error)
        return
    if type(version) is not int or version < 1:
        plugin.set_aside(f"its PLUGIN_API must be a whole number, such as {PLUGIN_API}, not {short_repr(version)}")
    elif version > PLUGIN_API:
        plugin.set_aside(
            f"it needs version {version} of the plugin API, and this i2i has {PLUGIN_API}: update {DISTRIBUTION}, "
            f"or install an older {plugin.distribution or plugin.name}"
        )
