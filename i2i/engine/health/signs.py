"""Signs of a training that goes wrong, each with its evidence and what to try.

A sign must hold over a window of steps, and in several looks in a row, before it is said. The limits were found by
training every built-in recipe, healthy and with staged failures: docs/health.md tells how far apart the two are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from i2i.engine.health.window import WINDOW, Window

EVERY = 20
"""Steps between two looks."""
SETTLED = 160
"""Steps after which a training's outputs can be judged; every generator begins with nearly the same grey image."""


@dataclass(frozen=True)
class Sign:
    """Something that is wrong.

    Attributes:
        kind: its name, said once while it lasts.
        evidence: the figures that show it.
        advice: what to try.
        lasting: looks in a row that must show it before it is said.
    """

    kind: str
    evidence: str
    advice: str
    lasting: int = 3

    def __str__(self) -> str:
        return f"{self.kind}: {self.evidence}; try {self.advice}"


def signs(window: Window) -> Iterator[Sign]:
    """What is wrong in a window; an effect is left out where its cause is named."""
    yield from _losses(window)
    yield from _pace(window)
    shown = list(_outputs(window)) if window.seen >= SETTLED else []
    yield from shown
    won = list(_game(window))
    yield from won
    if not shown and not won:
        yield from _gradients(window)


def _pace(window: Window) -> Iterator[Sign]:
    """A discriminator that takes far larger steps than its generator: what came before each of them is lost."""
    players = [window.median(name) for name in window.names("update/player/")]
    for name in window.names("update/critic/"):
        share, phase = window.median(name), name.rpartition("/")[2]
        times = share / max(players, default=math.nan)
        # healthy ones: up to 0.02 and 4 times; at a hundred times their rate: 0.03 to 0.15 and 7 to 60 times
        if len(window.values(name)) >= 4 and ((share > 0.02 and times > 15) or (share > 0.05 and times > 5)):
            yield Sign(
                "the discriminator learns too fast",
                f"each step of phase {phase} changes its weights by {share:.2g} of their size, "
                f"{times:.0f} times as much as the generator's",
                f"a lower train.phases.{phase}.lr",
                lasting=2,
            )


def _game(window: Window) -> Iterator[Sign]:
    """One player wins: accuracies of the discriminators, and what gradients are left."""
    for number, name in enumerate(window.critics(), 1):
        real, fake = window.mean(f"accuracy/{name}/real"), window.mean(f"accuracy/{name}/fake")
        left = window.left(f"adversarial_gradient/{number}")
        own = min((window.left(f"grad/{phase}") for phase in window.phases("critic")), default=1.0)
        judged = f"accuracy of {name} {real:.2f} on real and {fake:.2f} on generated images over {len(window)} steps"
        if min(real, fake) > 0.99 and left < 0.05:
            yield Sign(
                "the discriminator wins",
                f"{judged}, and its gradient for the generator is {left:.2g} of what it was at first",
                "a lower learning rate of the discriminator, or the adversary's spectral_norm, instance_noise, "
                "penalty or label smoothing, or more data",
            )
        elif len(window) >= WINDOW and (fake < 0.02 < 0.98 < real or (max(real, fake) < 0.6 and own < 0.01)):
            yield Sign(
                "the generator wins",
                f"{judged}, and the discriminator's own gradient is {own:.2g} of what it was at first",
                "a higher learning rate or more filters for the discriminator, or a lower adversary.weight",
                lasting=5,
            )


def _outputs(window: Window) -> Iterator[Sign]:
    """Outputs that are flat, at the ends of the range, or all alike, where real images are not."""
    for name in window.translators():
        spread, wanted = window.mean(f"output/{name}/spread"), window.mean(f"real/{name}/spread")
        ends, usual = window.mean(f"output/{name}/saturated"), window.mean(f"real/{name}/saturated")
        ratio, fit = window.diversity(name), window.fit(name)
        who = f"translator {name}" if len(window.translators()) > 1 else "the generator"
        alike = f"outputs of {who} differ from one another {ratio:.2g} times as much as real images do"
        if spread < 0.05 * wanted:
            yield Sign(
                "constant output",
                f"values inside an image of {who} spread by {spread:.2g}, inside real ones by {wanted:.2g}; {alike}",
                "a lower learning rate of the generator, another norm or initialisation, and a look at whether the "
                "generator uses its input",
            )
        elif ends > 0.5 and ends > usual + 0.4:
            yield Sign(
                "saturated output",
                f"{ends:.0%} of the values of {who} are at the ends of the range, {usual:.0%} of those of real images",
                "a lower learning rate of the generator, or a smaller weight of the adversarial loss",
            )
        elif window.paired and fit > 0.97:
            yield Sign(
                "the output ignores the input",
                f"outputs of {who} are {fit:.2f} times as far from their own targets as from others'; {alike}",
                "a look at whether the generator uses its input, and whether sources and targets belong together",
            )
        elif ratio < 0.1 and not window.diversity_grows(name):
            yield Sign(
                "mode collapse",
                alike,
                "a lower learning rate, a larger batch, the discriminator's option minibatch, or another loss; and a "
                "look at whether the generator uses its input",
            )


def _gradients(window: Window) -> Iterator[Sign]:
    """A phase whose gradient is as good as nothing; a discriminator that is sure may have none for a while."""
    for name in (f"grad/{phase}" for phase in window.phases("player")):
        now, left = window.median(name), window.left(name)
        if now < 1e-7 or left < 1e-4:
            yield Sign(
                "dead gradients",
                f"the gradient of phase {name.removeprefix('grad/')} is {now:.2g}, {left:.2g} of what it was at first",
                "another activation, norm or initialisation, or a lower learning rate",
            )


def _losses(window: Window) -> Iterator[Sign]:
    """A loss far above all that was seen before."""
    for name in window.names("loss/"):
        values = np.abs(window.values(name))
        before, last, first = values[:-EVERY], float(values[-EVERY:].max(initial=0)), window.first[name]
        if len(before) < 2 * EVERY:
            continue
        usual = float(np.quantile(before, 0.95))
        if last > 10 * usual and last > 5 * max(map(abs, first)):
            yield Sign(
                "loss spike",
                f"{name} reached {last:.3g}, {last / max(usual, 1e-30):.0f} times what it hardly ever was above before",
                "a lower learning rate, or a look at the images of these steps",
                lasting=1,
            )
