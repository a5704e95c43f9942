"""Sources and targets of 8 bits, 12 bits in 16, 16 bits and floats: each keeps type and units, from files to files."""

import itertools
import json
import shutil

import cv2
import numpy as np
import onnx
import pytest
import torch
from typer.testing import CliRunner

import i2i
from helpers.paths import HELPERS
from helpers.recipes import train_only
from helpers.straight import SETS
from i2i.cli import data as command
from i2i.config import DataConfig
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i.errors import ConfigError, DataError, RunError
from i2i.plugins import Plugins

STRAIGHT = HELPERS / "straight.py"
SIDE = 16


def values_of(kind, seed=0):
    """An image of that kind, and the two values that the network's range stands for."""
    levels = np.random.default_rng(seed).permutation(SIDE * SIDE).reshape(SIDE, SIDE) / (SIDE * SIDE - 1)
    if kind == "8 bit":
        return np.rint(levels * 255).astype(np.uint8), (0, 255)
    if kind == "12 in 16":
        return np.rint(levels * 4095).astype(np.uint16), (0, 4095)
    if kind == "16 bit":
        return np.rint(levels * 65535).astype(np.uint16), (0, 65535)
    return (levels * 65 - 20).astype(np.float32), (-20, 45)


KINDS = ("8 bit", "12 in 16", "16 bit", "float")
RANGES = {"12 in 16": "auto", "float": "-20..45"}


def pairs(root, source, target, count=4):
    """A folder of pairs of those kinds; the first source file has 8 bits in any case."""
    for folder, kind in (("A", source), ("B", target)):
        (root / folder).mkdir(parents=True)
        for number in range(count):
            assert cv2.imwrite(str(root / folder / f"{number}.tif"), values_of(kind, number)[0])
    return root


def ranges(source, target):
    kinds = {"source": source, "target": target}
    return [f"data.{side}_range={RANGES[kind]}" for side, kind in kinds.items() if kind in RANGES]


@pytest.fixture(scope="module")
def straight():
    return Plugins([str(STRAIGHT)])


@pytest.fixture(scope="module", autouse=True)
def one_export():
    """All runs have the same network, so its graph is traced once for each type of images."""
    traced, real = {}, torch.onnx.export

    def export(deployed, *arguments, **options):
        if deployed.value_type not in traced:
            traced[deployed.value_type] = real(deployed, *arguments, **options)
        program = traced[deployed.value_type]
        model = onnx.ModelProto.FromString(program.model_proto.SerializeToString())
        return type("Program", (), {"model_proto": model, "exported_program": None})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", export)
        yield


@pytest.mark.parametrize(("source", "target"), list(itertools.product(KINDS, KINDS)))
def test_every_pairing_comes_out_in_the_units_and_type_of_the_target(straight, tmp_path, source, target):
    root = pairs(tmp_path / "data", source, target)
    sets = [*SETS, *ranges(source, target), "train.val_images=1"]
    run = train_only("straight", data=root, out=tmp_path / "run", sets=sets, steps=1, plugins=straight).run
    i2i.export(run, plugins=straight)
    model = i2i.load(run, device="cpu")
    plain = (source, target) == ("8 bit", "8 bit")
    assert model.dtype == (np.uint8 if plain else np.float32)

    image, (low, high) = values_of(source, seed=9)
    wanted, (least, greatest) = values_of(target)
    expected = least + (image.astype(float) - low) / (high - low) * (greatest - least)
    (tmp_path / "in").mkdir()
    assert cv2.imwrite(str(tmp_path / "in" / "a.tif"), image)
    [result] = model.translate_folder(tmp_path / "in", tmp_path / "out")
    written = cv2.imread(str(result.output), cv2.IMREAD_UNCHANGED)
    for output in (model.translate(image)[..., 0], written):
        assert output.dtype == wanted.dtype
        if output.dtype == np.float32:
            assert np.allclose(output, expected, atol=1e-5 * (greatest - least))
        else:
            assert np.abs(output - expected).max() <= 0.5 + 1e-2
    assert (result.note, model.notes) == ("", [])
    assert len(np.unique(written)) == SIDE * SIDE
    example = cv2.imread(str(next((run / "examples").iterdir())), cv2.IMREAD_UNCHANGED)
    assert example.dtype == image.dtype
    known = [values_of(source, number)[0] for number in range(4)]
    assert any(np.allclose(example, one, atol=1e-5 * (high - low)) for one in known)


@pytest.fixture(scope="module")
def depth_run(straight, tmp_path_factory):
    """Grey pictures to depth in millimetres, by a range that is measured; not to be changed."""
    place = tmp_path_factory.mktemp("depth")
    for number in range(4):
        image = values_of("8 bit", number)[0]
        for folder, pixels in (("A", image), ("B", 500 + image.astype(np.uint16) * 10)):
            (place / "data" / folder).mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(place / "data" / folder / f"{number}.png"), pixels)
    sets = [*SETS, "data.target_range=auto"]
    i2i.train("straight", data=place / "data", out=place / "run", sets=sets, steps=1, plugins=straight)
    return place


def test_the_command_line_gives_millimetres(depth_run, tmp_path, cli):
    image = values_of("8 bit", seed=9)[0]
    (tmp_path / "in").mkdir()
    assert cv2.imwrite(str(tmp_path / "in" / "a.jpg"), np.full((8, 8), 128, np.uint8))
    assert cv2.imwrite(str(tmp_path / "in" / "b.png"), image)
    done = cli("translate", depth_run / "run", tmp_path / "in", "-o", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    outputs = [result["output"] for result in json.loads(done.stdout)["results"]]
    assert outputs == [str(tmp_path / "out" / "a.png"), str(tmp_path / "out" / "b.png")]
    flat, depth = (cv2.imread(output, cv2.IMREAD_UNCHANGED) for output in outputs)
    assert (flat == 500 + 1280).all()
    assert np.array_equal(depth, 500 + image.astype(np.uint16) * 10)


def test_a_measured_range_is_part_of_the_run_and_stays_when_data_change(depth_run, straight, tmp_path):
    shutil.copytree(depth_run, tmp_path / "copy")
    run = tmp_path / "copy" / "run"
    assert "target_range: 500..3050" in (run / "config.yaml").read_text()
    assert cv2.imwrite(str(tmp_path / "copy/data/B/0.png"), np.full((SIDE, SIDE), 9000, np.uint16))
    sets = ["data.target_range=auto"]
    train_only("straight", data=tmp_path / "copy/data", out=run, sets=sets, steps=2, resume=True, plugins=straight)
    i2i.export(run, plugins=straight)
    info = i2i.load(run, device="cpu").info
    assert (info.target_type, info.target_range) == ("uint16", (500, 3050))
    assert (info.source_type, info.source_range) == ("uint8", None)
    with pytest.raises(RunError, match=r"data.target_range: run has '?500..3050'?, asked for '?0..9'?"):
        i2i.train("straight", out=run, sets=["data.target_range=0..9"], steps=3, resume=True, plugins=straight)


def test_each_direction_takes_and_gives_its_own_side(straight, tmp_path):
    root = pairs(tmp_path / "data", "12 in 16", "float")
    sets = [*SETS, *ranges("12 in 16", "float"), "train.metrics=[]"]
    run = train_only("both-ways", data=root, out=tmp_path / "run", sets=sets, steps=1, plugins=straight).run
    i2i.export(run, plugins=straight)
    image, degrees = values_of("12 in 16")[0], values_of("float")[0]
    there, back = (i2i.load(run, translator=name, device="cpu") for name in ("AtoB", "BtoA"))
    assert np.allclose(there.translate(image)[..., 0], degrees, atol=0.02)  # 4,095 levels for 65 degrees
    assert np.array_equal(back.translate(degrees)[..., 0], image)


def test_floats_in_units_of_their_own_go_to_a_format_that_holds_them(straight, tmp_path):
    root = pairs(tmp_path / "data", "8 bit", "float")
    sets = [*SETS, *ranges("8 bit", "float")]
    run = train_only("straight", data=root, out=tmp_path / "run", sets=sets, steps=1, plugins=straight).run
    i2i.export(run, plugins=straight)
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.jpg", "c.tif"):
        assert cv2.imwrite(str(tmp_path / "in" / name), values_of("8 bit")[0])
    results = list(i2i.load(run, device="cpu").translate_folder(tmp_path / "in", tmp_path / "out"))
    assert [result.output.name for result in results] == ["a.tif", "b.tif", "c.tif"]
    degrees = cv2.imread(str(tmp_path / "out" / "a.tif"), cv2.IMREAD_UNCHANGED)
    assert (degrees.dtype, degrees.min(), degrees.max()) == (np.float32, -20, 45)


def test_values_beyond_the_range_are_clipped_and_told(straight, tmp_path):
    root = pairs(tmp_path / "data", "12 in 16", "8 bit")
    sets = [*SETS, "data.source_range=1000..3000"]
    run = train_only("straight", data=root, out=tmp_path / "run", sets=sets, steps=1, plugins=straight).run
    i2i.export(run, plugins=straight)
    model = i2i.load(run, device="cpu")
    image = np.array([[0, 1000, 2000, 3000, 4000]], np.uint16)
    assert model.translate(image)[..., 0].tolist() == [[0, 0, 128, 255, 255]]
    assert model.notes == ["40 % of its values lie beyond the model's 1000..3000 and were clipped"]
    assert cv2.imwrite(str(tmp_path / "a.png"), image)
    [result] = model.translate_folder(tmp_path / "a.png", tmp_path / "out")
    assert result.note == f"{tmp_path / 'a.png'}: {model.notes[0]}"


def opened(plugins, root, **options):
    config = DataConfig(root=str(root), size=SIDE, load_size=SIDE, **options)
    return open_data(config, plugins, Requirements(frozenset({"source", "target"}), True), seed=0)


def test_one_deep_file_among_many_decides_about_the_type(plugins, tmp_path):
    root = pairs(tmp_path / "data", "8 bit", "8 bit", count=12)
    assert opened(plugins, root).value_type == "uint8"
    assert cv2.imwrite(str(root / "B" / "7.tif"), values_of("16 bit")[0])
    data = opened(plugins, root)
    assert (data.value_type, data.values["source"].dtype, data.values["target"].dtype) == ("float32", "uint8", "uint16")


def test_alpha_has_no_part_in_the_range(plugins, tmp_path):
    root = pairs(tmp_path / "data", "8 bit", "8 bit")
    for number in range(4):
        colours = values_of("12 in 16", number)[0]
        pixels = np.dstack([colours, colours, colours, np.full_like(colours, 32896)])
        (root / "A" / f"{number}.tif").unlink()
        assert cv2.imwrite(str(root / "A" / f"{number}.png"), pixels)
    data = opened(plugins, root, source_range="auto", source_channels=4)
    assert data.values["source"].bounds == (0, 4095)
    source = data.train[0, 0]["source"]
    assert (source[:3].min(), source[:3].max()) == (-1, 1)
    assert source[3].unique().tolist() == pytest.approx([32896 / 65535 * 2 - 1], abs=1e-6)


def test_a_source_made_of_the_target_has_its_range(plugins, tmp_path):
    (tmp_path / "data").mkdir()
    for number in range(4):
        assert cv2.imwrite(str(tmp_path / "data" / f"{number}.tif"), values_of("12 in 16", number)[0])
    options = {"degrade": "bicubic", "scale": 2, "layout": "images"}
    data = opened(plugins, tmp_path / "data", target_range="0..4095", **options)
    assert data.values["source"] == data.values["target"]
    assert data.train[0, 0]["target"].max() == 1
    with pytest.raises(ConfigError, match=r"set data\.target_range"):
        opened(plugins, tmp_path / "data", source_range="auto", **options)


def test_floats_without_a_range_are_refused_by_the_name_of_the_option(plugins, tmp_path):
    root = pairs(tmp_path / "data", "float", "float")
    with pytest.raises(DataError, match=r"float values from -20 to 45: .*data\.source_range"):
        opened(plugins, root)
    with pytest.raises(DataError, match=r"float values from -20 to 45: set data\.target_range=auto"):
        opened(plugins, root, source_range="auto")


def checked(root, *sets):
    words = [word for text in (*sets, "data.size=16") for word in ("--set", text)]
    return CliRunner().invoke(command.app, ["check", str(root), *words], obj={"extra": (), "disable": ()})


def test_the_check_says_what_a_type_hardly_holds_and_proposes_the_option(tmp_path):
    root = pairs(tmp_path / "data", "12 in 16", "16 bit")
    for _ in range(2):  # the second time from what is known about the files
        done = checked(root)
        assert done.exit_code == 0, done.output
        line = "sources: values from 0 to 4095 use 6.2 % of what uint16 holds: set data.source_range=auto"
        assert f"warning: {line}, or data.source_range=0..4095" in done.stdout
        assert "targets: values" not in done.stdout
    assert "sources: values" not in checked(root, "data.source_range=auto").stdout


def test_the_check_counts_the_images_beyond_a_range(tmp_path):
    root = pairs(tmp_path / "data", "12 in 16", "8 bit")
    assert cv2.imwrite(str(root / "A" / "0.tif"), np.full((SIDE, SIDE), 1500, np.uint16))
    done = checked(root, "data.source_range=1000..3000", "data.val_fraction=0")
    assert "3 of 4 have values beyond data.source_range=1000..3000, which are clipped" in done.stdout


@pytest.mark.parametrize("text", ["10..5", "5..5", "..", "1-2", "1..", "0..1e999", "nan..1", "full"])
def test_a_range_that_is_none_is_refused_in_one_line(tmp_path, text):
    done = checked(tmp_path, f"data.source_range={text}")
    assert isinstance(done.exception, ConfigError)
    assert "LOW..HIGH such as 500..10000" in str(done.exception)


@pytest.mark.parametrize("text", ["16777216..16777217", "1e39..2e39", "5..5", "9..1"])
def test_a_range_whose_ends_are_equal_in_float32_is_refused(cli, text):
    done = cli("config", "pix2pix", "--set", f"data.source_range={text}")
    assert done.returncode == 2
    assert "two numbers LOW..HIGH" in done.stderr
