"""From a checkpoint to ONNX files that need nothing else.

The package can be called: ``i2i.export("runs/pix2pix-001")`` is the Python form of ``i2i export``, while importing any
module of the package makes the name ``i2i.export`` stand for the package.
"""

import sys
from types import ModuleType
from typing import Any

from i2i.export.run import export

__all__ = ["export"]


class _CallablePackage(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return export(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
