"""Inputs besides the image, and outputs besides one image: values, files, folders, and what is refused."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import i2i
from i2i.export.onnx_file import write_onnx
from i2i.images import read_image, write_image
from i2i.interface import encode_text
from i2i.translate import translate_folder

COUNT = 5


class Everything(nn.Module):
    """Takes one input of each type, and gives one output of each, all easy to compute by hand."""

    multiple = 4

    def forward(self, image, mask, classes, reference, strength, text, code):
        shift = (reference.mean((1, 2, 3)) + strength + code.mean(1))[:, None, None, None]
        result = image * (1 - mask) + shift * mask
        logits = nn.functional.one_hot(classes, COUNT).permute(0, 3, 1, 2).float()
        return result, text.float().sum(1) + strength, logits, code * 2


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    size = (1, 3, 16, 16)
    example = {
        "image": torch.rand(size) * 2 - 1,
        "mask": torch.ones(1, 1, 16, 16),
        "classes": torch.zeros(1, 16, 16, dtype=torch.int64),
        "reference": torch.rand(1, 3, 8, 24) * 2 - 1,
        "strength": torch.zeros(1),
        "text": torch.zeros(1, 12, dtype=torch.int64),
        "code": torch.zeros(1, 3),
    }
    inputs = {
        "mask": i2i.MaskInput(),
        "classes": i2i.LabelMapInput(COUNT),
        "reference": i2i.ImageInput(own_size=True),
        "strength": i2i.NumberInput(0.25, low=-1, high=1),
        "text": i2i.TextInput(12),
        "code": i2i.VectorInput(3),
    }
    outputs = {
        "image_out": i2i.Image(),
        "score": i2i.Number(),
        "map": i2i.LabelMap(palette=[(9, 8, 7), (255, 0, 0)]),
        "doubled": i2i.Vector(),
    }
    path = tmp_path_factory.mktemp("model") / "everything.onnx"
    write_onnx(path, i2i.Translator(Everything(), example, inputs=inputs, outputs=outputs), "uint8", {})
    return path


@pytest.fixture(scope="module")
def model(file):
    return i2i.load(file)


def image(height=10, width=14, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def given(height=10, width=14, **changes):
    mask = np.zeros((height, width), np.uint8)
    mask[2:5, 3:7] = 255
    classes = np.random.default_rng(1).integers(0, COUNT, (height, width), np.uint8)
    return {"mask": mask, "classes": classes, "reference": image(6, 9, 5), "text": "hi"} | changes


def test_each_input_does_what_it_should_and_each_output_comes_in_its_form(model):
    inputs = given(strength=0.5, code=[0.1, 0.2, 0.3])
    result = model.translate(image(), **inputs)
    assert list(result) == ["image_out", "score", "map", "doubled"]
    # the reference is mirrored to multiples of four first: 8 x 12 pixels
    wide = np.pad(inputs["reference"], ((0, 2), (0, 3), (0, 0)), "symmetric")
    shift = (wide / 127.5 - 1).mean() + 0.5 + 0.2
    hidden = inputs["mask"] > 0
    assert np.array_equal(result["image_out"][~hidden], image()[~hidden])
    assert np.abs(result["image_out"][hidden] - (np.clip(shift, -1, 1) + 1) * 127.5).max() <= 1
    assert result["score"] == pytest.approx(ord("h") + ord("i") + 0.5)
    assert np.array_equal(result["map"], inputs["classes"])
    assert result["doubled"] == pytest.approx([0.2, 0.4, 0.6])


def test_defaults_and_seeds(model):
    codes = [model.translate(image(), seed=seed, **given())["doubled"] for seed in (None, 3, 3, 4)]
    assert np.array_equal(codes[1], codes[2])
    assert len({tuple(code) for code in codes}) == 3
    assert model.translate(image(), **given())["score"] == pytest.approx(ord("h") + ord("i") + 0.25)


WRONG = {
    "no text": ({"text": None}, r"the model needs the input 'text', a text of up to 12 bytes"),
    "a long text": ({"text": "n" * 13}, "the text 'n+' has 13 bytes, and 12 are taken"),
    "a number too high": ({"strength": 2}, "the input 'strength' must be a number from -1 to 1, not 2"),
    "a number that is none": ({"strength": "much"}, "the input 'strength' must be a number from -1 to 1, not 'much'"),
    "a vector of two": ({"code": [1, 2]}, r"the input 'code' is 3 numbers, .* not \[1, 2\]"),
    "a mask of another size": (
        {"mask": np.zeros((4, 4), np.uint8)},
        "the input 'mask' has 4 x 4 pixels, and the image 14 x 10",
    ),
    "a class too high": (
        {"classes": np.full((10, 14), 7, np.uint8)},
        "has the class 7, and the model knows those from 0 to 4",
    ),
    "an unknown input": (
        {"psi": 1},
        "the model has no input 'psi'; it has mask, classes, reference, strength, text, code",
    ),
    "a file that is not there": ({"mask": "no/such.png"}, "no such file or folder, for the input 'mask'"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_value_that_does_not_fit_is_one_line(what, model):
    changes, says = WRONG[what]
    inputs = {key: value for key, value in given(**changes).items() if value is not None}
    with pytest.raises(i2i.UserError, match=says) as caught:
        model.translate(image(), **inputs)
    assert "\n" not in str(caught.value)


@pytest.fixture
def folders(tmp_path):
    """Three images, one in a folder of its own, with masks, label maps and texts of the same names."""
    for number, name in enumerate(["a.png", "b.png", "more/a.png"]):
        inputs = given(text=f"t{number}")
        pictures = {"images": image(seed=number), "masks": inputs["mask"], "classes": inputs["classes"]}
        for folder, pixels in pictures.items():
            place = tmp_path / folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            write_image(place, pixels)
        place = (tmp_path / "texts" / name).with_suffix(".txt")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"t{number}\n", encoding="utf-8")
    write_image(tmp_path / "reference.png", image(6, 9, 5))
    return tmp_path


def words(folders):
    names = {"mask": "masks", "classes": "classes", "reference": "reference.png", "text": "texts/"}
    return [f"--input={name}={folders / value}{'/' * value.endswith('/')}" for name, value in names.items()]


def test_a_folder_is_translated_with_its_partners(file, folders, cli):
    done = cli("translate", file, folders / "images", *words(folders), "-o", folders / "out", "--json")
    assert done.returncode == 0, done.stderr
    files = sorted(str(path.relative_to(folders / "out")) for path in (folders / "out").rglob("*.*"))
    names = ["a", "b", "more/a"]
    endings = {"doubled": ".npy", "image_out": ".png", "map": ".png"}
    expected = [f"{output}/{name}{ending}" for output, ending in endings.items() for name in names]
    assert files == sorted([*expected, "results.csv"])
    with (folders / "out/results.csv").open(newline="") as table:
        start = f"{folders / 'images'}/"
        rows = {row["input"].removeprefix(start): float(row["score"]) for row in csv.DictReader(table)}
    texts = {"a.png": "t0", "b.png": "t1", "more/a.png": "t2"}
    assert rows == {name: pytest.approx(sum(text.encode()) + 0.25) for name, text in texts.items()}
    stored = Image.open(folders / "out/map/more/a.png")
    assert (stored.mode, stored.getpalette()[:6]) == ("P", [9, 8, 7, 255, 0, 0])
    assert np.array_equal(np.asarray(stored), read_image(folders / "classes/more/a.png").pixels[..., 0])
    records = json.loads(done.stdout)["results"]
    assert [set(one["files"]) for one in records] == [{"image_out", "map", "doubled"}] * 3


def test_batches_give_the_same_as_one_image_after_the_other(file, folders, cli):
    outputs = []
    for batch in (1, 3):
        out = folders / f"out-{batch}"
        assert cli("translate", file, folders / "images", *words(folders), "--batch", batch, "-o", out).returncode == 0
        outputs.append({str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.*")})
    assert outputs[0] == outputs[1]


def test_several_results_of_each_image(file, folders, cli):
    options = ["--count", "2", "--seed", "3", "-o", folders / "out"]
    assert cli("translate", file, folders / "images/a.png", *words(folders), *options).returncode == 0
    codes = [np.load(folders / f"out/doubled/a_{number:04d}.npy") for number in (0, 1)]
    assert not np.array_equal(*codes)
    again = translate_folder(
        i2i.load(file),
        folders / "images/a.png",
        folders / "again",
        given={"mask": folders / "masks", "classes": folders / "classes", "reference": image(6, 9, 5), "text": "t0"},
        seed=3,
    )
    assert [one.status for one in again] == ["written"]
    assert np.array_equal(np.load(folders / "again/doubled/a.npy"), codes[0])


def test_an_image_without_its_partner_is_told_before_any_work(file, folders, cli):
    (folders / "masks/more/a.png").unlink()
    done = cli("translate", file, folders / "images", *words(folders), "-o", folders / "out")
    assert done.returncode == 2
    reason = "no partner for more/a, and for 1 of 3 images, as the input 'mask'"
    assert done.stderr == f"i2i: error: {folders / 'masks'}: {reason}\n"
    assert not list((folders / "out").rglob("*.*"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--input", "mask"], "--input is NAME=VALUE, such as mask=masks/, not 'mask'"),
        (["--input", "strength=1", "--input", "strength=0"], "--input strength is given twice"),
        (["--input", "strength=3"], "the input 'strength' must be a number from -1 to 1, not 3"),
        (["--count", "2", "--frames", "all"], "--frames all and --count exclude each other"),
    ],
)
def test_wrong_options_are_one_line(options, says, file, folders, cli):
    done = cli("translate", file, folders / "images", *words(folders), *options, "-o", folders / "out")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert says in done.stderr


def test_outputs_that_exist_are_kept_and_the_table_grows(file, folders, cli):
    run = ["translate", file, folders / "images", *words(folders), "-o", folders / "out"]
    assert cli(*run).returncode == 0
    table = (folders / "out/results.csv").read_text()
    refused = cli(*run)
    assert refused.returncode == 2 and "results.csv: exists already" in refused.stderr
    for path in (folders / "out").rglob("b.*"):
        path.unlink()
    (folders / "out/results.csv").write_text("".join(line for line in table.splitlines(True) if "b.png" not in line))
    assert cli(*run, "--skip-existing").returncode == 0
    assert sorted((folders / "out/results.csv").read_text().splitlines()) == sorted(table.splitlines())


def test_files_that_are_missing_beside_others_are_made_and_their_row_is_there_once(file, folders, cli):
    run = ["translate", file, folders / "images", *words(folders), "-o", folders / "out"]
    assert cli(*run).returncode == 0
    table, kept = (folders / "out/results.csv").read_text(), folders / "out/map/b.png"
    kept.write_bytes(b"changed by hand")
    for missing in ("image_out/b.png", "doubled/b.npy"):
        (folders / "out" / missing).unlink()
    done = cli(*run, "--skip-existing")
    assert done.returncode == 0, done.stderr
    assert (folders / "out/image_out/b.png").exists() and (folders / "out/doubled/b.npy").exists()
    assert kept.read_bytes() == b"changed by hand"
    assert sorted((folders / "out/results.csv").read_text().splitlines()) == sorted(table.splitlines())


def test_a_large_image_is_not_cut_and_says_why(file, folders, cli):
    done = cli("translate", file, folders / "images", *words(folders), "--tile", "8", "-o", folders / "out")
    assert done.returncode == 2
    assert "its result depends on the whole image, which cannot be cut into tiles" in done.stderr


def test_a_seed_for_a_model_that_draws_nothing_is_refused(model, folders):
    reason = "draws neither noise nor a code: its results would be the same; leave out seed and count"
    with pytest.raises(i2i.UserError, match=reason):
        model.translate(image(), seed=3, **given(code=[1, 2, 3]))
    options = given(code=[1, 2, 3]) | {"mask": folders / "masks", "classes": folders / "classes"}
    with pytest.raises(i2i.UserError, match=reason):
        translate_folder(model, folders / "images", folders / "out", given=options, count=2)


def test_a_folder_for_a_single_image_is_refused(model, folders):
    with pytest.raises(i2i.UserError, match="masks: is a folder, and a single file is needed here"):
        model.translate(folders / "images/a.png", **given(mask=folders / "masks"))


def test_texts_are_bytes():
    assert encode_text("é!", 5).tolist() == [0xC3, 0xA9, ord("!"), 0, 0]


class BrightAndDark(nn.Module):
    def forward(self, image):
        return image / 2 + 0.5, image / 2 - 0.5


def test_every_image_of_a_deep_image_keeps_its_levels(tmp_path):
    outputs = {"bright": i2i.Image(), "dark": i2i.Image()}
    example = {"image": torch.rand(1, 3, 16, 16)}
    write_onnx(tmp_path / "two.onnx", i2i.Translator(BrightAndDark(), example, outputs=outputs), "uint8", {})
    deep = np.arange(8 * 12 * 3, dtype=np.uint16).reshape(8, 12, 3) * 227
    write_image(tmp_path / "deep.png", deep)
    result = list(translate_folder(i2i.load(tmp_path / "two.onnx"), tmp_path / "deep.png", tmp_path / "out"))
    assert [one.status for one in result] == ["written"]
    for name, shift in (("bright", 65535), ("dark", 0)):
        made = read_image(next((tmp_path / "out").rglob(f"*{name}*/*.png"))).pixels
        assert made.dtype == np.uint16
        assert np.abs(made.astype(float) - (deep.astype(float) + shift) / 2).max() <= 1
