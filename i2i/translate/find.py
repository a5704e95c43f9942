"""Finding a model file: an ONNX file itself, or one of those in a run folder."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from i2i.errors import ModelError
from i2i.extras import run_command
from i2i.files import printable, user_path
from i2i.images import READABLE
from i2i.images.sorts import sort_of_file

_ORDER = "the model comes first, then the images: i2i translate MODEL IMAGES -o OUT"


def find_model(path: str | os.PathLike[str], translator: str | None = None) -> Path:
    """The model file that a path means: the file itself, or the one in a run folder.

    Args:
        path: an ONNX file or a run folder.
        translator: which of several models to take, such as ``AtoB``; None: the only one.

    Raises:
        ModelError: there is none, or several and `translator` names none of them; or there is something else, such as
            an image.
        UserError: it is no path.
    """
    place = user_path(path, "the model")
    if place.is_file():
        if sort := sort_of_file(place):
            raise ModelError(f"{sort}, and no model; {_ORDER}", path=printable(place))
        return place
    if not place.is_dir():
        raise ModelError("not a regular file" if place.exists() else "no such file or folder", path=printable(place))
    candidates = [place / "model.onnx", *sorted(place.glob("model.*.onnx"))]
    files = {file.name[6:-5]: file for file in candidates if file.is_file()}  # by translator, "" for model.onnx
    if not files:
        raise ModelError(_nothing_in(place), path=printable(place))
    if translator is None and (len(files) == 1 or "" in files):
        return files.get("") or next(iter(files.values()))
    if translator in files:
        return files[translator]
    if translator is not None and "" in files:
        return files[""]  # its metadata have the name; `load` compares
    raise ModelError(f"name a translator, one of: {', '.join(files)}", path=printable(place))


def _nothing_in(folder: Path) -> str:
    """Why a folder without a model is of no use."""
    if (folder / "config.yaml").is_file():
        return f"a run without a model.onnx; make one with: {run_command()} export {shlex.quote(printable(folder))}"
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names alone
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if models := sorted(name for name in names if name.endswith(".onnx")):
        return f"holds no model.onnx; give the file itself, such as {printable(folder / models[0])}"
    if any(os.path.splitext(name)[1].lower() in READABLE for name in names):  # noqa: PTH122 - a folder may be large
        return f"a folder of images, and no model; {_ORDER}"
    return "no model.onnx in it, and no run that one could be exported from"
