"""Observing a step while it runs: the discriminator's accuracy and gradient, and the generator's outputs.

Everything stays on the device; the step's figures leave it together with its losses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from i2i.api import Phase, Translator

THUMBNAIL_SIDE = 8
"""Images are compared at this height and width: what is wrong with a whole image shows in its rough layout."""
MAX_IMAGES = 4
"""Images of a step that are observed."""
PERIOD, OBSERVED = 8, 2
"""Of 8 steps the first 2 are observed: what goes wrong lasts for hundreds of steps, and small networks are fast.

Two in a row, so that there are neighbours between which the network has hardly changed.
"""
UPDATE_PERIOD = 10
"""How much a phase changes its weights is measured in every 10th of its steps."""
MAX_WEIGHTS = 2048
"""Weights of each tensor on which that is measured."""


@dataclass(frozen=True)
class ObservedTranslator:
    """A translator whose outputs are observed.

    Attributes:
        name: name of the translator.
        network: name of the network that it is made of.
        module: the network.
        real: key of the batch's images that outputs should resemble.
    """

    name: str
    network: str
    module: nn.Module
    real: str


@dataclass
class Observation:
    """Figures and images of one step.

    Attributes:
        figures: scalars by name.
        images: outputs and real images, each ``(n, C, 8, 8)``, by translator.
    """

    figures: dict[str, Tensor] = field(default_factory=dict)
    images: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)


class StepObserver:
    """Observes steps while they run; `i2i.components.adversarial.adversary` calls it with the discriminator's logits.

    Args:
        translators: whose outputs are observed; none where networks are compiled, which hooks would compile again.
    """

    def __init__(self, translators: Sequence[ObservedTranslator]) -> None:
        self.translators, self.observation, self.active = translators, Observation(), False
        self._networks: tuple[str, ...] = ()  # that the current phase trains
        self._phase_runs: dict[str, int] = {}
        self._discriminator_calls = self._generator_calls = 0  # by the current phase, for the current batch

    @contextmanager
    def observe_step(self, step: int, batch: Mapping[str, Tensor]) -> Iterator[Observation]:
        """Observes a step, counted from 0, while the context lasts; of each network only the first output counts."""
        self.observation, self.active = Observation(), step % PERIOD < OBSERVED
        hooks = [
            translator.module.register_forward_hook(self._output_hook(translator, batch[translator.real]))
            for translator in self.translators
            if self.active and translator.real in batch
        ]
        try:
            yield self.observation
        finally:
            for hook in hooks:
                hook.remove()

    def begin_phase(self, phase: Phase) -> None:
        """To be called before a phase computes its losses for a batch."""
        self._discriminator_calls = self._generator_calls = 0
        self._networks = phase.trains

    def observe_update(self, phase: str, parameters: Sequence[nn.Parameter]) -> AbstractContextManager[None]:
        """Measures, now and then, how much a phase changes its weights while the context lasts.

        A phase that called `discriminator_judged` for its losses counts as one of a discriminator.
        """
        runs = self._phase_runs[phase] = self._phase_runs.get(phase, -1) + 1
        role = "discriminator" if self._discriminator_calls else "generator"
        if runs % UPDATE_PERIOD:
            return nullcontext()
        return _relative_change(parameters, f"update/{role}/{phase}", self.observation.figures)

    def discriminator_judged(self, *, real: Tensor, fake: Tensor, boundary: float | None) -> None:
        """Measures the discriminator's accuracy.

        Args:
            real: logits of real images, of any shape.
            fake: logits of generated ones.
            boundary: logits above it mean real; None: the middle between both means, where only differences count.
        """
        self._discriminator_calls += 1
        if not self.active:
            return
        number, real, fake = self._discriminator_calls, real.detach(), fake.detach()
        name = self._networks[number - 1] if number <= len(self._networks) else str(number)
        middle = (real.mean() + fake.mean()) / 2 if boundary is None else boundary
        self.observation.figures[f"accuracy/{name}/real"] = (real > middle).float().mean()
        self.observation.figures[f"accuracy/{name}/fake"] = (fake < middle).float().mean()

    def generator_judged(self, loss: Tensor, fake: Tensor) -> None:
        """Measures the gradient of the generator's adversarial loss for the generated images (root mean square).

        A vanishing gradient of the generator shows here even where another loss keeps the whole gradient large. It is
        computed anew, for a hook would have to give the discriminator other tensors than it gets unobserved; in every
        process, for the way back may wait for the others.
        """
        self._generator_calls += 1
        if not self.active or not (loss.requires_grad and fake.requires_grad):
            return
        (gradient,) = torch.autograd.grad(loss, fake, retain_graph=True, allow_unused=True)
        if gradient is not None:
            name = f"adversarial_gradient/{self._generator_calls}"
            self.observation.figures[name] = gradient.detach().square().mean().sqrt()

    def _output_hook(self, translator: ObservedTranslator, real: Tensor) -> Any:
        def observe(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if translator.name in self.observation.images or not _is_image_batch(output):
                return
            if output.shape[1] != real.shape[1]:
                return
            with torch.no_grad():
                made, wanted = output.detach()[:MAX_IMAGES].float(), real[:MAX_IMAGES].float()
                figures = {"spread": _spread, "saturated": _saturated}
                for name, figure in figures.items():
                    self.observation.figures[f"output/{translator.name}/{name}"] = figure(made)
                    self.observation.figures[f"real/{translator.name}/{name}"] = figure(wanted)
                pair = adaptive_avg_pool2d(made, THUMBNAIL_SIDE), adaptive_avg_pool2d(wanted, THUMBNAIL_SIDE)
                self.observation.images[translator.name] = pair

        return observe


def observed_translators(
    translators: Mapping[str, Translator], modules: Mapping[str, nn.Module], sample: Mapping[str, Tensor]
) -> list[ObservedTranslator]:
    """The networks behind the translators, each with the images that its outputs should resemble.

    Those are the translator's target; without one, the other side of unpaired data, or the images that there are.
    """
    found = []
    for name, translator in translators.items() if isinstance(translators, Mapping) else ():
        if not isinstance(translator, Translator) or not isinstance(translator.module, nn.Module):
            continue  # refused elsewhere
        own = {id(parameter) for parameter in translator.module.parameters()}
        other = "source" if translator.source == "target" and "source" in sample else "target"
        for network, module in modules.items():
            if any(id(parameter) in own for parameter in module.parameters()):
                found.append(ObservedTranslator(name, network, module, translator.target or other))
                break
    return found


@contextmanager
def _relative_change(parameters: Sequence[nn.Parameter], name: str, figures: dict[str, Tensor]) -> Iterator[None]:
    """Measures by how much parameters change while the context lasts, as a share of their norm."""

    def weights() -> Tensor:
        return torch.cat([p.detach().flatten()[:MAX_WEIGHTS] for p in parameters])

    before = weights()
    yield
    figures[name] = (weights() - before).norm() / before.norm().clamp(min=1e-30)


def _is_image_batch(value: Any) -> bool:
    # under vmap tensors have no values
    inside = isinstance(value, Tensor) and torch._C._functorch.is_functorch_wrapped_tensor(value)
    return isinstance(value, Tensor) and value.ndim == 4 and value.is_floating_point() and not inside


def _spread(images: Tensor) -> Tensor:
    """Standard deviation over an image's pixels, the mean over channels and images."""
    return images.flatten(2).std(2, unbiased=False).mean()


def _saturated(images: Tensor) -> Tensor:
    """Share of values at the ends of the range."""
    return (images.abs() > 0.99).float().mean()
