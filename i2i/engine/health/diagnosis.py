"""Diagnoses failures of GAN training: each warning has its evidence and advice.

A failure must show over a window of steps, and in several checks in a row, before there is a warning. The limits were
found by training every built-in recipe, healthy and with staged failures: docs/health.md has the figures of both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from i2i.engine.health.window import WINDOW, Window

CHECK_INTERVAL = 20
"""Steps between two checks."""
OUTPUTS_SETTLED = 160
"""Steps after which a training's outputs can be judged; every generator begins with nearly the same grey image."""


@dataclass(frozen=True)
class HealthWarning:
    """A failure that shows in the figures of a training.

    Attributes:
        kind: name of the failure; there is one warning of a kind while the failure lasts.
        evidence: the figures that show it.
        advice: what to try.
        min_checks: checks in a row that must find it before the warning is given.
    """

    kind: str
    evidence: str
    advice: str
    min_checks: int = 3

    def __str__(self) -> str:
        return f"{self.kind}: {self.evidence}; try {self.advice}"


def diagnose(window: Window) -> Iterator[HealthWarning]:
    """The failures that show in a window; one that is only an effect of another is left out."""
    yield from _losses(window)
    yield from _learning_rates(window)
    of_outputs = list(_outputs(window)) if window.steps_seen >= OUTPUTS_SETTLED else []
    yield from of_outputs
    of_balance = list(_balance(window))
    yield from of_balance
    if not of_outputs and not of_balance:
        yield from _gradients(window)


def _learning_rates(window: Window) -> Iterator[HealthWarning]:
    """A discriminator that takes far larger steps than its generator, and so forgets what it learned before."""
    of_generator = max((window.median(name) for name in window.names("update/generator/")), default=math.nan)
    for name in window.names("update/discriminator/"):
        share, phase = window.median(name), name.rpartition("/")[2]
        times = share / of_generator if of_generator else math.inf  # a schedule may end at a rate of 0
        # healthy ones: up to 0.02 and 4 times; at a hundred times their rate: 0.03 to 0.15 and 7 to 60 times
        if len(window.values(name)) >= 4 and ((share > 0.02 and times > 15) or (share > 0.05 and times > 5)):
            yield HealthWarning(
                "the discriminator learns too fast",
                f"each step of phase {phase} changes its weights by {share:.2g} of their size, "
                f"{times:.0f} times as much as the generator's",
                f"a lower train.phases.{phase}.lr",
                min_checks=2,
            )


def _balance(window: Window) -> Iterator[HealthWarning]:
    """Discriminator or generator wins: by the accuracies of the discriminators and how far gradients have shrunk."""
    for number, name in enumerate(window.discriminators(), 1):
        real, fake = window.mean(f"accuracy/{name}/real"), window.mean(f"accuracy/{name}/fake")
        left = window.remaining_share(f"adversarial_gradient/{number}")
        own = min((window.remaining_share(f"grad/{phase}") for phase in window.phases("discriminator")), default=1.0)
        judged = f"accuracy of {name} {real:.2f} on real and {fake:.2f} on generated images over {len(window)} steps"
        if min(real, fake) > 0.99 and left < 0.05:
            yield HealthWarning(
                "the discriminator wins",
                f"{judged}, and its gradient for the generator is {left:.2g} of what it was at first",
                "a lower learning rate of the discriminator, or the adversary's spectral_norm, instance_noise, "
                "penalty or label smoothing, or more data",
            )
        elif len(window) >= WINDOW and (fake < 0.02 < 0.98 < real or (max(real, fake) < 0.6 and own < 0.01)):
            yield HealthWarning(
                "the generator wins",
                f"{judged}, and the discriminator's own gradient is {own:.2g} of what it was at first",
                "a higher learning rate or more filters for the discriminator, or a lower adversary.weight",
                min_checks=5,
            )


def _outputs(window: Window) -> Iterator[HealthWarning]:
    """Outputs that are flat, at the ends of the range, or all alike, where real images are not."""
    for name in window.translators():
        spread, wanted = window.mean(f"output/{name}/spread"), window.mean(f"real/{name}/spread")
        ends, usual = window.mean(f"output/{name}/saturated"), window.mean(f"real/{name}/saturated")
        ratio, distance = window.diversity(name), window.target_distance(name)
        who = f"translator {name}" if len(window.translators()) > 1 else "the generator"
        alike = f"outputs of {who} differ from one another {ratio:.2g} times as much as real images do"
        if spread < 0.05 * wanted:
            yield HealthWarning(
                "constant output",
                f"values inside an image of {who} spread by {spread:.2g}, inside real ones by {wanted:.2g}; {alike}",
                "a lower learning rate of the generator, another norm or initialisation, and a look at whether the "
                "generator uses its input",
            )
        elif ends > 0.5 and ends > usual + 0.4:
            yield HealthWarning(
                "saturated output",
                f"{ends:.0%} of the values of {who} are at the ends of the range, {usual:.0%} of those of real images",
                "a lower learning rate of the generator, or a smaller weight of the adversarial loss",
            )
        elif window.paired and distance > 0.97:
            yield HealthWarning(
                "the output ignores the input",
                f"outputs of {who} are {distance:.2f} times as far from their own targets as from others'; {alike}",
                "a look at whether the generator uses its input, and whether sources and targets belong together",
            )
        elif ratio < 0.1 and not window.diversity_grows(name):
            yield HealthWarning(
                "mode collapse",
                alike,
                "a lower learning rate, a larger batch, the discriminator's option minibatch, or another loss; and a "
                "look at whether the generator uses its input",
            )


def _gradients(window: Window) -> Iterator[HealthWarning]:
    """A phase whose gradient is as good as nothing; a discriminator that is sure may have none for a while."""
    for name in (f"grad/{phase}" for phase in window.phases("generator")):
        now, left = window.median(name), window.remaining_share(name)
        if now < 1e-7 or left < 1e-4:
            yield HealthWarning(
                "dead gradients",
                f"the gradient of phase {name.removeprefix('grad/')} is {now:.2g}, {left:.2g} of what it was at first",
                "another activation, norm or initialisation, or a lower learning rate",
            )


def _losses(window: Window) -> Iterator[HealthWarning]:
    """A loss far above all that was seen before."""
    for name in window.names("loss/"):
        values = np.abs(window.values(name))
        before, newest, first = values[:-CHECK_INTERVAL], values[-CHECK_INTERVAL:], window.first[name]
        if len(before) < 2 * CHECK_INTERVAL:
            continue
        usual, last = float(np.quantile(before, 0.95)), float(newest.max(initial=0))
        if last > 10 * usual and last > 5 * max(map(abs, first)):
            yield HealthWarning(
                "loss spike",
                f"{name} reached {last:.3g}, {last / max(usual, 1e-30):.0f} times what it hardly ever was above before",
                "a lower learning rate, or a look at the images of these steps",
                min_checks=1,
            )
