"""Folders of empty files, and plans for them."""

import os

from i2i.translate.folders.plan import plan

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
    return plan(items, out, channels, overwrite=overwrite, skip_existing=skip_existing, frames=frames)


def names(inputs, out, **options):
    """Reserved names of each input, both relative."""
    tasks = planned(inputs, out, **options).tasks
    return {
        task.input.name: [output.relative_to(out).as_posix() for output in task.outputs]
        for task in tasks
        if not task.refused
    }


def refused(tasks):
    return [(task.input.name, task.refused) for task in tasks if task.refused]
