"""Training in two processes of this machine, as torchrun would start them."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from i2i.config import resolve
from i2i.engine import launch
from i2i.engine.batching.step_batches import step_batches
from i2i.engine.setup import open_training
from i2i.errors import UserError, one_line
from i2i.plugins import Plugins

WORLD = 2
"""Number of processes."""

TIMEOUT_S = 300
"""Seconds that a process may take."""


def train_in_processes(plugins: Plugins, config: Path, folder: Path) -> list[dict[str, Tensor]]:
    """Trains in two processes that average their gradients.

    Args:
        plugins: looked up anew in each process.
        config: a whole configuration.
        folder: where the processes put their results.

    Returns:
        For each process its weights and buffers at the end, by network and name.

    Raises:
        AssertionError: one of them failed; the message says why.
    """
    # a server that has imported torch once and forks; it started clean, so its forks are, too
    context: Any = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
    context.set_forkserver_preload([__name__])
    port = _free_port()
    workers = [
        context.Process(target=_worker, args=(rank, port, plugins, config, folder), daemon=True)
        for rank in range(WORLD)
    ]
    with _without_main():
        for worker in workers:
            worker.start()
    for worker in workers:
        worker.join(TIMEOUT_S)
        worker.kill()
    problems = sorted(folder.glob("rank-*.txt"), key=lambda path: path.stat().st_mtime_ns)
    if problems:  # the earliest one: later ones only say that the other process is gone
        raise AssertionError(problems[0].read_text(encoding="utf-8"))
    files = [folder / f"rank-{rank}.safetensors" for rank in range(WORLD)]
    if missing := [file for file in files if not file.is_file()]:
        raise AssertionError(
            f"a process ended without a result or waited {TIMEOUT_S} s for the other: {missing[0].stem}"
        )
    return [load_file(file) for file in files]


def final_state(plugins: Plugins, config: Path, *, disturbed: bool = False) -> dict[str, Tensor]:
    """Trains in this process for the configured steps, without dropout.

    Dropout is left out because each process draws its own, so that two processes could never equal one.

    Args:
        plugins: where components are looked up.
        config: a whole configuration.
        disturbed: draw an extra random number before every call of a network, which changes all random numbers that a
            network draws from torch itself.

    Returns:
        Weights and buffers at the end, by network and name.
    """
    resolved = resolve(plugins, config=config, samples=False)
    fabric = launch(resolved.engine)
    training, data = open_training(resolved, plugins, fabric)
    for module in training.modules.values():
        for layer in module.modules():
            if isinstance(layer, nn.modules.dropout._DropoutNd):
                layer.p = 0.0
        if disturbed:
            module.register_forward_pre_hook(_draw)
    steps = step_batches(training, data, fabric)
    while training.step < training.steps:
        training.train_step(next(steps))
    states = {f"{name}.{key}": t for name, m in training.modules.items() for key, t in m.state_dict().items()}
    return {key: tensor.clone().contiguous() for key, tensor in states.items()}


def _worker(rank: int, port: int, plugins: Plugins, config: Path, folder: Path) -> None:
    """Trains as process `rank`, and leaves ``rank-N.safetensors`` or the reason of a failure in ``rank-N.txt``."""
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "GROUP_RANK": "0",
        "WORLD_SIZE": str(WORLD),
        "LOCAL_WORLD_SIZE": str(WORLD),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "i2i-check",  # by which lightning-fabric knows that it need not start processes
        "OMP_NUM_THREADS": "1",
    }
    torch.set_num_threads(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the parent says what went wrong
    try:
        save_file(final_state(plugins, config), folder / f"rank-{rank}.safetensors")
    except BaseException as error:
        text = str(error) if isinstance(error, UserError) else one_line(error)
        (folder / f"rank-{rank}.txt").write_text(f"in one of two processes: {text}", encoding="utf-8")
        raise
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _draw(module: nn.Module, args: Any) -> None:
    """Draws a number from torch's generator and discards it."""
    torch.rand(1)


@contextmanager
def _without_main() -> Iterator[None]:
    """Inside the context, new processes do not import the main program: it may have no guard, or be no file."""
    main = sys.modules["__main__"]
    kept: dict[str, Any] = {name: vars(main)[name] for name in ("__file__", "__spec__") if name in vars(main)}
    vars(main).pop("__file__", None)
    main.__spec__ = None
    try:
        yield
    finally:
        vars(main).update(kept)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
