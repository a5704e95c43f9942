"""Networks made ready for training: device, memory format, precision, compilation, synchronised batch norm."""

from __future__ import annotations

import copy
import functools
import inspect
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.utils._pytree import tree_map

from i2i.components.collective import all_mean
from i2i.components.narrow import NarrowConv2d, is_narrow
from i2i.config import EngineConfig
from i2i.errors import ConfigError, one_line


class Network:
    """A network as a recipe gets it: calls run in the compute type and return float32; attributes are the module's.

    Attributes that are set become the module's, methods of its own run like calls, and a deep copy has a module of its
    own. It is no `torch.nn.Module`: a recipe that builds one of its networks takes them in `Recipe.networks`.

    Autocast covers nothing but the network, so that losses and gradient penalties stay in float32.

    Args:
        module: the network itself.
        call: what runs it; the module or its compiled form.
        dtype: the compute type.
    """

    def __init__(self, module: nn.Module, call: Callable[..., Any], dtype: torch.dtype) -> None:
        vars(self).update(module=module, _call=call, _dtype=dtype)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102  the class says it
        return self._run(self._call, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what copying and pickling ask for
            raise AttributeError(name)
        value = getattr(self.module, name)
        is_own = inspect.ismethod(value) and not hasattr(nn.Module, name)
        return functools.partial(self._run, value) if is_own else value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.module, name, value)

    def __deepcopy__(self, memo: dict[int, Any]) -> Network:
        module = copy.deepcopy(self.module, memo)
        return Network(module, module, self._dtype)

    def _run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls a function of the module in the compute type."""
        device = next(_tensors(self.module)).device.type
        with torch.autocast(device, self._dtype, enabled=self._dtype == torch.bfloat16):
            result = tree_map(_float32, function(*args, **kwargs))
        if not torch.is_grad_enabled():
            torch.clear_autocast_cache()  # weights that were cast here would give no gradient later
        return result


@contextmanager
def casts_kept(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Weights are cast to bfloat16 once while the context lasts, however often their networks are called.

    Autocast keeps casts until its outermost context ends. They must be forgotten, by `torch.clear_autocast_cache`, when
    weights change.

    Args:
        device: where the networks are.
        dtype: the compute type; nothing is cast for others than bfloat16.
    """
    if dtype != torch.bfloat16:
        yield
        return
    with torch.autocast(device.type, dtype, enabled=False):
        yield


def move_to_device(
    modules: Mapping[str, nn.Module], config: EngineConfig, device: torch.device, dtype: torch.dtype, world: int
) -> None:
    """Moves modules to the device in place, and with several processes makes their batch norm average over all.

    Args:
        modules: the networks by name.
        config: the section ``engine``, its memory format chosen.
        device: where the networks will be.
        dtype: the compute type; weights become float64 if it is float64, else float32.
        world: number of processes.
    """
    channels_last = config.memory_format == "channels_last"
    by_rows = config.tune == "auto" and device.type == "cpu" and dtype == torch.float32
    for module in modules.values():
        module.to(device, torch.float64 if dtype == torch.float64 else torch.float32)
        for parameter in module.parameters():
            if channels_last and parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        for layer in module.modules():
            if world > 1 and type(layer) in (nn.BatchNorm1d, nn.BatchNorm2d):
                layer.__class__ = _SyncBatchNorm  # same parameters, same state dict
            elif by_rows and is_narrow(layer):
                layer.__class__ = NarrowConv2d


def recipe_networks(modules: Mapping[str, nn.Module], config: EngineConfig, dtype: torch.dtype) -> dict[str, Any]:
    """The networks as the recipe gets them: in a `Network` if they are compiled or run in bfloat16, else as they are.

    Args:
        modules: the networks, and losses without weights, by name.
        config: the section ``engine``.
        dtype: the compute type.

    Raises:
        ConfigError: networks are to be compiled, and torch cannot do that with this Python or system.
    """
    nets: dict[str, Any] = {}
    for name, module in modules.items():
        has_weights = next(_tensors(module), None) is not None
        call = _compiled(name, module) if config.compile is True and has_weights else module
        wrapped = has_weights and (dtype == torch.bfloat16 or call is not module)
        nets[name] = Network(module, call, dtype) if wrapped else module
    return nets


def _compiled(name: str, module: nn.Module) -> Callable[..., Any]:
    try:
        return torch.compile(module)
    except Exception as error:
        raise not_compiled(f"network '{name}'", error) from error


def is_compiler_error(error: BaseException) -> bool:
    """Whether an error comes from torch's compiler, which works when a compiled network is called or goes backward."""
    loaded = sys.modules.get("torch._dynamo.exc")  # slow to import, and not there unless something was compiled
    return loaded is not None and isinstance(error, loaded.TorchDynamoException)


def not_compiled(where: str, error: BaseException) -> ConfigError:
    """The error to raise when networks cannot be compiled.

    Args:
        where: what was to be compiled, or what of a training ran.
        error: what the compiler raised.
    """
    return ConfigError(
        f"{where}: engine.compile=true, but networks cannot be compiled here: use --set engine.compile=false "
        f"({one_line(error)})"
    )


def average_gradients(parameters: Iterable[nn.Parameter], world: int) -> None:
    """Averages the gradients of parameters over `world` processes in one message; skips those without a gradient."""
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if world == 1 or not grads:
        return
    flat = torch.cat([grad.reshape(-1) for grad in grads])
    distributed.all_reduce(flat)
    flat /= world
    for grad, mean in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
        grad.copy_(mean.view_as(grad))


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    """Parameters and buffers; the weights of a feature network are buffers."""
    return itertools.chain(module.parameters(), module.buffers())


def _float32(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.float() if value.dtype in (torch.bfloat16, torch.float16) else value
    return value


class _SyncBatchNorm(nn.BatchNorm2d):
    """Batch norm with the statistics of all processes' images.

    `torch.nn.SyncBatchNorm` runs on GPUs only and cannot be differentiated twice, which gradient penalties need.
    """

    def forward(self, x: Tensor) -> Tensor:
        """As in one process, with the mean and variance over all of them while training."""
        if not self.training:
            return super().forward(x)
        axes = [0, *range(2, x.ndim)]
        shape = [1, -1] + [1] * (x.ndim - 2)
        world = distributed.get_world_size()
        wide = x if x.dtype == torch.float64 else x.float()
        mean = all_mean(wide.mean(axes))
        centred = wide - mean.view(shape)
        variance = all_mean(centred.square().mean(axes))
        self._track(mean.detach(), variance.detach(), x.numel() // x.shape[1] * world)
        y = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            y = y * self.weight.view(shape) + self.bias.view(shape)
        return y.to(x.dtype)

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions will do: this also stands in for the one-dimensional layer."""

    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        momentum = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
        unbiased = variance * count / max(1, count - 1)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), momentum)
