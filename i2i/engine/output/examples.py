"""Files of validation samples, to try an exported model on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from i2i.api import Translator
from i2i.engine.validation.validate import Validation
from i2i.files import write_file
from i2i.images import Extras, ValueRange, default_palette, write_pixels
from i2i.interface import Input, LabelMapInput, MaskInput, TextInput, is_required
from i2i.runs.disk import writing
from i2i.runs.folder import RunFolder


def save_examples(run: RunFolder, validation: Validation, translators: Mapping[str, Translator], count: int) -> None:
    """Writes inputs of the first translator as files in the data's type and units.

    Args:
        run: its images become ``examples/example-1.png`` and so on, and the further inputs that a translation needs
            ``example_inputs/NAME/example-1.png``, or ``.txt``.
        validation: gives the samples.
        translators: on copies of the networks for inference.
        count: number of samples.
    """
    translator = next(iter(translators.values()))
    if "image" not in translator.example:
        return
    folders = {"image": run.examples}
    folders |= {n: run.example_inputs / n for n, of in translator.inputs.items() if n != "image" and is_required(of)}
    for number, batch in enumerate(validation.images(count), start=1):
        if any(translator.batch_key(name) not in batch for name in folders):
            return
        for name, folder in folders.items():
            key = translator.batch_key(name)
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
                _save(folder / f"example-{number}", batch[key][0].cpu(), translator.type_of(name), validation, key)


def _save(place: Path, value: Tensor, of: Input | None, validation: Validation, key: str) -> None:
    """Writes one input, under the place with an ending."""
    if isinstance(of, TextInput):
        write_file(place.with_suffix(".txt"), bytes(value.tolist()).rstrip(b"\0"))
        return
    if isinstance(of, LabelMapInput):
        pixels = value.numpy().astype(np.uint8)[..., np.newaxis]
        write_pixels(place.with_suffix(".png"), pixels, Extras(palette=default_palette()))
        return
    values = validation.values.get(key, ValueRange("uint8"))
    unit = value.float() if isinstance(of, MaskInput) else (value.float().clamp(-1, 1) + 1) / 2
    pixels = values.from_unit(unit.permute(1, 2, 0).numpy())
    rule = validation.bands.get(key)
    is_bands = rule is not None and rule.of > 0 and pixels.shape[2] not in (1, 3)  # PNG makes alpha of the last
    ending = ".tif" if is_bands or values.dtype == "float32" else ".png"
    write_pixels(place.with_suffix(ending), pixels, Extras(bands=is_bands))
