"""The table of formats: each file belongs to one row, and nothing about a format stands elsewhere."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from helpers.corpus import corpus
from helpers.image_files import noise, saved
from i2i.errors import DataError, ErrorKind
from i2i.images import READABLE, WRITABLE, can_hold, read_image, write_image
from i2i.images.formats import FORMATS
from i2i.images.formats.format import START_BYTES


def test_a_file_matches_one_row():
    for name, (data, case) in corpus().items():
        matching = [row.name for row in FORMATS if row.matches(data[:START_BYTES])]
        assert len(matching) <= 1, name
        assert matching or "refused" in case, name


def test_no_ending_belongs_to_two_rows():
    readable = [ending for row in FORMATS for ending in row.endings]
    writable = [ending for row in FORMATS for encoder in row.encoders for ending in encoder.endings]
    assert len(set(readable)) == len(readable)
    assert len(set(writable)) == len(writable)
    assert set(writable) <= set(readable)
    assert (set(readable), set(writable)) == (set(READABLE), set(WRITABLE))


@pytest.mark.parametrize("ending", WRITABLE)
def test_what_a_row_says_that_it_can_hold_is_written_and_read(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    for channels, dtype in itertools.product((1, 3, 4), (np.uint8, np.uint16, np.float32)):
        pixels = noise(9, 12, channels, dtype=dtype)
        if not can_hold(path, channels, dtype):
            continue
        write_image(path, pixels)
        picture = read_image(path, channels=channels)
        assert picture.format == WRITABLE[ending]
        assert picture.pixels.shape == pixels.shape
        assert picture.pixels.dtype.itemsize >= min(2, pixels.dtype.itemsize)


def test_a_cut_avif_is_told_from_what_is_none(stored):
    data = saved(Image.fromarray(noise(60, 80, 3)), "AVIF")
    for cut in (1, 40, len(data) // 2):
        with pytest.raises(DataError, match="cut off") as caught:
            read_image(stored(data[:-cut]))
        assert caught.value.kind is ErrorKind.CUT_OFF
    whole = read_image(stored(data)).pixels
    for tail in (b"\0" * 20, b"anything that is no box", data):
        assert np.array_equal(read_image(stored(data + tail)).pixels, whole)


def test_a_cut_bmp_is_told_before_it_is_decoded(stored):
    for mode in ("1", "L", "P", "RGB"):
        buffer = io.BytesIO()
        Image.fromarray(noise(30, 41, 3)).convert(mode).save(buffer, "BMP")
        data = buffer.getvalue()
        for cut in (8, len(data) // 3):
            with pytest.raises(DataError, match="cut off: the data of the BMP") as caught:
                read_image(stored(data[:-cut]))
            assert caught.value.kind is ErrorKind.CUT_OFF
