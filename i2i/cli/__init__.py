"""The ``i2i`` command. Commands import what they need in their bodies, so that help and translation start at once."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Annotated, NoReturn

import typer

from i2i.cli import data, deploy, generate, inspect, plugins, train
from i2i.cli.common import Stopped, forgive_malformed_metadata, open_closed_streams, say
from i2i.errors import UserError, debugging
from i2i.extras import missing_extra

app = typer.Typer(
    name="i2i",
    help="Image-to-image translation: train, translate, extend, deploy.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # three times faster to start
    pretty_exceptions_enable=False,
)


@app.callback()
def _options(
    context: typer.Context,
    plugin: Annotated[
        list[str] | None, typer.Option("--plugin", "-p", help="Load a plugin from a module or a .py file.")
    ] = None,
    disable: Annotated[list[str] | None, typer.Option("--disable", help="Leave out an installed plugin.")] = None,
) -> None:
    context.obj = {"extra": plugin or (), "disable": disable or ()}


app.command("train")(train.train)
app.command("config")(train.config)
app.command("translate")(deploy.translate)
app.command("generate")(generate.generate)
app.command("export")(deploy.export)
app.command("report")(inspect.report)
app.command("doctor")(inspect.doctor)
app.add_typer(data.app, name="data")
app.add_typer(plugins.app, name="plugins")


def main() -> NoReturn:
    """Runs the command line; a `UserError` becomes one line on stderr and its exit code."""
    # Before torch comes: OpenMP threads spin long while they wait. Beside one other busy process that took a training
    # step from 0.07 s to 2 s; with brief spinning to 0.18 s, and a quiet machine is as fast as before.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    open_closed_streams()
    forgive_malformed_metadata()
    try:
        code = app(standalone_mode=False) or 0
    except UserError as error:
        _fail(error, error.exit_code)
    except typer.Exit as error:
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", 130)
    except Stopped as stopped:
        _leave(128 + stopped.args[0])
    except BrokenPipeError as error:
        _leave_if_stopped(error)
        _leave_pipe()
    except Exception as error:
        _leave_if_stopped(error)
        _refuse_usage(error)
        if debugging():
            raise
        if missing := missing_extra(error):
            _fail(missing, missing.exit_code)
        reason = " ".join(str(error).split())[:500]
        _fail(f"unexpected {type(error).__name__}: {reason} (I2I_DEBUG=1 shows where)", 2)
    except SystemExit as error:
        _blame(error)
    sys.exit(code)


def _refuse_usage(error: Exception) -> None:
    """Leaves after click's own usage errors; where a command is missing, their message is the help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        say(str(error))
        sys.exit(2)
    if hasattr(error, "format_message"):
        _fail(error.format_message(), 2)


def _blame(error: SystemExit) -> NoReturn:
    """Neither typer nor i2i ends the program inside the app, but click does where a pipe is closed."""
    if isinstance(error.__context__, BrokenPipeError):
        _leave_pipe()
    _fail(f"a plugin tried to end the program (SystemExit: {error})", 2)


def _leave_pipe() -> NoReturn:
    """The reader, such as `head`, has seen enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def _leave_if_stopped(error: BaseException | None) -> None:
    """What goes wrong after a signal, such as telling of it on a terminal that was closed, does not hide the signal."""
    while error is not None:
        if isinstance(error, Stopped):
            _leave(128 + error.args[0])
        error = error.__context__


def _leave(code: int) -> NoReturn:
    """Ends at once, whatever other threads still compute: what they write appears whole or not at all."""
    say("i2i: error: interrupted")
    with suppress(OSError):
        sys.stdout.flush()
    os._exit(code)


def _fail(message: object, code: int) -> NoReturn:
    """Says one line and leaves; of several processes that begin alike the first one speaks."""
    from i2i.files import printable

    if debugging() and isinstance(message, UserError):
        raise message
    rank = os.environ.get("LOCAL_RANK", "0")
    where = f"process {rank}: " if rank != "0" else ""
    if not where or (isinstance(message, UserError) and _training_together()):  # what went wrong there only
        say(f"i2i: error: {where}{printable(' '.join(str(message).split()))}")
    sys.exit(code)


def _training_together() -> bool:
    """Whether several processes have begun to train, so that one of them may fail alone."""
    distributed = sys.modules.get("torch.distributed")
    return bool(distributed and distributed.is_available() and distributed.is_initialized())
