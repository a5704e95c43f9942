"""How far apart results may be: figures of single outputs, against formulas written out here."""

import math

import numpy as np
import pytest

from i2i.interface import Image, LabelMap, Number, Vector
from i2i.runtime.computing.parity import difference

LEVELS = np.random.default_rng(0).integers(10, 245, (2, 9, 7, 3)).astype(np.uint8)


def of_images(one, two):
    return difference({"image_out": Image()}, [one], [two])


@pytest.mark.parametrize("scale", [1, 255])
def test_figures_of_images_are_those_of_the_formulas(scale):
    rng = np.random.default_rng(1)
    other = LEVELS + rng.integers(-9, 10, LEVELS.shape).astype(np.int16)
    pair = [LEVELS, other.astype(np.uint8)] if scale == 1 else [np.float32(x) / 255 for x in (LEVELS, other)]
    found = of_images(*pair)
    off = LEVELS.astype(float) - other
    assert found.decibels == pytest.approx(20 * math.log10(255 / math.sqrt((off**2).mean())), abs=1e-3)
    assert found.mean == pytest.approx(abs(off).mean(), abs=1e-3)
    assert found.largest == pytest.approx(abs(off).max(), abs=1e-3)


@pytest.mark.parametrize(
    ("off", "exact", "fast"),
    [(0, True, True), (1, True, True), (2, False, False)],  # 2 levels everywhere: 42 dB, and a mean above 1
)
def test_what_is_exact_is_fast_enough_as_well(off, exact, fast):
    found = of_images(LEVELS, LEVELS + np.uint8(off))
    assert (found.fits("exact"), found.fits("fast")) == (exact, fast)


def test_fast_takes_40_decibels_and_less_than_a_level_on_average():
    def with_one(value):
        other = np.zeros((1, 100, 100, 1), np.uint8)
        other[0, 0, 0] = value
        return of_images(np.zeros_like(other), other)

    assert with_one(250).fits("fast")  # 60 - 20 log10(2.5 ...): one pixel of 10,000
    assert not with_one(250).fits("exact")
    rough = np.zeros((1, 100, 100, 1), np.uint8)
    rough[:, ::10] = 9  # 0.9 of a level on average, and 39 dB
    found = of_images(np.zeros_like(rough), rough)
    assert found.mean < 1
    assert found.decibels < 40
    assert not found.fits("fast")


def test_label_maps_numbers_and_vectors_have_measures_of_their_own():
    classes = np.zeros((1, 100, 100, 1), np.uint8)
    few, many = classes.copy(), classes.copy()
    few[0, 0, :9], many[0, 0, :11] = 1, 1
    assert difference({"m": LabelMap()}, [classes], [few]).fits("exact")
    assert not difference({"m": LabelMap()}, [classes], [many]).fits("fast")
    for of in (Number(), Vector()):
        code = np.linspace(-2, 2, 8, dtype=np.float32).reshape(1, 8)
        near, far = code + np.float32(1e-4), code + np.float32(1e-2)
        assert difference({"c": of}, [code], [near]).fits("exact")
        assert not difference({"c": of}, [code], [far]).fits("exact")
        assert difference({"c": of}, [code], [far]).fits("fast")


@pytest.mark.parametrize(
    "other",
    [LEVELS[:, 1:], LEVELS.astype(np.float32), LEVELS.tolist(), np.full(LEVELS.shape, np.nan, np.float32)],
    ids=["shape", "type", "list", "NaN"],
)
def test_what_is_no_such_image_never_fits(other):
    exact = LEVELS if not (isinstance(other, np.ndarray) and np.isnan(other).any()) else LEVELS.astype(np.float32)
    assert not of_images(exact, other).fits("fast")
