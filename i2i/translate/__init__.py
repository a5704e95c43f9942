"""Translating images with an exported ONNX file: onnxruntime only, neither torch nor plugins."""

from i2i.translate.model import Model, load

__all__ = ["Model", "load"]
