"""Opening an ONNX file with onnxruntime: which device runs it, and in which words its errors are told."""

from __future__ import annotations

import ctypes
import sys
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path

import onnxruntime

from i2i.errors import ModelError, UserError

_SILENT = 4  # onnxruntime's severity "fatal"
_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def open_session(file: Path, device: str) -> onnxruntime.InferenceSession:
    """Opens the file on the device; a CUDA provider that does not load is only noticed by its absence afterwards."""
    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"unknown device {device!r}; known are auto, cpu, cuda")
    cuda = device != "cpu" and _CUDA in onnxruntime.get_available_providers() and _has_gpu()
    if device == "cuda" and not cuda:
        raise ModelError("no CUDA device, or onnxruntime is built without CUDA; see: i2i doctor")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    onnxruntime.set_default_logger_severity(_SILENT)  # the loader of providers writes outside of the session's log
    if cuda and hasattr(onnxruntime, "preload_dlls"):
        with redirect_stdout(StringIO()), suppress(Exception):  # the libraries that come as nvidia-* packages
            onnxruntime.preload_dlls()
    try:
        session = onnxruntime.InferenceSession(file, options, providers=[_CUDA, _CPU] if cuda else [_CPU])
    except Exception as error:
        raise ModelError(f"not an ONNX file that onnxruntime can load ({last_words(error)})") from error
    if device == "cuda" and _CUDA not in session.get_providers():
        raise ModelError("onnxruntime cannot load its CUDA provider; see: i2i doctor")
    return session


def last_words(error: Exception) -> str:
    """What onnxruntime has to say, without the codes and names that it begins with."""
    text = " ".join(str(error).split()).rpartition(" failed:")[2].rpartition("Status Message:")[2]
    return text.strip()[-160:] or type(error).__name__


def _has_gpu() -> bool:
    """Asks the driver, so that machines without a GPU need not load gigabytes of CUDA libraries to find out."""
    with suppress(OSError, AttributeError):
        return bool(ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1").cuInit(0) == 0)
    return False
