"""Memory of the device: how much is free, how much a step took, and advice when it was not enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from i2i import memory
from i2i.engine.state import Training
from i2i.errors import TrainingError

MIB = 2**20


def out_of_memory(error: BaseException) -> bool:
    """Whether an error, or what caused it, is a lack of memory."""
    return memory.ran_out(error, torch.OutOfMemoryError)


@contextmanager
def shortage_explained(training: Training) -> Iterator[None]:
    """Turns a lack of memory inside into one line with the sizes that led to it and settings that need less.

    Args:
        training: the run in memory.

    Raises:
        TrainingError: memory was not enough.
    """
    try:
        yield
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise TrainingError(_advice(training)) from error


def _advice(training: Training) -> str:
    config, device = training.config, training.context.device
    batch, accumulate = config.train.batch_size, config.train.accumulate
    height, width = config.data.height_width
    there = f" ({size_text(available(device))} free)" if known(device) else ""
    tips = []
    if batch > training.context.world:
        half = max(1, batch // 2 // training.context.world) * training.context.world
        same = f" --set train.accumulate={accumulate * batch // half}" if accumulate * batch % half == 0 else ""
        keeps = " and keeps the effective batch" if same else ""
        tips.append(f"--set train.batch_size={half}{same} needs about half of it{keeps}")
        tips.append("--set train.batch_size=auto finds what fits")
    tips.append(f"a smaller data.size needs less{': half of it a quarter' if batch <= training.context.world else ''}")
    if training.precision != "bf16":
        tips.append("so does engine.precision=bf16")
    return (
        f"out of memory at step {training.step}: batch_size {batch} at {height} x {width} on {device}{there}; "
        f"{', '.join(tips)}"
    )


def known(device: torch.device) -> bool:
    """Whether the memory of the device can be measured here."""
    return device.type == "cuda" or Path("/proc/self/status").exists()


def available(device: torch.device) -> int:
    """Bytes that this process can still get: on the CPU without swapping, and within its control group."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    return memory.available()


def used(device: torch.device) -> int:
    """Bytes that this process holds now."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else _of_process("VmRSS:")


def forget_peak(device: torch.device) -> None:
    """Resets `peak`; where the system does not allow that, as in some containers, the peak is the process's highest."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def peak(device: torch.device) -> int:
    """Most bytes that this process has held at once."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device)
    return _of_process("VmHWM:")


def size_text(count: float) -> str:
    """A number of bytes as text, such as ``1.5 GiB``."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / MIB:.0f} MiB"


def _of_process(key: str) -> int:
    """Bytes that Linux tells about this process under that key."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) * 1024
