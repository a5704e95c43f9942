"""Every file of the corpus is read as it was made, or refused for the reason that it was made for."""

import re

import numpy as np
import pytest

from helpers.corpus import Case, corpus, quadrants
from helpers.corpus_broken import fitting_kinds
from helpers.image_files import refusal
from i2i.errors import DataError
from i2i.images import count_frames, image_info, read_frames, read_image

CORPUS = corpus()
WHOLE = [name for name, (_, case) in CORPUS.items() if "refused" not in case]
BROKEN = [name for name, (_, case) in CORPUS.items() if "refused" in case]


def same(pixels, expected, tolerance):
    assert pixels.shape == expected.shape
    assert pixels.dtype == expected.dtype
    if tolerance == 0:
        assert np.array_equal(pixels, expected)
    else:
        assert np.abs(quadrants(pixels) - quadrants(expected)).max() <= tolerance


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_a_file_is_read_as_it_was_made(stored, name, capfd):
    data, fields = CORPUS[name]
    case, path = Case(name, **fields), stored(data, name)
    picture = read_image(path)
    same(picture.pixels, case.pixels, case.tolerance)
    assert (picture.alpha is None) == (case.alpha is None)
    if case.alpha is not None:
        same(picture.alpha[..., None], case.alpha[..., None], case.tolerance)
    assert picture.frames == count_frames(path) == case.frames
    info = image_info(path)
    assert (info.width, info.height) == case.size
    grey = case.pixels.shape[2] == 1
    assert info.channels == (1 if grey else case.pixels.shape[2] + (case.alpha is not None))
    assert info.bits == case.pixels.dtype.itemsize * 8
    if case.profile:
        assert picture.icc is not None
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", [name for name in sorted(WHOLE) if CORPUS[name][1].get("frames", 1) > 1])
def test_every_frame_is_read_as_it_was_made(stored, name):
    data, fields = CORPUS[name]
    case = Case(name, **fields)
    for picture, expected in zip(read_frames(stored(data, name)), (case.pixels, *case.later), strict=True):
        same(picture.pixels, expected, case.tolerance)


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_file_is_refused_for_its_reason(stored, name, capfd):
    data, case = CORPUS[name]
    assert re.search(case["refused"], refusal(stored(data, name)))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_the_kind_of_a_refusal_fits_the_file(stored, name):
    with pytest.raises(DataError) as caught:
        read_image(stored(CORPUS[name][0], name))
    assert caught.value.kind in fitting_kinds(name)
