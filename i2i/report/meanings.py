"""What the figures of a run mean, in a short phrase for the reader of its charts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Meaning:
    """What a figure means.

    Attributes:
        phrase: one sentence; may be empty.
        higher_is_better: None where neither is.
    """

    phrase: str = ""
    higher_is_better: bool | None = None

    @property
    def direction(self) -> str:
        """Which direction is better, in words; empty where neither is."""
        return {True: "higher is better", False: "lower is better", None: ""}[self.higher_is_better]


_KNOWN = {
    "loss/generator": Meaning("What the generator minimises, weighted. Terms that oppose each other level off."),
    "loss/discriminator": Meaning("How badly it tells real from generated images. Near 0 it teaches little."),
    "loss/critic": Meaning("What the critic minimises: the estimated distance of the two sets, negated."),
    "loss/": Meaning("What this phase minimises, weighted.", higher_is_better=False),
    "lr": Meaning("Learning rate of each phase."),
    "accuracy/": Meaning("Share of images that the discriminator judges rightly. 0.5 is a guess, 1 leaves no doubt."),
    "adversarial_gradient": Meaning("How strongly the discriminator pulls at the generated images."),
    "grad": Meaning("Norm of the gradient of each phase. Peaks are unstable steps, 0 is a standstill."),
    "update": Meaning("How much a step changes the weights, as a share of their size."),
    "output/": Meaning("Spread and saturation of the generated values, to compare with those of real images."),
    "real/": Meaning("Spread and saturation of the real values."),
    "diversity/": Meaning("How much outputs differ from one another, as a share of how much real images do."),
    "images_per_second": Meaning("Training images a second, without validation and saving.", higher_is_better=True),
    "data/skipped": Meaning("Samples that could not be read and were replaced.", higher_is_better=False),
    "val/l1": Meaning("Mean absolute error against the target; the range of values is 2.", higher_is_better=False),
    "val/psnr": Meaning("Peak signal-to-noise ratio against the target, in dB.", higher_is_better=True),
    "val/ssim": Meaning("Structural similarity with the target, 1 at most.", higher_is_better=True),
    "val/ms-ssim": Meaning("Structural similarity over several scales, 1 at most.", higher_is_better=True),
    "val/lpips": Meaning("Perceptual distance from the target.", higher_is_better=False),
    "val/fid": Meaning("Fréchet distance of the sets of generated and real images.", higher_is_better=False),
    "val/kid": Meaning("Kernel distance of the sets of generated and real images.", higher_is_better=False),
    "val/precision": Meaning("Share of generated images that look real.", higher_is_better=True),
    "val/recall": Meaning("Share of real images that could have been generated.", higher_is_better=True),
    "val/density": Meaning("How densely real images lie around generated ones.", higher_is_better=True),
    "val/coverage": Meaning("Share of real images with a generated one nearby.", higher_is_better=True),
    "val/inception-score": Meaning("How clear and how varied the classes of the outputs are.", higher_is_better=True),
    "val/class-accuracy": Meaning("Share of outputs taken for the class asked for.", higher_is_better=True),
    "val/miou": Meaning("Overlap of the classes with those of the target.", higher_is_better=True),
    "val/pixel-accuracy": Meaning("Share of pixels of the right class.", higher_is_better=True),
}
"""By the beginning of a figure's name; the first that fits counts."""


def meaning(key: str, figures: Mapping[str, Any]) -> Meaning:
    """What a figure, or a group of figures with this beginning, means; empty for those that are not known.

    Args:
        key: its name in ``metrics.jsonl``.
        figures: of ``validation.json``: what the components say of themselves, by name without ``val/``.
    """
    said = figures.get(key.removeprefix("val/")) if key.startswith("val/") else None
    if isinstance(said, Mapping):
        higher = said.get("higher_is_better")
        phrase = " ".join(str(said.get("summary") or "").split())
        return Meaning(_sentence(phrase), higher if isinstance(higher, bool) else None)
    return next((known for name, known in _KNOWN.items() if _fits(key, name)), Meaning())


def _fits(key: str, name: str) -> bool:
    """Whether a figure is meant; behind a metric's name may stand a translator's, or a variant such as ``psnr-y``."""
    if name.endswith("/"):
        return key.startswith(name)
    return key == name or key.startswith((f"{name}/", f"{name}-"))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("." if text and text[-1] not in ".!?" else "")
