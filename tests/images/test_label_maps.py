"""Label maps: files with a palette give the numbers of their colours, which nothing converts."""

import numpy as np
import pytest
from PIL import Image

from helpers.image_files import chunk, noise, saved
from helpers.image_writers import any_png, bmp, bmp_rows, gif
from i2i.errors import FileError
from i2i.images import from_pillow, label_map, read_image

NUMBERS = np.kron(np.arange(12, dtype=np.uint8).reshape(3, 4), np.ones((5, 6), np.uint8))
PALETTE = noise(256, 3, seed=5)


def indexed(numbers):
    image = Image.fromarray(numbers, "P")
    image.putpalette(PALETTE.tobytes())
    return image


def runs(numbers):
    """Run lengths of a BMP of 8 bits."""
    rows = [b"".join(bytes([1, value]) for value in row.tolist()) + b"\0\0" for row in numbers[::-1]]
    return b"".join(rows) + b"\0\1"


TABLE = np.hstack([PALETTE[:, ::-1], np.zeros((256, 1), np.uint8)]).tobytes()
HEIGHT, WIDTH = NUMBERS.shape
FILES = {
    "png-8": lambda n: saved(indexed(n), "PNG"),
    "png-4": lambda n: any_png(n[..., None], 3, 4, extra=chunk(b"PLTE", PALETTE[:16].tobytes())),
    "png-transparent": lambda n: saved(indexed(n), "PNG", transparency=3),
    "tiff": lambda n: saved(indexed(n), "TIFF"),
    "gif": lambda n: gif([(0, 0, n, None, False)], (WIDTH, HEIGHT), PALETTE),
    "gif-transparent": lambda n: gif([(0, 0, n, (0, 3), False)], (WIDTH, HEIGHT), PALETTE),
    "bmp-8": lambda n: bmp(bmp_rows(n, 8), WIDTH, HEIGHT, 8, palette=TABLE),
    "bmp-4": lambda n: bmp(bmp_rows(n, 4), WIDTH, HEIGHT, 4, palette=TABLE[:64]),
    "bmp-runs": lambda n: bmp([runs(n)], WIDTH, HEIGHT, 8, palette=TABLE, compression=1),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_palette_gives_its_numbers_beside_its_colours(stored, kind):
    picture = read_image(stored(FILES[kind](NUMBERS)))
    assert np.array_equal(picture.indices, NUMBERS)
    assert np.array_equal(label_map(picture.pixels, picture.indices, 1)[..., 0], NUMBERS)
    seen = picture.alpha > 0 if picture.alpha is not None else np.full(NUMBERS.shape, True)
    assert np.array_equal(picture.pixels[seen], PALETTE[NUMBERS][seen])


def test_numbers_are_turned_with_the_image_and_come_from_pillow_too(stored):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = stored(saved(indexed(NUMBERS), "PNG", exif=exif))
    assert np.array_equal(read_image(path).indices, np.rot90(NUMBERS, -1))
    assert np.array_equal(from_pillow(indexed(NUMBERS)).indices, NUMBERS)


def test_what_has_no_palette_has_no_numbers_but_its_values(stored):
    picture = read_image(stored(saved(Image.fromarray(NUMBERS), "PNG")))
    assert picture.indices is None
    assert np.array_equal(label_map(picture.pixels)[..., 0], NUMBERS)
    assert np.array_equal(label_map(noise(4, 5, 4)), noise(4, 5, 4)[..., :3])
    deep = label_map(NUMBERS[..., None].astype(np.uint16))
    assert deep.dtype == np.uint8
    assert np.array_equal(deep[..., 0], NUMBERS)


@pytest.mark.parametrize(
    ("pixels", "channels", "message"),
    [
        (np.full((2, 2, 1), 300, np.uint16), None, "0 to 255, and this has values up to 300"),
        (np.ones((2, 2, 1), np.float32), None, "this has floats"),
        (np.ones((2, 2, 3), np.uint8), 1, "of colours, and the model takes one of numbers of classes"),
        (np.ones((2, 2, 1), np.uint8), 3, "of numbers of classes .*, and the model takes one of colours"),
    ],
)
def test_labels_are_never_converted(pixels, channels, message):
    with pytest.raises(FileError, match=message):
        label_map(pixels, channels=channels)


def pgm(numbers, full, kind="P5"):
    head = f"{kind}\n{WIDTH} {HEIGHT}\n{full}\n".encode()
    return head + (numbers.tobytes() if kind == "P5" else " ".join(map(str, numbers.ravel())).encode())


GREYS = {
    "png-1": (1, lambda n: any_png(n[..., None], 0, 1)),
    "png-2": (3, lambda n: any_png(n[..., None], 0, 2)),
    "png-4": (15, lambda n: any_png(n[..., None], 0, 4)),
    "png-8": (255, lambda n: any_png(n[..., None], 0, 8)),
    "pgm": (20, lambda n: pgm(n, 20)),
    "pgm-plain": (7, lambda n: pgm(n, 7, "P2")),
    "pbm": (1, lambda n: saved(Image.fromarray(n.astype(bool)), "PPM")),
    "tiff-1": (1, lambda n: saved(Image.fromarray(n.astype(bool)), "TIFF")),
}


@pytest.mark.parametrize("kind", GREYS)
def test_grey_of_any_depth_gives_the_numbers_that_are_stored(stored, kind):
    full, make = GREYS[kind]
    numbers = np.minimum(NUMBERS, full)
    path = stored(make(numbers))
    picture = read_image(path)
    spread = picture.pixels[..., 0] / 255  # as a picture, full scale is full scale
    assert np.abs(spread - numbers / full).max() <= 0.5 / 255 + 1e-9
    assert picture.indices is None
    found = label_map(picture.pixels, picture.indices, stored_full=picture.stored_full)
    assert np.array_equal(found[..., 0], numbers)
    assert found.dtype == np.uint8


def test_a_bilevel_image_of_pillow_has_the_numbers_0_and_1():
    picture = from_pillow(Image.fromarray(NUMBERS % 2 > 0))
    found = label_map(picture.pixels, picture.indices, stored_full=picture.stored_full)
    assert np.array_equal(found[..., 0], NUMBERS % 2)
