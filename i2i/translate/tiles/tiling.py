"""Translating images that are too large for the network's memory, piece by piece.

What an output pixel depends on is known from export: a square of input pixels, the receptive field, and for networks
with instance norm each layer's statistics. So an image is cut into windows that overlap by the receptive field, the
core of each window goes into the result, and the statistics are those of the whole image
(`i2i.translate.tiles.shared_statistics`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np

from i2i import memory
from i2i.errors import ModelError, UserError
from i2i.files import printable
from i2i.interface import LabelMap
from i2i.runtime.computing.runner import Feeds
from i2i.runtime.network import ExportedNetwork, Outputs
from i2i.translate.tiles.shared_statistics import SharedStatistics
from i2i.translate.tiles.windows import Box, Span, round_up, sample_boxes, spans

SAFETY_FACTOR = 2.0
"""Most memory that onnxruntime takes, as a multiple of the activations counted at export: see docs/tiling.md."""
MEASURING_FACTOR = 1.5
"""Memory of a run that measures statistics, as a multiple of that of translating."""
DEFAULT_BYTES_PER_PIXEL = 8192
"""Bytes of activations for each pixel of the input, assumed where the file does not say."""
MAX_RUN_BYTES = 2 << 30
"""Bytes that the activations of one run may take, even where half of the available memory is more."""
MAX_PARALLEL_BYTES = 64 << 20
"""Bytes of activations up to which several runs may be made at the same time."""
MIN_SIDE = 16
"""Side of the core below which a tile is not made smaller."""
SAMPLE_SIDE = 128
"""Side of the windows from which statistics are first estimated: many small ones are better than few large ones."""


class Tiling:
    """Translates images of any size in pieces that fit into memory, in one thread at a time.

    Args:
        network: translates images.
        tile: ``auto``: one piece where memory allows, else the largest tiles that it allows; ``none``: always one
            piece; or the side of a tile in pixels, without the overlap.
        notes: list to which notes are added; None: a new one.

    Attributes:
        notes: lines for the user, such as that tiles had to be smaller than planned.

    Raises:
        UserError: `tile` is something else.
    """

    def __init__(
        self, network: ExportedNetwork, tile: Literal["auto", "none"] | int = "auto", notes: list[str] | None = None
    ) -> None:
        if tile not in ("auto", "none") and (not isinstance(tile, int) or isinstance(tile, bool) or tile < 1):
            raise UserError(f"the tile is auto, none or a whole number of pixels from 1, not {tile!r}")
        self.network, self.tile = network, tile
        self.notes: list[str] = [] if notes is None else notes
        info = network.info
        in_pieces = info.receptive_field is not None and len(info.outputs) == len(info.pictures) == 1
        self._overlap = (info.receptive_field or 0) // 2 if in_pieces else None
        self._largest: int | None = None  # side of tiles after memory ran out with larger ones
        self._statistics: dict[np.dtype, SharedStatistics] = {}  # by type of the images

    def side(self, height: int, width: int) -> int | None:
        """Side in pixels of the tiles that an image of that size is cut into; None: it goes in one piece.

        Raises:
            ModelError: it has to be cut, but the result depends on the whole image.
        """
        side = self._planned_side(height, width)
        if side is not None and self._largest is not None:
            side = min(side, self._largest)
        elif side is None and self._largest is not None and self.tile == "auto":
            side = self._largest
        if side is None or max(height, width) <= side:
            return None
        if self._overlap is None:
            self._check_uncut(height, width)
            return None
        return side

    def takes_batch(self, height: int, width: int, count: int) -> bool:
        """Whether that many images of one size may go through the network in one batch, each in one piece."""
        try:
            if self.side(height, width) is not None:
                return False
        except ModelError:  # translating each image by itself raises it again
            return False
        # one image as high as the batch takes as much memory
        low = self._largest is None or height * count <= self._largest
        return low and self._bytes(height * count, width) <= _run_budget()

    def is_small(self, height: int, width: int, count: int) -> bool:
        """Whether `count` images of that size may go through the network at the same time, each in one piece.

        Several runs at once on a CPU made 1.2 to 1.4 times as many images of 64x64 as one after the other, and no more
        of 256x256, of which each alone keeps all cores busy.
        """
        cut = self._largest is not None or (isinstance(self.tile, int) and max(height, width) > self.tile)
        return self.network.runner.on_cpu and not cut and self._bytes(height, width) * count <= MAX_PARALLEL_BYTES

    def translate(
        self, pixels: np.ndarray, *, label: str | int | None = None, inputs: Feeds = MappingProxyType({})
    ) -> Outputs:
        """Translates one image.

        Args:
            pixels: ``(H, W, C)`` in the network's channels and type, or float32 in [0, 1] where the network has a form
                for floats.
            label: name or number of the target, for networks that have labels.
            inputs: further inputs by name, each with one row, as `ExportedNetwork.translate` takes them.

        Returns:
            The outputs by name, as `ExportedNetwork.translate` gives them, without the axis of several images.

        Raises:
            ModelError: the network fails, also for lack of memory with the smallest tiles.
            UserError: the label or another input is missing, unknown, or not taken by the model.
        """
        height, width = pixels.shape[:2]
        network = self.network.taking(pixels)
        while True:
            side = self.side(height, width)
            try:
                if side is None:
                    outputs = network.translate(pixels[np.newaxis], label=label, inputs=inputs)
                    return {name: value[0] for name, value in outputs.items()}
                return self._tiled(network, network.image_feeds(pixels[np.newaxis], label=label, inputs=inputs), side)
            except (ModelError, MemoryError) as error:
                if not memory.ran_out(error) or not self._shrink(side or max(height, width)):
                    raise

    def _planned_side(self, height: int, width: int) -> int | None:
        """Side of the tiles according to `tile` and the free memory; None: one piece."""
        if self.tile == "none" or self.network.info.size is not None:
            return None
        multiple = self.network.info.multiple
        if isinstance(self.tile, int):
            return round_up(self.tile, multiple)
        budget = _run_budget()
        if self._bytes(height, width) <= budget:
            return None
        if self._overlap is None:
            return round_up(MIN_SIDE, multiple)  # it has to be cut
        if self.network.info.global_statistics:
            budget = int(budget / MEASURING_FACTOR)
        around, side = 2 * round_up(self._overlap, multiple), round_up(MIN_SIDE, multiple)
        while True:
            larger = side + max(multiple, side // 16 // multiple * multiple)
            if self._bytes(min(larger + around, height), min(larger + around, width)) > budget:
                return side
            side = larger

    def _bytes(self, height: int, width: int) -> int:
        """Bytes that a run on an image of that size takes at most."""
        info = self.network.info
        pixels = round_up(height, info.multiple) * round_up(width, info.multiple)
        return int(pixels * (info.bytes_per_pixel or DEFAULT_BYTES_PER_PIXEL) * SAFETY_FACTOR)

    def _check_uncut(self, height: int, width: int) -> None:
        """Raises ModelError if an image that cannot be cut is not allowed in one piece, by option or memory."""
        known = self.network.info.bytes_per_pixel is not None
        needed, there = self._bytes(height, width), memory.available()
        if isinstance(self.tile, int) or (known and needed > there) or self._largest is not None:
            raise ModelError(
                f"its result depends on the whole image, which cannot be cut into tiles; {width}x{height} takes about "
                f"{needed / 2**30:.1f} GiB in one piece: translate a smaller image, or use --tile none",
                path=printable(self.network.path),
            )

    def _shrink(self, side: int) -> bool:
        """Halves the tiles after one of that side did not fit; returns whether that is possible."""
        multiple = self.network.info.multiple
        half = max(round_up(MIN_SIDE, multiple), side // 2 // multiple * multiple)
        if self.tile == "none" or self._overlap is None or half >= side:
            return False
        self._largest = half
        self.notes.append(f"out of memory at {side} pixels: tiles of {half} from then on")
        return True

    def _tiled(self, network: ExportedNetwork, feeds: Feeds, side: int) -> Outputs:
        """Translates an image in tiles of that side, and puts their cores together; the network has one output."""
        info, (height, width) = network.info, feeds["image"].shape[1:3]
        assert self._overlap is not None
        rows = spans(height, side, self._overlap, info.multiple)
        columns = spans(width, side, self._overlap, info.multiple)
        windows = _FeedWindows(feeds, network.spatial_axes())
        statistics = self._statistics_of(network, height, width) if info.global_statistics else None
        shared = self._shared_statistics(statistics, windows, rows, columns) if statistics is not None else None
        (name,) = info.outputs
        result = np.empty((height * info.scale, width * info.scale, info.channels_out), self._output_type(network))
        for row in rows:
            for column in columns:
                tile = windows.batch([(row.window, column.window)])
                if statistics is not None and shared is not None:
                    image = statistics.translate({**tile, **shared})[0]
                else:
                    tall, wide = (span.stop - span.start for span in (row, column))
                    image = network.run(tile, 1, (tall, wide))[name][0]
                (to_row, from_row), (to_column, from_column) = row.kept(info.scale), column.kept(info.scale)
                result[to_row, to_column] = image[from_row, from_column]
        return {name: result}

    @staticmethod
    def _output_type(network: ExportedNetwork) -> np.dtype:
        (of,) = network.info.outputs.values()
        return np.dtype(np.uint8) if isinstance(of, LabelMap) else network.dtype

    def _statistics_of(self, network: ExportedNetwork, height: int, width: int) -> SharedStatistics:
        """What estimates the statistics of images of the network's type, of which the first has that size."""
        if network.dtype not in self._statistics:
            try:
                self._statistics[network.dtype] = SharedStatistics(network)
            except ModelError as error:
                reason = f"{error.reason}; use --tile none, or a smaller image"
                raise ModelError(reason, kind=error.kind, path=printable(network.path)) from error
            if self.tile == "auto":
                size = f"{width}x{height}"
                self.notes.append(f"{size} takes tiles and several passes: --tile none is faster if memory suffices")
        return self._statistics[network.dtype]

    def _shared_statistics(
        self, statistics: SharedStatistics, windows: _FeedWindows, rows: Sequence[Span], columns: Sequence[Span]
    ) -> Feeds:
        """The statistics of the whole image, to be merged into the feeds of every tile."""
        info = self.network.info
        side = round_up(SAMPLE_SIDE, info.multiple)
        budget = _run_budget() / MEASURING_FACTOR
        height, width = rows[0].length, columns[0].length
        count = int(min(budget, self._bytes(height, width)) / self._bytes(min(side, height), min(side, width)))
        boxes = sample_boxes(height, width, side, max(1, count), info.multiple)
        found, change = statistics.find(windows.batch(boxes), _Tiles(windows, rows, columns))
        if change > 0.1:
            self.notes.append(f"the statistics of an image of {width}x{height} did not settle: its colours may be off")
        return found


class _FeedWindows:
    """Cuts windows of an image out of the feeds of a graph, from all inputs that have the image's size.

    Args:
        whole: feeds for the whole image.
        axes: for each input, its axes that are height and width of the image.
    """

    def __init__(self, whole: Feeds, axes: dict[str, tuple[int, ...]]) -> None:
        self.whole, self.axes = whole, axes

    def batch(self, boxes: Sequence[Box]) -> Feeds:
        """The feeds for windows of equal size, as one batch."""
        return {name: np.concatenate([self._one(name, box) for box in boxes]) for name in self.whole}

    def _one(self, name: str, box: Box) -> np.ndarray:
        value = self.whole[name]
        cut = [slice(None)] * value.ndim
        for axis, part in zip(self.axes.get(name, ()), box, strict=False):
            cut[axis] = part
        return value[tuple(cut)]


class _Tiles:
    """The tiles of an image: feeds, rows and columns of each; can be iterated several times."""

    def __init__(self, windows: _FeedWindows, rows: Sequence[Span], columns: Sequence[Span]) -> None:
        self.windows, self.rows, self.columns = windows, rows, columns

    def __iter__(self) -> Iterator[tuple[Feeds, Span, Span]]:
        for row in self.rows:
            for column in self.columns:
                yield self.windows.batch([(row.window, column.window)]), row, column


def _run_budget() -> int:
    """Bytes that the activations of one run may take: half of what is available, at most `MAX_RUN_BYTES`."""
    return min(MAX_RUN_BYTES, memory.available() // 2)
