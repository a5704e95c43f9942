"""Networks of other models, which a recipe learns from: a run's own, or an exported file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from i2i.api import Translator
from i2i.components.inference import for_inference, inference_translators
from i2i.errors import ConfigError, ModelError, RunError
from i2i.files import printable, user_path
from i2i.interface import Image, LabelMap, LabelMapInput
from i2i.plugins import Plugins
from i2i.runs.networks import load_networks
from i2i.runtime.computing.verified import exactly
from i2i.runtime.opening import open_network


def load_frozen(
    plugins: Plugins, path: str | os.PathLike[str], network: str | None, checkpoint: str, *, device: str = "auto"
) -> tuple[nn.Module, str]:
    """Loads a network as `i2i.api.Build.frozen` describes it; random numbers that are drawn later do not depend on it.

    Args:
        plugins: where the recipe of a run is looked up.
        path: as of `Build.frozen`.
        network: as of `Build.frozen`.
        checkpoint: as of `Build.frozen`.
        device: where onnxruntime computes, as `i2i.load` takes it; networks of runs are on the CPU.

    Returns:
        The network, and a digest of its weights or its file.

    Raises:
        ConfigError: the run has no network or translator of that name.
        ModelError: the file is no model of a single image.
        PluginError: the recipe's plugin is not there.
        RunError: the run, the checkpoint or the file is not there or damaged.
    """
    place = user_path(path, "the model to learn from")
    name = printable(place)
    if not place.exists():
        wanted = "no such run folder or .onnx file, which the recipe learns from: put it there"
        raise RunError(wanted, path=name)
    if place.is_file():
        if network is not None:
            raise ConfigError(f"a file has no network '{network}': leave its name out, or give a run folder", path=name)
        model = ExportedModule(place, device)
        model.register_forward_pre_hook(_channels_checked(name, model.channels))
        return model, hashlib.sha256(place.read_bytes()).hexdigest()
    with torch.random.fork_rng(devices=[]):
        loaded = load_networks(place, checkpoint, plugins=plugins)
    who = plugins.full_name("recipe", loaded.config.recipe)
    translators = inference_translators(loaded.recipe, loaded.networks, loaded.sample, loaded.config, who)
    if network is not None and network not in translators:
        module = _chosen(loaded.networks, network, "network", name, f"; and translators: {_list(translators)}")
        return for_inference(module, image_statistics=loaded.config.train.batch_size == 1), _digest(module)
    only = network or (next(iter(translators)) if len(translators) == 1 else "default")
    more = f"; or name a network: {_list(loaded.networks)}"
    translator: Translator = _chosen(translators, only, "translator", name, more)
    image = translator.example.get("image")
    if image is not None and image.ndim == 4 and next(iter(translator.example)) == "image":
        translator.module.register_forward_pre_hook(_channels_checked(name, image.shape[1]))
    translator.module.i2i_inputs = {key: translator.batch_key(key) for key in translator.example}  # type: ignore[assignment]
    return translator.module, _digest(translator.module)


def _digest(module: nn.Module) -> str:
    """Of a module's weights and buffers, and their names."""
    total = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        total.update(name.encode())
        total.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


class ExportedModule(nn.Module):
    """An exported model as a module, from images ``(N, C, H, W)`` in [-1, 1]; onnxruntime computes, without gradients.

    Args:
        file: an ``.onnx`` file that i2i exported.
        device: where it computes, as `i2i.load` takes it.

    Attributes:
        channels: C.

    Raises:
        ModelError: it is none, or takes something else than a single image.
    """

    def __init__(self, file: Path, device: str) -> None:
        super().__init__()
        network = open_network(file, exactly(device))
        if set(network.runner.inputs) != {"image"} or isinstance(network.info.inputs.get("image"), LabelMapInput):
            takes = "a label map" if "image" in network.runner.inputs else "no image"
            more = _list(key for key in network.runner.inputs if key != "image")
            reason = f"takes {f'more than an image ({more})' if more else takes}: give the folder of its run instead"
            raise ModelError(reason, path=printable(file))
        self.channels = network.info.channels_in
        self._network = network.in_floats() or network  # without rounding to 8 bits, where the graph allows it

    def __deepcopy__(self, memo: object) -> ExportedModule:
        """Itself: an opened file cannot be copied, and nothing of it changes."""
        return self

    @torch.no_grad()
    def forward(self, images: Tensor) -> Any:
        """The outputs on the images' device: images and vectors in their type, classes int64; several in a tuple."""
        pixels = ((images + 1) / 2).permute(0, 2, 3, 1).float().cpu()
        if self._network.dtype == np.uint8:
            pixels = (pixels.clamp(0, 1) * 255).round().byte()
        outputs = self._network.translate(np.ascontiguousarray(pixels.numpy()))
        types = self._network.info.outputs
        results = tuple(self._decoded(types[name], value).to(images.device) for name, value in outputs.items())
        results = tuple(one.to(images.dtype) if one.is_floating_point() else one for one in results)
        return results[0] if len(results) == 1 else results

    @staticmethod
    def _decoded(of: Any, value: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(np.asarray(value))
        if isinstance(of, LabelMap):
            return tensor[..., 0].long()
        if not isinstance(of, Image):
            return tensor
        return (tensor / 127.5 - 1 if tensor.dtype == torch.uint8 else tensor * 2 - 1).permute(0, 3, 1, 2)


def _channels_checked(name: str, channels: int) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    """A hook that refuses images of another number of channels."""

    def check(module: nn.Module, given: tuple[Any, ...]) -> None:
        if given and isinstance(given[0], Tensor) and given[0].ndim == 4 and given[0].shape[1] != channels:
            gets = f"takes images of {channels} channels and gets {given[0].shape[1]}"
            raise ConfigError(f"{gets}: learn from a model of such images, or change the data", path=name)

    return check


def _chosen(known: Mapping[str, Any], name: str, what: str, where: str, more: str = "") -> Any:
    if name not in known:
        raise ConfigError(f"no {what} '{name}'; there are: {_list(known)}{more}", path=where)
    return known[name]


def _list(names: Any) -> str:
    return ", ".join(names)
