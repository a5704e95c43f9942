"""Training crops of another height than width, from the option to the exported model."""

import shutil

import numpy as np
import pytest
import torch

import i2i
from helpers.image_files import noise, save
from helpers.recipes import small, train_only
from i2i.config import DataConfig
from i2i.data.checks.check_dataset import check_dataset
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i.errors import ConfigError
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder

NEEDS = Requirements(frozenset({"source", "target"}))


def ramps(root, size, count=3, scale=1):
    """Pairs: red rises from top to bottom, green from left to right; the target is `scale` times as large."""
    height, width = (scale * side for side in size)
    rows, columns = np.mgrid[:height, :width]
    image = np.dstack([rows * 255 // height, columns * 255 // width, 0 * rows]).astype(np.uint8)
    for index in range(count):
        save(root / "A" / f"{index}.png", image[::scale, ::scale])
        save(root / "B" / f"{index}.png", image)
    return root


def opened(root, **options):
    config = DataConfig(root=str(root), val_fraction=0.4, **options)
    return open_data(config, Plugins(), NEEDS, seed=0)


def shares(image):
    """Which share of the whole height and width a crop ``(3, H, W)`` of `ramps` shows."""
    red, green = image[0].float(), image[1].float()
    return float(red.max() - red.min()) / 255, float(green.max() - green.min()) / 255


@pytest.mark.parametrize("resize", ["stretch", "shorter", "none"])
@pytest.mark.parametrize("size", [(20, 90), (48, 96), (100, 33)])
def test_every_resize_mode_gives_the_height_and_width(tmp_path, resize, size):
    data = opened(ramps(tmp_path, size), size=(24, 48), resize=resize)
    for samples in (data.train, data.val):
        sample = samples[0, 0]
        assert sample["source"].shape == sample["target"].shape == (3, 24, 48)
        assert torch.equal(sample["source"], sample["target"])


@pytest.mark.parametrize(
    ("resize", "rows", "columns"),
    [("stretch", 1, 1), ("shorter", 1, 0.5), ("none", 24 / 40, 48 / 160)],
)
def test_the_crop_shows_what_its_resize_mode_says(tmp_path, resize, rows, columns):
    """A validation image of 40 x 160: as a whole, in proportion until 24 x 48 are covered, and as it is."""
    seen = shares(opened(ramps(tmp_path, (40, 160)), size=(24, 48), resize=resize).val[0, 0]["target"])
    assert seen == pytest.approx((rows, columns), abs=0.06)


@pytest.mark.parametrize(
    ("options", "rows", "columns"),
    [
        ({"jitter": 2}, 0.5, 0.5),
        ({"load_size": 48}, 0.5, 0.5),  # the shorter side, so 48 x 96
        ({"load_size": (24, 96)}, 1, 0.5),
        ({"load_size": (96, 48)}, 0.25, 1),
    ],
)
def test_the_load_size_leaves_room_for_the_crop(tmp_path, options, rows, columns):
    data = opened(ramps(tmp_path, (96, 96)), size=(24, 48), **options)
    assert shares(data.train[0, 0]["target"]) == pytest.approx((rows, columns), abs=0.06)


def test_pairs_of_two_sizes_are_cut_at_the_same_place(tmp_path):
    data = opened(ramps(tmp_path, (40, 60), scale=2), size=(24, 48), scale=2, transform={"name": "augment", "flip": 0})
    sample = data.train[0, 0]
    assert (sample["source"].shape, sample["target"].shape) == ((3, 12, 24), (3, 24, 48))
    assert torch.equal(sample["target"][:, ::2, ::2], sample["source"])


def test_warnings_compare_height_with_height_and_width_with_width(tmp_path):
    for index in range(4):
        save(tmp_path / "data" / f"{index}.png", noise(64, 30, 3, seed=index))
    save(tmp_path / "data" / "wide.png", noise(30, 64, 3, seed=9))
    config = DataConfig(root=str(tmp_path / "data"), layout="images", size=(64, 64), val_fraction=0)
    requirements = Requirements(frozenset({"target"}))
    assert sum(f.kind == "small" for f in check_dataset(config, Plugins(), requirements).findings) == 5
    found = check_dataset(config.model_copy(update={"size": (128, 32)}), Plugins(), requirements)
    [small_one] = [f for f in found.findings if f.kind == "small"]
    assert small_one.line.endswith("wide.png: 30 pixels high and 64 wide, and data.size is [128,32]")
    assert "data.resize=stretch makes all of them 128x32" in found.warnings[-1]


def test_a_dataset_may_know_the_size(tmp_path):
    (tmp_path / "drawn.py").write_text(
        "import i2i, numpy as np\n"
        "class Drawn(i2i.Dataset):\n"
        "    has_splits = False\n"
        "    def __init__(self, config, *, root=None, split, transform, size):\n"
        "        self.size, self.transform = size, transform\n"
        "    def __len__(self):\n"
        "        return 4\n"
        "    def __getitem__(self, index):\n"
        "        image = np.full((*self.size, 3), index, np.uint8)\n"
        "        return self.transform({'source': image, 'target': image})\n"
        "@i2i.hookimpl\n"
        "def i2i_datasets():\n"
        "    return [i2i.Component('drawn', Drawn, i2i.Config, 'Drawn at the size')]\n"
    )
    config = DataConfig(layout="drawn", size=(24, 48), resize="none")
    data = open_data(config, Plugins([tmp_path / "drawn.py"]), NEEDS, seed=0)
    assert data.train.dataset[0]["target"].shape == (24, 48, 3)


@pytest.mark.parametrize(
    ("generator", "size", "says"),
    [
        ({"name": "unet", "depth": 5}, (40, 100), r"got 40x100: set data.size=\[32,96\]"),
        ({"name": "dcgan"}, (34, 100), r"gives 34x100: set data.size=\[32,96\]"),
        ({"name": "dcgan"}, (60, 104), r"gives 60x104: set data.size=\[64,96\]"),
    ],
)
def test_networks_say_which_height_and_width_would_do(generator, size, says):
    with pytest.raises(ConfigError, match=says):
        Builder(Plugins(), size).generator(generator.pop("name"), in_channels=3, out_channels=3, **generator)
    height, width = map(int, says.rpartition("[")[2].removesuffix(r"\]").split(","))
    assert Builder(Plugins(), (height, width)).generator("dcgan", in_channels=3, out_channels=3)


def settings(recipe, size):
    kept = [line for line in small(recipe) if not line.startswith(("data.size", "data.load_size"))]
    return [*kept, f"data.size={size}", "train.checkpoint_every=1"]


def test_pix2pix_trains_resumes_and_translates(tmp_path):
    """Whose U-Net is as deep as the shorter side allows, and whose model takes any size."""
    sets = settings("pix2pix", "[16, 32]")
    whole = i2i.train("pix2pix", out=tmp_path / "run", sets=sets, steps=2)
    config = (whole.run / "config.yaml").read_text(encoding="utf-8")
    assert "size: [16, 32]" in config
    model = i2i.load(whole.exported[0].path)
    for size in ((16, 32), (50, 41)):
        assert model.translate(noise(*size, 3)).shape == (*size, 3)
    shutil.copytree(whole.run, tmp_path / "again")
    shutil.rmtree(tmp_path / "again/checkpoints/step-0000002")
    train_only(out=tmp_path / "again", resume=True)
    files = [run / "checkpoints/step-0000002/networks.safetensors" for run in (whole.run, tmp_path / "again")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_images_from_noise_have_the_height_and_width(tmp_path):
    run = i2i.train("cgan", out=tmp_path / "run", sets=settings("cgan", "[16, 48]"), steps=1)
    assert i2i.load(run.exported[0].path).generate(2, label="night").shape == (2, 16, 48, 3)


def test_super_resolution_trains(tmp_path):
    run = i2i.train("srresnet", out=tmp_path / "run", sets=settings("srresnet", "[16, 32]"), steps=1)
    assert i2i.load(run.exported[0].path).translate(noise(10, 7, 3)).shape == (40, 28, 3)


def test_the_command_line_names_both_sides(cli, tmp_path):
    done = cli("train", "pix2pix", "--set", "data.size=[64,100]", "--out", tmp_path / "run", "--steps", 1)
    assert done.returncode == 2
    assert "sides divisible by 64, got 64x100: set data.size=[64,128]" in done.stderr
    assert "Traceback" not in done.stderr
