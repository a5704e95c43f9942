"""A plugin package to start from: module, packaging, test and README, made from templates.

The names in ``templates/`` are those of the kinds of components, and of the files that every plugin has.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import TYPE_CHECKING

from i2i.errors import PluginError, system_reason
from i2i.extras import run_command
from i2i.plugins.names import KINDS, nearest

if TYPE_CHECKING:
    from i2i.plugins.registry import Plugins

PREFIX = "i2i-"
"""What the names of third-party packages begin with; the plugin's name follows."""

MAX_LENGTH = 32
"""Characters of a plugin's name, so that generated lines stay short."""

RESERVED = {
    "recipe": {"data", "train", "engine", "recipe", "preset", "seed"},
    "dataset": {"auto"},
}
"""Kind of component -> names that mean something else in a configuration."""

USES = {
    "recipe": "i2i train {name}",
    "generator": "i2i train pix2pix --set pix2pix.generator={name}",
    "discriminator": "i2i train pix2pix --set pix2pix.discriminator={name}",
    "loss": "i2i train pix2pix --set pix2pix.adversary.loss={name}",
    "features": "i2i train srgan --set srgan.features={name}",
    "dataset": "i2i train pix2pix --data FOLDER --set data.layout={name}",
    "transform": "i2i train pix2pix --set data.transform={name}",
    "optimizer": "i2i train pix2pix --set train.optimizer={name}",
    "schedule": "i2i train pix2pix --set train.schedule={name}",
    "metric": 'i2i train pix2pix --set "train.metrics=[{name}]"',
    "command": "i2i run {name} RUN",
    "backend": "i2i translate RUN FOLDER -o OUT --backend {name}",
    "tracker": 'i2i train pix2pix --set "train.trackers=[{name}]"',
}
"""Kind of component -> a command that uses one of that name."""


def new_plugin(name: str, kind: str, folder: Path | None, plugins: Plugins) -> Path:
    """Writes a plugin package that works as it is.

    Args:
        name: name of the plugin and its component, in kebab-case; a leading ``i2i-`` is removed.
        kind: one of `i2i.plugins.KINDS`.
        folder: the folder to make; None: ``i2i-NAME`` in the current one.
        plugins: the plugins whose names the new one must not have.

    Returns:
        The folder: a module ``i2i_NAME.py``, a test, ``pyproject.toml`` and ``README.md``.

    Raises:
        PluginError: there is no such kind, the name is taken or cannot be that of a plugin, or the folder exists or
            cannot be written; nothing is left behind.
    """
    name = name.removeprefix(PREFIX)
    _check_name(name, kind, plugins)
    folder = folder or Path(PREFIX + name)
    _write(folder, _render(name, kind))
    return folder


def next_commands(name: str, kind: str, folder: Path) -> list[str]:
    """The commands that install, check and use a new plugin, for the current folder.

    Where uv runs i2i, as in a clone of it, they are uv's: an environment that uv made has no pip, and another pip would
    install the plugin elsewhere.
    """
    name = name.removeprefix(PREFIX)
    path = str(folder) if folder.is_absolute() else f"./{folder}"  # pip takes a bare name for one on the index
    data = " --data FOLDER" if kind == "dataset" else ""
    install, run = "uv pip install" if "UV" in os.environ else "pip install", run_command()
    use = USES[kind].format(name=name).removeprefix("i2i ")
    return [f"{install} -e {shlex.quote(path)}", f"{run} plugins check {name}{data}", f"{run} {use}"]


def _check_name(name: str, kind: str, plugins: Plugins) -> None:
    """Refuses names that are taken, or that a plugin of that kind cannot have.

    Raises:
        PluginError: as `new_plugin`.
    """
    if kind not in KINDS:
        raise PluginError(f"unknown kind '{kind}'{nearest(kind, KINDS)}; known: {', '.join(KINDS)}")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or len(name) > MAX_LENGTH:
        rule = f"small letters and digits, words joined by '-', a letter first, at most {MAX_LENGTH} characters"
        raise PluginError(f"a plugin cannot be called '{name}': use {rule}, such as my-{kind}")
    if name in RESERVED.get(kind, ()) or name in ("null", "true", "false"):
        raise PluginError(f"a {kind} cannot be called '{name}', a word of the configuration: take another name")
    if entries := plugins.table(kind).get(name):
        raise PluginError(f"there is a {kind} '{name}' already, of plugin {entries[0][0]}: take another name")
    if same := next((plugin for plugin in plugins.all if plugin.name == name), None):
        raise PluginError(f"there is a plugin {same} already: take another name, or uninstall it")
    with contextlib.suppress(PackageNotFoundError):
        found = distribution(PREFIX + name)
        raise PluginError(f"the package {found.name} {found.version} is installed: take another name, or uninstall it")


def _render(name: str, kind: str) -> dict[str, str]:
    """The files of the package: contents by name."""
    import jinja2

    from i2i.api import PLUGIN_API

    module = f"i2i_{name.replace('-', '_')}"
    words = "".join(word.capitalize() for word in name.split("-")).removesuffix(kind.capitalize())
    values = {
        "name": name,
        "kind": kind,
        "module": module,
        "cls": words + kind.capitalize(),  # never a keyword, whatever the name
        "config": (words or kind.capitalize()) + "Config",
        "graph": (words or kind.capitalize()) + "Graph",
        "function": f"run_{name.replace('-', '_')}",  # never a keyword, either
        "api": PLUGIN_API,
        "version": version("i2i-toolkit").partition("+")[0],
        "use": USES[kind].format(name=name),
    }
    templates = jinja2.Environment(  # noqa: S701  the files are no HTML, and the name has been checked
        loader=jinja2.PackageLoader("i2i.plugins.scaffold"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )
    files = {
        f"{module}.py": f"{kind}.py.j2",
        f"test_{module.removeprefix('i2i_')}.py": "test.py.j2",
        "pyproject.toml": "pyproject.toml.j2",
        "README.md": "README.md.j2",
    }
    return {file: templates.get_template(template).render(values) for file, template in files.items()}


def _write(folder: Path, files: dict[str, str]) -> None:
    """Makes the folder with all files; when that fails, nothing is left."""
    missing = [parent for parent in folder.parents if not parent.exists()]
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise PluginError(f"{folder} exists: take another name, or another folder with -o") from None
    except OSError as error:
        _remove_empty(missing)
        raise PluginError(f"{folder}: cannot make the folder: {system_reason(error)}") from error
    try:
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        _remove_empty(missing)
        if not isinstance(error, OSError):
            raise
        raise PluginError(f"{folder}: cannot write the plugin: {system_reason(error)}") from error


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:  # the innermost first
        with contextlib.suppress(OSError):
            folder.rmdir()
