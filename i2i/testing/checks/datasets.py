"""Checks of datasets."""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from i2i.api import Transform
from i2i.config import DataConfig
from i2i.data.adapter import AdaptedDataset, dataset_component
from i2i.data.batches import BatchOrder, batches
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i.data.sample_checks import IMAGES, check_sample
from i2i.data.source import data_source
from i2i.testing import folders
from i2i.testing.subject import Check, Skipped, Subject, fail


def samples(subject: Subject) -> None:
    """Has samples, each a dictionary with the keys that `gives` names, with images and labels of the right kind."""
    dataset = _opened(subject, "train")
    if len(dataset) == 0:
        fail(f"no samples in {_folder(subject)}")
    gives = dataset_component(subject.plugins, subject.name).gives
    for index in range(min(len(dataset), 20)):
        sample = dataset[index]
        check_sample(f"sample {index}", sample, dataset.labels)
        if gives is not None and set(sample) != set(gives):
            fail(f"sample {index} has {', '.join(sample)}, and its attribute gives says {', '.join(sorted(gives))}")
        for key in [key for key in IMAGES if key in sample and sample[key].dtype == np.float32]:
            if not 0 <= sample[key].min() <= sample[key].max() <= 1:
                fail(f"sample {index}: {key} must be in [0, 1] as float32: divide by the largest possible value")
    if gives is None:
        subject.notes.append("for data.layout=auto, name the keys of its samples on the class: gives = frozenset(...)")


def one_transform(subject: Subject) -> None:
    """Calls the transform once with each whole sample, and returns what it returned."""
    calls: list[dict[str, Any]] = []

    def transform(sample: dict[str, Any]) -> dict[str, Any]:
        calls.append(dict(sample))
        return dict(sample) | {"calls": len(calls)}

    given = _opened(subject, "train", transform)[0]
    if len(calls) != 1 or given.get("calls") != 1:
        fail(f"transform was called {len(calls)} times for a sample; return transform({{...}}), once")


def repeatable(subject: Subject) -> None:
    """Two datasets of the same folder have the same samples in the same order; loader processes get copies."""
    first = _opened(subject, "train")
    with _listed_backwards():
        second = _opened(subject, "train")
    try:
        copy = pickle.loads(pickle.dumps(first))  # noqa: S301  our own bytes
    except Exception as error:
        fail(f"cannot be sent to loader processes: {error}; keep open files and lambdas out of its attributes")
    for index in range(min(len(first), 5)):
        one, *others = (dataset.look(index) for dataset in (first, second, copy))
        for other in others:
            if any(not np.array_equal(one[key], other[key]) for key in one):
                fail(f"sample {index} differs between two readings: sort what the file system lists, give it no chance")


def splits(subject: Subject) -> None:
    """Training and validation share no sample, by folders of their own or by keys that do not change."""
    train, val = _opened(subject, "train"), _opened(subject, "val")
    if len(val) and val.has_splits:
        held = [_bytes(val, index) for index in range(min(len(val), 5))]
        if any(_bytes(train, index) in held for index in range(min(len(train), 20))):
            fail("a validation sample is a training sample too: without a split of its own say has_splits = False")
        return
    keys = [train.key(index) for index in range(len(train))]
    if not all(isinstance(key, str) for key in keys) or len(set(keys)) < len(keys):
        fail("samples cannot be told apart for validation: key(index) must be a text of its own for each sample")


def weights(subject: Subject) -> None:
    """Weights, where it has any, are finite numbers from 0, not all of them 0, and the same in every reading."""
    datasets = [_opened(subject, "train") for _ in range(2)]
    found = [dataset.weights(range(len(dataset))) for dataset in datasets]
    first, second = (None if values is None else values.tolist() for values in found)
    if first != second:
        fail("weights differ between two readings, and a resumed run would draw other samples: give them no chance")


def detection(subject: Subject) -> None:
    """data.layout=auto takes it for its own folder; an empty folder, or one of text, is not taken for it."""
    if not dataset_component(subject.plugins, subject.name).detects:
        raise Skipped("it has no detect(root), so people name it by data.layout")
    detect: Callable[[Path], bool] = subject.component.builder.detect  # type: ignore[attr-defined]
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
    first = _opened(subject, "train")[0]
    if set(IMAGES) <= first.keys():  # pairs of two sizes are for super-resolution
        scale = max(1, first["target"].shape[0] // first["source"].shape[0])
        config = config.model_copy(update={"scale": scale})
    data = open_data(config, subject.plugins, Requirements(frozenset(list(first))), seed=0)
    sample = data.sample()
    loaded = [next(batches(data.train, BatchOrder(len(data.train), 1, seed=0), workers)) for workers in (0, 1)]
    if any(not torch.equal(loaded[0][key], loaded[1][key]) for key in sample):
        fail("a loader process gives another sample: draw random numbers from numpy.random or random")
    for key in [key for key in IMAGES if key in sample]:
        side = 32 // (config.scale if key == "source" else 1)
        if tuple(sample[key].shape[2:]) != (side, side):
            fail(f"{key} became {tuple(sample[key].shape)} where a crop of {side} pixels was asked for")


DATASET: Sequence[Check] = (samples, one_transform, repeatable, splits, weights, detection, training)


def _folder(subject: Subject) -> Path | None:
    """The folder with which the dataset is checked: the user's, else the first of the drawn ones that it reads.

    None for a dataset that needs no folder because it draws its samples.
    """
    if subject.data is not None or not dataset_component(subject.plugins, subject.name).reads_folder:
        return subject.data
    return subject.once("folder", partial(_own_folder, subject))


def _own_folder(subject: Subject) -> Path:
    """The first of the drawn folders in which the dataset finds samples.

    Raises:
        Skipped: it finds none in any of them.
    """
    component = dataset_component(subject.plugins, subject.name)
    for name, fill in folders.LAYOUTS.items():
        root = subject.folder / name
        if not root.is_dir():
            fill(root)
        if component.detects and not component.fits(root):
            continue
        try:
            if len(data_source(subject.plugins, subject.name, root, subject.options).open("train")):
                return root
        except Exception:  # noqa: S112  it reads something else
            continue
    raise Skipped("it reads none of the folders that i2i can make: name one, --data FOLDER or data=FOLDER")


def _opened(subject: Subject, split: str, transform: Transform = dict) -> AdaptedDataset:
    """The dataset of a split with that transform."""
    return data_source(subject.plugins, subject.name, _folder(subject), subject.options).open(split, transform)


@contextlib.contextmanager
def _listed_backwards() -> Iterator[None]:
    """Inside the context, folders are listed in reverse order, as another file system might list them."""
    listdir, scandir = os.listdir, os.scandir

    class Backwards:
        def __init__(self, *args: Any) -> None:
            self.entries = scandir(*args)

        def __enter__(self) -> Backwards:
            return self

        def __exit__(self, *exception: object) -> None:
            self.entries.close()

        def __iter__(self) -> Iterator[Any]:
            return reversed(list(self.entries))

        def __next__(self) -> Any:
            return next(self.entries)

        def close(self) -> None:
            self.entries.close()

    def backwards(*args: Any) -> list[Any]:
        return listdir(*args)[::-1]

    with mock.patch("os.listdir", backwards), mock.patch("os.scandir", Backwards):
        yield


def _bytes(dataset: AdaptedDataset, index: int) -> list[bytes]:
    """The values of a sample as bytes, to compare samples."""
    return [np.asarray(value).tobytes() for value in dataset.look(index).values()]
