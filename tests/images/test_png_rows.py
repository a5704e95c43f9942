"""A PNG whose data hold fewer rows than its header says is refused, however it is stored."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from helpers.image_files import chunk, refusal
from helpers.image_writers import any_png
from i2i.images import read_frames, read_image

KINDS = [
    (colour_type, bits, woven)
    for colour_type, depths in ((0, (1, 2, 4, 8, 16)), (2, (8, 16)), (3, (1, 2, 4, 8)), (4, (8, 16)), (6, (8, 16)))
    for bits in depths
    for woven in (False, True)
]
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
IDS = [f"{colour_type}-{bits}-{'woven' if woven else 'plain'}" for colour_type, bits, woven in KINDS]


def made(colour_type, bits, woven, height=19, width=21):
    values = np.random.default_rng(0).integers(0, 2**bits, (height, width, CHANNELS[colour_type]))
    palette = chunk(b"PLTE", bytes(3 * 2**bits)) if colour_type == 3 else b""
    return any_png(values, colour_type, bits, interlaced=woven, extra=palette)


def with_data(png, change):
    """The PNG with other inflated data, all checksums right."""
    at = png.index(b"IDAT") - 4
    length = struct.unpack(">I", png[at : at + 4])[0]
    inflated = zlib.decompress(png[at + 8 : at + 8 + length])
    return png[:at] + chunk(b"IDAT", zlib.compress(change(inflated))) + png[at + 12 + length :]


@pytest.mark.parametrize(("colour_type", "bits", "woven"), KINDS, ids=IDS)
@pytest.mark.parametrize("missing", [1, 0.5, 1.0])
def test_missing_bytes_are_noticed_in_every_kind(stored, colour_type, bits, woven, missing):
    whole = made(colour_type, bits, woven)
    assert read_image(stored(with_data(whole, lambda data: data))).pixels.shape[:2] == (19, 21)
    assert "end before its last row" in refusal(
        stored(with_data(whole, lambda data: data[: _kept(len(data), missing)]))
    )


def _kept(length, missing):
    """What is left of `length` without that number of bytes, or without that share."""
    return length - missing if isinstance(missing, int) else round(length * (1 - missing))


@pytest.mark.parametrize("rows", [0, 1, 32, 63])
@pytest.mark.parametrize("split", [0, 1000])
def test_whole_rows_that_are_missing_are_noticed(stored, rows, split):
    values = np.random.default_rng(0).integers(0, 256, (64, 48, 3))
    values[-9:] = 0  # what Pillow leaves where nothing is
    whole = any_png(values, 2, 8, split=split)
    assert np.array_equal(read_image(stored(whole)).pixels, values)
    short = any_png(values[:rows], 2, 8, split=split)[33:] if rows else chunk(b"IDAT", zlib.compress(b"")) + whole[-12:]
    assert "last row" in refusal(stored(whole[:33] + short))


@pytest.mark.parametrize("side", [(1, 1), (1, 9), (9, 1), (3, 2), (8, 8), (5, 4)])
def test_small_interlaced_images_have_the_passes_that_they_need(stored, side):
    whole = made(2, 8, True, *side)
    assert read_image(stored(whole)).pixels.shape[:2] == side
    assert "last row" in refusal(stored(with_data(whole, lambda data: data[:-1])))


def test_more_data_than_asked_for_are_no_fault(stored):
    assert read_image(stored(with_data(made(2, 8, False), lambda data: data + b"\0" * 999))).pixels.shape == (19, 21, 3)


def test_a_frame_of_an_animation_that_lacks_rows_is_noticed(stored):
    frames = [Image.fromarray(np.random.default_rng(n).integers(0, 256, (20, 22, 3), np.uint8)) for n in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    whole = buffer.getvalue()
    assert len(list(read_frames(stored(whole)))) == 3
    at = whole.rindex(b"fdAT") - 4
    length = struct.unpack(">I", whole[at : at + 4])[0]
    number, data = whole[at + 8 : at + 12], zlib.decompress(whole[at + 12 : at + 8 + length])
    short = whole[:at] + chunk(b"fdAT", number + zlib.compress(data[: len(data) // 2])) + whole[at + 12 + length :]
    assert "last row" in refusal(stored(short))
