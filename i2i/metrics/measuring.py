"""Measuring what makes images, on the same samples each time: in the validation of a training, or of a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from i2i.errors import PluginError, attributed_to
from i2i.metrics.building import BuiltMetric
from i2i.metrics.features import Embed, SetFeatures, embed_anew
from i2i.metrics.figures import Figure, figure_of
from i2i.metrics.showing import Shown, kind_of, takes_labels, update

Batch = dict[str, Tensor]
"""Samples by key: images ``(N, C, H, W)`` float32 in [-1, 1], label maps ``(N, H, W)`` int64, labels ``(N,)`` int64."""
MAX_CLASSES = 20
"""Classes of the data up to which each has figures of its own."""


@dataclass(frozen=True)
class Measurable:
    """Something that makes images or label maps, as metrics look at it: a translator, or an exported model.

    Attributes:
        make: from a batch of one to its output, images ``(1, C, H, W)`` in [-1, 1] or label maps ``(1, H, W)`` of
            integers, on any device.
        real: key of the real images that outputs are compared with as sets.
        target: key of what the output should equal; None where there is nothing.
        image: key of the image or label map that it takes; None for one that makes images from noise.
        label: key under which it is told the class that it is to make; None if it takes none.
        classes: number of classes that it can be asked for.
        drawn: shapes, without the batch's axis, of its inputs that are drawn from N(0, 1), by key.
        gives_label_map: whether its output is a label map.
    """

    make: Callable[[Batch], Tensor]
    real: str
    target: str | None = None
    image: str | None = "source"
    label: str | None = None
    classes: int = 0
    drawn: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    gives_label_map: bool = False


class SampleMetrics:
    """Metrics and the samples that they are measured on; the same ones, in the same order, each time.

    Args:
        metrics: by the names of their figures, from `build_metrics`.
        samples: gives batches of one sample each, from the first one on.
        owner: what makes the images, in messages.
        classes: names of the data's classes, by number; images have theirs under the key ``label``.
        should_stop: asked before each sample; once true, nothing more is measured.
        embed: takes features of images, or has them from an earlier evaluation.
    """

    def __init__(
        self,
        metrics: Mapping[str, BuiltMetric],
        samples: Callable[[], Iterator[Batch]],
        *,
        owner: str,
        classes: Sequence[str] = (),
        should_stop: Callable[[], bool] = lambda: False,
        embed: Embed = embed_anew,
    ) -> None:
        self.metrics, self.samples, self.owner, self.should_stop = metrics, samples, owner, should_stop
        self.embed = embed
        self.classes = classes if len(classes) <= MAX_CLASSES else ()
        self.real_features: dict[tuple[int, str], SetFeatures] = {}  # by collector and key: they stay the same

    @torch.inference_mode()
    def figures(self, makers: Mapping[str, Measurable]) -> dict[str, Figure] | None:
        """The figures of all that can be measured, by name; None when stopped before the end.

        A metric of pairs is measured for the first maker that it can compare. Sets are measured for all of them: the
        first one's figure has the metric's name, that of another is called ``METRIC/MAKER``. Metrics of two sets have
        a figure of each class besides, ``METRIC/class/LABEL``, where the data and the maker have classes.

        Args:
            makers: what makes the images, by name.

        Raises:
            PluginError: a maker or a metric fails, or images cannot be compared for their shapes.
        """
        found: dict[str, Figure] = {}
        for name, maker in makers.items():
            metrics = {key: one for key, one in self.metrics.items() if _may_measure(one.metric, maker, key in found)}
            figures = _Pass(self, maker, metrics).figures() if metrics else {}
            if figures is None:
                return None
            for key, by_class in figures.items():
                whole = f"{key}/{name}" if key in found else key
                found |= {f"{whole}/class/{label}" if label else whole: one for label, one in by_class.items()}
        return found


class _Pass:
    """The outputs of one maker for all samples, shown to metrics.

    Args:
        measurement: gives the samples.
        maker: makes the outputs.
        metrics: those that may measure it.
    """

    def __init__(self, measurement: SampleMetrics, maker: Measurable, metrics: Mapping[str, BuiltMetric]) -> None:
        self.measurement, self.maker, self.metrics = measurement, maker, metrics
        self.collectors: dict[int, _Collected] = {}
        for name, one in metrics.items():
            collector = getattr(one.metric, "collector", None)
            if callable(getattr(collector, "embed", None)) and not takes_labels(one.metric):
                real = measurement.real_features.get((id(collector), maker.real))
                taken = [SetFeatures(collector, one.owner, measurement.embed) for _ in range(2)]
                new = _Collected(taken[0], real or taken[1])
                self.collectors.setdefault(id(collector), new).metrics[name] = one
        collected = {name for shared in self.collectors.values() for name in shared.metrics}
        self.alone = {name: one for name, one in metrics.items() if name not in collected}
        self.seen = set[str]()

    def figures(self) -> dict[str, dict[str, Figure]] | None:
        """Figures by metric and by class, ``""`` for all images; None when stopped before the end."""
        for one in self.metrics.values():
            with attributed_to(one.owner):
                one.metric.reset()
        generator = torch.Generator().manual_seed(0)
        for batch in self.measurement.samples():
            if self.measurement.should_stop():
                return None
            self._show(batch, with_drawn(self.maker, batch, generator))
        found = {name: {"": figure_of(one)} for name, one in self.alone.items() if name in self.seen}
        classes = () if self.maker.label is None else self.measurement.classes
        for key, shared in self.collectors.items():
            self.measurement.real_features[key, self.maker.real] = shared.real
            found |= {name: {"": figure} for name, figure in shared.figures().items()}
            for number, label in enumerate(classes):
                for name, figure in shared.figures(number).items():
                    found[name][label] = figure
        return {name: found[name] for name in self.metrics if name in found}

    def _show(self, batch: Batch, inputs: Batch) -> None:
        """Shows the output for a sample to all metrics that can look at it."""
        real = _image(batch.get(self.maker.real))
        others = {name: _compared_with(one.metric, self.maker, batch, real) for name, one in self.alone.items()}
        shown = {
            name: one.metric
            for name, one in self.alone.items()
            if others[name] is not None or kind_of(one.metric) == "scores"
        }
        if not shown and not any(shared.sees(real) for shared in self.collectors.values()):
            return
        with attributed_to(f"{self.measurement.owner}, translator"):
            output = self.maker.make(inputs).cpu().contiguous()
        output = output.float() if output.is_floating_point() else output
        label = inputs.get(self.maker.label) if self.maker.label else None
        owners = {
            name: one.owner if name == one.component else f"{one.owner} ({name})" for name, one in self.metrics.items()
        }
        sets = {}
        for name, metric in shown.items():
            self._check_shapes(kind_of(metric), output, others[name])
            if kind_of(metric) == "pair":
                update({owners[name]: metric}, Shown(output, others[name]))
            else:
                sets[owners[name]] = metric
        update(sets, Shown(output, real, None if label is None else label.cpu()))
        self.seen.update(shown)
        for shared in self.collectors.values():
            if shared.sees(real):
                self._check_shapes("distribution", output, real)
                shared.add(output.clamp(-1, 1), _number(label), real, _number(batch.get("label")))

    def _check_shapes(self, kind: str, output: Tensor, other: Tensor | None) -> None:
        """Refuses images of other shapes than metrics can compare; sets may differ in size.

        Raises:
            PluginError: the maker gives such an image.
        """
        if other is None or kind == "scores" or not other.is_floating_point() or not output.is_floating_point():
            return
        same = slice(1, 2) if kind == "distribution" else slice(None)
        if output.shape[same] != other.shape[same]:
            got, want = tuple(output.shape), tuple(other.shape)
            raise PluginError(
                f"{self.measurement.owner}: its translator gives images {got}, and the real ones are {want}"
            )


class _Collected:
    """The features that some metrics share, of a maker's outputs and of real images.

    Args:
        fake: takes those of the outputs.
        real: takes those of the real images, or has them from an earlier pass.
    """

    def __init__(self, fake: SetFeatures, real: SetFeatures) -> None:
        self.fake, self.real, self.known = fake, real, bool(real.labels)
        self.metrics: dict[str, BuiltMetric] = {}

    def sees(self, real: Tensor | None) -> bool:
        """Whether some metric can look at a sample with that real image, or without one."""
        return real is not None or any(kind_of(one.metric) == "scores" for one in self.metrics.values())

    def add(self, fake: Tensor, fake_label: int | None, real: Tensor | None, real_label: int | None) -> None:
        """Adds an output and a real image, each with its class."""
        self.fake.add(fake, fake_label)
        if real is not None and not self.known:
            self.real.add(real, real_label)

    def figures(self, label: int | None = None) -> dict[str, Figure]:
        """The figures of all images, or those of two sets of the images of a class, where these are enough."""
        fake, real = self.fake.rows(label), self.real.rows(label)
        names = [
            name
            for name, one in self.metrics.items()
            if (fake and real) or (fake and label is None and kind_of(one.metric) == "scores")
        ]
        if not names:
            return {}
        collector = self.fake.collector
        with attributed_to(self.fake.owner):
            collector.reset()
            collector.add_fake(fake)
            if real:
                collector.add_real(real)
        if label is not None:
            names = [name for name in names if kind_of(self.metrics[name].metric) == "distribution"]
        found = {name: figure_of(self.metrics[name]) for name in names}
        return {name: one for name, one in found.items() if label is None or not math.isnan(one.value)}


def with_drawn(maker: Measurable, batch: Batch, generator: torch.Generator) -> Batch:
    """A batch of one with noise, and with a class where the maker takes one and the batch has none.

    Images from noise get the real image's own class, so that both sets have the same classes; images that are
    translated any class, each as likely.
    """
    drawn = {key: torch.randn(1, *shape, generator=generator) for key, shape in maker.drawn.items()}
    if maker.image is None and "label" in batch:
        drawn["target_label"] = batch["label"]
    elif maker.label is not None and maker.classes:
        drawn["target_label"] = torch.randint(maker.classes, (1,), generator=generator)
    return drawn | batch


def _may_measure(metric: Any, maker: Measurable, measured: bool) -> bool:
    """Whether a metric may have a figure of a maker's outputs; pairs are measured once."""
    if kind_of(metric) == "pair":
        able = getattr(metric, "takes_label_maps", False) if maker.gives_label_map else maker.image is not None
        return bool(able) and not measured
    return not maker.gives_label_map and (maker.label is not None or not takes_labels(metric))


def _compared_with(metric: Any, maker: Measurable, batch: Batch, real: Tensor | None) -> Tensor | None:
    """What a metric compares the output with; None: there is nothing that it could.

    An image that is made from a label map is compared with that by metrics that know how, as in Isola et al. 2017
    (arXiv:1611.07004, section 3.4).
    """
    if kind_of(metric) != "pair":
        return real
    source, target = (batch.get(key) if key else None for key in (maker.image, maker.target))
    if maker.gives_label_map:
        return target.cpu() if target is not None and target.ndim == 3 else None
    if getattr(metric, "takes_images", True) is False:
        return None
    if getattr(metric, "takes_label_maps", False) is True and source is not None and source.ndim == 3:
        return source.cpu()
    return _image(target)


def _image(value: Tensor | None) -> Tensor | None:
    return value.cpu() if value is not None and value.ndim == 4 else None


def _number(label: Tensor | None) -> int | None:
    return None if label is None else int(label)
