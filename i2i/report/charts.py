"""Line charts as plain geometry: what a template needs to draw curves in SVG, without a plotting library.

Curves of a training run are long and noisy, so each is cut into at most `MAX_POINTS` stretches: the line goes through
their means, evened out over neighbours where there are many, and a pale band shows what each stretch covers. A chart
whose curves differ by orders of magnitude gets a logarithmic axis, or the smaller ones would lie flat on the ground.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

MAX_POINTS = 300
WIDTH, HEIGHT = 400, 220
LEFT, RIGHT, TOP, BOTTOM = 58, 390, 10, 192
"""Edges of the plot within a picture of `WIDTH` by `HEIGHT`, in SVG units."""

SMOOTH_FROM = 60
"""Curves of fewer points are drawn as they are."""

LOG_RATIO = 30.0
"""How far apart the medians of the curves in one chart must be for a logarithmic axis."""


@dataclass(frozen=True)
class Curve:
    """A curve to be drawn.

    Attributes:
        name: for the legend.
        values: values by step.
        colour: index of the colour.
        dash: index of the dash pattern.
        errors: error bars, half their length by step; steps may lack one.
        best: the step to be marked; None marks none.
    """

    name: str
    values: Mapping[int, float]
    colour: int = 0
    dash: int = 0
    errors: Mapping[int, float] = field(default_factory=dict)
    best: int | None = None


@dataclass(frozen=True)
class Line:
    """One drawn curve.

    Attributes:
        name: for the legend.
        colour: index of the colour.
        dash: index of the dash pattern.
        points: the line's points, for SVG's ``points``.
        band: outline of the band between the least and the greatest value; empty when it would be the line itself.
        end: where the curve ends, x and y.
        whiskers: error bars: x, y of the upper and of the lower end.
        best: where the best step is, x and y; None without.
        last: the last value, formatted like `low` and `high`.
        low: the least value.
        high: the greatest value.
    """

    name: str
    colour: int
    dash: int
    points: str
    band: str
    end: tuple[float, float]
    whiskers: Sequence[tuple[float, float, float]]
    best: tuple[float, float] | None
    last: str
    low: str
    high: str


@dataclass(frozen=True)
class Chart:
    """A chart, ready to be drawn.

    Attributes:
        title: the text above it.
        phrase: what is shown means; may be empty.
        direction: which direction is better; may be empty.
        lines: the drawn curves.
        x_ticks: place and label of each mark on the axis of steps.
        y_ticks: place and label of each mark on the axis of values.
        log: whether the axis of values is logarithmic.
    """

    title: str
    phrase: str
    direction: str
    lines: Sequence[Line]
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    log: bool


def draw(title: str, curves: Sequence[Curve], *, phrase: str = "", direction: str = "") -> Chart:
    """Lays a chart out.

    Args:
        title: what is shown.
        phrase: what it means.
        direction: which direction is better.
        curves: at least one; each with at least one value, all finite.

    Returns:
        The geometry, in a picture of `WIDTH` by `HEIGHT` units.
    """
    steps = [step for curve in curves for step in curve.values]
    values = [value for curve in curves for value in _extent(curve)]
    log = _wants_log(curves)
    scale: Callable[[float], float] = math.log10 if log else float
    low, high = _widened(scale(min(values)), scale(max(values)))
    first, final = min(steps), max(max(steps), min(steps) + 1)

    def place_x(step: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * (step - first) / (final - first), 1)

    def place_y(value: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * (scale(value) - low) / (high - low), 1)

    y_values = _log_ticks(low, high) if log else _ticks(low, high, 5)
    return Chart(
        title=title,
        phrase=phrase,
        direction=direction,
        lines=[_line(curve, place_x, place_y) for curve in curves],
        x_ticks=[(place_x(step), number(step)) for step in _ticks(first, final, 5) if step == int(step)],
        y_ticks=[(place_y(value), number(value)) for value in y_values],
        log=log,
    )


def number(value: float) -> str:
    """A number as short as a reader needs it: four significant digits, thousands with commas."""
    if value == 0 or 1e-3 <= abs(value) < 1e3:
        return f"{value:.4g}"
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e9 else f"{value:.3g}"


def _extent(curve: Curve) -> Iterator[float]:
    """Its values, and the ends of its error bars."""
    for step, value in curve.values.items():
        error = curve.errors.get(step, 0.0)
        yield from (value - error, value + error) if error else (value,)


def _wants_log(curves: Sequence[Curve]) -> bool:
    if any(value <= 0 for curve in curves for value in _extent(curve)):
        return False
    medians = [median(curve.values.values()) for curve in curves]
    return max(medians) / min(medians) > LOG_RATIO


def _widened(low: float, high: float) -> tuple[float, float]:
    """The range with a margin below and above; curves that are constant, up to rounding, get a range too."""
    size = max(abs(low), abs(high))
    if high - low > max(size * 1e-9, 1e-90):
        return low - (high - low) * 0.05, high + (high - low) * 0.05
    margin = size * 0.1 if size > 1e-90 else 1.0
    return low - margin, high + margin


def _ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` multiples of 1, 2 or 5 times a power of ten within the range."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    return [round(index * step, 12) for index in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten within the range of exponents, thinned to about six."""
    exponents = range(math.ceil(low), math.floor(high) + 1)
    return [10.0**exponent for exponent in exponents[:: math.ceil(len(exponents) / 6) or 1]]


def _line(curve: Curve, place_x: Callable[[float], float], place_y: Callable[[float], float]) -> Line:
    points = sorted(curve.values.items())
    length = math.ceil(len(points) / MAX_POINTS)
    stretches = [points[start : start + length] for start in range(0, len(points), length)]
    xs = [place_x(fmean(step for step, _ in stretch)) for stretch in stretches]
    ys = [place_y(value) for value in _smooth([fmean(value for _, value in stretch) for stretch in stretches])]
    band = ""
    if length > 1:
        tops = [place_y(max(value for _, value in stretch)) for stretch in stretches]
        bottoms = [place_y(min(value for _, value in stretch)) for stretch in stretches]
        band = _join([*zip(xs, tops, strict=True), *reversed([*zip(xs, bottoms, strict=True)])])
    values = [value for _, value in points]
    whiskers = [(step, curve.values[step], error) for step, error in curve.errors.items() if step in curve.values]
    best = curve.best if curve.best in curve.values else None
    return Line(
        name=curve.name,
        colour=curve.colour,
        dash=curve.dash,
        points=_join([*zip(xs, ys, strict=True)]),
        band=band,
        end=(xs[-1], ys[-1]),
        whiskers=[(place_x(step), place_y(value + error), place_y(value - error)) for step, value, error in whiskers],
        best=None if best is None else (place_x(best), place_y(curve.values[best])),
        last=number(values[-1]),
        low=number(min(values)),
        high=number(max(values)),
    )


def _smooth(values: Sequence[float]) -> Sequence[float]:
    """Mean of five neighbours; near the ends of fewer, as many on both sides, so that a slope is kept."""
    if len(values) < SMOOTH_FROM:
        return values
    reach = [min(2, place, len(values) - 1 - place) for place in range(len(values))]
    return [fmean(values[place - near : place + near + 1]) for place, near in enumerate(reach)]


def _join(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)
