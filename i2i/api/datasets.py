"""What the author of a dataset or of a transform uses: `Dataset`, and what its builder is called with.

Imports no torch, so that reading a plugin's table stays cheap.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from i2i.errors import DataError
from i2i.kinds import ValueKind

if TYPE_CHECKING:
    import numpy as np


class Reader(Protocol):
    """Reads image files for a dataset, whose builder asks for it by a keyword ``read``.

    Pixels are kept in memory up to ``data.cache_mb``, so reading a file again is cheap.
    """

    def __call__(self, path: Path, /, *keys: str) -> np.ndarray:
        """Reads one file.

        Args:
            path: the image file; its content decides about its format, not its ending.
            keys: the keys of the sample that its pixels are for. Where all of these are ``labels`` (see
                `Dataset.kinds`), a palette image gives the numbers of its colours in the palette; where the user sets
                ``data.label_colors``, every image gives the classes that its colours stand for.

        Returns:
            Pixels ``(H, W, C)``, uint8, uint16 or float32: grey, RGB, RGBA or any number of bands; not to be written.
            Floats lie in [0, 1] unless the user sets ``data.source_range`` or ``data.target_range``. Of labels:
            ``(H, W, 1)`` numbers of classes, or ``(H, W, 3)`` colours that stand for classes, uint8.

        Raises:
            DataError: the file cannot be read as an image.
        """


class Transform(Protocol):
    """Changes samples: what a dataset gets as `transform`, and what the components of `i2i_transforms` build."""

    def __call__(self, sample: dict[str, Any], /) -> dict[str, Any]:
        """Changes one sample.

        Args:
            sample: images ``(H, W, C)``, uint8, uint16 or float32 in [0, 1], and labels by key; not to be written to.

        Returns:
            Another dictionary with at least the same keys.
        """


class Dataset(ABC):
    """The samples of one split, read from a folder or drawn by code; what the components of `i2i_datasets` build.

    A sample is a dictionary of some of ``source``, ``target`` (images ``(H, W, C)``: grey, RGB, RGBA or bands; uint8,
    uint16 or float32 in [0, 1], or in units for which the user sets ``data.source_range`` or ``data.target_range``),
    ``label`` and ``target_label`` (numbers of classes from 0). All other members have defaults, which also hold for a
    class that is no subclass and lacks them.

    Attributes:
        gives: keys that every sample has, by which ``data.layout=auto`` leaves out layouts that a recipe cannot use;
            set on the class. None: not known before samples are read.
        paired: whether source and target of a sample belong together; set on the class. If not, each is cropped and
            augmented by itself.
        has_splits: whether the data have validation samples of their own. If not, a share of the training samples is
            held out, chosen by `key`.
        labels: names of the classes that ``label`` numbers; the same in both splits.
        kinds: what the values of the images under a key stand for, by key; those that are not named are pictures, or
            what ``data.source_kind`` and ``data.target_kind`` say. ``image``: a picture. ``labels``: numbers of classes
            from 0 to 255, or colours that stand for classes. ``mask``: where something is. ``values``: measurements,
            such as depth. Labels and masks are resized by the nearest pixel; only pictures change in brightness.
        problems: files that are left out: a `DataError` with path, kind and reason for each, or just a line of text.
    """

    gives: ClassVar[frozenset[str] | None] = None
    paired: bool = True
    has_splits: bool = True
    labels: Sequence[str] = ()
    kinds: Mapping[str, ValueKind] = MappingProxyType({})
    problems: Sequence[DataError | str] = ()

    @staticmethod
    def detect(root: Path) -> bool:
        """Whether ``data.layout=auto`` may read a folder with this dataset; better a wrong no than a wrong yes.

        Args:
            root: the data folder, which exists.
        """
        return False

    @abstractmethod
    def __len__(self) -> int:
        """Number of samples."""

    @abstractmethod
    def __getitem__(self, index: int) -> dict[str, Any]:
        """Reads one sample and returns what `transform`, called once with the whole sample, makes of it.

        What is random is drawn from ``numpy.random``, which is seeded for each sample.

        Raises:
            DataError: the sample cannot be used; it is shown and left out.
        """

    def key(self, index: int) -> str:
        """A text that stays the same when files are added; its hash decides whether the sample is held out."""
        return str(index)

    def weights(self, index: int) -> float:
        """How often a training sample is drawn, relative to the others; such as 1 / (samples of its class).

        A sample of weight 0 is left out of the training. Where weights differ, an epoch is as many draws with
        replacement as there are training samples, each with random numbers of its own; else each sample comes once.
        Validation ignores them.
        """
        return 1.0

    def look(self, index: int) -> dict[str, Any]:
        """The sample for the check before training: as from `__getitem__`, but with nothing random.

        A key may be missing if `problems` says why.
        """
        return self[index]

    def sample_files(self, index: int) -> Sequence[Path]:
        """All image files behind a sample, so that every damaged one of them can be named; empty if not known."""
        return ()
