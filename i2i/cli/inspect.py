"""``i2i plugins``, ``i2i report`` and ``i2i doctor``: looking at what there is."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from i2i.cli.common import plugins_of

if TYPE_CHECKING:
    from i2i.plugins import Plugins

app = typer.Typer(help="Look at the plugins.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_plugins(context: typer.Context) -> None:
    """List every plugin with what it gives, or why it cannot be used."""
    found = plugins_of(context)
    for plugin in found.all:
        source = f"{plugin.distribution} {plugin.version}" if plugin.distribution else plugin.origin
        print(f"{plugin.name}  ({source})")
        if plugin.error:
            print(f"  not loaded: {plugin.error}")
        for kind, component in plugin.components:
            print(f"  {kind:14} {component.name:16} {component.summary}")
    for line in _conflicts(found):
        print(f"conflict: {line}")


def _conflicts(plugins: Plugins) -> list[str]:
    from i2i.plugins import KINDS

    lines = []
    for kind in KINDS:
        for name, givers in plugins.table(kind).items():
            if len(givers) > 1:
                lines.append(f"{kind} '{name}' is given by {' and '.join(str(plugin) for plugin, _ in givers)}")
    return lines


@app.command("show")
def show_plugin(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A plugin or a component.", show_default=False)],
) -> None:
    """Show what a plugin or component gives, with options, defaults and meanings."""
    from i2i.errors import PluginError
    from i2i.plugins import nearest

    found = plugins_of(context).all
    known = {plugin.name for plugin in found}
    known |= {component.name for plugin in found for _, component in plugin.components}
    if name not in known:
        raise PluginError(f"no plugin or component '{name}'{nearest(name, known)}; `i2i plugins list` lists them")
    for plugin in found:
        components = [(k, c) for k, c in plugin.components if name in (plugin.name, c.name)]
        if plugin.name != name and not components:
            continue
        source = f"{plugin.distribution} {plugin.version}" if plugin.distribution else "loaded by path"
        print(f"{plugin.name}  ({source}, {getattr(plugin.module, '__file__', None) or plugin.origin})")
        if plugin.error:
            print(f"  not loaded: {plugin.error}")
        for kind, component in components:
            print(f"\n{kind} {component.name}: {component.summary}")
            if component.presets:
                print(f"  presets: {', '.join(component.presets)}")
            for line in _options(component.config):
                print(f"  {line}")


def _options(model: type) -> list[str]:
    from i2i.config.text import type_text

    lines = []
    for name, field in model.model_fields.items():  # type: ignore[attr-defined]
        default = field.get_default(call_default_factory=True)
        meaning = " ".join((field.description or "").split())
        lines.append(f"{name} = {default}  ({type_text(field.annotation)})  {meaning}".rstrip())
    return lines


def report(
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders; several are compared.", metavar="RUN...", show_default=False)
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The page to write.")] = Path("report.html"),
) -> None:
    """Write one HTML page about one run or several."""
    from i2i.errors import RunError
    from i2i.report import write_report

    try:
        print(write_report(runs, out))
    except OSError as error:
        raise RunError(f"{out}: cannot write the report: {error.strerror or error}") from error


def doctor(context: typer.Context) -> None:
    """Show versions, devices, providers and plugins, and what is wrong with them."""
    print(f"i2i {_version('i2i-toolkit')}, Python {sys.version.split()[0]}, {platform.platform()}")
    names = ("torch", "torchvision", "lightning-fabric", "albumentations", "onnx", "onnxruntime-gpu", "onnxruntime")
    print("packages: " + ", ".join(f"{name} {_version(name)}" for name in names if _version(name)))
    found = plugins_of(context)
    problems = [f"plugin {plugin}: {plugin.error}" for plugin in found.failed()] + _conflicts(found)
    try:
        import torch

        devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        print(f"torch devices: cpu ({torch.get_num_threads()} threads)" + "".join(f", {name}" for name in devices))
    except Exception as error:
        problems.append(f"torch cannot be imported: {error}")
    try:
        import onnxruntime

        print("onnxruntime providers: " + ", ".join(onnxruntime.get_available_providers()))
    except Exception as error:
        problems.append(f"onnxruntime cannot be imported: {error}")
    if _version("onnxruntime") and _version("onnxruntime-gpu"):
        problems.append("onnxruntime and onnxruntime-gpu are both installed, which hides CUDA: uninstall onnxruntime")
    print("\n".join(f"problem: {line}" for line in problems) or "no problems found")
    if problems:
        raise typer.Exit(1)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
