"""Estimates normalisation statistics of an image that is too large to go through the network at once.

A layer's statistics depend on how all layers before it normalise, so exact ones would take a pass over the image for
each layer. Fixed-point iteration (measure all layers under a guess, then again under the measured values) does not
converge: the errors of 20 layers multiply. What works is a deferred correction, as in multigrid methods: a sample of
the image that fits into memory goes through the network as one batch, each layer normalised by the batch, which gives
estimates that are consistent from layer to layer; a pass over the whole image measures how far they are off in each
layer; and the sample goes through again, corrected by that difference. Each round reduces the error to a fraction, and
the first layers are exact.

However far the values are from the true ones, no seam can show: all tiles are normalised by the same values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from i2i.runtime.computing.runner import Feeds
from i2i.runtime.network import ExportedNetwork
from i2i.translate.tiles.changed_graph import (
    CORE,
    MIN_VARIANCE,
    PURPOSES,
    Moments,
    changed_graph,
    seen_names,
    used_names,
)
from i2i.translate.tiles.windows import Span

TOLERANCE = 0.02
"""The search ends when no mean or deviation has moved by more than this share of a deviation."""
MAX_ROUNDS = 6
"""Rounds after which the search ends in any case."""


class SharedStatistics:
    """Three changed copies of a network, with which the statistics of an image are estimated and tiles translated.

    Args:
        network: a network with instance or group normalisation and a known receptive field.

    Raises:
        ModelError: its graph cannot be changed as `changed_graph` describes.
    """

    def __init__(self, network: ExportedNetwork) -> None:
        self.multiple = network.info.multiple
        (self._output,) = network.info.outputs
        runners = []
        for purpose in PURPOSES:
            changed, self.norms = changed_graph(network.runner.graph, purpose)
            runners.append(network.runner.open_variant(changed))
        self._estimate, self._measure, self._translate = runners
        network.runner.free_memory_after_runs()  # three more graphs, each of which would keep its peak memory

    def find(self, sample: Feeds, tiles: Iterable[tuple[Feeds, Span, Span]]) -> tuple[Feeds, float]:
        """Finds the statistics of a whole image.

        Args:
            sample: feeds of the network for a batch of windows of the image.
            tiles: for each tile the feeds of the network, its rows and its columns; iterated once a round.

        Returns:
            The statistics, to be merged into the feeds of `translate`, and their largest change in the last round, in
            standard deviations.
        """
        corrections = self._no_corrections()
        seen, used = self._estimated(sample, corrections)
        change = np.inf
        for _ in range(MAX_ROUNDS):
            corrections = self._corrections(seen, self._measured(tiles, used))
            before = used
            seen, used = self._estimated(sample, corrections)
            change = max(_largest_change(before, used, *norm.names) for norm in self.norms)
            if change < TOLERANCE:
                break
        return used, change

    def translate(self, feeds: Feeds) -> np.ndarray:
        """Translates tiles.

        Args:
            feeds: feeds of the network for the tiles, merged with the statistics from `find`.

        Returns:
            Images ``(N, H, W, C)``.
        """
        return self._translate.run([self._output], feeds)[0]

    def _estimated(self, sample: Feeds, corrections: Feeds) -> tuple[list[Moments], Feeds]:
        """The sample's statistics, and the corrected ones, by which its layers were normalised."""
        names, used = seen_names(self.norms), used_names(self.norms)
        everything = np.array([[0, 0], [1, 1], [1, 1]], np.int64)
        values = self._estimate.run(names + used, {**sample, **corrections, CORE: everything})
        return _moments(values[: len(names)], 1.0), dict(zip(used, values[len(names) :], strict=True))

    def _measured(self, tiles: Iterable[tuple[Feeds, Span, Span]], used: Feeds) -> list[Moments]:
        """The statistics of the whole image, when the layers normalise by the given ones."""
        names, multiple = seen_names(self.norms), self.multiple
        total: list[Moments] = []
        for feeds, *axes in tiles:
            core = np.array([axis.core(multiple) for axis in axes], np.int64).T
            pixels = float(np.prod(core[1] - core[0]))
            values = self._measure.run(names, {**feeds, **used, CORE: core})
            here = _moments(values, pixels)
            total = [one.joined(other) for one, other in zip(total, here, strict=True)] if total else here
        return total

    def _no_corrections(self) -> Feeds:
        feeds = {}
        for norm in self.norms:
            shift, ratio = norm.corrections
            feeds[shift], feeds[ratio] = np.zeros(norm.groups, np.float32), np.ones(norm.groups, np.float32)
        return feeds

    def _corrections(self, sample: Sequence[Moments], whole: Sequence[Moments]) -> Feeds:
        feeds = {}
        for norm, guess, true in zip(self.norms, sample, whole, strict=True):
            guess, true = guess.grouped(norm.groups), true.grouped(norm.groups)
            shift, ratio = norm.corrections
            feeds[shift] = (true.mean - guess.mean).astype(np.float32)
            feeds[ratio] = (true.variance / np.maximum(guess.variance, MIN_VARIANCE)).astype(np.float32)
        return feeds


def _moments(values: Sequence[np.ndarray], weight: float) -> list[Moments]:
    """Moments from arrays that are means and variances alternately; `weight` is their number of pixels."""
    exact = [value.astype(np.float64) for value in values]
    return [Moments(weight, mean, variance) for mean, variance in zip(exact[::2], exact[1::2], strict=True)]


def _largest_change(before: Feeds, after: Feeds, mean: str, variance: str) -> float:
    """The largest change of a layer's means and standard deviations over all channels, in standard deviations.

    Args:
        before: statistics by name.
        after: statistics a round later, by name.
        mean: name of the layer's means.
        variance: name of the layer's variances.
    """
    old, new = np.sqrt(before[variance] + MIN_VARIANCE), np.sqrt(after[variance] + MIN_VARIANCE)
    # A channel that hardly varies is measured by a fraction of the largest deviation: its own would exaggerate.
    unit = np.maximum(new, 1e-3 * new.max())
    moved = np.maximum(np.abs(after[mean] - before[mean]), np.abs(new - old))
    return float((moved / unit).max())
