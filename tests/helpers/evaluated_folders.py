"""Folders of drawn pictures to evaluate, and their figures."""

import cv2
import numpy as np

import i2i
from i2i_samples.facades import draw_facade


def picture_folder(folder, count=6, *, first=0, size=48, change=lambda image: image):
    """Writes drawn pictures as ``0.png`` and so on, each changed by a function of its RGB array."""
    folder.mkdir(parents=True)
    for number in range(count):
        image = np.asarray(change(draw_facade(first + number, size=size)[1]))
        assert cv2.imwrite(folder / f"{number}.png", image[..., ::-1] if image.ndim == 3 else image)
    return folder


def figures(output, real, *metrics, **options):
    """Figures by name, through the network `random` unless another is named; features are not kept."""
    options = {"features": "random", "bootstrap": 0, "cache": False} | options
    found = i2i.evaluate(output, real, metrics=metrics, **options)[0]
    return {name: figure.value for name, figure in found.figures.items()}
