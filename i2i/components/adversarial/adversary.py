"""The adversarial part of a recipe: any loss with any penalty and stabiliser, on any discriminator.

A recipe puts an `AdversaryConfig` into its options and asks an `Adversary` for both players' losses; so every option
here reaches every recipe that does, third-party ones included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from i2i.api import Build, Choice, Config, Context, LossChoice, Phase
from i2i.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor, nn

    Losses = dict[str, Tensor]
    Judgement = Tensor | tuple[Tensor, ...]
    Scales = list[tuple[Tensor, ...]]
    Critic = Callable[..., Judgement | list[Judgement]]


def _checked_augment(value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    if value not in (None, "ada") and not number:
        raise ValueError("must be ada, a number from 0 to 1, or null")
    return value


class AdversaryConfig(Config):
    """The adversarial game: loss, penalties and stabilisers."""

    loss: LossChoice = LossChoice("vanilla")
    """Adversarial loss: vanilla, minimax, lsgan, hinge, wasserstein or relativistic."""
    weight: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the generator's adversarial loss; 0 leaves the recipe's other losses."""
    discriminator_weight: Annotated[float, Field(gt=0)] = 1.0
    """Factor of the discriminator's adversarial loss."""
    penalty: LossChoice | None = None
    """Penalty on the discriminator's gradient: gradient-penalty or r1; null: none."""
    clip_weights: Annotated[float, Field(gt=0)] | None = None
    """Clips the discriminator's weights to [-c, c] after each of its steps, 0.01 in the first Wasserstein GAN."""
    spectral_norm: bool = False
    """Divides every weight of the discriminator by its largest singular value (Miyato et al. 2018)."""
    instance_noise: Annotated[float, Field(ge=0)] = 0.0
    """Standard deviation of noise on all images that the discriminator sees, at the start; images in [-1, 1]."""
    instance_noise_until: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the run over which the noise falls linearly to 0 (Sonderby et al. 2017, section 3.3)."""
    feature_matching: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the distance between the discriminator's features of real and generated images."""
    augment: Annotated[Literal["ada"] | float | None, BeforeValidator(_checked_augment)] = None
    """Random changes to all images that the discriminator sees, for trainings on few images. ada: as likely as its
    overfitting needs (Karras et al. 2020); a number: each with this probability; null: none."""
    augment_target: Annotated[float, Field(gt=-1, lt=1)] = 0.6
    """Of ada: the mean sign of the discriminator's judgements of real images above which changes become likelier."""
    augment_images: Annotated[int, Field(ge=1)] = 500_000
    """Of ada: real images over which the probability can grow from 0 to 1."""

    def phase(self, name: str, trains: tuple[str, ...], **options: Any) -> Phase:
        """The phase in which discriminators learn, their weights clipped if so configured; options as of `Phase`."""
        return Phase(name, trains, clip_weights=self.clip_weights, **options)

    @model_validator(mode="after")
    def _wasserstein_needs_lipschitz(self) -> Self:
        if self.loss.name == "wasserstein" and not (self.penalty or self.clip_weights or self.spectral_norm):
            raise ValueError(
                "the Wasserstein loss is unbounded unless the critic is Lipschitz: "
                "set penalty=gradient-penalty, spectral_norm=true or clip_weights=0.01"
            )
        return self


class Adversary:
    """Builds discriminators, and computes the adversarial losses of both players.

    A critic is the discriminator as a function of the images alone: ``(N, C, H, W)`` -> logits of any shape, or
    a tuple of logits and features, or a list of these, one for each scale: every scale then counts alike. What else it
    looks at (a source image, a label) the recipe binds.

    Args:
        config: loss, penalty and stabilisers.
        build: builds the losses and discriminators.
        paired: whether a generated image has its own real image: feature matching then compares them one by one
            (Wang et al. 2018, arXiv:1711.11585, equation 4), else the batches' means (Salimans et al. 2016,
            arXiv:1606.03498, section 3.1).

    Raises:
        ConfigError: a penalty is chosen as the loss, or a loss as the penalty.
    """

    def __init__(self, config: AdversaryConfig, build: Build, *, paired: bool = False) -> None:
        self.config, self.build, self.paired = config, build, paired
        self._channels: set[int] = set()
        self.loss: Any = build.loss(config.loss)
        self.penalty: Any = build.loss(config.penalty) if config.penalty else None
        if getattr(self.loss, "penalty", False):
            raise ConfigError(
                f"'{config.loss.name}' is a penalty, not a loss: set adversary.penalty={config.loss.name}"
            )
        if config.penalty and not getattr(self.penalty, "penalty", False):
            name = config.penalty.name
            raise ConfigError(f"'{name}' is a loss, not a penalty: set adversary.loss={name}")

    def discriminator(
        self,
        choice: str | Choice,
        *,
        in_channels: int,
        size: tuple[int, int] | None = None,
        inputs: tuple[str, ...] = ("image",),
        **options: Any,
    ) -> nn.Module:
        """Builds a discriminator, with spectral norm and features where the options of the game say so.

        Args:
            choice: the discriminator.
            in_channels: its input's channels.
            size: (height, width) of what it sees; by default that of the training images.
            inputs: names of the tensors that the recipe calls it with, such as ``("image", "label")``; a discriminator
                whose attribute `inputs` has other names is refused.
            options: options that replace those of the choice.

        Raises:
            ConfigError: the discriminator takes other inputs, or does not go with the penalty or feature matching.
        """
        from torch import nn
        from torch.nn.modules.batchnorm import _BatchNorm
        from torch.nn.utils.parametrizations import spectral_norm

        self._channels.add(in_channels)
        if self.config.feature_matching:
            options["features"] = True
        network = self.build.discriminator(choice, in_channels=in_channels, size=size, **options)
        if (takes := tuple(getattr(network, "inputs", ("image",)))) != inputs:
            what = f"judges {' and '.join(takes)}, here it would get {' and '.join(inputs)}"
            raise ConfigError(f"discriminator '{getattr(choice, 'name', choice)}' {what}: choose another")
        layers = list(network.modules())
        if getattr(self.penalty, "per_image", False) and any(isinstance(layer, _BatchNorm) for layer in layers):
            assert self.config.penalty
            raise ConfigError(
                f"the penalty '{self.config.penalty.name}' looks at the gradient of one image's score, which batch "
                "norm mixes with the other images' (Gulrajani et al. 2017, section 4): set the discriminator's norm "
                "to instance or none"
            )
        if self.config.spectral_norm:
            for layer in layers:
                if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
                    spectral_norm(layer)
        return network

    def discriminator_losses(
        self,
        critic: Critic,
        real: Tensor,
        fake: Tensor,
        ctx: Context,
        condition: Tensor | None = None,
        fake_critic: Critic | None = None,
    ) -> Losses:
        """The discriminator's losses, weighted.

        Args:
            critic: the discriminator as a function of images ``(N, C, H, W)``, and of `condition` where there is one.
            real: images ``(N, C, H, W)`` in [-1, 1].
            fake: generated images of that shape; no gradient goes back through them.
            ctx: what the engine offers during the step.
            condition: images ``(N, C', H, W)`` that each real and generated image is judged together with, such as its
                source; augmentation turns and moves both alike.
            fake_critic: judges the generated images, where that is not `critic`, such as under labels of their own.

        Returns:
            Scalars by name: ``adversarial``, and ``penalty`` in the steps in which it is computed.

        Raises:
            ConfigError: augmentation is on, and the discriminator sees more channels than the images and `condition`.
        """
        real, fake, *given = self._augmented(ctx, real, fake.detach(), condition)
        judge = lambda images: _scales(critic(images, *given))  # noqa: E731
        of_fake = fake_critic or critic
        scales = {
            "real": judge(self._noisy(real, ctx)),
            "fake": _scales(of_fake(self._noisy(fake, ctx), *given)),
        }
        logits = {name: _joined(judged) for name, judged in scales.items()}
        self._adapt(logits, ctx)
        if ctx.observer is not None:
            ctx.observer.discriminator_judged(**logits, boundary=getattr(self.loss, "boundary", None))
        losses = {"adversarial": self.config.discriminator_weight * self._played("discriminator", scales)}
        every = getattr(self.penalty, "every", 1)
        if self.penalty is not None and ctx.turn % every == 0:
            score = lambda images: _joined(judge(images))  # noqa: E731
            losses["penalty"] = every * self.penalty(score, real=real, fake=fake, ctx=ctx)
        return losses

    def generator_losses(
        self, critic: Critic, real: Tensor, fake: Tensor, ctx: Context, condition: Tensor | None = None
    ) -> Losses:
        """The generator's losses, weighted.

        Args:
            critic: the discriminator as a function of images ``(N, C, H, W)``, and of `condition` where there is one.
            real: images ``(N, C, H, W)`` in [-1, 1].
            fake: generated images of that shape, with gradients.
            ctx: what the engine offers during the step.
            condition: as of `discriminator_losses`.

        Returns:
            Scalars by name: ``adversarial``, and ``features`` if ``feature_matching`` is above 0.

        Raises:
            ConfigError: features are to be matched, and the critic gives none; or as of `discriminator_losses`.
        """
        import torch

        real, shown, *given = self._augmented(ctx, real, fake, condition)
        judged = _scales(critic(self._noisy(shown, ctx), *given))
        scales = {"fake": judged}
        if getattr(self.loss, "compares", False) or self.config.feature_matching:
            with torch.no_grad():
                model = _scales(critic(self._noisy(real, ctx), *given))
        if getattr(self.loss, "compares", False):
            scales["real"] = model
        losses = {"adversarial": self.config.weight * self._played("generator", scales)}
        if ctx.observer is not None:
            ctx.observer.generator_judged(losses["adversarial"], fake)
        if self.config.feature_matching:
            losses["features"] = self.config.feature_matching * self._feature_distance(judged, model)
        return losses

    def _played(self, player: str, scales: Mapping[str, Scales]) -> Tensor:
        """A player's loss, the mean over the scales, of what the discriminator gave for ``real`` and ``fake``."""
        import torch

        count = len(scales["fake"])
        each = [
            self.loss(player, **{name: judged[place][0] for name, judged in scales.items()}) for place in range(count)
        ]
        return torch.stack(each).mean() if count > 1 else each[0]

    def _augmented(self, ctx: Context, real: Tensor, fake: Tensor, condition: Tensor | None) -> list[Tensor]:
        """Real images, generated ones and the condition, if any: all three of a place in the batch changed alike."""
        given = [] if condition is None else [condition]
        if self.config.augment is None:
            return [real, fake, *given]
        if not given and self._channels and real.shape[1] not in self._channels:
            raise ConfigError(
                "adversary.augment would turn images and not what the discriminator sees beside them: "
                "set adversary.augment=null, or let the recipe give that as condition"
            )
        from i2i.components.adversarial.augment import Change, probability

        share = probability(ctx) if self.config.augment == "ada" else self.config.augment
        change = Change.draw(real, share, ctx)
        return [change.applied(real), change.applied(fake), *(change.moved(images) for images in given)]

    def _adapt(self, logits: Losses, ctx: Context) -> None:
        """Adapts the probability of changes to how sure the discriminator is of real images."""
        if self.config.augment != "ada":
            return
        from i2i.components.adversarial.augment import adapt

        boundary = getattr(self.loss, "boundary", None)
        middle = (logits["real"].mean() + logits["fake"].mean()).detach() / 2 if boundary is None else boundary
        adapt(ctx, logits["real"], middle, target=self.config.augment_target, images=self.config.augment_images)

    def _noisy(self, images: Tensor, ctx: Context) -> Tensor:
        """The images with instance noise, annealed (Sonderby et al. 2017, arXiv:1610.04490, section 3.3)."""
        left = 1 - ctx.step / (self.config.instance_noise_until * ctx.steps)
        if self.config.instance_noise == 0 or left <= 0:
            return images
        return images + self.config.instance_noise * left * ctx.randn(*images.shape)

    def _feature_distance(self, fake: Scales, real: Scales) -> Tensor:
        """Mean absolute difference of the features, the mean over the layers of all scales."""
        import torch

        from i2i.components.collective import all_mean

        if any(len(judged) < 2 for judged in fake):
            raise ConfigError("feature_matching needs a discriminator that gives features beside its logits")
        pairs = zip(fake, real, strict=True)
        layers = [layer for made, true in pairs for layer in zip(made[1:], true[1:], strict=True)]
        if not self.paired:
            layers = [(all_mean(f.mean(0)), all_mean(r.mean(0))) for f, r in layers]
        return torch.stack([(f - r).abs().mean() for f, r in layers]).mean()


def _scales(judged: Any) -> Scales:
    """What a critic gave as a list with a tuple for each scale: logits, then features if there are any."""
    scales = judged if isinstance(judged, list) else [judged]
    return [one if isinstance(one, tuple) else (one,) for one in scales]


def _joined(scales: Scales) -> Tensor:
    """The logits of all scales: as they are, or of several ``(N, count)``."""
    import torch

    return scales[0][0] if len(scales) == 1 else torch.cat([judged[0].flatten(1) for judged in scales], 1)
