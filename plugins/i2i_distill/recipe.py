"""Adversarial distillation of image-to-image networks (Li et al. 2020, arXiv:2003.08936, section 3.1).

A student learns from a frozen teacher (Hinton et al. 2015, arXiv:1503.02531). The teacher's image takes the place of
the target, so that unpaired methods are learned as if they were paired: by the mean absolute error, by the distance of
features, and against a discriminator to which the teacher's images are the real ones. Differences from that paper:
features are those of a fixed network, since a teacher may be a file without layers to look into; the discriminator
starts anew, since such a file has none; and the student's width is chosen by the user, not searched.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import interpolate, mse_loss

import i2i

if TYPE_CHECKING:
    from torch import Tensor, nn

PEAK = 2.0
"""Range of the values of images, for the peak signal-to-noise ratio."""
MIN_ERROR = 1e-10
"""Mean squared error below which two images count as equal: 106 dB."""


class Distill(i2i.Recipe):
    """A student learns a teacher's images; without a teacher, the targets of pairs are these.

    With a teacher it needs nothing but images to translate: the side that the teacher's translator takes, else the only
    side there is. What the teacher makes of them (key of the batch, channels, scale) is kept in `state`, so that
    an export does not need the teacher.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        if config.teacher is None:
            self.paired = True
        else:
            self.needs = frozenset()

    def networks(self, build: i2i.Build, sample: dict[str, Tensor]) -> dict[str, nn.Module]:
        """Student and, as far as there are any, teacher, discriminator and feature network.

        Raises:
            ConfigError: the teacher takes or gives something else than an image, or the student or the features do not
                fit its images.
        """
        config, nets = self.config, dict[str, Any]()
        if config.teacher is not None:
            nets["teacher"] = build.frozen(config.teacher, config.translator, config.checkpoint)
        if config.features is not None and config.perceptual:
            nets["features"] = build.features(config.features)
        if not self.state:  # a new run; later, as for an export, teacher and features need not be there
            self.state |= _of_pairs(sample) if config.teacher is None else _of_teacher(nets["teacher"], config, sample)
            if "features" in nets:
                _check_features(nets["features"], config.features.name, self._blank(sample))
        source, blank = sample[self.key], self._blank(sample)
        self.adversary = i2i.Adversary(config.adversary, build, paired=True)
        nets["student"] = _student(config.student, build, source.shape[1], blank.shape[1], self.scale)
        if config.discriminator is not None:
            nets["discriminator"] = self.adversary.discriminator(
                config.discriminator,
                in_channels=source.shape[1] + blank.shape[1],
                size=(blank.shape[2], blank.shape[3]),
            )
        return nets

    def phases(self) -> Sequence[i2i.Phase]:
        """The discriminator, if there is one, then the student."""
        student = i2i.Phase("student", trains=("student",))
        if self.config.discriminator is None:
            return [student]
        return [self.config.adversary.phase("discriminator", trains=("discriminator",)), student]

    def shared(self, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context) -> dict[str, Tensor]:
        """Both networks' images serve both phases; ``wanted`` is the teacher's."""
        return {"fake": nets["student"](batch[self.key]), "wanted": self._wanted(nets, batch)}

    def losses(
        self, phase: str, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context
    ) -> dict[str, Tensor]:
        """``adversarial`` of both players, and the student's ``l1`` and ``perceptual``."""
        wanted, fake, source = batch["wanted"], batch["fake"], batch[self.key]
        condition = source if source.shape[2:] == fake.shape[2:] else interpolate(source, fake.shape[2:])

        def critic(image: Tensor, source: Tensor) -> Any:
            return nets["discriminator"](torch.cat([source, image], 1))

        if phase == "discriminator":
            return self.adversary.discriminator_losses(critic, wanted, fake, ctx, condition)
        losses: dict[str, Tensor] = {}
        if "discriminator" in nets:
            losses |= self.adversary.generator_losses(critic, wanted, fake, ctx, condition)
        if self.config.l1:
            losses["l1"] = self.config.l1 * (fake - wanted).abs().mean()
        if "features" in nets:
            with torch.no_grad():
                of_wanted = nets["features"](wanted)
            pairs = zip(nets["features"](fake), of_wanted, strict=True)
            distances = torch.stack([(made - model).abs().mean() for made, model in pairs])
            losses["perceptual"] = self.config.perceptual * distances.mean()
        return losses

    def evaluate(self, nets: Mapping[str, Any], batches: Iterator[dict[str, Tensor]]) -> Mapping[str, float] | None:
        """How near the student's images are to the teacher's: ``l1``, of images in [-1, 1], and ``psnr`` in decibels.

        The latter is the ``score`` that chooses the best checkpoint, unless the run has metrics besides.
        """
        l1, psnr = [], []
        for batch in batches:
            _, made, wanted = self._compared(nets, batch)
            l1.append(float((made - wanted).abs().mean()))
            psnr.append(10 * math.log10(PEAK**2 / max(float(mse_loss(made, wanted)), MIN_ERROR)))
        if not l1:
            return None
        mean = math.fsum(psnr) / len(psnr)
        return {"l1": math.fsum(l1) / len(l1), "psnr": mean, "score": mean}

    def grid(self, nets: Mapping[str, Any], batch: dict[str, Tensor]) -> Mapping[str, Tensor] | None:
        """Input, student's image and teacher's image."""
        return dict(zip(("input", "student", "teacher"), self._compared(nets, batch), strict=True))

    def translators(self, nets: Mapping[str, Any], sample: dict[str, Tensor]) -> dict[str, i2i.Translator]:
        """The student; where a teacher says what is right, data have no targets to compare with."""
        target = "target" if self.config.teacher is None else None
        example = {"image": sample[self.key][:1]}
        return {"default": i2i.Translator(nets["student"], example, source=self.key, target=target)}

    @property
    def key(self) -> str:
        """Key of the batch that holds the images to translate."""
        return str(self.state["key"])

    @property
    def scale(self) -> int:
        """How many times larger the student's images are than its input."""
        return int(self.state["scale"])

    def _blank(self, sample: dict[str, Tensor]) -> Tensor:
        """A black image ``(1, C, H, W)`` of the size that the student makes of the sample's."""
        height, width = (side * self.scale for side in sample[self.key].shape[2:])
        return sample[self.key].new_full((1, int(self.state["channels"]), height, width), -1.0)

    def _wanted(self, nets: Mapping[str, Any], batch: dict[str, Tensor]) -> Tensor:
        """What the student's image should be, ``(N, C, H, W)`` in [-1, 1]."""
        if self.config.teacher is None:
            return batch["target"]
        with torch.no_grad():
            return nets["teacher"](batch[self.key]).detach()

    def _compared(self, nets: Mapping[str, Any], batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Input, student's image and teacher's image; an input is cropped to sides that both networks take."""
        multiple = math.lcm(
            *(int(getattr(nets[name], "multiple", 1)) for name in ("student", "teacher") if name in nets)
        )
        height, width = (max(multiple, side - side % multiple) for side in batch[self.key].shape[2:])
        image, scale = batch[self.key][..., :height, :width], self.scale
        wanted = self._wanted(nets, batch | {self.key: image})[..., : height * scale, : width * scale]
        return image, nets["student"](image).clamp(-1, 1), wanted.clamp(-1, 1)


def _of_pairs(sample: dict[str, Tensor]) -> dict[str, int | str]:
    """Which key of the batch the student takes, and channels and scale of what it is to make: the target's."""
    source, target = sample["source"], sample["target"]
    return {"key": "source", "channels": target.shape[1], "scale": target.shape[2] // source.shape[2]}


def _of_teacher(teacher: Any, config: Any, sample: dict[str, Tensor]) -> dict[str, int | str]:
    """The same of a teacher, which is tried on the images of the training.

    Raises:
        ConfigError: it cannot be computed of an image alone, or gives something else than one image.
    """
    name = config.teacher
    takes = dict(getattr(teacher, "i2i_inputs", {"image": "source"}))
    if set(takes) != {"image"}:
        raise i2i.ConfigError(f"{name}: the teacher takes {' and '.join(takes)}: a teacher takes one image alone")
    images = [key for key in ("source", "target") if key in sample and sample[key].ndim == 4]
    if not images:
        raise i2i.ConfigError(f"the data give no image for the teacher {name}: they have {', '.join(sample)}")
    key = takes["image"] if takes["image"] in images else images[0]
    source = sample[key][:1]
    shape = "x".join(map(str, source.shape[1:]))
    try:
        with torch.no_grad():
            made = teacher(source)
    except (RuntimeError, TypeError, ValueError) as error:
        what = f"{name}: the teacher cannot be computed of images of {shape} (channels, height, width)"
        raise i2i.ConfigError(f"{what}: change data.size, or name another of its translators") from error
    if not isinstance(made, torch.Tensor) or made.ndim != 4 or not made.is_floating_point():
        raise i2i.ConfigError(f"{name}: the teacher gives something else than one image: name another translator")
    scale, rest = divmod(made.shape[2], source.shape[2])
    if rest or (scale * source.shape[2], scale * source.shape[3]) != tuple(made.shape[2:]):
        size = "x".join(map(str, made.shape[2:]))
        raise i2i.ConfigError(f"{name}: the teacher makes {size} of {shape}, and not a whole multiple of that size")
    return {"key": key, "channels": made.shape[1], "scale": scale}


def _student(choice: i2i.GeneratorChoice, build: i2i.Build, a: int, b: int, scale: int) -> nn.Module:
    """The student, from `a` to `b` channels.

    Raises:
        ConfigError: it does not enlarge images as much as the teacher, among others.
    """
    if scale == 1:
        return build.generator(choice, in_channels=a, out_channels=b, inputs=("image",))
    try:
        return build.generator(choice, in_channels=a, out_channels=b, inputs=("image",), scale=scale)
    except i2i.ConfigError as error:
        what = f"the teacher's images are {scale} times as large as its input, so must be the student's"
        raise i2i.ConfigError(f"{what}: {error}: choose one that enlarges, such as srresnet") from error


def _check_features(features: Any, name: str, images: Tensor) -> None:
    """Tries a feature network on images of the size that it will see.

    Raises:
        ConfigError: it cannot see such images.
    """
    try:
        features(images)
    except (RuntimeError, ValueError) as error:
        shape = "x".join(map(str, images.shape[1:]))
        what = f"features '{name}' cannot see images of {shape} (channels, height, width)"
        raise i2i.ConfigError(f"{what}: set a larger data.size, or features=null") from error
