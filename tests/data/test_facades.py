"""The built-in facades: the same everywhere, true to their labels, and learnable."""

import hashlib

import numpy as np
import pytest

from i2i_samples.facades import PALETTE, draw_facade


def classes(labels):
    """Index of each pixel's colour in the palette ``(H, W)``; -1 where there is no such colour."""
    found = np.full(labels.shape[:2], -1)
    for index, colour in enumerate(PALETTE.values()):
        found[(labels == colour).all(axis=-1)] = index
    return found


def test_same_arguments_give_the_same_pixels():
    for first, second in zip(draw_facade(3, size=64, seed=5), draw_facade(3, size=64, seed=5), strict=True):
        np.testing.assert_array_equal(first, second)


def test_label_maps_are_the_same_on_every_platform():
    digest = hashlib.sha256(b"".join(draw_facade(index, size=64)[0].tobytes() for index in range(8))).hexdigest()
    assert digest.startswith("9c325106e142028f")


def test_pictures_are_the_same_on_every_platform():
    digest = hashlib.sha256(b"".join(draw_facade(index, size=64)[1].tobytes() for index in range(8))).hexdigest()
    assert digest.startswith("187e7d15efe90932")


def test_drawing_leaves_the_global_random_state_alone():
    before = np.random.get_state()[1].copy()
    draw_facade(0, size=32)
    np.testing.assert_array_equal(before, np.random.get_state()[1])


@pytest.mark.parametrize("size", [16, 17, 33, 64, 100, 256])
def test_every_size_gives_rgb_bytes(size):
    for image in draw_facade(1, size=size):
        assert image.shape == (size, size, 3)
        assert image.dtype == np.uint8


@pytest.mark.parametrize("index", [-1, 0, 10**6, 2**64])
def test_any_index_can_be_drawn(index):
    assert draw_facade(index, size=16)[0].shape == (16, 16, 3)


def test_a_size_below_16_is_refused():
    with pytest.raises(ValueError, match="at least 16"):
        draw_facade(0, size=15)


@pytest.mark.parametrize("size", [16, 64, 129])
def test_label_maps_hold_palette_colours_only(size):
    assert all((classes(draw_facade(index, size=size)[0]) >= 0).all() for index in range(20))


def test_palette_colours_are_told_apart_easily():
    colours = np.array(list(PALETTE.values()), int)
    distances = abs(colours[:, None] - colours[None]).max(axis=-1) + 255 * np.eye(len(colours), dtype=int)
    assert distances.min() >= 85


def test_every_class_occurs_and_is_seen_at_64_pixels():
    seen = {index for number in range(60) for index in np.unique(classes(draw_facade(number, size=64)[0]))}
    assert seen == set(range(len(PALETTE)))


def test_layout_is_alike_at_64_and_128():
    for index in range(10):
        small, large = (classes(draw_facade(index, size=size)[0]) for size in (64, 128))
        assert (small == large[1::2, 1::2]).mean() > 0.85


def test_indices_and_seeds_differ():
    maps = [draw_facade(index, size=64)[0] for index in range(30)] + [draw_facade(0, size=64, seed=1)[0]]
    assert len({image.tobytes() for image in maps}) == len(maps)


def test_colours_follow_from_labels():
    """The mean colour of a class predicts new pictures far better than the mean of all pixels does."""
    train, test = ([draw_facade(index, size=64) for index in part] for part in (range(40), range(100, 120)))
    labels = np.concatenate([classes(pair[0]).ravel() for pair in train])
    pixels = np.concatenate([pair[1].reshape(-1, 3) for pair in train]).astype(float)
    means = np.stack([pixels[labels == index].mean(axis=0) for index in range(len(PALETTE))])
    truth = [pair[1].astype(float) for pair in test]
    by_class = np.mean(
        [abs(means[classes(pair[0])] - picture).mean() for pair, picture in zip(test, truth, strict=True)]
    )
    constant = np.mean([abs(pixels.mean(axis=0) - picture).mean() for picture in truth])
    assert by_class < constant / 2


def test_noise_is_small():
    """Only stains and grain depend on the seed beyond the layout: equal neighbours in the sky stay close."""
    labels, picture = draw_facade(0, size=64)
    sky = classes(labels) == list(PALETTE).index("sky")
    rows = picture.astype(float)[:, 1:] - picture.astype(float)[:, :-1]
    assert abs(rows[sky[:, 1:] & sky[:, :-1]]).mean() < 6
