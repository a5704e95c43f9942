"""Translating images with an exported ONNX file: onnxruntime only, neither torch nor plugins.

The public names are in ``__init__.pyi`` and are loaded when used, so that the check of a file needs no image library.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
