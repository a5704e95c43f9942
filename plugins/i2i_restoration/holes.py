"""Masks for inpainting: boxes, free-form strokes (Yu et al. 2019, arXiv:1806.03589, algorithm 1), given masks.

A transform for ``data.degrade``. Each sample has a mask of its own, drawn from ``numpy.random``: a function of the
run's seed, the epoch and the sample, in validation the same at every time. The algorithm leaves the units open; like
the authors' code, directions alternate between about 72 degrees and its opposite, so that strokes run to and fro, and
lengths are normal around an eighth of the diagonal. Sizes are shares of the image here, and those of that code at 256
pixels.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import i2i
from i2i_restoration.degradation_options import HolesConfig

Sample = dict[str, Any]

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".pgm")
"""Endings of the files that count as masks."""


class Holes:
    """Makes ``mask`` and ``source``: where holes are, and the target with a middle grey in them.

    Args:
        config: the options.

    Raises:
        ValueError: there is no folder of that name, or no mask in it.
    """

    def __init__(self, config: HolesConfig) -> None:
        self.config = config
        self.files = _mask_files(Path(config.folder).expanduser()) if config.given and config.folder else []

    def __call__(self, sample: Sample) -> Sample:
        """Adds ``mask``, ``(H, W, 1)`` uint8 with 255 in the holes, and ``source``; one with a source stays as it is.

        Raises:
            i2i.DataError: a given mask cannot be read.
        """
        if "source" in sample:
            return sample
        target = sample["target"]
        mask = self.draw(target.shape[0], target.shape[1])[..., np.newaxis]
        middle = 0.5 if target.dtype.kind == "f" else np.iinfo(target.dtype).max // 2 + 1
        source = np.where(mask, np.asarray(middle, target.dtype), target)
        return sample | {"source": source, "mask": mask.astype(np.uint8) * 255}

    def draw(self, height: int, width: int) -> np.ndarray:
        """A mask ``(height, width)`` of bool, True in the holes.

        Raises:
            i2i.DataError: a given mask cannot be read.
        """
        chances = np.array([self.config.box, self.config.strokes, self.config.given])
        drawn = np.random.random(3) < chances
        if not drawn.any():
            drawn[np.random.choice(3, p=chances / chances.sum())] = True
        mask = np.zeros((height, width), np.uint8)
        if drawn[0]:
            self._draw_box(mask)
        if drawn[1]:
            mask |= self._strokes(height, width)
        if drawn[2]:
            mask |= self._given(height, width)
        return mask.astype(bool)

    def _draw_box(self, mask: np.ndarray) -> None:
        height, width = (max(1, round(side * np.random.uniform(*self.config.box_size))) for side in mask.shape)
        top, left = np.random.randint(mask.shape[0] - height + 1), np.random.randint(mask.shape[1] - width + 1)
        mask[top : top + height, left : left + width] = 1

    def _strokes(self, height: int, width: int) -> np.ndarray:
        strokes = np.zeros((height, width), np.uint8)
        for _ in range(_count(self.config.stroke_count)):
            self._draw_stroke(strokes)
        return _mirrored(strokes)

    def _draw_stroke(self, mask: np.ndarray) -> None:
        """One stroke of joined lines with round corners."""
        height, width = mask.shape
        low, high = (share * min(height, width) for share in self.config.stroke_width)
        thickness = max(1, round(np.random.uniform(low, high)))
        radius = math.hypot(height, width) / 8
        lower, upper = (2 * math.pi / 5 + sign * np.random.uniform(0, 2 * math.pi / 15) for sign in (-1, 1))
        point = np.array([np.random.randint(width), np.random.randint(height)], float)
        for part in range(_count(self.config.stroke_vertices)):
            angle = np.random.uniform(lower, upper)
            angle = 2 * math.pi - angle if part % 2 == 0 else angle
            length = np.clip(np.random.normal(radius, radius / 2), 0, 2 * radius)
            step = length * np.array([math.sin(angle), math.cos(angle)])
            end = np.clip(point + step, 0, (width - 1, height - 1))
            cv2.line(mask, _pixel(point), _pixel(end), 1, thickness)
            for corner in (point, end):
                cv2.circle(mask, _pixel(corner), thickness // 2, 1, -1)
            point = end

    def _given(self, height: int, width: int) -> np.ndarray:
        file = self.files[np.random.randint(len(self.files))]
        grey = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_GRAYSCALE) if file.stat().st_size else None
        if grey is None:
            raise i2i.DataError("the mask cannot be read as an image", kind=i2i.ErrorKind.DAMAGED, path=str(file))
        resized = cv2.resize(grey, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        return (_mirrored(resized) > 127).astype(np.uint8)


def _mask_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder of masks: change data.degrade.folder")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    if not files:
        raise ValueError(f"{folder}: no masks in it ({', '.join(ENDINGS)}): change data.degrade.folder")
    return files


def _mirrored(mask: np.ndarray) -> np.ndarray:
    """The mask, upside down and left to right with a chance of one half each."""
    return mask[:: np.random.choice((-1, 1)), :: np.random.choice((-1, 1))]


def _count(limits: tuple[int, int]) -> int:
    return int(np.random.randint(limits[0], limits[1] + 1))


def _pixel(point: np.ndarray) -> tuple[int, int]:
    return int(point[0]), int(point[1])
