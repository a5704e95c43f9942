"""The ``i2i`` command. Commands import what they need in their bodies, so that help and translation start at once."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import Annotated, NoReturn

import typer

from i2i.cli import data, inspect, plugins, run, train
from i2i.cli.common import SignalReceived, ignore_malformed_metadata, open_closed_streams, say, signals_raised
from i2i.cli.models import bench, deploy, evaluate, generate, listing
from i2i.cli.usage import CommandGroup, ConfiguredCommand, usage_line
from i2i.errors import UserError, debugging
from i2i.extras import missing_extra
from i2i.signals import exit_at_once

app = typer.Typer(
    name="i2i",
    help="Image-to-image translation: train, translate, extend, deploy.",
    no_args_is_help=True,
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,  # three times faster to start
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        import i2i

        print(f"i2i {i2i.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    plugin: Annotated[
        list[str] | None, typer.Option("--plugin", "-p", help="Load a plugin from a module or a .py file.")
    ] = None,
    disable: Annotated[list[str] | None, typer.Option("--disable", help="Leave out an installed plugin.")] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    context.obj = {"extra": plugin or (), "disable": disable or ()}


app.command("train", cls=ConfiguredCommand)(train.train)
app.command("config", cls=ConfiguredCommand)(train.config)
app.command("translate")(deploy.translate)
app.command("generate")(generate.generate)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(deploy.export)
app.command("report")(inspect.report)
app.command("models")(listing.models)
app.command("doctor")(inspect.doctor)
app.add_typer(bench.app, name="bench")
app.add_typer(data.app, name="data")
app.add_typer(plugins.app, name="plugins")
app.add_typer(run.app, name="run")


def main() -> NoReturn:
    """Runs the command line; a `UserError` becomes one line on stderr and its exit code."""
    # Before torch is imported: OpenMP threads spin while they wait. Beside one other busy process that took a training
    # step from 0.07 s to 2 s; with brief spinning to 0.18 s, and a quiet machine is as fast as before.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    atexit.register(gc.freeze)  # else Python searches all modules for garbage while it ends: 0.1 s
    open_closed_streams()
    ignore_malformed_metadata()
    try:
        with signals_raised():
            code = app(standalone_mode=False) or 0
    except UserError as error:
        _fail(error, error.exit_code)
    except typer.Exit as error:
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", 130)
    except SignalReceived as received:
        exit_at_once(128 + received.number)
    except BrokenPipeError as error:
        _exit_if_signalled(error)
        _exit_on_closed_pipe()
    except Exception as error:
        _exit_if_signalled(error)
        _exit_on_usage_error(error)
        if debugging():
            raise
        if missing := missing_extra(error):
            _fail(missing, missing.exit_code)
        reason = " ".join(str(error).split())[:500]
        _fail(f"unexpected {type(error).__name__}: {reason} (I2I_DEBUG=1 shows where)", 2)
    except SystemExit as error:
        _exit_from_plugin(error)
    sys.exit(code)


def _exit_on_usage_error(error: Exception) -> None:
    """Exits after a usage error of click; where a command is missing, the error's message is the help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        say(str(error))
        sys.exit(2)
    if hasattr(error, "format_message"):
        _fail(usage_line(error), 2)


def _exit_from_plugin(error: SystemExit) -> NoReturn:
    """Exits after a SystemExit inside a command: of click, for completion or a closed pipe, or of a plugin."""
    if isinstance(error.__context__, BrokenPipeError):
        _exit_on_closed_pipe()
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is not None and trace.tb_frame.f_globals.get("__name__", "").partition(".")[0] in ("typer", "click"):
        raise error
    _fail(f"a plugin tried to end the program (SystemExit: {error})", 2)


def _exit_on_closed_pipe() -> NoReturn:
    """Exits with 0: the reader of stdout, such as `head`, has closed the pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def _exit_if_signalled(error: BaseException | None) -> None:
    """Exits if an error happened while a signal was handled, such as printing to a terminal that was closed."""
    while error is not None:
        if isinstance(error, SignalReceived):
            exit_at_once(128 + error.number)
        error = error.__context__


def _fail(message: object, code: int) -> NoReturn:
    """Prints one line and exits.

    Of several processes of one training only the first prints, unless another one failed after training had begun.
    """
    if debugging() and isinstance(message, UserError):
        raise message
    rank = os.environ.get("LOCAL_RANK", "0")
    where = f"process {rank}: " if rank != "0" else ""
    if not where or (isinstance(message, UserError) and _training_together()):
        say(f"i2i: error: {where}{' '.join(str(message).split())}")
    sys.exit(code)


def _training_together() -> bool:
    """Whether this is one of several processes that train together, so that each may fail for reasons of its own."""
    distributed = sys.modules.get("torch.distributed")
    return bool(distributed and distributed.is_available() and distributed.is_initialized())
