"""i2i: plugin-based image-to-image translation. The public names are in ``__init__.pyi`` and are loaded when used."""

from typing import Any

import lazy_loader

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("i2i-toolkit")
    try:
        return _load(name)
    except ModuleNotFoundError as error:
        from i2i.extras import missing_extra

        if missing := missing_extra(error):
            raise missing from error
        raise
