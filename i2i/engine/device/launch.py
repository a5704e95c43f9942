"""Processes, device and precision.

With several processes lightning-fabric launches, places and communicates. Its module wrappers are not used: under
autocast they break `torch.autograd.grad`, and DDP cannot follow phases that touch only a part of a network.
"""

from __future__ import annotations

import ctypes
import logging
import os
import platform
from collections.abc import Iterable

import torch

from i2i.components.processes import Processes, SingleProcess
from i2i.config import EngineConfig
from i2i.errors import ConfigError


def launch(config: EngineConfig) -> Processes:
    """Starts the processes and returns this one's handle.

    Under ``torchrun`` the numbers of processes and machines come from its environment, otherwise ``engine.devices``
    processes are started on this machine.

    Raises:
        ConfigError: the device is unknown or not there.
    """
    device = _device(config.device)
    local = int(os.environ.get("LOCAL_WORLD_SIZE", config.devices))
    world = int(os.environ.get("WORLD_SIZE", local))
    if device == "cuda" and local > torch.cuda.device_count():
        raise ConfigError(f"engine.devices={local}, but this machine has {torch.cuda.device_count()} CUDA devices")
    if device == "cpu":
        _keep_freed_memory()
    if config.threads:
        torch.set_num_threads(config.threads)
    if world > 1:
        return _several(config, device, local, world)
    if device == "cuda":
        torch.cuda.set_device(0)
        _set_matmul_precision(config)
    return SingleProcess(torch.device(device, 0) if device == "cuda" else torch.device(device))


def _several(config: EngineConfig, device: str, local: int, world: int) -> Processes:
    """Starts so many processes on this machine, of so many in the world, through Fabric."""
    from lightning_fabric import Fabric  # slow to import

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # its banner says what i2i says too
    fabric = Fabric(
        accelerator=device,
        devices=local,
        num_nodes=max(1, world // local),
        strategy="ddp",
        precision="32-true",  # the engine casts by itself: networks only, never losses or gradient penalties
    )
    fabric.launch()
    if config.threads:
        torch.set_num_threads(config.threads)  # the launcher sets its own number
    if device == "cuda":
        _set_matmul_precision(config)
    return fabric


def _set_matmul_precision(config: EngineConfig) -> None:
    """Lets GPUs multiply float32 matrices in TF32, as they do in convolutions, or forbids it with ``engine.tune=off``.

    The whole process has one such setting, so what a launch before this one set must not stay.
    """
    torch.set_float32_matmul_precision("high" if config.tune == "auto" else "highest")


def compute_dtype(precision: str) -> torch.dtype:
    """The type that networks multiply in, for ``fp32``, ``bf16`` or ``fp64``."""
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp64": torch.float64}[precision]


def fast_precision(device: torch.device, cpu_units: Iterable[str] = ("amx_bf16", "avx512_bf16")) -> str:
    """``bf16`` where a device multiplies in it, else ``fp32``.

    Args:
        device: where the networks are.
        cpu_units: the capabilities of a CPU, as torch names them, of which one is enough.
    """
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
        fast = device.type == "cpu" and any(capabilities.get(name) for name in cpu_units)
    return "bf16" if fast else "fp32"


def older_run_precision(device: torch.device) -> str:
    """What ``engine.precision=auto`` meant when runs did not write down yet what it stood for."""
    return fast_precision(device, ["amx_bf16"])


def chosen_by_rule(config: EngineConfig, device: torch.device) -> EngineConfig:
    """The section ``engine`` with ``auto`` replaced by what is known to be right and mostly fast on a device."""
    layout = "channels_last" if device.type == "cuda" else "contiguous"
    return config.model_copy(
        update={
            "precision": fast_precision(device) if config.precision == "auto" else config.precision,
            "memory_format": layout if config.memory_format == "auto" else config.memory_format,
            "compile": config.compile is True,
        }
    )


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("engine.device=cuda, but torch finds no CUDA device here; see `i2i doctor`, or use cpu")
    if name not in ("cpu", "cuda"):
        raise ConfigError(f"engine.device: expected auto, cpu or cuda, got '{name}'")
    return name


def _keep_freed_memory() -> None:
    """Stops glibc from giving freed tensors back to the system at every step, only to map them again.

    On a CPU that made eager training up to a third faster, with the same bits and no more memory.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # names of malloc.h
    libc = ctypes.CDLL(None)
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(top_pad, 64 * 2**20)
