"""Opening an ONNX file with onnxruntime: the device that runs it, and short forms of onnxruntime's messages."""

from __future__ import annotations

import ctypes
import sys
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path

import onnxruntime

from i2i.errors import ModelError, UserError

_SILENT = 4  # onnxruntime's severity "fatal"
_NAMES = {
    "TensorrtExecutionProvider": "TensorRT",
    "CUDAExecutionProvider": "CUDA",
    "CPUExecutionProvider": "the CPU",
}
_TENSORRT, _CUDA, _CPU = _NAMES
_CPU_BUILD = "the installed onnxruntime computes on the CPU only; install onnxruntime-gpu in its place"
_WANTED = {  # by device: the providers to try, the best first; a later one runs the operators that an earlier one lacks
    "auto": (_CUDA, _CPU),
    "cpu": (_CPU,),
    "cuda": (_CUDA, _CPU),
    "tensorrt": (_TENSORRT, _CUDA, _CPU),
}

DEVICES = tuple(_WANTED)
"""What the option ``device`` may be."""


def open_session(
    source: Path | bytes, device: str, *, threads: int | None = None, half: bool = False
) -> tuple[onnxruntime.InferenceSession, str]:
    """Opens a model on the device, or on the next best one that works.

    Args:
        source: the file, or the bytes of one.
        device: ``cpu``; ``cuda``; ``tensorrt``, after which CUDA is tried; or ``auto``: CUDA where it works.
        threads: number of threads that compute; None: one for each core.
        half: whether TensorRT may compute in float16.

    Returns:
        The session, and a line for the user if another device than `device` is used; else "".

    Raises:
        ModelError: no ONNX file that onnxruntime can load.
        UserError: `device` is unknown.
    """
    if device not in _WANTED:
        raise UserError(f"unknown device {device!r}; known are {', '.join(_WANTED)}")
    onnxruntime.set_default_logger_severity(_SILENT)  # the loader of providers writes outside of the session's log
    wanted, absence = _usable(_WANTED[device])
    while True:
        try:  # its own way of falling back prints to stdout
            providers = [(name, {"trt_fp16_enable": True}) if half and name == _TENSORRT else name for name in wanted]
            session = onnxruntime.InferenceSession(source, _options(threads), providers, enable_fallback=0)
            break
        except Exception as error:
            if len(wanted) == 1:
                raise ModelError(f"not an ONNX file that onnxruntime can load ({short_reason(error)})") from error
            wanted, absence = wanted[1:], short_reason(error)
    best, used = _WANTED[device][0], session.get_providers()[0]
    if used == best or (device == "auto" and absence != _CPU_BUILD):
        return session, ""
    why = absence or "onnxruntime cannot load it; see: i2i doctor"
    return session, f"{_NAMES[best]} cannot be used ({why}): using {_NAMES[used]}"


def open_for_signature(file: Path) -> onnxruntime.InferenceSession:
    """Opens a file only to read its metadata, inputs and outputs, in less than half of the time and memory.

    Raises:
        ModelError: no ONNX file that onnxruntime can load.
    """
    options = _options(1)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        return onnxruntime.InferenceSession(file, options, [_CPU], enable_fallback=0)
    except Exception as error:
        raise ModelError(f"not an ONNX file that onnxruntime can load ({short_reason(error)})") from error


def short_reason(error: Exception) -> str:
    """The reason in a message of onnxruntime, 160 characters at most, without the codes and names before it."""
    text = "".join(c if c.isprintable() else " " for c in str(error))  # it may quote names that the file made up
    text = " ".join(text.split()).rpartition(" failed:")[2].rpartition("Status Message:")[2]
    if len(text) > 160:
        text = "..." + text[-160:].partition(" ")[2]
    return text.strip().rstrip(".") or type(error).__name__


def _usable(providers: tuple[str, ...]) -> tuple[list[str], str]:
    """The providers that onnxruntime has and whose device exists, and why the first one is not among them, else ""."""
    if providers == (_CPU,):
        return [_CPU], ""
    if not _has_gpu():
        return [_CPU], "no CUDA device"
    if hasattr(onnxruntime, "preload_dlls"):
        with redirect_stdout(StringIO()), suppress(Exception):  # the libraries that come as nvidia-* packages
            onnxruntime.preload_dlls()
    built = set(onnxruntime.get_available_providers())
    absence = "onnxruntime lacks it" if _CUDA in built else _CPU_BUILD
    return [name for name in providers if name in built], "" if providers[0] in built else absence


def _options(threads: int | None) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    # Idle threads that spin take the cores from those that decode and encode: without, a U-Net at 256x256 made 1.3 and
    # a small ResNet at 64x64 1.5 times as many images on two busy cores. Other options changed nothing for the better.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A plan of the memory for each size of image that was seen takes up to 1.7 times what the next one needs.
    options.enable_mem_pattern = False
    if threads is not None:
        options.intra_op_num_threads = options.inter_op_num_threads = threads
    return options


def _has_gpu() -> bool:
    """Asks the driver, so that machines without a GPU need not load gigabytes of CUDA libraries to find out."""
    with suppress(OSError, AttributeError):
        return bool(ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1").cuInit(0) == 0)
    return False
