"""Finding a model file: an ONNX file itself, or one of those in a run folder."""

from __future__ import annotations

import os
from pathlib import Path

from i2i.errors import ModelError
from i2i.files import printable


def find_model(path: str | os.PathLike[str], translator: str | None = None) -> Path:
    """The model file that a path means: the file itself, or the one in a run folder.

    Args:
        path: an ONNX file or a run folder.
        translator: which of several models to take, such as ``AtoB``; None: the only one.

    Raises:
        ModelError: there is none, or several and `translator` names none of them.
    """
    place = Path(path)
    if place.is_file():
        return place
    if not place.is_dir():
        raise ModelError(f"{printable(place)}: {'not a regular file' if place.exists() else 'no such file or folder'}")
    candidates = [place / "model.onnx", *sorted(place.glob("model.*.onnx"))]
    files = {file.name[6:-5]: file for file in candidates if file.is_file()}  # by translator, "" for model.onnx
    if not files:
        raise ModelError(f"{printable(place)}: holds no model.onnx; make one with: i2i export {printable(place)}")
    if translator is None and (len(files) == 1 or "" in files):
        return files.get("") or next(iter(files.values()))
    if translator in files:
        return files[translator]
    if translator is not None and "" in files:
        return files[""]  # its metadata have the name; `load` compares
    raise ModelError(f"{printable(place)}: name a translator, one of: {', '.join(files)}")
