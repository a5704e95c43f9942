"""Training methods: the base class, the records that it returns, and what it is given."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from i2i.api.options import Choice
from i2i.errors import PluginError

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Phase:
    """One optimiser step within a training step: which networks learn, how often, from which losses.

    Phases run in the order given. Phases that train the same networks share one optimiser and its moments, as lazy
    regularisation needs.

    Attributes:
        name: handed to `Recipe.losses`; also the key under ``train.phases`` with which users override settings.
        trains: names of the networks that this phase updates; all others are frozen meanwhile.
        every: run in every n-th step only: the generator of a Wasserstein GAN with 5 critic steps has 5.
        optimizer: settings that replace those of ``train.optimizer``, for instance ``{"lr": 4e-4}``.
        start: share of the run after which the phase begins: stages of a training are phases with bounds.
        stop: share of the run at which it ends.
        clip_weights: after each of the phase's steps the weights that it trains are clipped to [-c, c], as the critic's
            of a Wasserstein GAN are (Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1).
    """

    name: str
    trains: tuple[str, ...]
    every: int = 1
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    start: float = 0.0
    stop: float = 1.0
    clip_weights: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.trains, str) or not all(isinstance(name, str) for name in self.trains):
            raise PluginError(f"phase '{self.name}': trains must be a tuple of names, such as ('generator',)")
        object.__setattr__(self, "trains", tuple(self.trains))
        if self.every < 1:
            raise PluginError(f"phase '{self.name}': every must be at least 1, not {self.every}")
        if not 0 <= self.start < self.stop <= 1:
            raise PluginError(f"phase '{self.name}': 0 <= start < stop <= 1 must hold, not {self.start}, {self.stop}")

        if self.clip_weights is not None and self.clip_weights <= 0:
            raise PluginError(f"phase '{self.name}': clip_weights must be above 0, not {self.clip_weights}")

    def due(self, step: int, steps: int) -> bool:
        """Whether the phase runs in a step, counted from 0, of a run of that many steps."""
        return self.start * steps <= step < max(self.stop * steps, 1) and step % self.every == 0

    def turn(self, step: int, steps: int) -> int:
        """How often the phase has run before a step in which it is due."""
        return step // self.every - math.ceil(math.ceil(self.start * steps) / self.every)


@dataclass(frozen=True)
class Translator:
    """What is exported and used for inference.

    Attributes:
        module: called with the tensors of `example` in their order; images are ``(N, C, H, W)`` float32 in [-1, 1].
            Its attribute ``multiple`` (default 1), if there is one, names the number that height and width must be
            divisible by; inputs of other sizes are padded by mirroring and the result is cropped.
        example: the inputs by name: ``image``, and where the recipe has them ``label`` and ``noise``.
        source: key of the batch that holds the input image in validation: ``target`` for a translator back.
        target: key of the image that the output should equal; None when there is none, as with unpaired images.
        labels: names of the label values, stored in the exported file.
    """

    module: nn.Module
    example: Mapping[str, Tensor]
    source: str = "source"
    target: str | None = "target"
    labels: Sequence[str] = ()


class Build(Protocol):
    """Builds components by name inside `Recipe.networks`; options that the component does not know are refused.

    The image size (height, width) of the training batches is passed on by itself; `size` replaces it.

    Attributes:
        labels: names of the data's classes, in the order of their numbers; empty without classes.
    """

    labels: tuple[str, ...]

    def generator(
        self,
        name: str | Choice,
        *,
        in_channels: int,
        out_channels: int,
        size: tuple[int, int] | None = None,
        inputs: tuple[str, ...] | None = None,
        **options: Any,
    ) -> nn.Module:
        """Builds a generator; one that is called with something else than `inputs` is refused, if they are given."""

    def discriminator(
        self, name: str | Choice, *, in_channels: int, size: tuple[int, int] | None = None, **options: Any
    ) -> nn.Module:
        """Builds a discriminator."""

    def loss(self, name: str | Choice, **options: Any) -> nn.Module:
        """Builds a loss; put it among the networks when it has parameters, so that it moves to the device."""

    def features(self, name: str | Choice, **options: Any) -> nn.Module:
        """Builds a feature network, to be put among the networks: it is never trained and not saved.

        When networks are built for inference only, which needs no losses, it is an empty module and nothing is loaded.
        """


class ImagePool(Protocol):
    """History of generated images (Shrivastava et al. 2017, arXiv:1612.07828, section 2.3); part of the checkpoint."""

    def query(self, images: Tensor) -> Tensor:
        """Returns a batch of the same shape, each image with probability 1/2 replaced by an older one."""


class Context(Protocol):
    """What the engine offers to a recipe during a step.

    Attributes:
        step: number of finished training steps; the first step sees 0.
        steps: number of steps of the whole run.
        turn: how often the current phase has run before: what happens in every n-th of its steps asks this number.
    """

    step: int
    steps: int
    turn: int

    def rand(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1), the batch first; the same after a resume, and on any number of processes."""

    def randn(self, *shape: int) -> Tensor:
        """Standard normal numbers; otherwise as `rand`."""

    def input_gradient(self, score: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Gradient of the summed score with respect to `x`, itself differentiable, for gradient penalties.

        Args:
            score: ``(N, ...)`` -> logits of any shape.
            x: ``(N, ...)``; detached before use.

        Returns:
            Tensor of the shape of `x`.
        """

    def pool(self, name: str, size: int) -> ImagePool:
        """The image pool of that name, made empty at its first use."""

    def log_images(self, name: str, images: Tensor) -> None:
        """Shows images ``(N, C, H, W)`` in [-1, 1] in TensorBoard, beside the next sample grid."""


class Recipe(ABC):
    """A training method: which networks there are, in which order they learn, and from which losses.

    A recipe computes; only the engine moves tensors, differentiates, averages and steps.

    Attributes:
        needs: keys that a batch must have; checked before the first step.
        paired: True refuses data whose sources do not belong to their targets, False prefers such data where a folder
            can be read either way, None takes both.
    """

    needs: frozenset[str] = frozenset({"source", "target"})
    paired: bool | None = None

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def networks(self, build: Build, sample: dict[str, Tensor]) -> dict[str, nn.Module]:
        """Builds the networks.

        Args:
            build: builds components by name.
            sample: a batch as `losses` will see it: channels, size and labels can be read off it.
        """

    @abstractmethod
    def phases(self) -> Sequence[Phase]:
        """The phases of one training step, in order."""

    def shared(self, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: Context) -> dict[str, Tensor]:
        """Computes once what several phases use, such as the generator's output; added to the batch.

        Called with gradients on. A phase that must not reach the networks behind a shared tensor detaches it.
        """
        return {}

    @abstractmethod
    def losses(self, phase: str, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: Context) -> dict[str, Tensor]:
        """The phase's losses by name: scalars, already weighted; the engine minimises their sum."""

    @abstractmethod
    def translators(self, nets: Mapping[str, Any], sample: dict[str, Tensor]) -> dict[str, Translator]:
        """What is exported, by name: ``default``, or for instance ``AtoB`` and ``BtoA``."""
