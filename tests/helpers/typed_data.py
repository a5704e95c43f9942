"""Small data folders for methods that take or give something else than one image."""

import numpy as np
from PIL import Image

from i2i.images import write_image

PALETTE = [0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255]
PHOTO_COLOURS = np.array([[200, 200, 200], [220, 40, 40], [40, 220, 40], [40, 40, 220]], np.uint8)
SIZE = (32, 40)


def label_maps(count=6):
    """Label maps of the classes 0 to 3, uint8."""
    draw = np.random.default_rng(0)
    for number in range(count):
        classes = np.zeros(SIZE, np.uint8)
        top, left = draw.integers(4, 18, 2)
        classes[top : top + 10, left : left + 14] = 1 + number % 3
        yield classes


def photograph(classes, seed=0):
    """A noisy picture ``(H, W, 3)`` of a label map."""
    noise = np.random.default_rng(seed).integers(-8, 8, (*classes.shape, 3))
    return np.clip(PHOTO_COLOURS[classes].astype(int) + noise, 0, 255).astype(np.uint8)


def save_palette(path, classes):
    image = Image.fromarray(classes, "P")
    image.putpalette(PALETTE)
    image.save(path)


def make(root):
    """Folders ``labels`` (palettes and photographs), ``grey`` (the same maps in grey), ``segments`` (the other way
    round), ``pairs`` with texts, and ``masked`` (images and masks), of six files each."""
    for number, classes in enumerate(label_maps()):
        photo, name = photograph(classes, number), f"{number}.png"
        for folder in ("labels/A", "labels/B", "grey", "segments/A", "segments/B", "pairs/A", "pairs/B"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        for folder in ("masked/images", "masked/masks"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        save_palette(root / "labels/A" / name, classes)
        save_palette(root / "segments/B" / name, classes)
        Image.fromarray(classes).save(root / "grey" / name)
        for folder in ("labels/B", "segments/A", "pairs/A", "masked/images"):
            write_image(root / folder / name, photo)
        write_image(root / "pairs/B" / name, 255 - photo)
        write_image(root / "masked/masks" / name, (classes > 0).astype(np.uint8) * 255)
        (root / "pairs/A" / f"{number}.txt").write_text("invert" if number % 2 else "turn round", encoding="utf-8")
    return root
