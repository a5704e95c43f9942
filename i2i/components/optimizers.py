"""torch's own optimisers, fused on the devices that can do so.

Some of their methods tell `torch.compile` to keep out, and load the whole compiler for that, which takes as long as
loading torch. No training compiles them, so they are used without (`_uncompiled`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from i2i.components.options import OptimizerConfig


def adam(config: OptimizerConfig, *, params: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980)."""
    build = _uncompiled(torch.optim.Adam)
    return build(params, betas=config.betas, eps=config.eps, **_common(config), **_fused(params))


def adamw(config: OptimizerConfig, *, params: list[nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101)."""
    build = _uncompiled(torch.optim.AdamW)
    return build(params, betas=config.betas, eps=config.eps, **_common(config), **_fused(params))


def rmsprop(config: OptimizerConfig, *, params: list[nn.Parameter]) -> torch.optim.Optimizer:
    """RMSprop (Tieleman and Hinton 2012), as in `torch.optim.RMSprop`."""
    build = _uncompiled(torch.optim.RMSprop)
    return build(params, eps=config.eps, momentum=config.momentum, **_common(config))


def sgd(config: OptimizerConfig, *, params: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Stochastic gradient descent, as in `torch.optim.SGD`."""
    build = _uncompiled(torch.optim.SGD)
    return build(params, momentum=config.momentum, **_common(config), **_fused(params))


def _common(config: OptimizerConfig) -> dict[str, Any]:
    return {"lr": config.lr, "weight_decay": config.weight_decay}


def _fused(params: list[nn.Parameter]) -> dict[str, Any]:
    return {"fused": True} if params[0].device.type in ("cpu", "cuda") else {}


def _uncompiled(optimizer: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """The class with methods that compute the same and do not load the compiler.

    `functools.wraps` leaves the function itself at what torch puts around it; where a version of torch puts nothing
    around, the method stays as it is.
    """
    names = ("add_param_group", "zero_grad", "load_state_dict", "state_dict")
    methods: dict[str, Any] = {name: inspect.unwrap(getattr(optimizer, name)) for name in names}
    methods["step"] = torch.no_grad()(inspect.unwrap(optimizer.step))
    return type(optimizer.__name__, (optimizer,), methods | {"__module__": optimizer.__module__})
