"""Errors inside a training step: which phase, network, layer, component and precision they belong to."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from i2i.api import Recipe
from i2i.engine.device.networks import Network, is_compiler_error, not_compiled
from i2i.errors import ConfigError, attributed_to
from i2i.plugins.builder import Built


@dataclass(frozen=True)
class _FailedLayer:
    """The innermost layer of a network that an error passed through.

    Attributes:
        network: name of the network.
        name: its place in the network; empty for the network itself.
        layer: the layer.
        inputs: shapes of the tensors that its functions held.
    """

    network: str
    name: str
    layer: nn.Module
    inputs: list[tuple[int, ...]]

    def __str__(self) -> str:
        return f"network '{self.network}'" + (f", layer {self.name} ({type(self.layer).__name__})" if self.name else "")


@dataclass(frozen=True)
class StepFailures:
    """Names the origin of errors inside a training step.

    Attributes:
        owner: the recipe's name in messages, with its plugin.
        recipe: the training method.
        components: what the recipe built.
        networks: the recipe's networks by name.
        precision: in which the networks compute: ``fp32``, ``bf16`` or ``fp64``.
        compiled: whether the networks are compiled.
    """

    owner: str
    recipe: Recipe
    components: Iterable[Built]
    networks: Mapping[str, nn.Module]
    precision: str
    compiled: bool

    @contextmanager
    def named(self, where: str) -> Iterator[None]:
        """Turns an error inside into one line.

        Args:
            where: what of the step runs inside, such as its phase.

        Raises:
            ConfigError: a normalisation layer gets a single value a channel, or networks cannot be compiled.
            PluginError: any other error that is no `UserError`.
        """
        where = f"engine.precision={self.precision}, {where}"
        with attributed_to(f"{self.owner}, {where}", self._origin):
            try:
                yield
            except ValueError as error:
                failed = self._failed_layer(error)
                if failed and _one_value_a_channel(failed):
                    raise ConfigError(f"{self.owner}, {where}, {failed}: {_what_to_do(failed)}") from error
                raise
            except RuntimeError as error:
                if self.compiled and is_compiler_error(error):
                    failed = self._failed_layer(error)
                    raise not_compiled(f"{self.owner}, {where}" + (f", {failed}" if failed else ""), error) from error
                raise

    def _origin(self, error: BaseException) -> str:
        """``, NETWORK, in COMPONENT``, as far as they are known, and which settings to try without."""
        failed = self._failed_layer(error)
        network = f", {failed}" if failed else ""
        plain = ["engine.precision=fp32"] if failed and self.precision != "fp32" else []
        plain += ["--set engine.compile=false"] if self.compiled else []
        advice = f" (try {' or '.join(plain)})" if plain else ""
        return f"{network}{self._component(error)}{advice}"

    def _component(self, error: BaseException) -> str:
        """The innermost component that an error passed through, unless it is the recipe's own code.

        Functions of the recipe may be called by components, as a critic is by a penalty.
        """
        names = {id(built.module): built.who for built in self.components}
        found = ""
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if who := names.get(id(frame.f_locals.get("self"))):
                found = f", in {who}"
            elif frame.f_globals.get("__name__") == type(self.recipe).__module__:
                found = ""
        return found

    def _failed_layer(self, error: BaseException) -> _FailedLayer | None:
        names = {id(module): name for name, module in self.networks.items()}
        found, inside = None, ""
        for frame, _ in traceback.walk_tb(error.__traceback__):
            layer = frame.f_locals.get("self")
            layer = layer.module if isinstance(layer, Network) else layer
            if not isinstance(layer, nn.Module):
                continue
            inside = names.get(id(layer), inside)
            places = {id(part): place for place, part in self.networks[inside].named_modules()} if inside else {}
            if id(layer) in places:
                found = _FailedLayer(inside, places[id(layer)], layer, _shapes(frame.f_locals))
        return found


def _shapes(values: Mapping[str, Any]) -> list[tuple[int, ...]]:
    return [tuple(value.shape) for value in values.values() if isinstance(value, Tensor)]


def _one_value_a_channel(failed: _FailedLayer) -> bool:
    """Whether a layer normalises over a single value, which is 0 whatever the value is: torch refuses it."""
    if not isinstance(failed.layer, _NormBase) or not failed.layer.training:
        return False
    return any(len(shape) > 1 and set(shape[:1] + shape[2:]) <= {1} for shape in failed.inputs)


def _what_to_do(failed: _FailedLayer) -> str:
    shape = " x ".join(map(str, failed.inputs[0]))
    return (
        f"it is to normalise {shape}, a single value a channel, of which nothing is left: set train.batch_size to 2 or "
        "more, a larger data.size, or the network's options so that it does not normalise there (norm, bottleneck_norm)"
    )
