"""``i2i run``: the commands of plugins."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

import typer

from i2i.cli.common import plugins_of
from i2i.cli.usage import CommandGroup
from i2i.errors import PluginError

if TYPE_CHECKING:
    from i2i.api import Component
    from i2i.plugins import Plugins


class PluginCommands(CommandGroup):
    """The group of the commands that plugins give; plugins are loaded when these are listed or one is called."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the words after the group's name.

        Raises:
            PluginError: no plugin gives any command.
        """
        asks = ctx.resilient_parsing or args[:1] in (["-h"], ["--help"])
        if not asks and not self.list_commands(ctx):
            raise PluginError("no plugin gives a command; load one that does, as in: i2i -p FILE run")
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands."""
        return list(plugins_of(ctx).table("command"))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command as a list shows it, with its summary and without its options; None if there is none."""
        entries = plugins_of(ctx).table("command").get(cmd_name)
        return _command(entries[0][1], lambda: None) if entries else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first word names, with its options.

        Raises:
            PluginError: no plugin gives it, more than one does, or its options cannot be given on a command line.
        """
        from i2i.plugins.commands import command_line_problem

        if ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:  # for the shell, which completes words
            return super().resolve_command(ctx, args)
        plugins = plugins_of(ctx)
        component = plugins.get("command", args[0])
        if problem := command_line_problem(component.config):
            raise PluginError(f"{plugins.full_name('command', args[0])}: {problem}")
        return args[0], _runnable(plugins, component), args[1:]


app = typer.Typer(
    cls=PluginCommands, help="Run a command that a plugin gives.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def _group() -> None:
    """A group without commands of its own needs a function."""


def _runnable(plugins: Plugins, component: Component) -> Any:
    """The command with its options, which runs it."""
    from i2i.plugins.commands import call_command, command_parameters

    def run(**given: Any) -> None:
        try:
            kept = {key: one for key, one in given.items() if one not in (None, [], ())}
            code = call_command(plugins, component.name, kept)
            sys.stdout.flush()
        except PluginError as error:
            if isinstance(error.__cause__, BrokenPipeError):  # the reader of stdout, such as `head`, has closed it
                raise error.__cause__ from None
            raise
        raise typer.Exit(code)

    run.__signature__ = inspect.Signature(command_parameters(component.config))  # type: ignore[attr-defined]
    return _command(component, run)


def _command(component: Component, function: Any) -> Any:
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(component.name, help=component.summary)(function)
    return typer.main.get_command(alone)
