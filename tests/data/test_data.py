"""Folders to training samples."""

from collections import Counter

import numpy as np
import pytest
import torch

import i2i
from helpers.image_files import save
from i2i.config import DataConfig
from i2i.data.batches import SKIPPED, BatchOrder, batches, to_device
from i2i.data.detect import Requirements
from i2i.data.layouts.splits import held_out
from i2i.data.loading import open_data
from i2i.data.options import AugmentConfig
from i2i.data.reading.cache import CachedReader
from i2i.data.transforms import Augment
from i2i.errors import DataError
from i2i.plugins import Plugins

NEEDS = frozenset({"source", "target"})


def opened(plugins, root, seed=0, **options):
    config = DataConfig(root=str(root) if root else None, **({"size": 32, "load_size": 36} | options))
    return open_data(config, plugins, Requirements(frozenset(NEEDS)), seed=seed)


def stamp(value: int, size=(40, 40), channels: int = 3) -> np.ndarray:
    return np.full((*size, channels), value, np.uint8)


def as_batches(samples, count, workers=0, batch=2, **order):
    stream = batches(samples, BatchOrder(len(samples), batch, samples.seed, **order), workers)
    return [next(stream) for _ in range(count)]


def same(a, b):
    return all(torch.equal(x[key], y[key]) for x, y in zip(a, b, strict=True) for key in ("source", "target"))


@pytest.mark.parametrize(("direction", "source", "target"), [("AtoB", 10, 200), ("BtoA", 200, 10)])
def test_side_by_side_halves_follow_the_direction(plugins, tmp_path, direction, source, target):
    save(tmp_path / "train" / "x.png", np.hstack([stamp(10), stamp(200)]))
    data = opened(plugins, tmp_path, direction=direction)
    sample = data.train[0, 0]
    assert data.layout == "side-by-side"
    assert (sample["source"] == source).all()
    assert (sample["target"] == target).all()


def test_pair_gets_the_same_resize_crop_flip_and_brightness(plugins, tmp_path):
    rng = np.random.default_rng(0)
    for index in range(4):
        image = rng.integers(0, 256, (50, 44, 3), np.uint8)
        save(tmp_path / f"{index}.png", np.hstack([image, image]))
    transform = {
        "name": "augment",
        "flip": 0.5,
        "vertical_flip": 0.5,
        "rotate90": 0.5,
        "brightness": 0.3,
        "contrast": 0.3,
    }
    data = opened(plugins, tmp_path, transform=transform, layout="side-by-side")
    seen = [data.train[epoch, index] for epoch in range(8) for index in range(len(data.train))]
    assert all(torch.equal(sample["source"], sample["target"]) for sample in seen)
    assert len({sample["source"].numpy().tobytes() for sample in seen}) > len(seen) // 2


@pytest.mark.parametrize(("size", "turns"), [((32, 32), {0, 1, 2, 3}), ((32, 64), {0, 2}), ((64, 32), {0, 2})])
def test_a_crop_keeps_its_shape_when_it_is_turned(plugins, size, turns):
    """Each turn comes equally often, and the images of a pair of two sizes are turned together."""
    config = AugmentConfig(flip=0, rotate90=1)
    augment = Augment(config)
    target = np.arange(size[0] * size[1] * 3, dtype=np.float32).reshape(*size, 3)
    sample = {"source": target[::2, ::2], "target": target}
    np.random.seed(0)
    seen = Counter()
    for _ in range(400):
        result = augment(sample)
        fits = [
            turn
            for turn in turns
            if all(np.array_equal(image, np.rot90(sample[key], turn)) for key, image in result.items())
        ]
        seen.update(fits)
    assert seen.total() == 400
    assert all(abs(seen[turn] - 400 / len(turns)) < 60 for turn in turns)


@pytest.mark.parametrize("mode", ["stretch", "shorter", "none"])
@pytest.mark.parametrize("size", [(20, 60), (36, 36), (100, 33)])
def test_every_resize_mode_gives_the_training_size(plugins, tmp_path, mode, size):
    for index in range(3):
        save(tmp_path / "A" / f"{index}.png", stamp(index, size))
        save(tmp_path / "B" / f"{index}.png", stamp(index, size))
    data = opened(plugins, tmp_path, resize=mode)
    for samples in (data.train, data.val):
        assert samples[0, 0]["source"].shape == (3, 32, 32)


@pytest.mark.parametrize(
    "arrangement", [("train/A", "train/B"), ("A/train", "B/train"), ("trainA", "trainB"), ("A", "B"), ("image", "mask")]
)
def test_two_folders_are_found_in_every_arrangement(plugins, tmp_path, arrangement):
    for index in range(5):
        save(tmp_path / arrangement[0] / f"{index}.png", stamp(10 + index))
        save(tmp_path / arrangement[1] / f"{index}.jpg", stamp(100 + index))
    data = opened(plugins, tmp_path)
    assert data.layout == "folders"
    assert len(data.train) + len(data.val) == 5
    assert data.train[0, 0]["source"].float().mean() < 20 < data.train[0, 0]["target"].float().mean()


def test_named_folders_inside_a_training_split(plugins, tmp_path):
    for folder, value in (("x", 1), ("y", 2), ("z", 3)):
        for index in range(4):
            save(tmp_path / "train" / folder / f"{index}.png", stamp(value))
    data = opened(plugins, tmp_path, layout={"name": "folders", "source": "z", "target": "y"})
    assert data.train[0, 0]["source"].unique().tolist() == [3]
    assert (len(data.train), len(data.val)) == (3, 1)


def test_unpaired_photos_are_not_taken_for_side_by_side_pairs(plugins, tmp_path):
    for index in range(4):
        save(tmp_path / "trainA" / f"a{index}.png", stamp(1, (40, 80)))
        save(tmp_path / "trainB" / f"b{index}.png", stamp(2, (40, 80)))
    assert opened(plugins, tmp_path).layout == "unpaired"


def test_colour_is_noticed_wherever_it_is(plugins, tmp_path):
    for index in range(40):
        save(tmp_path / "A" / f"{index:02d}.png", stamp(9)[..., 0] if index < 36 else stamp(9))
        save(tmp_path / "B" / f"{index:02d}.png", stamp(1))
    assert opened(plugins, tmp_path).sample()["source"].shape[1] == 3


def test_two_endings_of_one_name_are_told(plugins, folders_root):
    save(folders_root / "A" / "0.jpg", stamp(1))
    assert any("another file has its name" in line for line in opened(plugins, folders_root).problems)


class Unpaired:
    """Source and target that do not belong together, of unequal sizes."""

    paired = False

    def __init__(self, config, *, root=None, split, transform):
        self.transform = transform

    def __len__(self):
        return 4

    def __getitem__(self, index):
        ramp = np.arange(60 * 50 * 3, dtype=np.uint32).reshape(60, 50, 3).astype(np.uint8)
        return self.transform({"source": ramp, "target": ramp[:45], "label": index})


def test_images_that_are_no_pair_get_their_own_crops():
    plugins = Plugins()
    next(p for p in plugins.all if p.name == "data").components.append(("dataset", i2i.Component("two", Unpaired)))
    data = opened(plugins, None, layout="two", resize="none")
    samples = [data.train[epoch, 0] for epoch in range(6)]
    assert all(sample["source"].shape == sample["target"].shape == (3, 32, 32) for sample in samples)
    assert any(not torch.equal(sample["source"], sample["target"]) for sample in samples)
    assert as_batches(data.train, 1)[0]["label"].dtype == torch.int64


def test_labels_in_eight_bits_stay_labels():
    moved = to_device({"label": torch.tensor([2, 3], dtype=torch.uint8)}, torch.device("cpu"))
    assert moved["label"].tolist() == [2, 3]


def test_folders_can_be_named(plugins, tmp_path):
    for folder, value in (("x", 1), ("y", 2), ("z", 3)):
        for index in range(3):
            save(tmp_path / folder / f"{index}.png", stamp(value))
    data = opened(plugins, tmp_path, layout={"name": "folders", "source": "z", "target": "y"})
    assert data.train[0, 0]["source"].unique().tolist() == [3]
    with pytest.raises(DataError, match="no such folder"):
        opened(plugins, tmp_path, layout={"name": "folders", "source": "q", "target": "y"})


def test_grey_and_colour_give_one_and_three_channels(plugins, folders_root):
    sample = opened(plugins, folders_root).train[0, 0]
    assert (sample["source"].shape[0], sample["target"].shape[0]) == (1, 3)
    sample = opened(plugins, folders_root, source_channels=4, target_channels=1).train[0, 0]
    assert (sample["source"].shape[0], sample["target"].shape[0]) == (4, 1)
    assert (sample["source"][3] == 255).all()


def test_alpha_is_dropped_unless_four_channels_are_asked_for(plugins, tmp_path):
    for index in range(3):
        save(tmp_path / "A" / f"{index}.png", np.dstack([stamp(50), stamp(7, channels=1)]))
        save(tmp_path / "B" / f"{index}.png", stamp(60))
    assert opened(plugins, tmp_path).train[0, 0]["source"].unique().tolist() == [50]
    assert opened(plugins, tmp_path, source_channels=4).train[0, 0]["source"][3].unique().tolist() == [7]


def test_sixteen_bits_reach_the_network(plugins, tmp_path):
    image = np.full((32, 32), 257 * 100 + 77, np.uint16)
    for index in range(3):
        save(tmp_path / "A" / f"{index}.png", image)
        save(tmp_path / "B" / f"{index}.png", image)
    data = opened(plugins, tmp_path, load_size=32)
    assert data.value_type == "float32"
    assert data.sample()["source"].unique().item() == pytest.approx((257 * 100 + 77) / 65535 * 2 - 1, abs=1e-6)


def test_eight_bits_are_scaled_on_the_device(plugins, pairs_root):
    data = opened(plugins, pairs_root)
    batch = as_batches(data.train, 1)[0]
    assert batch["source"].dtype == torch.uint8
    moved = to_device(batch, torch.device("cpu"))
    torch.testing.assert_close(moved["source"], batch["source"].float() / 127.5 - 1)
    assert SKIPPED not in moved


def test_samples_do_not_depend_on_the_number_of_workers(plugins, pairs_root):
    data = opened(plugins, pairs_root)
    alone = as_batches(data.train, 8)
    assert same(alone, as_batches(data.train, 8, workers=2))
    assert not same(alone, as_batches(opened(plugins, pairs_root, seed=1).train, 8))


def test_order_goes_on_where_it_was_left(plugins, pairs_root):
    data = opened(plugins, pairs_root)
    whole = as_batches(data.train, 9, batch=3)
    assert same(whole[4:], as_batches(data.train, 5, batch=3, taken=12))


def test_processes_share_the_global_batch(plugins, pairs_root):
    data = opened(plugins, pairs_root)
    for number, batch in enumerate(as_batches(data.train, 4, batch=4)):
        parts = [as_batches(data.train, 4, batch=4, rank=rank, world=2)[number] for rank in range(2)]
        assert torch.equal(batch["source"], torch.cat([part["source"] for part in parts]))


def test_every_epoch_visits_every_sample_once():
    stream = iter(BatchOrder(10, 4, seed=3))
    places = [place for _ in range(10) for place in next(stream)]
    for epoch in range(4):
        assert sorted(index for e, index in places if e == epoch) == list(range(10))
    assert places[:10] != [(0, i) for _, i in places[10:20]]


def test_loading_leaves_the_random_state_of_training_alone(plugins, pairs_root):
    data = opened(plugins, pairs_root)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    _ = data.train[0, 0]
    assert torch.equal(torch.rand(3), expected)


def test_held_out_pairs_stay_when_images_are_added():
    keys = [f"{index}.png" for index in range(100)]
    first = {keys[i] for i in held_out(keys, 0.1)}
    more = [*keys, "new.png"]
    assert first == {more[i] for i in held_out(more, 0.1)} - {"new.png"}
    assert 3 < len(first) < 20
    assert held_out(["only"], 0.5) == set()
    assert len(held_out(["a", "b"], 0.99)) == 1


def test_a_damaged_file_is_left_out_by_name(plugins, pairs_root, tmp_path):
    for path in (pairs_root / "train").iterdir():
        (tmp_path / "train").mkdir(exist_ok=True)
        (tmp_path / "train" / path.name).write_bytes(path.read_bytes())
    broken = tmp_path / "train" / "03.png"
    broken.write_bytes(broken.read_bytes()[:-300])
    data = opened(plugins, tmp_path, val_fraction=0)
    assert len(data.train) == 9
    [problem] = data.problems
    assert "03.png" in problem


def test_a_file_that_breaks_later_is_replaced_and_named(plugins, pairs_root, tmp_path):
    (tmp_path / "train").mkdir()
    for path in (pairs_root / "train").iterdir():
        (tmp_path / "train" / path.name).write_bytes(path.read_bytes())
    data = opened(plugins, tmp_path, val_fraction=0, cache_mb=0)
    (tmp_path / "train" / "03.png").write_bytes(b"gone bad")
    seen = as_batches(data.train, 5)
    named = [line for batch in seen for line in batch[SKIPPED]]
    assert len(named) == 1
    assert "03.png" in named[0]
    assert all(len(batch["source"]) == 2 for batch in seen)


def test_damaged_validation_images_are_left_out(plugins, pairs_root, tmp_path):
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        for path in (pairs_root / split).iterdir():
            (tmp_path / split / path.name).write_bytes(path.read_bytes() if split == "train" else b"junk")
    data = opened(plugins, tmp_path, layout="side-by-side")
    assert (len(data.train) + len(data.val), len(data.problems)) == (10, 4)
    assert 0 < len(data.val) < len(data.train)
    assert any("val" in warning for warning in data.warnings), data.warnings


def test_more_than_half_bad_stops_before_training(plugins, pairs_root, tmp_path):
    (tmp_path / "train").mkdir()
    for number, path in enumerate(sorted((pairs_root / "train").iterdir())):
        (tmp_path / "train" / path.name).write_bytes(path.read_bytes() if number < 4 else b"nothing")
    with pytest.raises(DataError, match=r"6 of 10 samples cannot be used; the first: .*04.png"):
        opened(plugins, tmp_path, layout="side-by-side", val_fraction=0)


def test_images_without_partner_and_of_unequal_size_are_named(plugins, folders_root):
    save(folders_root / "A" / "alone.png", stamp(1))
    save(folders_root / "A" / "uneven.png", stamp(1))
    save(folders_root / "B" / "uneven.png", stamp(1, (20, 40)))
    data = opened(plugins, folders_root)
    assert len(data.train) + len(data.val) in (8, 9)  # the uneven pair may have been held out
    assert any("alone.png: no partner" in line for line in data.problems)
    data = opened(plugins, folders_root, val_fraction=0)
    assert any("uneven.png: the pair has unequal sizes, 40x40 and 40x20" in line for line in data.problems)


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_text("x")])
def test_no_usable_folder_is_one_line(plugins, tmp_path, make):
    root = tmp_path / "data"
    make(root)
    with pytest.raises(DataError) as error:
        opened(plugins, root)
    assert str(root) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_keys_are_told_before_training(plugins):
    with pytest.raises(DataError, match="no samples drawn by code have label, source: give --data DIR"):
        open_data(DataConfig(size=32), plugins, Requirements(frozenset({"source", "label"})), seed=0)
    with pytest.raises(DataError, match=r"the recipe needs label, but dataset 'facades' of .* gives source, target"):
        open_data(DataConfig(size=32, layout="facades"), plugins, Requirements(frozenset({"label"})), seed=0)


def test_cache_keeps_to_its_limit(tmp_path):
    for index in range(4):
        save(tmp_path / f"{index}.png", np.random.default_rng(index).integers(0, 255, (300, 400, 3), np.uint8))
    reader = CachedReader(1)  # one MiB: two of these images
    first = [reader(tmp_path / f"{index}.png") for index in range(4)]
    assert [reader(tmp_path / f"{index}.png") is first[index] for index in range(4)] == [True, True, False, False]
    assert np.array_equal(reader(tmp_path / "3.png").pixels, first[3].pixels)
