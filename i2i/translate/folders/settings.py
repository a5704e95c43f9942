"""How the images of a folder are translated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from i2i.images.pixels import AlphaRule
from i2i.translate.folders.planning.plan import ExistingRule
from i2i.translate.inputs import GivenInputs


@dataclass(frozen=True)
class FolderSettings:
    """Options that hold for all images of a folder.

    Attributes:
        out: folder of the outputs.
        label: target of all images, by name or number.
        inputs: the further inputs of the network.
        batch: most images that go through the network together.
        alpha: what becomes of transparency.
        max_pixels: larger images are refused.
        keep_metadata: whether EXIF metadata are copied.
        existing: what becomes of inputs whose output exists.
        workers: number of threads.
    """

    out: Path
    label: str | int | None
    inputs: GivenInputs
    batch: int
    alpha: AlphaRule
    max_pixels: int
    keep_metadata: bool
    existing: ExistingRule
    workers: int
