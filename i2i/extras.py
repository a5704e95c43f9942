"""The packages that each extra of the distribution installs, and the error for one that is missing.

The distribution without extras can translate; training needs the extra ``train``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from i2i.errors import UserError

EXTRAS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
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
    }
)
"""Names of the packages by extra, as in ``pyproject.toml``; a package's module has its name, with ``_`` for ``-``."""


class MissingExtraError(UserError):
    """A package that an extra installs is needed and missing; the message says how to install it."""


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
