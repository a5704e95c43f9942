"""A model trained on label maps gets the same numbers in translation, whatever the file that holds them."""

import numpy as np
import pytest
from PIL import Image

import i2i
from helpers.image_files import noise, save
from helpers.image_writers import any_png
from helpers.recipes import TINY
from helpers.small_models import make_model, metadata_of
from i2i.config import DataConfig, resolve
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i.images import read_image

PALETTE = noise(256, 3, seed=5)
NUMBERS = np.kron(np.random.default_rng(0).integers(0, 9, (8, 8), np.uint8), np.ones((4, 4), np.uint8))


def indexed(path, values=NUMBERS, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values, "P")
    image.putpalette(PALETTE.tobytes())
    image.save(path, **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on label maps with a palette, of the size of the training crop."""
    root = tmp_path_factory.mktemp("labels")
    for number in range(4):
        indexed(root / f"data/A/{number}.png", np.roll(NUMBERS, number * 4))
        save(root / f"data/B/{number}.png", noise(32, 32, 3, seed=number))
    sets = [
        *TINY,
        "data.load_size=32",
        "data.source_kind=labels",
        "train.steps=2",
        "data.transform={name: augment, flip: 0}",
    ]
    return root, i2i.train("pix2pix", data=root / "data", out=root / "run", sets=sets)


def test_training_and_translation_see_the_same_numbers(trained, tmp_path, cli, plugins):
    root, run = trained
    model = i2i.load(run.run)
    assert model.channels == (1, 3)
    assert model.metadata["source_kind"] == "labels"
    config = resolve(plugins, config=run.run / "config.yaml")
    data = open_data(config.data, plugins, Requirements(frozenset({"source", "target"})), seed=0)
    file = sorted((root / "data/A").glob("*.png"))[data.train.indices[0]]
    seen = data.train[0, 0]["source"].numpy()
    assert np.array_equal(seen[0], np.asarray(Image.open(file)))  # the numbers in the palette
    expected = model.translate_batch(seen.transpose(1, 2, 0)[np.newaxis])[0]
    assert expected.std() > 0

    values = np.asarray(Image.open(file))
    indexed(tmp_path / "in/palette.png", values)
    indexed(tmp_path / "in/palette.tif", values)
    save(tmp_path / "in/grey.png", values)
    save(tmp_path / "in/deep.png", values.astype(np.uint16))
    save(tmp_path / "in/colours.png", PALETTE[values])
    done = cli("translate", run.run, tmp_path / "in", "-o", tmp_path / "out")
    assert done.returncode == 1, done.stderr  # the colours
    assert "colours.png: a label map of colours, and the model takes one of numbers of classes" in done.stderr
    for name in ("palette.png", "grey.png"):
        assert np.array_equal(read_image(tmp_path / "out" / name).pixels, expected), name
    for array in (values, values[..., None], Image.open(file), str(tmp_path / "in/palette.tif")):
        assert np.array_equal(model.translate(array), expected)
    assert (tmp_path / "out/deep.png").is_file()


def test_older_models_and_those_of_pictures_take_colours_as_before(tmp_path):
    indexed(tmp_path / "a.png")
    grey = np.asarray(Image.fromarray(PALETTE[NUMBERS]).convert("L")).astype(int)
    for more, expected in (({}, grey), ({"i2i.source_kind": "image"}, grey), ({"i2i.source_kind": "labels"}, NUMBERS)):
        path = make_model(tmp_path / "m.onnx", "identity-1", metadata=metadata_of("identity-1", "uint8", []) | more)
        got = i2i.load(path, device="cpu").translate(tmp_path / "a.png")[..., 0].astype(int)
        assert np.abs(got - expected).max() <= (0 if "labels" in more.values() else 1)
    with pytest.raises(i2i.ModelError, match=r"i2i\.source_kind is 'classes'"):
        metadata = metadata_of("identity-1", "uint8", []) | {"i2i.source_kind": "classes"}
        i2i.load(make_model(tmp_path / "m.onnx", "identity-1", metadata=metadata), device="cpu")


@pytest.mark.parametrize("kind", ["labels", "mask", "image"])
def test_numbers_of_classes_do_not_follow_the_depth_of_the_input(tmp_path, kind):
    """A model that gives labels gives the same numbers whatever type the photo is stored in; pictures stay deep."""
    metadata = metadata_of("identity", "float32", []) | {"i2i.source_type": "uint8", "i2i.target_type": "uint8"}
    if kind != "image":
        metadata["i2i.target_kind"] = kind
    model = i2i.load(make_model(tmp_path / "m.onnx", "identity", "float32", metadata=metadata))
    photo = noise(8, 9, 3)
    for deep in (photo.astype(np.uint16) * 257, np.float32(photo) / np.float32(255)):
        result = model.translate(deep)
        assert result.dtype == (deep.dtype if kind == "image" else np.uint8)
        if kind != "image":
            assert np.array_equal(result, photo)


def test_grey_maps_of_few_bits_are_numbers_in_training_and_translation(plugins, tmp_path):
    numbers = np.kron(np.arange(12, dtype=np.uint8).reshape(3, 4), np.ones((11, 9), np.uint8))
    for number in range(4):
        name = f"{number}.png"
        data = any_png(numbers[..., None], 0, 4) if number % 2 else any_png(numbers[..., None], 0, 8)
        (tmp_path / "data/A").mkdir(parents=True, exist_ok=True)
        (tmp_path / "data/A" / name).write_bytes(data)
        save(tmp_path / "data/B" / name, noise(*numbers.shape, 3, seed=number))
    options = {"size": 32, "load_size": 36, "val_fraction": 0.5, "source_kind": "labels"}
    data = open_data(
        DataConfig(root=str(tmp_path / "data"), **options), plugins, Requirements(frozenset({"source"})), seed=1
    )
    for sample in [data.train[0, place] for place in range(len(data.train))]:
        assert set(np.unique(sample["source"])) <= set(range(12))
    metadata = metadata_of("identity-1", "uint8", []) | {"i2i.source_kind": "labels", "i2i.target_kind": "labels"}
    model = i2i.load(make_model(tmp_path / "m.onnx", "identity-1", metadata=metadata))
    for path in sorted((tmp_path / "data/A").iterdir()):
        assert np.array_equal(np.squeeze(model.translate(path)), numbers)
