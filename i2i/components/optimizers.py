"""torch's own optimisers, fused on the devices that can do so."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from i2i.components.options import OptimizerConfig


def adam(config: OptimizerConfig, *, params: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980)."""
    return torch.optim.Adam(params, betas=config.betas, eps=config.eps, **_common(config), **_fused(params))


def adamw(config: OptimizerConfig, *, params: list[nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101)."""
    return torch.optim.AdamW(params, betas=config.betas, eps=config.eps, **_common(config), **_fused(params))


def rmsprop(config: OptimizerConfig, *, params: list[nn.Parameter]) -> torch.optim.Optimizer:
    """RMSprop (Tieleman and Hinton 2012), as in `torch.optim.RMSprop`."""
    return torch.optim.RMSprop(params, eps=config.eps, momentum=config.momentum, **_common(config))


def sgd(config: OptimizerConfig, *, params: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Stochastic gradient descent, as in `torch.optim.SGD`."""
    return torch.optim.SGD(params, momentum=config.momentum, **_common(config), **_fused(params))


def _common(config: OptimizerConfig) -> dict[str, Any]:
    return {"lr": config.lr, "weight_decay": config.weight_decay}


def _fused(params: list[nn.Parameter]) -> dict[str, Any]:
    return {"fused": True} if params[0].device.type in ("cpu", "cuda") else {}
