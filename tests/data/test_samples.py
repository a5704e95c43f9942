"""The sample sets drawn by code: four styles that are told apart, and what each set promises."""

import hashlib
import itertools
import pickle

import cv2
import numpy as np
import pytest

from i2i.config import DataConfig
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i_samples.datasets import DayNight, Facades, Pictures, Styles
from i2i_samples.facades import PALETTE, draw_facade
from i2i_samples.options import (
    DayNightConfig,
    FacadesConfig,
    PicturesConfig,
    StylesConfig,
    TintedStylesConfig,
    TintsConfig,
)
from i2i_samples.styles import STYLES, restyle
from i2i_samples.tints import TINTED_STYLES, WALLS, TintedStyles, Tints, tint

SETS = {
    "facades": (Facades, FacadesConfig),
    "day-night": (DayNight, DayNightConfig),
    "styles": (Styles, StylesConfig),
    "pictures": (Pictures, PicturesConfig),
    "tints": (Tints, TintsConfig),
    "tinted-styles": (TintedStyles, TintedStylesConfig),
}
every_set = pytest.mark.parametrize("name", SETS)


def samples(name, split="train", **options):
    dataset, config = SETS[name]
    return dataset(config(**({"count": 12, "val_count": 8, "size": 32} | options)), split=split, transform=dict)


def dice(index=0):
    return np.random.Generator(np.random.PCG64([index, 7]))


def styled(index, style, size=64):
    """Label map, picture by day and the picture in the style."""
    labels, picture = draw_facade(index, size=size)
    return labels, picture, restyle(labels, picture, style, dice(index))


def where(labels, *names):
    """Mask of the pixels of these classes."""
    return np.any([(labels == PALETTE[name]).all(axis=-1) for name in names], axis=0)


def warmth(picture):
    return picture[..., 0].astype(int) - picture[..., 2]


def house(glass=(100, 140, 180), wall=(230, 210, 170)):
    """A plain wall of 64 pixels a side with one window, 8 pixels wide, in the middle."""
    labels, picture = np.empty((64, 64, 3), np.uint8), np.empty((64, 64, 3), np.uint8)
    labels[:], picture[:] = PALETTE["plaster"], wall
    labels[28:36, 28:36], picture[28:36, 28:36] = PALETTE["window"], glass
    return labels, picture


@pytest.mark.parametrize(("style", "start"), [("night", "de849c96"), ("snow", "6c7ad21f"), ("blueprint", "ef746057")])
def test_styles_are_the_same_on_every_platform(style, start):
    digest = hashlib.sha256(b"".join(styled(index, style)[2].tobytes() for index in range(6))).hexdigest()
    assert digest.startswith(start)


def test_day_is_the_picture_itself():
    _, picture, day = styled(0, "day")
    np.testing.assert_array_equal(day, picture)


@pytest.mark.parametrize("style", STYLES)
def test_restyling_changes_neither_its_input_nor_the_global_random_state(style):
    labels, picture = draw_facade(1, size=48)
    before, state = (labels.copy(), picture.copy()), np.random.get_state()[1].copy()
    result = restyle(labels, picture, style, dice())
    assert (result.shape, result.dtype) == (picture.shape, np.uint8)
    np.testing.assert_array_equal(np.stack(before), np.stack([labels, picture]))
    np.testing.assert_array_equal(state, np.random.get_state()[1])


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("shape", [(16, 16), (17, 40), (61, 23)])
def test_parts_of_any_shape_can_be_restyled(style, shape):
    labels, picture = (image[-shape[0] :, : shape[1]] for image in draw_facade(2, size=64))
    assert restyle(labels, picture, style, dice()).shape == (*shape, 3)


def test_an_unknown_style_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'dusk': choose from day, night, snow, blueprint"):
        restyle(*house(), "dusk", dice())


def test_images_that_do_not_belong_together_are_refused():
    labels, picture = house()
    with pytest.raises(ValueError, match="same shape"):
        restyle(labels[:32], picture, "snow", dice())
    with pytest.raises(ValueError, match="not in the palette"):
        restyle(picture, picture, "snow", dice())


def test_night_is_dark_and_lit_windows_are_warm():
    shares = []
    for index in range(12):
        labels, day, night = styled(index, "night")
        assert night.mean() < 0.55 * day.mean()
        sky, wall = where(labels, "sky"), where(labels, "plaster", "painted", "stone", "brick")
        assert warmth(night)[sky].mean() < -20
        panes = where(labels, "window", "shop", "blind")
        lit = panes & (night[..., 0] > 150)
        assert warmth(night)[lit].mean() > warmth(night)[wall].mean() + 80
        shares.append(lit.sum() / panes.sum())
    assert min(shares) > 0.1
    assert max(shares) < 0.9


def test_only_a_lit_window_glows_and_less_further_away():
    lit, unlit = 0, 0
    for seed in range(40):
        night = restyle(*house(), "night", dice(seed)).astype(int)
        beside, further, far = night[32, 37], night[32, 41], night[60, 60]
        if night[32, 32, 0] > 150:
            lit += 1
            assert (beside > further).all()
            assert (further >= far).all()
            assert beside[0] > 1.5 * far[0]
        else:
            unlit += 1
            assert (beside == far).all()
    assert lit > 8
    assert unlit > 8


def test_the_same_windows_are_lit_at_every_size():
    for index in range(6):
        large, small = (warmth(styled(index, "night", size)[2]) for size in (256, 128))
        shrunk = cv2.resize(large.astype(np.float32), (128, 128), interpolation=cv2.INTER_AREA)
        assert ((shrunk > 40) == (small > 40)).mean() > 0.97


def test_snow_lies_on_roofs_ledges_and_pavement_under_a_grey_sky_with_flakes():
    for index in range(12):
        labels, day, snow = styled(index, "snow", 128)
        flat = where(labels, "roof", "tiles", "sill", "cornice", "pavement")
        assert snow[flat].min(axis=-1).mean() > 205
        sky = snow[where(labels, "sky")].astype(int)
        assert abs(sky[:, 0] - sky[:, 2]).mean() < 40
        assert np.median(sky) < 210
        flakes = sky.min(axis=-1) > np.median(sky) + 30
        assert 0.01 < flakes.mean() < 0.25
        walls = where(labels, "plaster", "brick")
        assert not walls.any() or np.ptp(snow[walls], axis=-1).mean() < np.ptp(day[walls], axis=-1).mean()


def test_blueprint_is_blue_with_white_lines_between_the_classes():
    for index in range(12):
        labels, _, blueprint = styled(index, "blueprint", 128)
        border = np.zeros((128, 128), bool)
        border[1:] |= (labels[1:] != labels[:-1]).any(axis=-1)
        border[:, 1:] |= (labels[:, 1:] != labels[:, :-1]).any(axis=-1)
        assert blueprint[border].mean() > 215
        assert blueprint[~border].mean() < 115
        assert (warmth(blueprint) < -60).mean() > 0.6


def test_nearest_mean_tells_the_styles_apart_at_32_pixels():
    train, test = (list(samples("styles", split, count=120, val_count=40)) for split in ("train", "val"))
    means = np.stack([np.mean([s["target"] for s in train if s["label"] == k], axis=0) for k in range(len(STYLES))])
    guesses = [np.square(means - sample["target"]).sum(axis=(1, 2, 3)).argmin() for sample in test]
    assert np.mean([guess == sample["label"] for guess, sample in zip(guesses, test, strict=True)]) >= 0.95


def test_styles_take_turns_and_their_facades_differ():
    data = samples("styles")
    assert [sample["label"] for sample in data] == [0, 1, 2, 3] * 3
    assert data.labels == STYLES
    by_day = [sample["target"].tobytes() for sample in data if sample["label"] == 0]
    assert len(set(by_day)) == 3


def difference(one, other):
    """Of most pixels; lit windows and their surroundings are fewer."""
    return np.median(abs(one.astype(int) - other))


def test_no_facade_is_there_by_day_and_by_night():
    data = samples("day-night", size=128)
    facades = [draw_facade(index, size=128) for index in range(12)]
    np.testing.assert_array_equal([picture for _, picture in facades], [sample["source"] for sample in data])
    nights, again = ([restyle(*facade, "night", dice(k + n)) for n, facade in enumerate(facades)] for k in (0, 50))
    alike = [difference(night, other) for night, other in zip(nights, again, strict=True)]
    different = [difference(night, sample["target"]) for night, sample in itertools.product(nights, data)]
    assert max(alike) + 2 <= min(different)
    assert DayNight.paired is False


def test_days_are_brighter_than_nights():
    assert all(sample["source"].mean() > 1.5 * sample["target"].mean() for sample in samples("day-night"))


def test_pictures_are_the_quarters_of_facades_drawn_twice_as_large():
    quarters = set()
    for index in range(16):
        picture = draw_facade(index, size=64, seed=3)[1]
        quarters |= {picture[y : y + 32, x : x + 32].tobytes() for y in (0, 32) for x in (0, 32)}
    assert {sample["target"].tobytes() for sample in samples("pictures", count=64, seed=3)} == quarters


@every_set
def test_sets_give_the_keys_they_announce_and_end(name):
    for split, count in (("train", 12), ("val", 8)):
        data = samples(name, split)
        assert len(list(data)) == len(data) == count
        assert all(sample.keys() == data.gives for sample in data)
        images = [value for sample in data for value in sample.values() if isinstance(value, np.ndarray)]
        assert {(image.shape, image.dtype) for image in images} == {((32, 32, 3), np.dtype(np.uint8))}


@every_set
def test_no_drawing_comes_twice_in_or_across_splits_and_seeds(name):
    drawn = [*samples(name, count=70), *samples(name, "val"), *samples(name, seed=1)]
    for key in SETS[name][0].gives & {"source", "target"}:
        assert len({sample[key].tobytes() for sample in drawn}) == 70 + 8 + 12


@every_set
def test_a_sample_depends_on_its_index_alone(name):
    forth, back = samples(name, count=12), samples(name, count=13)  # another set, so drawn anew
    later = {index: back.look(index) for index in reversed(range(12))}
    for index in range(12):
        for key, value in forth.look(index).items():
            np.testing.assert_array_equal(value, later[index][key])


@every_set
def test_a_set_opened_twice_is_drawn_once_and_cannot_be_written_to(name):
    first, second = samples(name)[3]["target"], samples(name)[3]["target"]
    assert np.shares_memory(first, second)
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0


@every_set
def test_sets_travel_to_loader_processes(name):
    data = samples(name)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(data))[2]["target"], data[2]["target"])


@every_set
def test_sets_open_as_training_data(plugins, name):
    gives = SETS[name][0].gives
    layout = {"name": name, "count": 6, "val_count": 4, "size": 32}
    data = open_data(DataConfig(layout=layout, size=24, load_size=32), plugins, Requirements(frozenset(gives)), seed=0)
    assert (len(data.train), len(data.val), data.problems) == (6, 4, [])
    assert data.train[0, 0]["target"].shape == data.val[0, 0]["target"].shape == (3, 24, 24)
    assert data.labels == {"styles": STYLES, "tinted-styles": TINTED_STYLES}.get(name, ())


def test_a_tint_changes_the_walls_alone_and_differs_from_house_to_house():
    hues = []
    for index in range(6):
        labels, picture = draw_facade(index, size=64)
        painted = tint(labels, picture, dice(index))
        wall = where(labels, *WALLS)
        assert np.array_equal(painted[~wall], picture[~wall])
        hues.append(painted[wall].mean(0))
    assert np.std(hues, 0).min() > 20


def test_tinted_styles_have_two_references_of_the_wanted_style():
    drawn, wanted = samples("tinted-styles", count=30), set()
    known = {drawn[index]["target"].tobytes(): drawn[index]["label"] for index in range(30)}
    for index in range(30):
        sample = drawn[index]
        wanted.add(sample["target_label"])
        for key in ("reference", "second_reference"):
            assert known[sample[key].tobytes()] == sample["target_label"]
    assert wanted == {0, 1, 2}
