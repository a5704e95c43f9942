"""Folders of empty files, and plans for them."""

import os

from i2i.translate.folders.planning.outputs import OutputPixels
from i2i.translate.folders.planning.plan import existing_rule, plan_folder

STRANGE = [
    "a b.png",
    "new\nline.png",
    "\x1b[31mred\x1b]0;title\x07.png",
    "ünïcødé 日本 \N{GRINNING FACE}.png",
    "rtl\u202egnp.png",
    "-rf.png",
    "quote'\".png",
    "back\\slash.png",
    "star*[1]?.png",
    os.fsdecode(b"latin-1 \xe9\xff.png"),
    "n" * 251 + ".png",
    "é" * 125 + "x.png",
    "percent%s.png",
]


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def planned(inputs, out, channels=3, *, overwrite=False, skip_existing=False, frames="first"):
    items = inputs if isinstance(inputs, list) else [inputs]
    existing = existing_rule(overwrite=overwrite, skip_existing=skip_existing)
    return plan_folder(items, out, OutputPixels(channels), existing=existing, frames=frames)


def names(inputs, out, **options):
    """Reserved names of each input, both relative."""
    images = planned(inputs, out, **options).images
    return {
        image.input.name: [output.relative_to(out).as_posix() for output in image.outputs]
        for image in images
        if not image.refused
    }


def refused(images):
    return [(image.input.name, image.refused) for image in images if image.refused]
