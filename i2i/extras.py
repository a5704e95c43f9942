"""How the distribution is installed and started: the packages of its extras, and the commands for both.

The distribution without extras can translate; training needs the extra ``train``.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from types import MappingProxyType

from i2i.errors import UserError

EXTRAS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mlflow": ("mlflow",),
        "openvino": ("openvino",),
        "trackio": ("trackio",),
        "train": (
            "albumentations",
            "filelock",
            "jinja2",
            "kornia",
            "lightning-fabric",
            "onnxscript",
            "ruamel.yaml",
            "safetensors",
            "tensorboard",
            "torch",
            "torchmetrics",
            "torchvision",
        ),
        "wandb": ("wandb",),
    }
)
"""Names of the packages by extra, as in ``pyproject.toml``; a package's module has its name, with ``_`` for ``-``."""


class MissingExtraError(UserError):
    """A package that an extra installs is needed and missing; the message says how to install it."""


def run_command() -> str:
    """The words that start i2i where the user is: ``uv run i2i`` under uv, as in a clone, which is not on the PATH."""
    if "UV" in os.environ:  # uv sets it for what it runs
        return "uv run i2i"
    return "i2i" if shutil.which("i2i") else shlex.join([sys.executable, "-m", "i2i"])


def install_command(extra: str) -> str:
    """The command that installs an extra.

    Args:
        extra: its name.
    """
    return f'pip install "i2i-toolkit[{extra}]"'


def missing_extra(error: BaseException | None) -> MissingExtraError | None:
    """The error that names the extra, if `error` says that a package of an extra is missing; else None.

    Args:
        error: what was raised.
    """
    if isinstance(error, MissingExtraError):
        return error
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    for extra, packages in EXTRAS.items():
        for package in packages:
            module = package.replace("-", "_")
            if error.name == module or module.startswith(f"{error.name}."):  # no ruamel: no ruamel.yaml
                return MissingExtraError(
                    f"this needs the extra '{extra}' ({package} is not installed): {install_command(extra)}"
                )
    return None
