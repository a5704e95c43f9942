"""Writing what a network gives for an image: pictures, vectors and numbers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from i2i.errors import DataError, ErrorKind, FileError
from i2i.files import printable, write_file
from i2i.images import Extras, default_palette, write_pixels
from i2i.images.errors import errors_about
from i2i.interface import Image, LabelMap, Number
from i2i.runtime.metadata import Metadata
from i2i.runtime.network import Outputs
from i2i.translate.folders.decoding import Decoded
from i2i.translate.folders.outcomes import with_notes
from i2i.translate.folders.planning.outputs import OutputPixels, inside, refuse_loss
from i2i.translate.folders.settings import FolderSettings
from i2i.translate.pictures import attach_alpha, to_output
from i2i.translate.places import kept_tags
from i2i.translate.results import Result


@dataclass(frozen=True)
class _Encoded:
    """An output as it is written.

    Attributes:
        path: the file.
        pixels: a picture ``(H, W, C)``, or a vector.
        extras: what is written beside it.
        notes: what could not be kept.
    """

    path: Path
    pixels: np.ndarray
    extras: Extras
    notes: Sequence[str] = ()


class OutputWriter:
    """Writes the outputs of a network for one image after the other; several threads may write.

    Args:
        info: the network's metadata.
        settings: the options of the folder.
    """

    def __init__(self, info: Metadata, settings: FolderSettings) -> None:
        self.info, self.settings = info, settings
        self._opened: dict[Path, tuple[int, int]] = {}

    def write(self, decoded: Decoded, outputs: Outputs, result: Result) -> Result:
        """Writes the outputs that become files.

        Args:
            decoded: the image that they were computed of.
            outputs: the network's outputs for it, by name.
            result: the result so far.

        Returns:
            The result with files, size, numbers and notes.

        Raises:
            DataError: a file cannot be written, or exists and may not be replaced.
            FileError: an output has values that are not finite, or its file's format cannot hold it.
        """
        for value in outputs.values():
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise FileError(ErrorKind.OUT_OF_RANGE, "the model gave values that are not finite")
        files: dict[str, Path] = {}
        encoded = [(name, self._encoded(decoded, file, outputs[name])) for file, name in enumerate(self.info.files)]
        for name, one in encoded:
            self._open_folder(one.path.parent)
            try:
                self._write_file(one)
            except DataError as error:  # of several files those that are there are kept, and the others written
                if len(encoded) == 1 or self.settings.existing != "skip" or error.kind is not ErrorKind.EXISTS:
                    raise
            files[name] = one.path
        numbers = {n: float(outputs[n]) for n, of in self.info.outputs.items() if isinstance(of, Number)}
        found: dict[str, Any] = {"numbers": numbers, "files": files if len(files) > 1 else {}}
        if encoded:
            notes = [note for _, one in encoded for note in one.notes]
            found |= {"output": encoded[0][1].path, "note": with_notes(result.note, decoded.planned.input, notes)}
        if self.info.pictures and encoded:
            found["height"], found["width"] = outputs[self.info.pictures[0]].shape[:2]
        return replace(result, **found)

    def _write_file(self, one: _Encoded) -> None:
        replaces = self.settings.existing == "overwrite"
        if one.pixels.ndim > 1:
            write_pixels(one.path, one.pixels, one.extras, replace=replaces)
            return
        buffer = io.BytesIO()
        np.save(buffer, one.pixels)
        with errors_about(one.path):
            write_file(one.path, buffer.getvalue(), replace=replaces)

    def _encoded(self, decoded: Decoded, file: int, value: np.ndarray) -> _Encoded:
        """An output in the form of its file, under the first of the planned paths whose format can hold it.

        Args:
            decoded: the image that it was computed of.
            file: number of the output among those that become files.
            value: the output: a picture ``(H, W, C)``, or a vector.
        """
        name = self.info.files[file]
        of = self.info.outputs[name]
        if not isinstance(of, Image):
            palette = default_palette(of.palette) if isinstance(of, LabelMap) else ()
            path = decoded.planned.output_for(1, value.dtype, "", file=file)
            return _Encoded(path, value, Extras(palette=palette))
        image = attach_alpha(to_output(value, self.info, decoded.dtype), decoded.alpha)
        height, width, channels = image.shape
        path = decoded.planned.output_for(channels, image.dtype, decoded.format, (height, width), file=file)
        bands = self.info.gives_bands and decoded.alpha is None
        refuse_loss(path, image, replace(OutputPixels.of_output(self.info, name), channels=channels, bands=bands))
        same = {"same_units": self.info.keeps_units, "same_pixels": decoded.stored == (image.shape, image.dtype)}
        tags, notes = kept_tags(decoded.place, path.suffix.lower(), self.info.scale, **same)
        extras = Extras(decoded.icc, decoded.exif, decoded.lossless, self.info.gives_bands, tags)
        return _Encoded(path, image, extras, notes)

    def _open_folder(self, folder: Path) -> None:
        """Makes a folder of outputs inside the output folder; a folder checked before is not checked again.

        Resolving links for each output would be slow. A folder that was replaced meanwhile is noticed by its inode.
        """
        with suppress(OSError):  # removed meanwhile
            if folder in self._opened and _identity(folder) == self._opened[folder]:
                return
        if not inside(self.settings.out, folder / "any"):
            raise FileError(ErrorKind.BLOCKED, f"{printable(folder)} leads out of the output folder")
        folder.mkdir(parents=True, exist_ok=True)
        self._opened[folder] = _identity(folder)


def _identity(folder: Path) -> tuple[int, int]:
    """Device and inode of a folder."""
    status = folder.stat()
    return status.st_dev, status.st_ino
