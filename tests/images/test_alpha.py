"""Invisible pixels: before anything mixes neighbours, they get the colours of visible ones."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from helpers.image_files import noise, saved, tiff
from i2i.images import read_image
from i2i.images.pixels import bleed


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_hidden_gets_a_nearest_visible_colour_and_what_is_seen_stays(channels, dtype):
    pixels, alpha = noise(60, 70, channels, dtype=dtype), noise(60, 70, dtype=dtype, seed=1)
    alpha[ndimage.binary_dilation(noise(60, 70, seed=2) > 250, iterations=5)] = 0
    hidden = alpha == 0
    spread = bleed(pixels, alpha)
    assert np.array_equal(spread[~hidden], pixels[~hidden])
    distance = ndimage.distance_transform_edt(hidden)
    for row, column in np.argwhere(hidden)[::17]:
        same = ~hidden & (pixels == spread[row, column]).all(axis=2)
        assert np.hypot(*(np.argwhere(same) - (row, column)).T).min() <= distance[row, column] * 1.03


@pytest.mark.parametrize("shape", [(1, 70000), (70000, 1), (1, 2)])
def test_a_far_visible_pixel_reaches_everything(shape):
    pixels, alpha = noise(*shape, 3), np.zeros(shape, np.uint8)
    alpha[0, 0] = 1  # hardly visible is visible
    assert (bleed(pixels, alpha) == pixels[0, 0]).all()


def test_nothing_changes_without_hidden_pixels_and_nothing_is_left_without_visible_ones():
    pixels = noise(5, 6, 3)
    assert bleed(pixels, np.full((5, 6), 1, np.uint8)) is pixels
    assert not bleed(pixels, np.zeros((5, 6), np.uint8)).any()
    assert np.array_equal(pixels, noise(5, 6, 3))


def by_pillow(kind, mode="RGBA", **options):
    return lambda pixels: saved(Image.fromarray(pixels).convert(mode), kind, **options)


def by_numpy(pixels):
    file = io.BytesIO()
    np.save(file, pixels)
    return file.getvalue()


WRITERS = {
    "png": by_pillow("PNG"),
    "png-grey": by_pillow("PNG", "LA"),
    "tiff": by_pillow("TIFF"),
    "tiff-16": lambda pixels: tiff(pixels.astype(np.uint16) * 257, extra=2),
    "webp": by_pillow("WEBP", lossless=True, exact=True),
    "npy": by_numpy,
    "npy-float": lambda pixels: by_numpy(pixels.astype(np.float32) / 255),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_files_that_differ_only_where_nothing_is_seen_become_the_same(model, stored, kind):
    one, other = noise(20, 24, 4), noise(20, 24, 4)
    hidden = noise(20, 24, seed=3) < 90
    one[hidden, 3] = other[hidden, 3] = 0
    other[hidden, :3] = 255 - other[hidden, :3]
    files = [stored(WRITERS[kind](pixels), f"{n}") for n, pixels in enumerate((one, other))]
    a, b = (read_image(file) for file in files)
    assert not np.array_equal(a.pixels, b.pixels)  # reading changes nothing
    for graph in ("identity", "identity-4", "double"):
        assert np.array_equal(model(graph).translate(files[0]), model(graph).translate(files[1]))


def test_a_transparent_colour_of_a_palette_is_no_colour(model, stored):
    pixels = np.array([[0, 0, 1, 2]] * 4, np.uint8)
    results = []
    for colour in ([0, 0, 0], [0, 255, 0]):
        image = Image.fromarray(pixels, "P")
        image.putpalette([*colour, 200, 30, 10, 20, 30, 200])
        results.append(model("identity").translate(stored(saved(image, "PNG", transparency=0))))
    assert np.array_equal(*results)
    assert (results[0][:, :2, :3] == [200, 30, 10]).all()
