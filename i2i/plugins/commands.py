"""The commands of plugins: what is given to them on the command line, and the call."""

from __future__ import annotations

import inspect
import json
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from i2i.api import Config
from i2i.errors import attributed_to
from i2i.extras import missing_extra
from i2i.plugins.builder import checked_options, imported_builder
from i2i.plugins.registry import Plugins

_MANY = (list, tuple, set, frozenset)
"""Types whose values are given one by one."""


def command_parameters(config: type[Config]) -> list[inspect.Parameter]:
    """The arguments and options of a command, as typer reads them from the signature of a function.

    A field without a default is an argument, any other one an option, of which ``out`` is ``-o`` as well. Values are
    texts, lists of texts, or true and false: `config` parses them. None or an empty list was not given.

    Args:
        config: class of the command's options.
    """
    return [_parameter(name, field) for name, field in config.model_fields.items()]


def call_command(plugins: Plugins, name: str, given: Mapping[str, Any]) -> None:
    """Runs a command of a plugin.

    Args:
        plugins: where the name is looked up; passed on to a command with a parameter of that name.
        name: the command.
        given: values by option, as texts or of the option's type.

    Raises:
        ConfigError: an option is unknown or does not fit.
        PluginError: no plugin gives that command, or it failed.
        MissingExtraError: it needs a package of an extra that is not installed.
        UserError: raised by the command itself.
    """
    component = plugins.get("command", name)
    config, who = checked_options("command", component, dict(given)), plugins.full_name("command", name)
    build = imported_builder(component, who)
    with attributed_to(who):
        try:
            build(config, **({"plugins": plugins} if "plugins" in inspect.signature(build).parameters else {}))
        except ModuleNotFoundError as error:
            raise missing_extra(error) or error from error


def default_text(field: FieldInfo) -> str:
    """A field's default in the help; empty if there is none, or if it is None or an empty list."""
    value = None if field.is_required() else field.get_default(call_default_factory=True)
    if value in (None, [], ()):
        return ""
    return str(value) if isinstance(value, str | Path) else json.dumps(value, default=str)


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    parts = [part for part in _parts(field.annotation) if part is not type(None)]
    many, required = any(get_origin(part) in _MANY for part in parts), field.is_required()
    kind: Any = list[str] if many else str
    meaning, default = " ".join((field.description or "").split()), default_text(field)
    shown: dict[str, Any] = {"help": f"{meaning}  [default: {default}]" if default else meaning, "show_default": False}
    option = name.replace("_", "-")
    if required and name != "out":
        info = typer.Argument(metavar=name.upper(), **shown)
    elif parts == [bool]:
        kind, info = bool, typer.Option(f"--{option}/--no-{option}", **shown)
    else:
        info = typer.Option(*["-o"] * (name == "out"), f"--{option}", metavar=_metavar(parts), **shown)
    annotation: Any = Annotated[kind if required else kind | None, info]
    absent = inspect.Parameter.empty if required else None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=absent, annotation=annotation)


def _parts(annotation: Any) -> tuple[Any, ...]:
    """The members of a union; of anything else, itself alone."""
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _metavar(parts: list[Any]) -> str:
    """What stands for the value in the help, such as ``INTEGER`` or ``[adam|sgd]``."""
    inner = get_args(parts[0])[0] if get_origin(parts[0]) in (*_MANY, Annotated) else parts[0]
    if get_origin(inner) is Literal:
        return f"[{'|'.join(map(str, get_args(inner)))}]"
    return {int: "INTEGER", float: "NUMBER", Path: "PATH"}.get(inner, "TEXT")
