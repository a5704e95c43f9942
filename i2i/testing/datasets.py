"""What datasets promise."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from i2i.config import DataConfig
from i2i.data.contract import IMAGES, check_sample
from i2i.data.layouts import held_out
from i2i.data.loading import open_data, open_dataset
from i2i.errors import UserError
from i2i.testing import folders
from i2i.testing.kit import Check, Skipped, Subject, fail


def samples(subject: Subject) -> None:
    """Has samples, each a dictionary with the keys that `gives` names, with images and labels of the right kind."""
    dataset = _opened(subject, "train", dict)
    if len(dataset) == 0:
        fail(f"no samples in {_folder(subject)}")
    gives = getattr(subject.component.build, "gives", None)
    for index in range(min(len(dataset), 20)):
        sample = dataset[index]
        check_sample(f"sample {index}", sample, tuple(getattr(dataset, "labels", ())))
        if gives is not None and set(sample) != set(gives):
            fail(f"sample {index} has {', '.join(sample)}, and its attribute gives says {', '.join(sorted(gives))}")
        for key in [key for key in IMAGES if key in sample and sample[key].dtype == np.float32]:
            if not 0 <= sample[key].min() <= sample[key].max() <= 1:
                fail(f"sample {index}: {key} must be in [0, 1] as float32: divide by the largest possible value")
    if gives is None:
        fail("name the keys of its samples on the class: gives = frozenset({'source', 'target'})")


def one_transform(subject: Subject) -> None:
    """Calls the transform once with each whole sample, and returns what it returned."""
    calls: list[dict[str, Any]] = []

    def transform(sample: dict[str, Any]) -> dict[str, Any]:
        calls.append(dict(sample))
        return {"transformed": len(calls)}

    given = _opened(subject, "train", transform)[0]
    if len(calls) != 1 or given != {"transformed": 1}:
        fail(f"transform was called {len(calls)} times for a sample; return transform({{...}}), once")


def repeatable(subject: Subject) -> None:
    """Two datasets of the same folder have the same samples in the same order; loader processes get copies."""
    first, second = _opened(subject, "train", dict), _opened(subject, "train", dict)
    try:
        copy = pickle.loads(pickle.dumps(first))  # noqa: S301  our own bytes
    except Exception as error:
        fail(f"cannot be sent to loader processes: {error}; keep open files and lambdas out of its attributes")
    look = [getattr(dataset, "look", dataset.__getitem__) for dataset in (first, second, copy)]
    for index in range(min(len(first), 5)):
        one, *others = (read(index) for read in look)
        for other in others:
            if any(not np.array_equal(one[key], other[key]) for key in one):
                fail(f"sample {index} differs between two readings: sort what the file system lists, give it no chance")


def splits(subject: Subject) -> None:
    """Training and validation share no sample, by folders of their own or by keys that do not change."""
    train, val = _opened(subject, "train", dict), _opened(subject, "val", dict)
    if len(val) and getattr(val, "has_splits", True):
        held = [_bytes(val, index) for index in range(min(len(val), 5))]
        if any(_bytes(train, index) in held for index in range(min(len(train), 20))):
            fail("a validation sample is a training sample too: without a split of its own say has_splits = False")
        return
    keys = [getattr(train, "key", str)(index) for index in range(len(train))]
    if len(train) > 1 and not held_out(keys, 0.1):
        fail("no sample can be held out for validation: key(index) must be a text that differs between samples")


def detection(subject: Subject) -> None:
    """data.layout=auto takes it for its own folder; an empty folder, or one of text, is not taken for it."""
    detect = getattr(subject.component.build, "detect", None)
    if detect is None:
        raise Skipped("it has no detect(root), so people name it by data.layout")
    (subject.folder / "other" / "notes").mkdir(parents=True)
    (subject.folder / "other" / "notes" / "readme.txt").write_text("no images")
    if detect(subject.folder / "other"):
        fail("detect says yes to a folder without any image")
    folder = _folder(subject)
    if folder is not None and not detect(folder):
        fail(f"detect says no to {folder}, which it reads")


def training(subject: Subject) -> None:
    """Opens like any data of a run, with and without loader processes: checked, cropped, augmented, as tensors."""
    folder = _folder(subject)
    config = DataConfig(
        root=str(folder) if folder else None,
        layout={"name": subject.name, **subject.options},  # type: ignore[arg-type]
        size=32,
        jitter=1,
        check_files=20,
    )
    gives = getattr(subject.component.build, "gives", ())
    data = open_data(config, subject.plugins, needs=gives, seed=0)
    sample = data.sample()
    for key in [key for key in IMAGES if key in sample]:
        if tuple(sample[key].shape[2:]) != (32, 32):
            fail(f"{key} became {tuple(sample[key].shape)} where a crop of 32 pixels was asked for")


DATASET: Sequence[Check] = (samples, one_transform, repeatable, splits, detection, training)


def _folder(subject: Subject) -> Path | None:
    """The folder to read: the given one, none for drawings, else the first of ours that it reads."""
    root = inspect.signature(subject.component.build).parameters.get("root")
    if subject.data is not None or root is None or root.default is not root.empty:
        return subject.data
    return subject.once("folder", partial(_own_folder, subject))


def _own_folder(subject: Subject) -> Path:
    detect = getattr(subject.component.build, "detect", lambda root: True)
    for name, fill in folders.LAYOUTS.items():
        root = subject.folder / name
        if not root.is_dir():
            fill(root)
        if not detect(root):
            continue
        try:
            if len(open_dataset(subject.plugins, subject.name, root, subject.options)("train", dict)):
                return root
        except UserError:
            continue
    raise Skipped("it reads none of the folders that i2i can make: name one, --data FOLDER or data=FOLDER")


def _opened(subject: Subject, split: str, transform: Any) -> Any:
    return open_dataset(subject.plugins, subject.name, _folder(subject), subject.options)(split, transform)


def _bytes(dataset: Any, index: int) -> list[bytes]:
    sample = getattr(dataset, "look", dataset.__getitem__)(index)
    return [np.asarray(value).tobytes() for value in sample.values()]
