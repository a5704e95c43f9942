"""What the engine gives to a recipe: `Build` for its networks, `Context` for its steps."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from i2i.api.options import Choice

if TYPE_CHECKING:
    from torch import Tensor, nn


class Build(Protocol):
    """Builds components by name, from any plugin; `Recipe.networks` gets one.

    Options that the component does not have are refused. Networks are built for the size of the training images, unless
    `size`, (height, width) in pixels, is given.

    Attributes:
        labels: names of the data's classes, in the order of their numbers; empty if there are no classes.
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
        """Builds a generator, a network that makes images ``(N, out_channels, H, W)`` in [-1, 1].

        Args:
            name: the generator, or the user's choice of one.
            in_channels: channels of the input image; of a generator that makes images of noise, the noise's length.
            out_channels: channels of the images that it makes.
            size: (height, width) that it is built for; None: that of the training images.
            inputs: names of what the recipe calls it with, such as ``("noise", "label")``: a generator that takes
                something else is refused. None: not checked.
            options: options of the component, on top of those of a choice.

        Raises:
            ConfigError: an option is unknown or does not fit, the network cannot be built for that size, or it takes
                something else than `inputs`.
            PluginError: no plugin gives a generator of that name, or the one that does fails.
        """

    def discriminator(
        self, name: str | Choice, *, in_channels: int, size: tuple[int, int] | None = None, **options: Any
    ) -> nn.Module:
        """Builds a discriminator: ``(N, in_channels, H, W)`` in [-1, 1] -> logits, or a tuple of logits and features.

        One that looks at several scales may give a list of these.

        Args:
            name: the discriminator, or the user's choice of one.
            in_channels: channels of all that it sees together.
            size: (height, width) that it is built for; None: that of the training images.
            options: options of the component, on top of those of a choice.

        Raises:
            ConfigError: an option is unknown or does not fit, or the network cannot be built for that size.
            PluginError: no plugin gives a discriminator of that name, or the one that does fails.
        """

    def loss(self, name: str | Choice, **options: Any) -> nn.Module:
        """Builds a loss, a module whose call returns a float32 scalar, the mean over the batch.

        A loss with weights belongs among the networks that `Recipe.networks` returns, so that it moves to the device;
        one without may stay in an attribute of the recipe.

        Args:
            name: the loss, or the user's choice of one.
            options: options of the component, on top of those of a choice.

        Raises:
            ConfigError: an option is unknown or does not fit.
            PluginError: no plugin gives a loss of that name, or the one that does fails.
        """

    def features(self, name: str | Choice, **options: Any) -> nn.Module:
        """Builds a feature network: images ``(N, C, H, W)`` in [-1, 1] -> a list of feature maps.

        It belongs among the networks that `Recipe.networks` returns; it is never trained and not saved. Where networks
        are built for inference only, which needs no losses, it is an empty module and no weights are loaded.

        Args:
            name: the feature network, or the user's choice of one.
            options: options of the component, on top of those of a choice.

        Raises:
            ConfigError: an option is unknown or does not fit.
            PluginError: no plugin gives a feature network of that name, or the one that does fails.
        """

    def frozen(self, path: str | os.PathLike[str], network: str | None = None, checkpoint: str = "best") -> nn.Module:
        """Another model's network that is not trained and not saved: a teacher (Hinton et al. 2015, arXiv:1503.02531).

        It belongs among the networks that `Recipe.networks` returns. Training and resuming need its files, unchanged;
        where networks are built for inference only, as for the export, it is an empty module and nothing is loaded.

        Args:
            path: a run folder, or an ``.onnx`` file that i2i exported for a single image and nothing else; relative
                paths begin at the working directory.
            network: name of a translator of the run, such as ``AtoB``, or of a network; None: its translator
                ``default``, or its only one.
            checkpoint: of the run: ``last``, ``best``, or a step.

        Returns:
            The network of a run, in evaluation mode; gradients go through it to its inputs. That of a translator has an
            attribute ``i2i_inputs``: the names of what it is called with, in order, and of each the key of the batch,
            such as ``{"image": "target"}`` of a translator back. Of a file a module from
            images ``(N, C, H, W)`` in [-1, 1] to such images, to numbers of classes ``(N, H, W)``, numbers ``(N,)`` or
            vectors ``(N, size)``, several in a tuple: onnxruntime computes it, without gradients.

        Raises:
            ConfigError: the run has no network or translator of that name.
            ModelError: the file is no such model.
            PluginError: the recipe's plugin is not there.
            RunError: the run, the checkpoint or the file is not there or damaged.
        """


class ImagePool(Protocol):
    """A history of generated images (Shrivastava et al. 2017, arXiv:1612.07828, section 2.3).

    It is part of the checkpoint, so that a resumed run goes on with the same images.
    """

    def query(self, images: Tensor) -> Tensor:
        """Exchanges some of a batch for older images, which the new ones replace in the pool.

        Args:
            images: ``(N, C, H, W)``.

        Returns:
            A batch of the same shape, each image with probability 1/2 an older one; until the pool is full the new
            images themselves.
        """


class GameObserver(Protocol):
    """Is told how an adversarial game goes; the engine derives the health of the training from it."""

    def discriminator_judged(self, *, real: Tensor, fake: Tensor, boundary: float | None) -> None:
        """To be called with a discriminator's judgement, when it learns.

        Args:
            real: its logits for real images, of any shape.
            fake: its logits for generated images.
            boundary: the logit above which an image counts as real; None: halfway between the means of both.
        """

    def generator_judged(self, loss: Tensor, fake: Tensor) -> None:
        """To be called with a generator's adversarial loss, when it learns.

        Args:
            loss: the loss, a scalar.
            fake: the generated images ``(N, C, H, W)`` that it was computed of.
        """


class Context(Protocol):
    """What the engine offers to a recipe during a step.

    Attributes:
        step: number of finished training steps; the first step sees 0.
        steps: number of steps of the whole run.
        turn: how often the current phase has run before: what happens in every n-th of its steps asks this number.
        observer: is told how an adversarial game goes, which `i2i.Adversary` does; None: nobody asks.
        state: the recipe's `Recipe.state`, for components that keep something from step to step, each under names of
            its own that begin with the component's.
    """

    step: int
    steps: int
    turn: int
    observer: GameObserver | None
    state: dict[str, Any]

    def rand(self, *shape: int) -> Tensor:
        """Random numbers, uniform in [0, 1); the same after a resume, and on any number of processes.

        Args:
            shape: of the result; the first number must be the length of the batch.

        Returns:
            A tensor of that shape on the networks' device, float32 (float64 with ``engine.precision=fp64``).
        """

    def randn(self, *shape: int) -> Tensor:
        """Standard normal random numbers; the same after a resume, and on any number of processes.

        Args:
            shape: of the result; the first number must be the length of the batch.

        Returns:
            A tensor of that shape on the networks' device, float32 (float64 with ``engine.precision=fp64``).
        """

    def input_gradient(self, score: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Gradient of the summed score with respect to `x`, itself differentiable, for gradient penalties.

        It is computed in float32, also when networks run in bfloat16.

        Args:
            score: ``(N, ...)`` -> logits of any shape.
            x: ``(N, ...)``; detached before use.

        Returns:
            Tensor of the shape of `x`.
        """

    def pool(self, name: str, size: int) -> ImagePool:
        """The pool of generated images of that name.

        Args:
            name: tells the pools of a recipe apart.
            size: number of images that the pool keeps; one of 0 gives back what it is given.

        Returns:
            The same pool at every call; empty at first.
        """

    def log_images(self, name: str, images: Tensor) -> None:
        """Shows images in TensorBoard, or whichever trackers the run has, beside the next sample grid.

        Args:
            name: of the images.
            images: ``(N, C, H, W)`` in [-1, 1].
        """
