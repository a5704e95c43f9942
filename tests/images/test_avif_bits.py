"""AVIF of 10 and 12 bits keep their bits, spread over 16."""

import cv2
import numpy as np
import pytest
from PIL import Image

from helpers.image_files import refusal
from i2i.images import image_info, read_image


def avif(values, bits, **options):
    ordered = values[..., [2, 1, 0, 3][: values.shape[2]]] if values.shape[2] > 1 else values[..., 0]
    done, data = cv2.imencode(
        ".avif", ordered, [cv2.IMWRITE_AVIF_QUALITY, options.get("quality", 100), cv2.IMWRITE_AVIF_DEPTH, bits]
    )
    assert done
    return data.tobytes()


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_level_of_a_deep_avif_is_kept(stored, bits, channels):
    top = 2**bits - 1
    values = np.linspace(0, top, 30 * 40).round().astype(np.uint16).reshape(30, 40, 1).repeat(channels, axis=2)
    path = stored(avif(values, bits), "a.avif")
    picture, info = read_image(path), image_info(path)
    assert (info.bits, info.channels) == (16, channels)
    read = picture.pixels if picture.alpha is None else np.dstack([picture.pixels, picture.alpha])
    assert np.array_equal(read, np.rint(values * (65535 / top)).astype(np.uint16))
    by_pillow = np.atleast_3d(np.asarray(Image.open(path)))
    assert np.abs(by_pillow - read / 257.0).max() <= 1


def test_a_deep_avif_that_is_cut_off_or_damaged_is_refused(stored):
    data = avif(np.random.default_rng(0).integers(0, 1024, (60, 80, 3)).astype(np.uint16), 10)
    for share in (0.3, 0.6, 0.95):
        refusal(stored(data[: int(len(data) * share)], "a.avif"))
    spoilt = bytearray(data)
    spoilt[len(data) // 2 : len(data) // 2 + 900] = b"\xff" * 900
    refusal(stored(bytes(spoilt), "a.avif"))
