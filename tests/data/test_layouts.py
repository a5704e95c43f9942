"""Which layout a folder is, for which recipe; and what the layouts give."""

import numpy as np
import pytest
import torch

import i2i
from helpers.image_files import save
from i2i.config import DataConfig, resolve
from i2i.data.detect import Requirements, find_layout
from i2i.data.layouts.references import References
from i2i.data.loading import open_data
from i2i.errors import ConfigError, DataError
from i2i.plugins import Plugins

PLUGINS = Plugins()


def picture(seed, height=40, width=48):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def fill(root, *names, **size):
    for seed, name in enumerate(names):
        save(root / name, picture(seed, **size))


def opened(recipe, root, *sets):
    config = resolve(PLUGINS, recipe, sets=["size=24", *sets, f"data.root={root}"])
    wants = PLUGINS.get("recipe", recipe).build(config.options)
    return open_data(config.data, PLUGINS, Requirements(frozenset(wants.needs), wants.paired), seed=0)


FOLDERS = {
    "same names": ["trainA/1.png", "trainA/2.png", "trainB/1.png", "trainB/2.png"],
    "other names": ["trainA/a.png", "trainA/b.png", "trainB/c.png", "trainB/d.png"],
    "classes": ["cat/1.png", "cat/2.png", "dog/3.png", "emu/4.png", "emu/5.png"],
    "pictures": ["1.png", "2.png", "3.png"],
    "pictures in splits": ["train/1.png", "train/2.png", "val/3.png"],
}


@pytest.mark.parametrize(
    ("folder", "recipe", "layout"),
    [
        ("same names", "pix2pix", "folders"),
        ("same names", "cyclegan", "unpaired"),
        ("other names", "cyclegan", "unpaired"),
        ("classes", "cgan", "classes"),
        ("classes", "stargan", "classes"),
        ("classes", "starganv2", "references"),
        ("pictures", "srresnet", "images"),
        ("pictures in splits", "srresnet", "images"),
    ],
)
def test_the_layout_follows_from_folder_and_recipe(tmp_path, folder, recipe, layout):
    fill(tmp_path, *FOLDERS[folder])
    data = opened(recipe, tmp_path)
    assert data.layout == layout
    assert len(data.train) + len(data.val) == {"same names": 2, "other names": 2}.get(folder, len(FOLDERS[folder]))


@pytest.mark.parametrize(
    ("folder", "recipe", "reason"),
    [
        ("other names", "pix2pix", "needs pairs, and the images of the two folders have different names"),
        (
            "pictures",
            "cgan",
            "images without classes, and the recipe needs a folder for each class, such as zebra/1.jpg",
        ),
        ("classes", "srresnet", "layout classes gives label, target"),
    ],
)
def test_a_folder_that_does_not_serve_says_why(tmp_path, folder, recipe, reason):
    fill(tmp_path, *FOLDERS[folder])
    with pytest.raises(DataError, match=reason):
        opened(recipe, tmp_path)


@pytest.mark.parametrize("names", [("HR/{}.png", "LR/{}.png"), ("HR/{}.png", "LR/{}x2.png"), ("B/{}.png", "A/{}.png")])
def test_pairs_of_two_sizes_are_cut_at_the_same_place(tmp_path, names):
    for index in range(3):
        small = picture(index, 30, 35)
        large = np.pad(small.repeat(2, 0).repeat(2, 1), ((0, 1), (0, 0), (0, 0)))  # one row too many is cut off
        save(tmp_path / names[0].format(index), large)
        save(tmp_path / names[1].format(index), small)
    data = opened("srresnet", tmp_path, "scale=2", "val_whole=true")
    assert data.layout == "folders"
    for epoch in range(4):
        sample = data.train[epoch, 0]
        assert sample["source"].shape == (3, 12, 12)
        enlarged = sample["source"].repeat_interleave(2, 1).repeat_interleave(2, 2)
        assert torch.equal(enlarged, sample["target"])
    whole = data.val[0, 0]
    assert (whole["source"].shape, whole["target"].shape) == ((3, 30, 35), (3, 60, 70))


def test_a_layout_without_pairs_is_refused_where_pairs_are_needed(tmp_path):
    fill(tmp_path, *FOLDERS["other names"])
    with pytest.raises(DataError, match="needs pairs, and layout unpaired gives none"):
        opened("pix2pix", tmp_path, "layout=unpaired")


def test_a_transform_that_makes_no_source_is_no_degradation(tmp_path):
    fill(tmp_path, *FOLDERS["pictures"])
    with pytest.raises(ConfigError, match=r"data.degrade=augment makes no source"):
        opened("srresnet", tmp_path, "degrade=augment").sample()


def test_pairs_the_wrong_way_round_say_what_to_do(tmp_path):
    for index in range(3):
        save(tmp_path / "A" / f"{index}.png", picture(index, 60, 60))
        save(tmp_path / "B" / f"{index}.png", picture(index, 30, 30))
    with pytest.raises(DataError, match=r"exchange them with data\.direction"):
        opened("srresnet", tmp_path, "scale=2").sample()
    assert opened("srresnet", tmp_path, "scale=2", "direction=BtoA").sample()["target"].shape[-1] == 24


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_pictures_alone_give_pairs_of_every_scale(tmp_path, scale):
    fill(tmp_path, *FOLDERS["pictures"], height=61, width=50)
    data = opened("srresnet", tmp_path, f"scale={scale}")
    sample = data.sample()
    assert sample["target"].shape[-1] == 24 == sample["source"].shape[-1] * scale
    whole = data.val[0, 0]
    assert whole["target"].shape[1:] == (61 // scale * scale, 50 // scale * scale)


def test_another_folder_validates(tmp_path):
    fill(tmp_path / "train", "1.png", "2.png")
    fill(tmp_path / "other", "a.png", "b.png", "c.png")
    data = opened("srresnet", tmp_path / "train", f"val_root={tmp_path / 'other'}", "scale=2")
    assert (len(data.train), len(data.val)) == (2, 3)
    with pytest.raises(DataError, match=r"no such folder \(data.val_root\)"):
        opened("srresnet", tmp_path / "train", f"val_root={tmp_path / 'none'}")


def test_labels_are_the_folders_names_in_every_split(tmp_path):
    fill(tmp_path, "train/dog/1.png", "train/cat/2.png", "val/dog/3.png")
    data = opened("cgan", tmp_path)
    assert data.labels == ("cat", "dog")
    assert [data.train[0, i]["label"] for i in range(2)] == [0, 1]
    assert data.val[0, 0]["label"] == 1
    fill(tmp_path, "val/emu/4.png")
    with pytest.raises(DataError, match="no such class in the training images; they have cat, dog"):
        opened("cgan", tmp_path)


def test_another_folder_must_have_the_same_classes(tmp_path):
    fill(tmp_path / "a", "dog/1.png", "cat/2.png")
    fill(tmp_path / "b", "dog/1.png", "emu/2.png")
    with pytest.raises(DataError, match=r"its classes \(dog, emu\) must be those of .* \(cat, dog\)"):
        opened("cgan", tmp_path / "a", f"val_root={tmp_path / 'b'}")


def test_a_damaged_image_of_b_takes_no_image_of_a_with_it(tmp_path):
    fill(
        tmp_path,
        *(f"trainA/a{i}.png" for i in range(6)),
        *(f"trainB/b{i}.png" for i in range(6)),
        "testA/x.png",
        "testB/y.png",
    )
    (tmp_path / "trainB" / "b3.png").write_bytes(b"\x89PNG\r\n\x1a\n no picture")
    data = opened("cyclegan", tmp_path)
    assert len(data.train) == 6
    assert [line for line in data.problems if "b3.png" in line]
    drawn = [data.train[epoch, i] for epoch in range(5) for i in range(6)]
    assert all(not sample["_skipped"] for sample in drawn)


def test_an_epoch_is_as_long_as_the_larger_side_and_b_is_drawn(tmp_path):
    fill(
        tmp_path,
        *(f"trainA/a{i}.png" for i in range(2)),
        *(f"trainB/b{i}.png" for i in range(7)),
        "testA/x.png",
        "testB/y.png",
    )
    data = opened("cyclegan", tmp_path, "load_size=24", "transform.flip=0")
    assert len(data.train) == 7
    sources = {data.train[0, i]["source"].sum().item() for i in range(7)}
    first, second = ([data.train[epoch, i]["target"].sum().item() for i in range(7)] for epoch in range(2))
    assert len(sources) == 2
    assert first != second
    assert len({*first, *second}) > 3


def test_validation_with_split_folders_takes_b_in_order_again_and_again(tmp_path):
    a = [f"testA/a{number}.png" for number in range(5)]
    fill(tmp_path, "trainA/x.png", "trainB/y.png", *a, "testB/b0.png", "testB/b1.png")
    data = opened("cyclegan", tmp_path, "load_size=24")
    targets = [data.val[0, place]["target"].sum().item() for place in range(5)]
    assert targets[0] != targets[1]
    assert targets == [*targets[:2], *targets[:2], targets[0]]


GREEDY = """
import numpy as np
import i2i


class Greedy:
    gives = frozenset({"source", "target"})

    def __init__(self, config, *, root=None, split, transform):
        raise RuntimeError("asked for nothing, gives nothing")

    @staticmethod
    def detect(root):
        if (root / "broken").is_dir():
            raise OSError("cannot look")
        return True


@i2i.hookimpl
def i2i_datasets():
    return [i2i.Component("aaa", Greedy, summary="takes every folder, and draws")]
"""


def test_an_installed_layout_does_not_change_how_folders_are_read(pairs_root, tmp_path):
    (tmp_path / "greedy.py").write_text(GREEDY)
    plugins = Plugins([str(tmp_path / "greedy.py")])
    requirements = Requirements(frozenset({"source", "target"}))
    assert find_layout(DataConfig(root=str(pairs_root)), plugins, pairs_root, requirements) == "side-by-side"
    assert find_layout(DataConfig(), plugins, None, requirements) in ("day-night", "facades")
    other = tmp_path / "other"
    (other / "notes").mkdir(parents=True)
    (other / "notes" / "list.txt").write_text("a,b")
    assert find_layout(DataConfig(root=str(other)), plugins, other, requirements) == "aaa"
    (other / "broken").mkdir()
    with pytest.raises(DataError, match="no images in it"):
        find_layout(DataConfig(root=str(other)), plugins, other, requirements)


def test_options_of_a_layout_need_its_name(pairs_root):
    config = resolve(Plugins(), "pix2pix", sets=[f"data.root={pairs_root}", "data.layout.windw=3"])
    with pytest.raises(ConfigError, match=r"data\.layout\.windw is an option of one layout: name it too"):
        open_data(config.data, Plugins(), Requirements(frozenset()), seed=0)


def test_references_are_of_the_wanted_class_and_rare_classes_come_as_often(tmp_path):
    fill(tmp_path, *FOLDERS["classes"])
    dataset = References(i2i.Config(), root=tmp_path, split="train", transform=dict, read=lambda path, *keys: path)
    assert [dataset.weights(index) for index in range(5)] == [1 / 2, 1 / 2, 1, 1 / 2, 1 / 2]
    wanted = set()
    for index in range(100):
        sample = dataset[index % 5]
        wanted.add(sample["target_label"])
        assert sample["target"].parent.name == dataset.labels[sample["label"]]
        for key in ("reference", "second_reference"):
            assert sample[key].parent.name == dataset.labels[sample["target_label"]]
    assert wanted == {0, 1, 2}


@pytest.mark.parametrize(
    "places", [("A", "B", "objects"), ("train/A", "train/B", "train/objects"), ("A/train", "B/train", "objects/train")]
)
def test_further_folders_belong_to_the_pairs_by_name(tmp_path, places):
    for place in places:
        fill(tmp_path, *(f"{place}/{number}.png" for number in range(6)))
    (tmp_path / places[2] / "3.png").unlink()
    data = opened("pix2pix", tmp_path, "data.layout={name: folders, more: {instance: objects}}")
    assert [problem.endswith(f"no partner in {tmp_path / places[2]}") for problem in data.problems] == [True]
    assert len(data.train) + len(data.val) == 5
    assert data.train[0, 0]["instance"].shape == (3, 24, 24)
