"""What is seen of a step while it runs: how the discriminator judges, what its gradient is, how outputs look.

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

SIDE = 8
"""Images are compared at this size: what is wrong with a whole image can be seen in its rough layout."""
IMAGES = 4
"""Images of a step that are looked at."""
PERIOD, LOOKED = 8, 2
"""Of so many steps the first ones are looked at: what is looked for takes hundreds, and small networks are fast.

Two in a row, so that there are neighbours between which the network has hardly changed.
"""

MEASURED = 10
"""How much a phase changes its weights is measured in every n-th of its steps, on so many numbers of each tensor:"""
NUMBERS = 2048


@dataclass(frozen=True)
class Subject:
    """A translator to watch.

    Attributes:
        name: the translator's.
        network: name of the network that it is made of.
        module: that network.
        real: key of the batch's images that outputs should resemble.
    """

    name: str
    network: str
    module: nn.Module
    real: str


@dataclass
class Seen:
    """What one step showed.

    Attributes:
        figures: scalars by name.
        images: by translator: outputs and real images, ``(n, C, 8, 8)``.
    """

    figures: dict[str, Tensor] = field(default_factory=dict)
    images: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)


class Watch:
    """Looks on while a step runs; `i2i.components.adversary` tells it how images were judged.

    Args:
        subjects: translators to watch; none where networks are compiled, which hooks would compile again.
    """

    def __init__(self, subjects: Sequence[Subject]) -> None:
        self.subjects, self.seen, self.looks = subjects, Seen(), False
        self._judges: tuple[str, ...] = ()
        self._runs: dict[str, int] = {}
        self._calls = {"judged": 0, "admired": 0}

    @contextmanager
    def step(self, step: int, batch: Mapping[str, Tensor]) -> Iterator[Seen]:
        """Meanwhile everything is noted; only the first translation of each network counts."""
        self.seen, self.looks = Seen(), step % PERIOD < LOOKED
        hooks = [
            subject.module.register_forward_hook(self._translated(subject, batch[subject.real]))
            for subject in self.subjects
            if self.looks and subject.real in batch
        ]
        try:
            yield self.seen
        finally:
            for hook in hooks:
                hook.remove()

    def phase(self, phase: Phase) -> None:
        """Says that a phase begins to compute its losses for a batch."""
        self._calls = dict.fromkeys(self._calls, 0)
        self._judges = phase.trains

    def changing(self, phase: str, parameters: Sequence[nn.Parameter]) -> AbstractContextManager[None]:
        """Meanwhile a phase that has computed its losses changes its weights; notes by how much, now and then."""
        runs = self._runs[phase] = self._runs.get(phase, -1) + 1
        role = "critic" if self._calls["judged"] else "player"
        if runs % MEASURED:
            return nullcontext()
        return _changing(parameters, f"update/{role}/{phase}", self.seen.figures)

    def judged(self, *, real: Tensor, fake: Tensor, boundary: float | None) -> None:
        """Notes the discriminator's accuracy.

        Args:
            real: logits of real images, of any shape.
            fake: logits of generated ones.
            boundary: logits above it mean real; None: the middle between both means, where only differences count.
        """
        self._calls["judged"] += 1
        if not self.looks:
            return
        number, real, fake = self._calls["judged"], real.detach(), fake.detach()
        name = self._judges[number - 1] if number <= len(self._judges) else str(number)
        middle = (real.mean() + fake.mean()) / 2 if boundary is None else boundary
        self.seen.figures[f"accuracy/{name}/real"] = (real > middle).float().mean()
        self.seen.figures[f"accuracy/{name}/fake"] = (fake < middle).float().mean()

    def admired(self, loss: Tensor, fake: Tensor) -> None:
        """Notes the gradient of the adversarial loss for the generated images (root mean square).

        A vanishing gradient of the generator shows here even where another loss keeps the whole gradient large. It is
        computed anew, for a hook would have to give the discriminator other tensors than it gets unwatched; in every
        process, for the way back may wait for the others.
        """
        self._calls["admired"] += 1
        if not self.looks or not (loss.requires_grad and fake.requires_grad):
            return
        (gradient,) = torch.autograd.grad(loss, fake, retain_graph=True, allow_unused=True)
        if gradient is not None:
            name = str(self._calls["admired"])
            self.seen.figures[f"adversarial_gradient/{name}"] = gradient.detach().square().mean().sqrt()

    def _translated(self, subject: Subject, real: Tensor) -> Any:
        def note(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if subject.name in self.seen.images or not _image(output) or output.shape[1] != real.shape[1]:
                return
            with torch.no_grad():
                made, wanted = output.detach()[:IMAGES].float(), real[:IMAGES].float()
                figures = {"spread": _spread, "saturated": _saturated}
                for name, figure in figures.items():
                    self.seen.figures[f"output/{subject.name}/{name}"] = figure(made)
                    self.seen.figures[f"real/{subject.name}/{name}"] = figure(wanted)
                pair = adaptive_avg_pool2d(made, SIDE), adaptive_avg_pool2d(wanted, SIDE)
                self.seen.images[subject.name] = pair

        return note


def subjects(
    translators: Mapping[str, Translator], modules: Mapping[str, nn.Module], sample: Mapping[str, Tensor]
) -> list[Subject]:
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
                found.append(Subject(name, network, module, translator.target or other))
                break
    return found


@contextmanager
def _changing(parameters: Sequence[nn.Parameter], name: str, figures: dict[str, Tensor]) -> Iterator[None]:
    """Notes by how much parameters change meanwhile, as a share of their norm."""

    def some() -> Tensor:
        return torch.cat([p.detach().flatten()[:NUMBERS] for p in parameters])

    before = some()
    yield
    figures[name] = (some() - before).norm() / before.norm().clamp(min=1e-30)


def _image(value: Any) -> bool:
    # under vmap there are no values to look at
    inside = isinstance(value, Tensor) and torch._C._functorch.is_functorch_wrapped_tensor(value)
    return isinstance(value, Tensor) and value.ndim == 4 and value.is_floating_point() and not inside


def _spread(images: Tensor) -> Tensor:
    """Standard deviation over an image's pixels, the mean over channels and images."""
    return images.flatten(2).std(2, unbiased=False).mean()


def _saturated(images: Tensor) -> Tensor:
    """Share of values at the ends of the range."""
    return (images.abs() > 0.99).float().mean()
