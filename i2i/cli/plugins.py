"""``i2i plugins``: listing, showing, beginning and checking plugins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from i2i.cli.common import plugins_of, show
from i2i.cli.usage import CommandGroup

if TYPE_CHECKING:
    from i2i.api import Component, Config
    from i2i.plugins import Plugins
    from i2i.plugins.discovery import Plugin


app = typer.Typer(
    cls=CommandGroup, help="Look at, begin and check plugins.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("list")
def list_plugins(context: typer.Context) -> None:
    """List every plugin with what it gives, or why it cannot be used."""
    found = plugins_of(context)
    for plugin in found.all:
        show(f"{plugin.name}  ({plugin.source})")
        if plugin.error:
            show(f"  not loaded: {plugin.error}")
        for kind, component in plugin.components:
            show(f"  {kind:14} {component.name:16} {component.summary}")
        for line in plugin.warnings:
            show(f"  warning: {line}")
    for line in found.conflicts():
        show(f"conflict: {line}")


@app.command("show")
def show_plugin(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A plugin or a component.", show_default=False)],
) -> None:
    """Show what a plugin or component gives, with options, defaults and meanings."""
    for plugin, components in _named(plugins_of(context), name):
        file = getattr(plugin.module, "__file__", None) or plugin.origin
        show(f"{plugin.name}  ({f'{plugin.source}, ' if plugin.distribution else ''}{file})")
        for kind, component in components:
            show(f"\n{kind} {component.name}: {component.summary}")
            if component.presets:
                show(f"  presets: {', '.join(component.presets)}")
            for line in _options(component.config, _defaults(component.config)):
                show(f"  {line}")


@app.command("new")
def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The plugin's name, such as stripes.", show_default=False)],
    kind: Annotated[
        str,
        typer.Option(
            help="recipe, generator, discriminator, loss, features, dataset, transform, optimizer, schedule, metric, "
            "command, backend or tracker."
        ),
    ] = "recipe",
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder to make; by default i2i-NAME.")] = None,
) -> None:
    """Make a folder with a plugin that works: one module, its test, and what it takes to install it."""
    from i2i.plugins.scaffold import new_plugin, next_commands

    folder = new_plugin(name, kind, out, plugins_of(context))
    show(f"made {folder}; next:")
    for line in next_commands(name, kind, folder):
        show(f"  {line}")


@app.command("check")
def check(
    context: typer.Context,
    target: Annotated[
        str, typer.Argument(help="A plugin by name, module or .py file, or a component.", show_default=False)
    ],
    data: Annotated[
        Path | None, typer.Option(help="A folder for datasets and recipes that need one of their own kind.")
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="An option of what is checked.", metavar="KEY=VALUE")
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(help="A check to leave out, by its name.")] = None,
) -> None:
    """Run every check on what a plugin gives; a line each says ok, or what is wrong and how to mend it."""
    from i2i.testing import findings

    plugins = _with_target(context, target)
    counts = {"ok": 0, "wrong": 0, "skipped": 0}
    for plugin, components in _named(plugins, target):
        for line in plugin.warnings:
            show(f"note    plugin {plugin}: {line}")
        if not components:
            show(f"note    plugin {plugin}: gives no components")
        for kind, component in components:
            found = findings(kind, component.name, plugins=plugins, data=data, sets=sets or (), skip=skip or ())
            for finding in found:
                show(str(finding))
                counts["wrong" if finding.problem else "skipped" if finding.skipped else "ok"] += 1
    show(", ".join(f"{count} {what}" for what, count in counts.items() if count or what == "ok"))
    if counts["wrong"]:
        raise typer.Exit(1)


def _with_target(context: typer.Context, target: str) -> Plugins:
    """The plugins, with the target loaded when it is a file or a module that is not installed as a plugin.

    Raises:
        PluginError: the target is no plugin, component, file or module, or cannot be loaded.
    """
    from i2i.errors import PluginError
    from i2i.plugins import Plugins

    found = plugins_of(context)
    loaded = Plugins(**context.obj | {"extra": [*context.obj["extra"], target]})
    if target.endswith(".py"):
        return loaded
    try:
        _named(found, target)
    except PluginError as error:
        if any(target in plugin.names for plugin in found.failed()):
            raise
        try:
            _named(loaded, target)
        except PluginError as second:
            cause = second.__cause__
            absent = isinstance(cause, ModuleNotFoundError) and cause.name == target  # not a module that it imports
            raise (error if absent else second) from None
        return loaded
    return found


def _named(plugins: Plugins, name: str) -> list[tuple[Plugin, list[tuple[str, Component]]]]:
    """The plugins that a name stands for, each with its matching components and their kinds.

    Args:
        plugins: where the name is looked up.
        name: a plugin, distribution, file or module, for all its components; or a component.

    Raises:
        PluginError: there are none, or the plugin of that name cannot be used.
    """
    from i2i.errors import PluginError
    from i2i.plugins.names import nearest, normalized

    by_name = [plugin for plugin in plugins.all if name == plugin.origin]  # a file or module that was asked for
    by_name = by_name or [plugin for plugin in plugins.all if normalized(name) in plugin.names]
    if broken := next((plugin for plugin in by_name if plugin.error), None):
        raise PluginError(f"plugin {broken} is not loaded: {broken.error}")
    if by_name:
        return [(plugin, plugin.components) for plugin in by_name]
    given = [(plugin, [(k, c) for k, c in plugin.components if c.name == name]) for plugin in plugins.all]
    if not any(components for _, components in given):
        known = {p.name for p in plugins.all} | {c.name for p in plugins.all for _, c in p.components}
        message = f"no plugin or component '{name}'{nearest(name, known)}; `i2i plugins list` lists them"
        if failures := plugins.failures():
            message += f"; not loaded: {failures}"
        raise PluginError(message)
    return [(plugin, components) for plugin, components in given if components]


def _options(model: type[Config], values: Config | None, prefix: str = "") -> list[str]:
    """A line for each option; the options of a group have the group's name before theirs."""
    import json

    from i2i.api import Choice, Config
    from i2i.config.text import type_text

    lines = []
    for name, field in model.model_fields.items():
        if values:
            value = getattr(values, name)
        else:
            value = "(to be given)" if field.is_required() else field.get_default(call_default_factory=True)
        if isinstance(value, Config):
            lines += _options(type(value), value, f"{prefix}{name}.")
            continue
        if isinstance(value, Choice):
            value = value.to_dict() if value.options else value.name
        default = str(value) if isinstance(value, str | Path) else json.dumps(value, default=str)
        meaning = " ".join((field.description or "").split())
        lines.append(f"{prefix}{name} = {default}  ({type_text(field.annotation)})  {meaning}".rstrip())
    return lines


def _defaults(model: type[Config]) -> Config | None:
    """The default options; None if some have no default."""
    try:
        return model()
    except Exception:  # a recipe may give what has no default
        return None
