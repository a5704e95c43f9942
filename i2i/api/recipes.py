"""Training methods: the base class, and the records that its methods return."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from i2i.api.protocols import Build, Context
from i2i.errors import PluginError
from i2i.interface import IMAGE_OUT, Image, ImageInput, Input, Output
from i2i.kinds import ValueKind

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Phase:
    """One optimiser step within a training step: which networks learn, how often, from which losses.

    Phases run in the order in which `Recipe.phases` lists them. A phase that trains the same networks as an earlier
    one, or some of them, shares its optimiser with the moments, as lazy regularisation needs.

    Attributes:
        name: handed to `Recipe.losses`; also the key under ``train.phases`` with which users override settings.
        trains: names of the networks that this phase updates; the weights of all others are frozen meanwhile.
        every: the phase runs in every n-th step only: 5 for the generator of a Wasserstein GAN with 5 critic steps.
        optimizer: settings that replace those of ``train.optimizer``, for instance ``{"lr": 4e-4}``; a ``name`` is
            another optimiser. A setting that the user's optimiser does not have, such as ``betas``, is left out with a
            note.
        schedule: settings that replace those of ``train.schedule``, such as ``{"name": "constant"}`` for a phase whose
            learning rate stays while those of others fall.
        start: share of the run, 0 to 1, after which the phase begins. Stages of a training are phases with bounds.
        stop: share of the run, 0 to 1, at which the phase ends.
        clip_weights: c: after each of the phase's steps the weights that it trains are clipped to [-c, c], as the
            critic's of a Wasserstein GAN are (Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1); None: not clipped.
        clip_grad: greatest L2 norm of the phase's gradients, all together: longer ones are shortened to it before the
            optimiser's step (Pascanu et al. 2013, arXiv:1211.5063, algorithm 1); None: not clipped.
        repeats: optimiser steps of the phase within each training step that it is due in, each on a batch of its own: 5
            for the critic of a Wasserstein GAN. The other phases take the first of these batches.
        rates: factors of the phase's learning rate for some of its networks, by name: ``{"mapping": 0.01}`` for a
            mapping network (Karras et al. 2019, arXiv:1812.04948, appendix C). A phase that shares the optimiser of
            another one has the factors of that one.

    Raises:
        PluginError: an attribute has a value that makes no sense, such as ``every=0``.

    Example:
        >>> import i2i
        >>> critic = i2i.Phase(name="critic", trains=("critic",), optimizer={"lr": 1e-4})
        >>> generator = i2i.Phase(name="generator", trains=("generator",), every=5)
        >>> [step for step in range(12) if generator.due(step, 12)]
        [0, 5, 10]
    """

    name: str
    trains: tuple[str, ...]
    every: int = 1
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    start: float = 0.0
    stop: float = 1.0
    clip_weights: float | None = None
    clip_grad: float | None = None
    repeats: int = 1
    schedule: Mapping[str, Any] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.trains, str) or not all(isinstance(name, str) for name in self.trains):
            raise PluginError(f"phase '{self.name}': trains must be a tuple of names, such as ('generator',)")
        object.__setattr__(self, "trains", tuple(self.trains))
        for name, settings in (("optimizer", self.optimizer), ("schedule", self.schedule)):
            if not isinstance(settings, Mapping):
                raise PluginError(f"phase '{self.name}': {name} must be a mapping, such as {{'name': 'NAME'}}")
        for name, number in (("every", self.every), ("repeats", self.repeats)):
            if number < 1:
                raise PluginError(f"phase '{self.name}': {name} must be at least 1, not {number}")
        if not 0 <= self.start < self.stop <= 1:
            raise PluginError(f"phase '{self.name}': 0 <= start < stop <= 1 must hold, not {self.start}, {self.stop}")
        if wrong := [name for name, rate in self.rates.items() if name not in self.trains or not 0 < rate < math.inf]:
            what = f"rates must be numbers above 0 for networks that it trains, and '{wrong[0]}' has {self.rates}"
            raise PluginError(f"phase '{self.name}': {what}")
        for name, limit in (("clip_weights", self.clip_weights), ("clip_grad", self.clip_grad)):
            if limit is not None and limit <= 0:
                raise PluginError(f"phase '{self.name}': {name} must be above 0, not {limit}")

    def due(self, step: int, steps: int) -> bool:
        """Whether the phase runs in a step.

        Args:
            step: number of the step, the first one 0.
            steps: number of steps of the whole run.
        """
        return self.start * steps <= step < max(self.stop * steps, 1) and step % self.every == 0

    def turn(self, step: int, steps: int) -> int:
        """How often the phase has run before a step in which it is due.

        Args:
            step: number of the step, the first one 0.
            steps: number of steps of the whole run.
        """
        return step // self.every - math.ceil(math.ceil(self.start * steps) / self.every)


@dataclass(frozen=True)
class Translator:
    """A trained network as it is used afterwards: what validation measures and ``model.onnx`` holds.

    Attributes:
        module: called with the tensors of `example` in their order; images are ``(N, C, H, W)`` float32 in [-1, 1]. It
            is copied and put into evaluation mode before it is used. With several outputs it returns a tuple, in the
            order of `outputs`. An attribute ``multiple`` (default 1) of the module says what height and width must be
            divisible by: inputs of other sizes are padded by mirroring and the result is cropped. An attribute
            ``scale`` (default 1) says how many times larger the output is. An attribute ``size``, (height, width) in
            pixels, says that it takes this size only: images are resized to it first.
        example: a tensor for each input, by name and in the order in which `module` takes them: ``image``, and where
            the recipe has them ``label`` ``(N,)`` int64 and ``noise`` ``(N, Z)``; further ones need a type in `inputs`.
            Only their shapes and types matter.
        source: key of the batch that holds the input image in validation: ``target`` for a translator back.
        target: key of the image that the output should equal; None when there is none, as with unpaired images, where
            another target than the source is refused.
        labels: names of the label values, stored in the exported file.
        inputs: types of inputs by name, such as ``{"mask": i2i.MaskInput()}``; ``image``, ``label`` and ``noise`` need
            none.
        outputs: types of all outputs by name, in the order in which `module` returns them, such as
            ``{"score": i2i.Number()}``; none: one image, ``image_out``.
        real: key of real images of the kind that the output is, where there is no target: metrics of whole sets of
            images, such as FID, compare the outputs with them. None: ``target``, and ``source`` for a translator whose
            input is ``target``.

    Example:
        >>> import i2i, torch
        >>> generator = torch.nn.Conv2d(3, 1, 3, padding=1)
        >>> translator = i2i.Translator(module=generator, example={"image": torch.zeros(1, 3, 64, 64)})
        >>> translator.source, translator.target
        ('source', 'target')
    """

    module: nn.Module
    example: Mapping[str, Tensor]
    source: str = "source"
    target: str | None = "target"
    labels: Sequence[str] = ()
    inputs: Mapping[str, Input] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=lambda: {IMAGE_OUT: Image()})
    real: str | None = None

    @property
    def image_output(self) -> str | None:
        """Name of the first image among the outputs, which validation compares with the target; None without one."""
        return next((name for name, of in self.outputs.items() if isinstance(of, Image)), None)

    @property
    def real_key(self) -> str:
        """Key of the batch that holds real images, with which outputs are compared: as pairs where it is the target."""
        back = self.source == "target" and "image" in self.example
        return self.target or self.real or ("source" if back else "target")

    def batch_key(self, name: str) -> str:
        """Key of the batch that holds an input in validation."""
        usual = {"image": self.source, "label": "target_label"}.get(name, name)
        return getattr(self.inputs.get(name), "key", "") or usual

    def type_of(self, name: str) -> Input | None:
        """The type of an input; None of ``label`` and ``noise``."""
        return self.inputs.get(name) or (ImageInput() if name == "image" else None)


StateValue: TypeAlias = "Tensor | float | int | bool | str"
"""What `Recipe.state` may hold."""


class Recipe(ABC):
    """A training method: which networks there are, in which order they learn, and from which losses.

    A recipe computes; only the engine moves tensors, differentiates, averages over processes, steps and saves. It saves
    networks, optimisers, image pools and `state`: other attributes must follow from the options and from shapes.

    Args:
        config: the options, an instance of the component's `Config`.

    Attributes:
        config: the options.
        state: what the recipe measures or decides during training, by name: tensors without gradients, numbers, True or
            False, and texts. It is in every checkpoint, and never averaged. It is there again before `networks`,
            `translators` and `losses` are called in a resumed run or an export. A new run begins with an empty
            one, so read it with a default: ``self.state.get("strength", 0.0)``. With several processes all must set the
            same values; what they measure apart becomes equal by `i2i.all_mean`.
        needs: keys that a batch must have: ``source``, ``target``, ``label``, ``target_label``, or further ones of a
            dataset; checked before the first step.
        paired: True refuses data whose sources do not belong to their targets, False prefers such data where a folder
            can be read either way, None takes both.
        takes_labels: whether its sources may be label maps: palette images then count as ``labels`` (numbers of
            classes), not as pictures, unless ``data.source_kind`` or the dataset says otherwise.
        kinds: what the images under some keys must stand for. Of ``labels``, as in ``{"source": "labels"}``, the batch
            has the numbers of classes ``(N, H, W)`` int64, from a palette or from grey; of ``mask`` it has
            ``(N, 1, H, W)`` float32, 1 where the mask is white, else 0.

    Example:
        >>> import i2i
        >>> from torch.nn.functional import l1_loss
        >>> class Regression(i2i.Recipe):
        ...     def networks(self, build, sample):
        ...         a, b = sample["source"].shape[1], sample["target"].shape[1]
        ...         return {"generator": build.generator("unet", in_channels=a, out_channels=b)}
        ...     def phases(self):
        ...         return [i2i.Phase(name="generator", trains=("generator",))]
        ...     def losses(self, phase, nets, batch, ctx):
        ...         return {"l1": l1_loss(nets["generator"](batch["source"]), batch["target"])}
        ...     def translators(self, nets, sample):
        ...         return {"default": i2i.Translator(nets["generator"], {"image": sample["source"][:1]})}
        >>> Regression(i2i.Config()).phases()[0].name
        'generator'
    """

    needs: frozenset[str] = frozenset({"source", "target"})
    paired: bool | None = None
    takes_labels: bool = False
    kinds: Mapping[str, ValueKind] = MappingProxyType({})

    def __init__(self, config: Any) -> None:
        self.config = config
        self.state: dict[str, StateValue] = {}

    @abstractmethod
    def networks(self, build: Build, sample: dict[str, Tensor]) -> dict[str, nn.Module]:
        """Builds the networks; called before training, and again whenever the run is exported.

        Args:
            build: builds components by name.
            sample: a batch of one sample, as `losses` will see it. Channels, sizes and types can be read off it, but no
                values: they differ between training and export.

        Returns:
            The networks by name.
        """

    @abstractmethod
    def phases(self) -> Sequence[Phase]:
        """The phases of one training step, in the order in which they run."""

    def stages(self, progress: float) -> tuple[int | tuple[int, int], int] | None:
        """Size of images and batches at a time of the training, for methods that begin with small images.

        Networks are built for ``data.size``, which no stage exceeds in height or width. In every stage the losses get
        images of its size.

        Args:
            progress: share of the steps that are done, from 0 to below 1.

        Returns:
            Size of the training crops in pixels, the side of a square or (height, width), and images a step, over all
            processes together; None, the default: ``data.size`` and ``train.batch_size``.
        """
        return None

    def shared(self, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: Context) -> dict[str, Tensor]:
        """Computes once a step what several phases use, such as the generator's output.

        Called with gradients on. A phase that must not reach the networks behind a shared tensor detaches it.

        Args:
            nets: the networks by name.
            batch: images ``(N, C, H, W)`` float32 in [-1, 1] and labels ``(N,)`` int64, on the networks' device.
            ctx: what the engine offers during the step.

        Returns:
            Tensors by name, which are added to the batch that `losses` gets; none by default.
        """
        return {}

    @abstractmethod
    def losses(self, phase: str, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: Context) -> dict[str, Tensor]:
        """Computes the losses of one phase.

        Args:
            phase: name of the phase.
            nets: the networks by name; only the weights of those that the phase trains require gradients.
            batch: images ``(N, C, H, W)`` float32 in [-1, 1] and labels ``(N,)`` int64, on the networks' device, and
                what `shared` returned.
            ctx: what the engine offers during the step.

        Returns:
            Float32 scalars by name, means over the batch, already weighted. The engine minimises their sum and logs
            each as ``loss/PHASE/NAME``.
        """

    def after_step(self, nets: Mapping[str, Any], ctx: Context) -> None:  # noqa: B027 - nothing is the default
        """Called after each training step, without gradients: to move a teacher's weights, or to write to `state`.

        What it changes must follow from networks, `state` and `ctx`, so that a resumed run repeats it.

        Args:
            nets: the networks by name.
            ctx: what the engine offers during the step; `Context.step` is still the number of the step.
        """

    def evaluate(self, nets: Mapping[str, Any], batches: Iterator[dict[str, Tensor]]) -> Mapping[str, float] | None:
        """Figures of the method's own, such as the area under the ROC curve of a detector.

        Called at each validation, in the first process only and without gradients. What is drawn at random should be
        the same at each call, by a generator with a seed.

        Args:
            nets: copies of the networks by name, as they would be exported: in evaluation mode and float32, averaged
                where the run averages.
            batches: the validation samples, each a batch of one; images ``(1, C, H, W)`` in [-1, 1].

        Returns:
            Numbers by name, logged as ``val/RECIPE.NAME``. The one called ``score``, of which higher must be better,
            chooses the best checkpoint where no metric of ``train.metrics`` can be computed. None, the default: none.
        """
        return None

    def grid(self, nets: Mapping[str, Any], batch: dict[str, Tensor]) -> Mapping[str, Tensor] | None:
        """Draws a row of the sample grid; called as `evaluate`, once for each sample that is shown.

        Args:
            nets: as in `evaluate`.
            batch: a validation sample as a batch of one.

        Returns:
            Columns by name, in their order: images ``(1, C, H, W)`` in [-1, 1] or label maps ``(1, H, W)`` int64, of
            any sizes. None, the default: inputs, outputs and targets of the translators.
        """
        return None

    @abstractmethod
    def translators(self, nets: Mapping[str, Any], sample: dict[str, Tensor]) -> dict[str, Translator]:
        """Says what is validated and exported.

        Args:
            nets: the networks by name.
            sample: a batch, for the shapes and types of the examples.

        Returns:
            Translators by name: ``default``, or for instance ``AtoB`` and ``BtoA``.
        """
