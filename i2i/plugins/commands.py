"""The commands of plugins: what is given to them on the command line, and the call."""

from __future__ import annotations

import inspect
import json
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from i2i.api import Component, Config
from i2i.errors import ConfigError, attributed_to, short_repr
from i2i.extras import missing_extra
from i2i.plugins.builder import imported_builder
from i2i.plugins.registry import Plugins

_MANY = (list, tuple, set, frozenset)
"""Types whose values are given one by one."""


def command_line_problem(config: type[Config]) -> str:
    """Why a command cannot be called from a command line, and what mends it; empty if it can.

    Args:
        config: class of the command's options.
    """
    fields = config.model_fields
    arguments = [name for name, field in fields.items() if _is_argument(name, field)]
    if "help" in fields:
        return "rename option 'help': --help prints the help of the command"
    for name, field in fields.items():
        opposite = f"no_{name}"
        if opposite in fields and _parts(field) == [bool] and not {name, opposite} & set(arguments):
            return f"rename option '{opposite}': {_spelled(opposite, fields[opposite])} sets option '{name}' to false"
    if mappings := [name for name, field in fields.items() if field.is_required() and _is_mapping(field)]:
        return f"give '{mappings[0]}' a default: a mapping cannot be given on the command line"
    lists = [name for name in arguments if _is_many(fields[name])]
    if len(lists) > 1:
        return f"give '{lists[1]}' a default, which makes it an option: only one list, '{lists[0]}', can be an argument"
    return ""


def command_parameters(config: type[Config]) -> list[inspect.Parameter]:
    """The arguments and options of a command, as typer reads them from the signature of a function.

    A field without a default is an argument, any other one an option, of which ``out`` is ``-o`` as well. Values are
    texts, lists of texts, or true and false: `config` parses them. None or an empty list was not given. Mappings cannot
    be given, and are left out.

    Args:
        config: class of the command's options, in which `command_line_problem` finds none.
    """
    return [_parameter(name, field) for name, field in config.model_fields.items() if not _is_mapping(field)]


def call_command(plugins: Plugins, name: str, given: Mapping[str, Any]) -> int:
    """Runs a command of a plugin.

    Args:
        plugins: where the name is looked up; passed on to a command with a parameter of that name.
        name: the command.
        given: values by option, as texts or of the option's type.

    Returns:
        The exit code: 0, or the one with which the command called ``sys.exit``.

    Raises:
        ConfigError: an option is unknown or does not fit, or a path is empty.
        PluginError: no plugin gives that command, or it failed.
        MissingExtraError: it needs a package of an extra that is not installed.
        UserError: raised by the command itself.
    """
    component = plugins.get("command", name)
    config, who = _checked(component, given), plugins.full_name("command", name)
    build = imported_builder(component, who)
    with attributed_to(who):
        try:
            build(config, **({"plugins": plugins} if "plugins" in inspect.signature(build).parameters else {}))
        except ModuleNotFoundError as error:
            raise missing_extra(error) or error from error
        except SystemExit as error:
            if not isinstance(error.code, int | None):
                raise
            return int(error.code or 0)
    return 0


def default_text(field: FieldInfo) -> str:
    """A field's default in the help; empty if there is none, or if it is None or an empty list or set."""
    value = None if field.is_required() else field.get_default(call_default_factory=True)
    if value in (None, [], (), set()):
        return ""
    value = sorted(value, key=str) if isinstance(value, set | frozenset) else value
    return str(value) if isinstance(value, str | Path) else json.dumps(value, default=str)


def _checked(component: Component, given: Mapping[str, Any]) -> Any:
    """The command's `Config` with these values; messages have the options as they are typed.

    Raises:
        ConfigError: an option is unknown or does not fit, or a path is empty.
    """
    who, fields = f"command '{component.name}'", component.config.model_fields
    for name, value in given.items():
        if (
            name in fields
            and _item(_parts(fields[name])) is Path
            and (value == "" or (_is_many(fields[name]) and "" in value))
        ):
            raise ConfigError(f"{who}, {_spelled(name, fields[name])}: the path is empty; the current folder is .")
    try:
        return component.config(**given)
    except ValidationError as error:
        first = error.errors()[0]
        reason, name = first["msg"][:1].lower() + first["msg"][1:], str(first["loc"][0]) if first["loc"] else ""
        if name:
            who += f", {_spelled(name, fields.get(name))}"
        if name and first["type"] != "missing":
            who += f" {short_repr(first['input'])}"
        raise ConfigError(f"{who}: {reason}") from error


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    parts, required = _parts(field), field.is_required()
    kind: Any = list[str] if _is_many(field) else str
    meaning, default = " ".join((field.description or "").split()), default_text(field)
    shown: dict[str, Any] = {"help": f"{meaning}  [default: {default}]" if default else meaning, "show_default": False}
    typed = _spelled(name, field)
    if _is_argument(name, field):
        info = typer.Argument(metavar=typed, **shown)
    elif parts == [bool]:
        kind, info = bool, typer.Option(f"{typed}/--no-{typed[2:]}", **shown)
    else:
        info = typer.Option(*["-o"] * (name == "out"), typed, metavar=_metavar(parts), **shown)
    annotation: Any = Annotated[kind if required else kind | None, info]
    absent = inspect.Parameter.empty if required else None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=absent, annotation=annotation)


def _is_argument(name: str, field: FieldInfo) -> bool:
    return field.is_required() and name != "out"


def _spelled(name: str, field: FieldInfo | None) -> str:
    """The argument as the help names it, such as ``RUN``, or the option as it is typed, such as ``--val-count``."""
    return name.upper() if field and _is_argument(name, field) else f"--{name.replace('_', '-')}"


def _parts(field: FieldInfo) -> list[Any]:
    """The members of a union other than None; of any other type, itself alone."""
    union = get_origin(field.annotation) in (Union, types.UnionType)
    return [part for part in (get_args(field.annotation) if union else (field.annotation,)) if part is not type(None)]


def _is_many(field: FieldInfo) -> bool:
    """Whether values are given one by one."""
    return any((get_origin(part) or part) in _MANY for part in _parts(field))


def _is_mapping(field: FieldInfo) -> bool:
    """Whether a type takes nothing but mappings."""
    origins = [get_origin(part) or part for part in _parts(field)]
    return all(isinstance(origin, type) and issubclass(origin, Mapping) for origin in origins)


def _item(parts: list[Any]) -> Any:
    """The type of a value, or of each of a list."""
    return get_args(parts[0])[0] if get_origin(parts[0]) in (*_MANY, Annotated) else parts[0]


def _metavar(parts: list[Any]) -> str:
    """What stands for the value in the help, such as ``INTEGER`` or ``[adam|sgd]``."""
    item = _item(parts)
    if get_origin(item) is Literal:
        return f"[{'|'.join(map(str, get_args(item)))}]"
    return {int: "INTEGER", float: "NUMBER", Path: "PATH"}.get(item, "TEXT")
