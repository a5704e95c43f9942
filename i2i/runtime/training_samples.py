"""What an exported model says about the samples that it was trained on: enough to make such samples of other images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args

from i2i.kinds import ValueKind


@dataclass(frozen=True)
class TrainingSamples:
    """How samples are made of a data folder, and what a model takes and gives of them.

    Attributes:
        data: the section ``data`` of the configuration, without anything about the machine that trained it.
        needs: keys that a sample must have.
        paired: whether source and target of a sample must belong together; None: may or may not.
        takes_labels: whether sources that are palette images count as label maps.
        kinds: what the images under some keys must stand for.
        keys: the sample's key of each input of the model, by the input's name.
        target: key of what the output should equal; None where there is nothing.
        real: key of the real images that outputs are compared with as a set.
    """

    data: Mapping[str, Any]
    needs: tuple[str, ...]
    paired: bool | None
    takes_labels: bool
    kinds: Mapping[str, ValueKind]
    keys: Mapping[str, str]
    target: str | None
    real: str

    def to_text(self) -> str:
        """The entry in a model file's metadata."""
        return json.dumps(asdict(self))


def training_samples(text: str) -> TrainingSamples:
    """Reads the entry of a model file's metadata.

    Raises:
        ValueError: it is damaged.
    """
    entry = json.loads(text)
    if not isinstance(entry, dict):
        raise ValueError("not an object")
    known = {key: value for key, value in entry.items() if key in TrainingSamples.__dataclass_fields__}
    try:
        samples = TrainingSamples(**(known | {"needs": tuple(entry["needs"])}))
        texts = [*samples.needs, *samples.keys.values(), samples.real, "" if samples.target is None else samples.target]
        fits = isinstance(entry["needs"], list) and isinstance(samples.data, dict)
        fits = fits and set(samples.kinds.values()) <= set(get_args(ValueKind))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("an entry is missing or of the wrong type") from error
    if not fits or not all(isinstance(one, str) for one in texts):
        raise ValueError("an entry is of the wrong type")
    return samples
