"""torch: computes a run's own network, compiled, on the CPU or with CUDA."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from i2i.errors import ModelError, one_line
from i2i.extras import install_command
from i2i.runtime.computing.backend import Backend, Opening, RunControl

if TYPE_CHECKING:
    import torch

    from i2i.api import Config, Translator
    from i2i.plugins import Plugins
    from i2i.runtime.metadata import ValueType


class Torch(Backend):
    """torch, for models that lie in the run folder that they were exported from.

    It takes the weights from the run's checkpoint, for torch cannot read ONNX files. Compiling takes up to a minute, so
    that it pays for many images, and is for those who ask for it.

    Args:
        config: the component's options; there are none.
        plugins: where the run's recipe is looked up; by default the installed plugins.
    """

    automatic = False

    def __init__(self, config: Config | None = None, plugins: Plugins | None = None) -> None:
        super().__init__(config)
        self._plugins = plugins

    def problem(self, opening: Opening) -> str:
        """Why it cannot be used here; see `Backend.problem`."""
        if find_spec("torch") is None:
            return f"the package torch is not installed: {install_command('train')}"
        if opening.device not in ("auto", "cpu", "cuda"):
            return f"torch computes on the CPU or with CUDA, not with {opening.device}"
        return ""

    def version(self) -> str:
        """None: what it computes depends on the run's checkpoint, which is compared with the model in every process."""
        return ""

    def open(self, graph: Path | bytes, opening: Opening) -> TorchGraph:
        """Opens the network of the run in whose folder a model lies.

        Raises:
            ModelError: the model lies in no run folder, the checkpoint that it was exported from is gone, or there is
                no CUDA device.
            RunError: the run is damaged.
        """
        import torch

        if not isinstance(graph, Path):
            raise ModelError("torch computes models as they were exported, not changed copies")
        if opening.device == "cuda" and not torch.cuda.is_available():
            raise ModelError("torch finds no CUDA device")
        device = "cuda" if opening.device != "cpu" and torch.cuda.is_available() else "cpu"
        translator, value_type = _translator(graph, self._plugins)
        return TorchGraph(translator, value_type, torch.device(device), opening)


class TorchGraph:
    """A run's network from pixels to pixels.

    Only the network is compiled: what mirrors and crops images is not, for it cannot be compiled for any size.

    Args:
        translator: the network as it is exported.
        value_type: type of the images.
        device: where it computes.
        opening: number of threads, and whether convolutions may compute in bfloat16.
    """

    def __init__(self, translator: Translator, value_type: ValueType, device: torch.device, opening: Opening) -> None:
        import torch

        from i2i.export.graph import Deployed

        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it looks for CUDA on CPUs, too
        half = opening.precision == "fast"
        self.on_cpu = device.type == "cpu"
        self.provider = f"torch {device.type} {'bf16' if half else 'f32'}"
        self.notes: list[str] = []
        self._device, self._half, self._threads = device, half, opening.threads
        network = translator.module.to(device).to(memory_format=torch.channels_last)
        if half:
            _to_half(network)
        self._eager = Deployed(translator, value_type).eval()
        compiled: Any = torch.compile(network)
        self._compiled = Deployed(replace(translator, module=compiled), value_type).eval()
        self._names, self._outputs = self._eager.inputs, self._eager.outputs
        self._lock = threading.Lock()

    def run(self, outputs: Sequence[str], feeds: Mapping[str, np.ndarray], control: RunControl) -> list[np.ndarray]:
        """Computes outputs; see `OpenedGraph.run`. A run that has begun cannot be stopped."""
        import torch

        with self._lock, _threads_set(self._threads), torch.inference_mode():  # no two threads may compile at once
            given = [torch.from_numpy(feeds[name]).to(self._device) for name in self._names]
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
                results = self._results(given)
            by_name = dict(zip(self._outputs, (results,) if torch.is_tensor(results) else results, strict=True))
            return [by_name[name].cpu().numpy() for name in outputs]

    def _results(self, given: Sequence[torch.Tensor]) -> torch.Tensor | tuple[torch.Tensor, ...]:
        try:
            return self._compiled(*given)
        except Exception as error:  # no compiler, or an operation that it cannot compile
            results = self._eager(*given)
            if self._compiled is not self._eager:
                self.notes.append(f"torch computes without compiling: {one_line(error)[:160]}")
                self._compiled = self._eager
            return results


@contextmanager
def _threads_set(count: int | None) -> Iterator[None]:
    """Torch computes with so many threads meanwhile; None: with as many as before. It has one number a process."""
    import torch

    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _translator(file: Path, plugins: Plugins | None) -> tuple[Translator, ValueType]:
    """The network that a file in a run folder was exported from, and the type of its images."""
    from i2i.config import resolve
    from i2i.export.networks import load_translators
    from i2i.plugins import Plugins
    from i2i.runs import checkpoint as checkpoints
    from i2i.runs.choice import find_checkpoint
    from i2i.runs.folder import RunFolder
    from i2i.runtime.computing.session import open_for_signature
    from i2i.runtime.signature import read_metadata

    run = RunFolder(file.parent)
    if not run.exists():
        raise ModelError("torch needs the model in the run folder that it was exported from, beside its checkpoints")
    info, plugins = read_metadata(open_for_signature(file)), plugins or Plugins()
    if "step" not in info.raw:
        raise ModelError("torch cannot tell which checkpoint the model was exported from: export it again")
    found = checkpoints.load(find_checkpoint(run, info.raw["step"]), training=False)
    translators = load_translators(found, resolve(plugins, config=found.state["config"]), plugins)
    if info.translator not in translators:
        raise ModelError(f"the run has no translator {info.translator!r}")
    return translators[info.translator], info.value_type


def _to_half(network: torch.nn.Module) -> None:
    """Stores the weights of layers that autocast computes in bfloat16 in that type, once and not at each run."""
    import torch
    from torch.nn.modules.conv import _ConvNd

    for layer in network.modules():
        if isinstance(layer, _ConvNd | torch.nn.Linear) and not torch.nn.utils.parametrize.is_parametrized(layer):
            layer.to(torch.bfloat16)
