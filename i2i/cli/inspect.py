"""``i2i report`` and ``i2i doctor``: showing runs, and the state of the installation."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from i2i.cli.common import plugins_of, show
from i2i.extras import EXTRAS, install_command, missing_extra

if TYPE_CHECKING:
    from i2i.plugins import Plugins


def report(
    context: typer.Context,
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders; several are compared.", metavar="RUN...", show_default=False)
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The page to write.")] = Path("report.html"),
) -> None:
    """Write one HTML page about one run or several."""
    from i2i.errors import RunError, system_reason
    from i2i.report import write_report

    try:
        show(str(write_report(runs, out, plugins_of(context))))
    except OSError as error:
        raise RunError(f"{out}: cannot write the report: {system_reason(error)}") from error


def doctor(
    context: typer.Context,
    full: Annotated[bool, typer.Option("--full", help="Import torch too, which takes seconds, and try it.")] = False,
) -> None:
    """Show versions, devices, providers and plugins, and what is wrong with them."""
    show(f"i2i {_version('i2i-toolkit')}, Python {sys.version.split()[0]}, {platform.platform()}")
    names = ("torch", "torchvision", "lightning-fabric", "albumentations", "onnx", "onnxruntime-gpu", "onnxruntime")
    show("packages: " + ", ".join(f"{name} {_version(name)}" for name in names if _version(name)))
    for extra, packages in EXTRAS.items():
        if absent := [package for package in packages if not _version(package)]:
            show(f"extra {extra}: not installed: {', '.join(absent)}; {install_command(extra)}")
    plugins = plugins_of(context)
    broken = _backend_problems(plugins)
    problems = [*_plugin_problems(plugins), *broken, *_onnxruntime_problems(), *(_torch_problems() if full else ())]
    show("\n".join(f"problem: {line}" for line in problems) or "no problems found")
    if not full and _version("torch"):
        show("torch was not tried: i2i doctor --full does")
    if problems:
        raise typer.Exit(1)


def _plugin_problems(plugins: Plugins) -> list[str]:
    """Lines about what is wrong with plugins; one that only lacks an extra is not among them."""
    failed = [plugin for plugin in plugins.failed() if not missing_extra(plugin.cause)]
    return [
        *(f"plugin {plugin}: {plugin.error}" for plugin in failed),
        *plugins.conflicts(),
        *(f"plugin {plugin}: {line}" for plugin in plugins.all for line in plugin.warnings),
    ]


def _backend_problems(plugins: Plugins) -> list[str]:
    """Prints the backends, and what is in the way of each; returns those that fail."""
    from i2i.errors import UserError
    from i2i.plugins.backends import build_backend, problem_of
    from i2i.runtime.computing.backend import Opening

    found = []
    alone = [name for name, given in plugins.table("backend").items() if len(given) == 1]  # see `Plugins.conflicts`
    for name in alone:
        try:
            problem = problem_of(build_backend(plugins, name), Opening(), plugins.full_name("backend", name))
            show(f"backend {name}: {problem or 'usable'}")
        except UserError as error:
            found.append(str(error))
    return found


def _torch_problems() -> list[str]:
    """Prints torch's devices; returns why torch cannot be imported, unless it is just not installed."""
    try:
        import torch

        devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        show(f"torch devices: cpu ({torch.get_num_threads()} threads)" + "".join(f", {name}" for name in devices))
    except Exception as error:
        return [] if missing_extra(error) else [f"torch cannot be imported: {error}"]
    return []


def _onnxruntime_problems() -> list[str]:
    """Prints onnxruntime's providers; what is wrong with it."""
    try:
        import onnxruntime

        show("onnxruntime providers: " + ", ".join(onnxruntime.get_available_providers()))
    except Exception as error:
        return [f"onnxruntime cannot be imported: {error}"]
    if _version("onnxruntime") and _version("onnxruntime-gpu"):
        return [
            "onnxruntime and onnxruntime-gpu are both installed, which hides CUDA: uninstall both, then install one"
        ]
    return []


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
