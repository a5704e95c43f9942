"""Inpainting, colourisation, denoising and deblurring, from the data to translated files."""

import json

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve
from skimage.color import rgb2lab

import i2i
from helpers.image_files import noise, save
from helpers.recipes import small, train_only
from i2i.config import resolve
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i.export.receptive import receptive_field
from i2i.images import read_image
from i2i.plugins import Plugins
from i2i.plugins.builder import build_recipe
from i2i.testing import findings
from i2i_restoration.degradation import Blur, Noise, gaussian_kernel
from i2i_restoration.degradation_options import BlurConfig, HolesConfig, NoiseConfig
from i2i_restoration.gated import GatedNetwork
from i2i_restoration.holes import Holes
from i2i_restoration.inpaint import Filled
from i2i_restoration.options import GatedConfig

PLUGINS = Plugins()


def photos(folder, count=4, side=48):
    """Smooth colourful images and a small texture, one file each."""
    rows, columns = np.mgrid[:side, :side] / side
    for number in range(count):
        waves = [np.sin(6 * (rows * (band + 1) + columns * number) + band) for band in range(3)]
        save(folder / f"{number}.png", (127 + 80 * np.stack(waves, 2) + noise(side, side, 3) / 8).astype(np.uint8))
    return folder


def drawn_mask(seed, size=(96, 128), **options):
    np.random.seed(seed)
    return Holes(HolesConfig(**options)).draw(*size)


def test_a_box_has_the_size_that_is_asked_for():
    for seed in range(20):
        mask = drawn_mask(seed, strokes=0, box_size=(0.25, 0.5))
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        assert mask.sum() == height * width
        assert 24 <= height <= 48
        assert 32 <= width <= 64


def test_strokes_cover_a_part_of_the_image_and_are_as_wide_as_asked_for():
    shares = [drawn_mask(seed, (256, 256), box=0).mean() for seed in range(40)]
    assert 0.02 < np.mean(shares) < 0.5
    assert len(set(shares)) == 40
    thin, wide = (drawn_mask(3, (256, 256), box=0, stroke_count=(1, 1), stroke_width=(w, w)).sum() for w in (0.02, 0.1))
    assert 2 < wide / thin < 8


def test_given_masks_are_mirrored_and_resized(tmp_path):
    given = np.zeros((20, 30), np.uint8)
    given[:5, :10] = 255
    save(tmp_path / "masks" / "deep" / "a.png", given)
    (tmp_path / "masks" / "readme.txt").write_text("no mask")
    options = {"box": 0, "strokes": 0, "given": 1, "folder": str(tmp_path / "masks")}
    seen = {drawn_mask(seed, (40, 60), **options).tobytes() for seed in range(30)}
    large = np.repeat(np.repeat(given > 0, 2, 0), 2, 1)
    assert seen == {large[::a, ::b].tobytes() for a in (1, -1) for b in (1, -1)}


def test_what_is_wrong_with_given_masks_is_said(tmp_path):
    for folder, message in ((tmp_path / "nowhere", "no such folder of masks"), (tmp_path, "no masks in it")):
        with pytest.raises(ValueError, match=message):
            Holes(HolesConfig(given=1, folder=str(folder)))
    with pytest.raises(ValueError, match="given masks need a folder"):
        HolesConfig(given=1)
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(i2i.DataError, match=r"a\.png: the mask cannot be read as an image"):
        drawn_mask(0, box=0, strokes=0, given=1, folder=str(tmp_path))


def test_every_sample_has_a_mask_of_its_own_that_only_seed_epoch_and_number_decide(tmp_path):
    data = photos(tmp_path / "data", count=6)

    def opened(seed):
        config = resolve(PLUGINS, "inpaint", sets=[*small("inpaint", drawn=False), f"data.root={data}"])
        recipe = build_recipe(PLUGINS, "inpaint", config.options)
        return open_data(config.data, PLUGINS, Requirements.of_recipe(recipe), seed=seed)

    one, again, other = (opened(seed) for seed in (0, 0, 1))
    masks = lambda samples, draw: [samples[draw, n]["mask"].numpy().tobytes() for n in range(len(samples))]
    assert masks(one.train, 0) == masks(again.train, 0)
    assert masks(one.val, 0) == masks(again.val, 0)
    different = masks(one.train, 0) + masks(one.train, 1) + masks(other.train, 0)
    assert len(set(different)) == len(different)
    sample = one.train[0, 0]
    hole = sample["mask"].bool().expand(3, -1, -1)
    assert set(sample["mask"].unique().tolist()) == {0.0, 1.0}
    assert (sample["source"][hole] == 128).all()
    assert (sample["source"][~hole] == sample["target"][~hole]).all()


def test_noise_has_the_asked_standard_deviation():
    target = np.full((300, 300, 3), 128, np.uint8)
    np.random.seed(0)
    source = Noise(NoiseConfig(sigma=(10, 10)))({"target": target})["source"].astype(float)
    assert source.std() == pytest.approx(10, rel=0.02)
    assert source.mean() == pytest.approx(128, abs=0.1)
    assert abs(np.corrcoef(source[..., 0].ravel(), source[..., 1].ravel())[0, 1]) < 0.02
    grey = Noise(NoiseConfig(sigma=(10, 10), grey=1))({"target": target})["source"]
    assert np.array_equal(grey[..., 0], grey[..., 1])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_blur_equals_scipys_convolution(dtype):
    peak = 1 if dtype is np.float32 else np.iinfo(dtype).max
    target = (noise(40, 30, 2) / 255 * peak).astype(dtype)
    source = Blur(BlurConfig(motion=0, sigma=(1.5, 1.5), noise=(0, 0)))({"target": target})["source"]
    kernel = gaussian_kernel(1.5)[..., np.newaxis]
    expected = convolve(target.astype(float), kernel, mode="mirror")
    assert source.dtype == dtype
    assert np.abs(source - expected).max() <= (1e-5 if dtype is np.float32 else 0.6)


@pytest.fixture(scope="module")
def inpainted(tmp_path_factory):
    """A hardly trained model and its run: its holes are nonsense, and what is known must stay all the same."""
    folder = tmp_path_factory.mktemp("inpaint")
    sets = [*small("inpaint", drawn=False), "train.steps=2"]
    return i2i.train("inpaint", data=photos(folder / "data"), out=folder / "run", sets=sets)


@pytest.mark.parametrize(("dtype", "side"), [(np.uint8, 45), (np.uint16, 45), (np.uint8, 64)])
def test_known_pixels_are_bit_equal_in_translated_files(inpainted, tmp_path, cli, dtype, side):
    levels = np.arange(side * 37 * 3).reshape(side, 37, 3)
    pixels = (levels * (1 if dtype is np.uint8 else 13)).astype(dtype)  # all levels of 8 bits
    mask = np.zeros((side, 37), np.uint8)
    mask[10:25, 5:20] = 255
    mask[0] = 255
    save(tmp_path / "in" / "a.png", pixels)
    save(tmp_path / "masks" / "a.png", mask)
    command = ["translate", inpainted.run, tmp_path / "in", "-o", tmp_path / "out"]
    done = cli(*command, "--input", f"mask={tmp_path / 'masks'}")
    assert done.returncode == 0, done.stderr
    made, hole = read_image(tmp_path / "out" / "a.png").pixels, mask > 0
    assert made.dtype == dtype
    assert np.array_equal(made[~hole], pixels[~hole])
    assert not np.array_equal(made[hole], pixels[hole])
    without = cli(*command, "--overwrite")
    assert without.returncode == 2
    assert "needs the input 'mask', a mask: --input mask=..." in without.stderr


def test_what_is_under_the_mask_decides_about_nothing(inpainted):
    model = i2i.load(inpainted.run)
    pixels, mask = noise(48, 40, 3), np.zeros((48, 40), np.uint8)
    mask[8:30, 8:30] = 255
    other = pixels.copy()
    other[8:30, 8:30] = 255 - other[8:30, 8:30]
    for tile in ("none", 32):
        assert np.array_equal(
            model.translate(pixels, mask=mask, tile=tile), model.translate(other, mask=mask, tile=tile)
        )


def test_the_figures_of_validation_are_those_of_the_holes(inpainted):
    lines = [json.loads(line) for line in (inpainted.run / "metrics.jsonl").read_text().splitlines()]
    found = [line["val/inpaint.mean_fill_psnr"] for line in lines if "val/inpaint.mean_fill_psnr" in line]
    assert len(found) > 1
    assert len(set(found)) == 1  # the same masks at every validation
    assert 5 < found[0] < 40


def test_the_losses_of_partial_convolutions_are_computed_on_any_feature_network(tmp_path):
    sets = [line for line in small("inpaint") if "generator" not in line and "discriminator" not in line]
    sets += ["inpaint.generator={name: partial, filters: 4, depth: 3}", "features=random", "total_variation=0.1"]
    sets += ["inpaint.discriminator=null", "data.layout.name=pictures", "train.steps=2", "train.metrics=[l1]"]
    run = train_only("inpaint", out=tmp_path / "run", sets=sets).run
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = {key for line in lines for key in line if key.startswith("loss/")}
    names = ("hole", "valid", "perceptual", "style", "total_variation")
    assert losses == {f"loss/generator/{name}" for name in names}


def test_pairs_without_masks_are_refused_with_what_to_do(pairs_root, tmp_path):
    sets = [*small("inpaint", drawn=False), "train.steps=1"]
    with pytest.raises(
        i2i.ConfigError, match=r"the samples have no mask: set data\.degrade=holes with data\.layout=im"
    ):
        i2i.train("inpaint", data=pairs_root, out=tmp_path / "run", sets=sets)


@pytest.fixture(scope="module")
def colouring(tmp_path_factory):
    """A hardly trained model of colourisation and its run."""
    folder = tmp_path_factory.mktemp("colorize")
    sets = [*small("colorize", drawn=False), "train.steps=2"]
    return i2i.train("colorize", data=photos(folder / "data"), out=folder / "run", sets=sets)


def lightness_differs_by(made, pixels):
    """Greatest difference of L, in steps of 255."""
    return np.abs(rgb2lab(made)[..., 0] - rgb2lab(pixels)[..., 0]).max() * 255 / 100


def test_lightness_stays_within_a_step_of_255(colouring, tmp_path, cli):
    ramp = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(16, 48)
    for name, pixels in (("colours", noise(40, 37, 3)), ("grey", ramp)):
        save(tmp_path / "in" / f"{name}.png", pixels)
    done = cli("translate", colouring.run, tmp_path / "in", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for name in ("colours", "grey"):
        given, made = (read_image(tmp_path / folder / f"{name}.png").pixels for folder in ("in", "out"))
        assert made.shape[2] == 3
        given = given if given.shape[2] == 3 else np.repeat(given, 3, 2)
        assert np.ptp(made.astype(int), axis=2).max() > 2  # there are colours
        assert lightness_differs_by(made, given) <= 1


def test_grey_images_teach_no_colours(tmp_path):
    for number in range(4):
        save(tmp_path / "data" / f"{number}.png", noise(40, 40, 1, seed=number)[..., 0])
    sets = [*small("colorize", drawn=False), "train.steps=1"]
    with pytest.raises(i2i.ConfigError, match=r"images of 3 channels, and these have 1: give colour images"):
        i2i.train("colorize", data=tmp_path / "data", out=tmp_path / "run", sets=sets)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["denoise", "deblur"])
def test_pix2pix_restores_a_folder_of_photographs(preset, tmp_path, cli):
    data = photos(tmp_path / "data")
    own = [line for line in small("pix2pix", drawn=False) if "load_size" not in line]
    sets = [word for line in [*own, "train.steps=2"] for word in ("--set", line)]
    done = cli("train", "pix2pix", "--preset", preset, "--data", data, "--out", tmp_path / "run", *sets)
    assert done.returncode == 0, done.stderr
    done = cli("translate", tmp_path / "run", data, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert [read_image(path).pixels.shape for path in sorted((tmp_path / "out").iterdir())] == [(48, 48, 3)] * 4


def test_without_data_a_degradation_chooses_pictures_and_not_pairs(tmp_path, cli):
    sets = ["--set", "engine.threads=1", "--set", "data.size=32", "--set", "generator.filters=4"]
    done = cli("train", "pix2pix", "--preset", "denoise", "--dry-run", "--out", tmp_path / "run", *sets)
    assert done.returncode == 0, done.stderr
    assert "(pictures)" in done.stdout + done.stderr


@pytest.mark.parametrize("attention", [True, False])
def test_a_model_with_attention_is_not_cut_into_tiles(attention):
    network = Filled(GatedNetwork(GatedConfig(filters=2, blocks=0, attention=attention), 3, 3))
    example = {"image": torch.zeros(1, 3, 32, 32), "mask": torch.zeros(1, 1, 32, 32)}
    found = receptive_field(i2i.Translator(network, example, inputs={"mask": i2i.MaskInput()}))
    assert (found is None) == attention


@pytest.mark.slow
@pytest.mark.parametrize("generator", ["gated", "partial"])
def test_generators_of_inpainting_are_exported_as_torch_computes_them(generator, tmp_path):
    found = list(findings("generator", generator, plugins=PLUGINS))
    assert not [str(finding) for finding in found if finding.problem]
    assert "export" in {finding.check for finding in found if not finding.skipped}


@pytest.mark.slow
def test_holes_are_filled_3_db_better_than_by_the_mean_of_what_is_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = i2i.train("inpaint", sets=["engine.threads=1"]).run
    model, errors = i2i.load(run), []
    config = resolve(PLUGINS, "inpaint")
    recipe = build_recipe(PLUGINS, "inpaint", config.options)
    samples = open_data(config.data, PLUGINS, Requirements.of_recipe(recipe), seed=0).val
    for number in range(len(samples)):
        sample = samples[0, number]
        image, hole = sample["target"].permute(1, 2, 0).numpy(), sample["mask"][0].numpy() > 0
        made = model.translate(sample["source"].permute(1, 2, 0).numpy(), mask=hole.astype(np.uint8) * 255)
        assert np.array_equal(made[~hole], image[~hole])
        mean = image[~hole].mean(0)
        errors.append([np.square(fill - image[hole].astype(float)).sum() for fill in (made[hole].astype(float), mean)])
    filled, by_mean = np.sum(errors, 0)
    assert 10 * np.log10(by_mean / filled) >= 3


@pytest.mark.slow
def test_colours_come_nearer_than_grey_and_lightness_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = i2i.train("colorize", sets=["engine.threads=1"]).run
    model, distances = i2i.load(run), []
    config = resolve(PLUGINS, "colorize")
    recipe = build_recipe(PLUGINS, "colorize", config.options)
    samples = open_data(config.data, PLUGINS, Requirements.of_recipe(recipe), seed=0).val
    for number in range(len(samples)):
        image = samples[0, number]["target"].permute(1, 2, 0).numpy()
        made = model.translate(image)
        assert lightness_differs_by(made, image) <= 1
        a_and_b = rgb2lab(image)[..., 1:]
        apart = [np.linalg.norm(other - a_and_b, axis=2).mean() for other in (rgb2lab(made)[..., 1:], 0)]
        distances.append(apart)
    coloured, grey = np.mean(distances, 0)
    assert coloured < 0.75 * grey
