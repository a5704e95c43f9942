"""Finding the statistics of an image that is too large to go through the network at once.

What a layer's statistics are depends on how all layers before it normalise, so those of one layer after the other
would take a pass over the image for each. Measuring all layers under a first guess, and again under what was
measured, does not converge: the errors of 20 layers multiply. What works is a deferred correction, as multigrid
methods have it: a sample of the image that fits into memory goes through the network as one batch, each layer
normalised by the batch, which makes a guess consistent from layer to layer; a pass over the whole image tells by how
much each layer's statistics of the sample are off; and the sample goes through again with that difference put in.
In each round the error falls to a fraction, and the first layers' are exact.

However far the values are from the true ones, no seam can show: all tiles are computed with the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from i2i.errors import ModelError
from i2i.files import printable
from i2i.translate.session import last_words, open_session
from i2i.translate.tiles.statistics import (
    CORE,
    LEAST_VARIANCE,
    PURPOSES,
    Moments,
    changed_graph,
    seen_names,
    used_names,
)
from i2i.translate.tiles.windows import Span

if TYPE_CHECKING:
    from i2i.translate.model import Model

Feeds = dict[str, np.ndarray]

TOLERANCE = 0.02
"""Rounds end when no mean or deviation has moved by more than this share of a deviation."""
MOST_ROUNDS = 6
"""Rounds end after as many in any case."""


class SharedStatistics:
    """Three changed copies of a model, and the rounds in which the statistics are found.

    Args:
        model: whose receptive field is known and whose statistics are global.

    Raises:
        ModelError: its graph cannot be changed so.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        device = "cpu" if model.provider == "CPUExecutionProvider" else "auto"
        sessions = []
        for purpose in PURPOSES:
            changed, self.norms = changed_graph(model.path, purpose)
            sessions.append(open_session(changed, device)[0])
        self._estimate, self._measure, self._translate = sessions
        # Each session keeps what memory it ever took, and there are three: they are to give it back after each run.
        model.run_options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    def find(self, sample: Feeds, tiles: Iterable[tuple[Feeds, Span, Span]]) -> tuple[Feeds, float]:
        """Finds the statistics of a whole image.

        Args:
            sample: a batch of windows of it.
            tiles: what its windows are fed, and where they lie; gone through once a round.

        Returns:
            What `translate` is to be fed besides, and how far it moved in the last round, in deviations.
        """
        corrections = self._no_corrections()
        seen, used = self._estimated(sample, corrections)
        change = np.inf
        for _ in range(MOST_ROUNDS):
            corrections = self._corrections(seen, self._measured(tiles, used))
            before = used
            seen, used = self._estimated(sample, corrections)
            change = max(_moved(before, used, *norm.names) for norm in self.norms)
            if change < TOLERANCE:
                break
        return used, change

    def translate(self, feeds: Feeds) -> np.ndarray:
        """Images ``(N, H, W, C)``; the feeds include what `find` gave."""
        return self._run(self._translate, ["image_out"], feeds)[0]

    def _estimated(self, sample: Feeds, corrections: Feeds) -> tuple[list[Moments], Feeds]:
        """The sample's statistics, and what the layers were normalised by: the same, corrected."""
        names, used = seen_names(self.norms), used_names(self.norms)
        everything = np.array([[0, 0], [1, 1], [1, 1]], np.int64)
        values = self._run(self._estimate, names + used, sample | corrections | {CORE: everything})
        return _moments(values[: len(names)], 1.0), dict(zip(used, values[len(names) :], strict=True))

    def _measured(self, tiles: Iterable[tuple[Feeds, Span, Span]], used: Feeds) -> list[Moments]:
        """The statistics of the whole image, when the layers normalise by the given ones."""
        names, multiple = seen_names(self.norms), self.model.info.multiple
        total: list[Moments] = []
        for feeds, *axes in tiles:
            core = np.array([axis.core(multiple) for axis in axes], np.int64).T
            pixels = float(np.prod(core[1] - core[0]))
            values = self._run(self._measure, names, feeds | used | {CORE: core})
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
            feeds[ratio] = (true.variance / np.maximum(guess.variance, LEAST_VARIANCE)).astype(np.float32)
        return feeds

    def _run(self, session: onnxruntime.InferenceSession, names: list[str], feeds: Feeds) -> list[np.ndarray]:
        try:
            return list(session.run(names, feeds, self.model.run_options))
        except Exception as error:  # onnxruntime raises types of its own, and RuntimeError
            raise ModelError(f"{printable(self.model.path)}: the model failed: {last_words(error)}") from error


def _moments(values: Sequence[np.ndarray], weight: float) -> list[Moments]:
    """Of means and variances in turn."""
    exact = [value.astype(np.float64) for value in values]
    return [Moments(weight, mean, variance) for mean, variance in zip(exact[::2], exact[1::2], strict=True)]


def _moved(before: Feeds, after: Feeds, mean: str, variance: str) -> float:
    """How far a layer's means and deviations moved, in deviations; the largest of all channels."""
    old, new = np.sqrt(before[variance] + LEAST_VARIANCE), np.sqrt(after[variance] + LEAST_VARIANCE)
    # A channel that hardly varies beside the others of its layer does not count by its own measure.
    unit = np.maximum(new, 1e-3 * new.max())
    moved = np.maximum(np.abs(after[mean] - before[mean]), np.abs(new - old))
    return float((moved / unit).max())
