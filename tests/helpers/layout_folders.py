"""Small folders of every layout, drawn by code, and what can be done to a file in them."""

import numpy as np

from helpers.image_files import save
from i2i_samples.facades import draw_facade

SIZE = 40  # pixels


def pictures(count, start=0):
    return [draw_facade(start + index, size=SIZE) for index in range(count)]


def side_by_side(root):
    for index, pair in enumerate(pictures(12)):
        save(root / ("train" if index < 9 else "val") / f"{index:02d}.png", np.hstack(pair))
    return [root / "train" / f"{index:02d}.png" for index in range(9)]


def folders(root):
    for index, (a, b) in enumerate(pictures(9)):
        save(root / "trainA" / f"{index:02d}.png", a)
        save(root / "trainB" / f"{index:02d}.png", b)
    for index, (a, b) in enumerate(pictures(3, 50)):
        save(root / "valA" / f"{index:02d}.png", a)
        save(root / "valB" / f"{index:02d}.png", b)
    return [root / "trainA" / f"{index:02d}.png" for index in range(9)]


def classes(root):
    for index, (_, image) in enumerate(pictures(12)):
        save(root / ("train" if index < 9 else "val") / ("old", "new")[index % 2] / f"{index:02d}.png", image)
    return sorted((root / "train").rglob("*.png"))


def images(root):
    for index, (_, image) in enumerate(pictures(12)):
        save(root / ("train" if index < 9 else "val") / f"{index:02d}.png", image)
    return sorted((root / "train").rglob("*.png"))


def unpaired(root):
    for index, (a, b) in enumerate(pictures(9)):
        save(root / "trainA" / f"a{index:02d}.png", a)
        save(root / "trainB" / f"b{index:02d}.png", b)
    for index, (a, b) in enumerate(pictures(3, 50)):
        save(root / "testA" / f"c{index:02d}.png", a)
        save(root / "testB" / f"d{index:02d}.png", b)
    return [root / "trainA" / f"a{index:02d}.png" for index in range(9)]


LAYOUTS = {
    "side-by-side": side_by_side,
    "folders": folders,
    "classes": classes,
    "images": images,
    "unpaired": unpaired,
}


def spoil(path):
    path.write_bytes(path.read_bytes()[:-200])
