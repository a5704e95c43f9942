"""Translating folders, files and patterns: any image, any size, and what goes wrong with one leaves the rest alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from i2i.errors import UserError
from i2i.images import MAX_PIXELS
from i2i.images.pixels import AlphaRule
from i2i.translate.folders.pipeline import Pipeline, Settings
from i2i.translate.folders.plan import PathLike, plan
from i2i.translate.model import Model
from i2i.translate.results import Result, Results
from i2i.translate.tiles.tiling import Tiling

__all__ = ["Frames", "Result", "translate_folder"]

Frames = Literal["first", "all"]
_MOST_WORKERS = 8


def translate_folder(
    model: Model,
    inputs: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    label: str | int | None = None,
    batch: int = 1,
    tile: Literal["auto", "none"] | int = "auto",
    alpha: AlphaRule = "keep",
    frames: Frames = "first",
    max_pixels: int = MAX_PIXELS,
    keep_metadata: bool = False,
    overwrite: bool = False,
    skip_existing: bool = False,
    workers: int | None = None,
) -> Results[Result]:
    """Translates files into a folder.

    An output has the name, the folder below `out` and the bit depth of its input, and its format where that can hold
    the result, else PNG; embedded profiles stay. Each file appears whole or not at all.

    All is checked before this returns; the work is done as results are taken. An interrupt leaves no partial file.

    Args:
        model: as loaded.
        inputs: files, folders (searched through, their structure is kept) and globs.
        out: folder of the outputs, outside of the input folders; made if it is not there.
        label: the target of all of them, by name or number.
        batch: most images that go through the network together: those of equal size among so many neighbours, and no
            more than some 64 MB with their outputs.
        tile: side in pixels of the pieces that large images are translated in; ``auto``: as memory allows; ``none``:
            every image in one piece. See `i2i.translate.tiles.tiling`.
        alpha: what becomes of transparency. ``keep``: put on the output, enlarged with it; ``drop``: left out;
            ``white`` and ``black``: the image is put on that colour first.
        frames: of animations and files of several pages, the first or all, each as a file.
        max_pixels: larger images are refused.
        keep_metadata: EXIF, with the place it was taken at, is copied; its orientation has been applied.
        overwrite: outputs that exist are replaced.
        skip_existing: inputs whose output exists are left out.
        workers: threads, each of which decodes, translates and encodes images; None: one more than cores, at most 8.

    Returns:
        The results, in the order of the inputs.

    Raises:
        ModelError: the model takes no images.
        UserError: as `plan` says, an option is out of range, or the label does not fit the model.
    """
    for name, value, known in (("alpha", alpha, get_args(AlphaRule)), ("frames", frames, get_args(Frames))):
        if value not in known:
            raise UserError(f"{name} is one of {', '.join(known)}, not {value!r}")
    if batch < 1 or max_pixels < 1 or (workers is not None and workers < 1):
        raise UserError("batch, max_pixels and workers are whole numbers from 1")
    model.check_command("translate")
    model.label_index(label)
    items = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    tiling = Tiling(model.interruptible(), tile)
    planned = plan(
        items,
        out,
        model.channels[1],
        overwrite=overwrite,
        skip_existing=skip_existing,
        frames=frames,
        max_pixels=max_pixels,
    )
    threads = workers or min(_MOST_WORKERS, (os.cpu_count() or 1) + 1)
    settings = Settings(Path(out), label, batch, alpha, max_pixels, keep_metadata, overwrite, skip_existing, threads)
    results = Pipeline(model.interruptible(), tiling, settings).results(planned.tasks)
    return Results(results, len(planned.tasks), [model.notes, planned.notes, tiling.notes])
