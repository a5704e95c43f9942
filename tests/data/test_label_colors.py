"""Label maps whose colours stand for classes: tables, training, and translation with the exported model."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import i2i
from helpers import typed_data
from helpers.image_files import noise, save
from helpers.recipes import SHARED
from i2i.config import DataConfig, resolve
from i2i.data.checks.check_dataset import check_dataset
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i.errors import ConfigError, DataError
from i2i.images import numbers_of_colors
from i2i.kinds import LabelColors
from i2i.plugins import Plugins
from i2i_samples.facades import PALETTE as FACADES

SPADE = Path(__file__).parents[1] / "methods/plugins/modulated.py"
COLOURS = np.array([[128, 64, 128], [0, 0, 142], [0, 0, 142], [70, 130, 180]], np.uint8)
COLOURS[2] = 9, 9, 9
ROWS = [[number, *colour] for number, colour in enumerate(COLOURS.tolist())]
TABLE = f"data.label_colors={json.dumps(ROWS)}"
SETS = [*(line for line in SHARED if not line.startswith("data.load_size")), "data.jitter=1", "data.layout=folders"]


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("I2I_CACHE", str(tmp_path / "cache"))


def coded(root, name="A", ending="png"):
    """The label maps of `typed_data` as colours, and photographs beside them."""
    for number, classes in enumerate(typed_data.label_maps()):
        save(root / f"{name}/{number}.{ending}", COLOURS[classes])
        save(root / f"B/{number}.png", typed_data.photograph(classes, number))
    return root


def numbered(root):
    for number, classes in enumerate(typed_data.label_maps()):
        save(root / f"A/{number}.png", classes)
        save(root / f"B/{number}.png", typed_data.photograph(classes, number))
    return root


def opened(root, plugins, recipe_kinds=None, **options):
    config = DataConfig(root=str(root), size=32, val_fraction=0.3, **({"label_colors": ROWS} | options))
    kinds = {"source": "labels"} if recipe_kinds is None else recipe_kinds
    return open_data(config, plugins, Requirements(frozenset({"source", "target"}), kinds=kinds), seed=0)


def test_the_built_in_tables_are_those_of_the_data_sets(plugins):
    """Their first and last colours, and their lengths, as the data sets publish them."""
    for name, count, first, last in (
        ("cityscapes", 19, (0, 128, 64, 128), (18, 119, 11, 32)),
        ("voc", 21, (0, 0, 0, 0), (20, 0, 64, 128)),
    ):
        rows = resolve(plugins, "pix2pix", sets=[f"data.label_colors={name}"]).data.colors.classes
        assert (len(rows), rows[0], rows[-1]) == (count, first, last)
        assert len({row[1:] for row in rows}) == count


FORMS = {
    "lines.txt": "\n".join(" ".join(map(str, row)) for row in ROWS),
    "table.csv": "# of the city\nclass,r,g,b,name\n\n" + "\n".join(f"{a},{b},{c},{d},no {a}" for a, b, c, d in ROWS),
    "rows.json": json.dumps([[*row, "a name"] for row in ROWS]),
    "mapping.json": json.dumps({str(row[0]): row[1:] for row in ROWS}),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_table_is_read_from_a_file_and_kept_in_the_configuration(plugins, tmp_path, name):
    (tmp_path / name).write_text(FORMS[name])
    config = resolve(plugins, "pix2pix", sets=[f"data.label_colors={tmp_path / name}"])
    assert [list(row) for row in config.data.label_colors] == ROWS
    (tmp_path / name).unlink()
    assert resolve(plugins, config=config.to_dict()) == config
    mapping = {row[0]: row[1:] for row in ROWS}
    assert (
        resolve(plugins, "pix2pix", sets={"data.label_colors": mapping}).data
        == resolve(plugins, "pix2pix", sets=[TABLE]).data
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0,1,2", r"table\.csv, line 1: must be class, red, green, blue, from 0 to 255, not '0,1,2'"),
        ("class,r,g,b\n# x\n\n0,1,2,256", "table.csv, line 4: must be .* from 0 to 255, not '0,1,2,256'"),
        ("0,1,2,3\n0,1,2,-3", "line 2: must be .* not '0,1,2,-3'"),
        ("0,0,0,0\nclass,r,g,b", "line 2: must be .* not 'class,r,g,b'"),
        ("-1,0,0,0\n1,1,1,1", "line 1: must be .* not '-1,0,0,0'"),
        ('"0",0,0,0\n1,1,1,1', "line 1: must be .* not '\"0\",0,0,0'"),
        ("9" * 5000 + ",0,0,0", r"line 1: must be .* not '9+\.\.\."),
        ("0,1,2,3\n1,1,2,3", r"table\.csv: the colour 1, 2, 3 stands for two classes, 0 and 1"),
        ("", r"table\.csv: must have one row at least"),
        ("class,r,g,b", r"table\.csv: must have one row at least"),
        (b"\xff\xfe", r"table\.csv: no text in UTF-8, got"),
    ],
)
def test_a_table_that_is_none_is_told_in_one_line(plugins, tmp_path, text, says):
    refused_table(plugins, tmp_path / "table.csv", text, says)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[0, 1, 2, 3]", r"table\.json: no JSON, got"),
        (b"\xff\xfe", r"table\.json: no JSON, got"),
        ("[[0, 1, 2]]", r"table\.json: each row must be .*, not \[0, 1, 2\]"),
    ],
)
def test_a_table_in_json_that_is_none_is_told_in_one_line(plugins, tmp_path, text, says):
    refused_table(plugins, tmp_path / "table.json", text, says)


def test_a_folder_is_no_table(plugins, tmp_path):
    with pytest.raises(ConfigError, match=f"{tmp_path.name} is a folder: give a file, or the name of a table"):
        resolve(plugins, "pix2pix", sets=[f"data.label_colors={tmp_path}"])


def refused_table(plugins, file, text, says):
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=says) as error:
        resolve(plugins, "pix2pix", sets=[f"data.label_colors={file}"])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        (["data.label_colors=coco"], "there is no file coco: give a file, or the name of a table, cityscapes or voc"),
        (["data.label_ignore=255"], "whose colour is not in data.label_colors: set that too, or leave this out"),
        (["data.label_colors=[[0, 1, 2]]"], "each row must be class, red, green, blue"),
        (["data.label_nearest=true"], "is for the colours of data.label_colors"),
        ([TABLE, "data.label_ignore=9", "data.label_nearest=true"], "leaves no other colours"),
        (["data.label_colors=5"], "each row must be class, red, green, blue"),
        (["data.label_colors=[]"], "one row at least"),
        (["data.label_colors=[[0, 1, 2, true]]"], r"each row must be .*, not \[0, 1, 2, True\]"),
        (["data.label_colors=[[0, 1, 2, 3, a, b]]"], "each row must be .*, not"),
    ],
)
def test_options_that_do_not_fit_are_refused(plugins, sets, says):
    with pytest.raises(ConfigError, match=says):
        resolve(plugins, "pix2pix", sets=sets)


def test_a_table_without_label_maps_is_refused(plugins, tmp_path):
    with pytest.raises(ConfigError, match=r"data\.label_colors is for label maps: set data\.source_kind=labels"):
        opened(coded(tmp_path), plugins, recipe_kinds={})


@pytest.mark.parametrize("form", ["rgb", "rgba", "palette", "bmp", "halves"])
def test_colours_become_the_numbers_of_their_classes(plugins, tmp_path, form):
    if form == "halves":
        for number, classes in enumerate(typed_data.label_maps()):
            image = np.hstack([COLOURS[classes], typed_data.photograph(classes, number)])
            save(tmp_path / f"colours/{number}.png", image)
    else:
        coded(tmp_path / "colours", ending="bmp" if form == "bmp" else "png")
    for file in (tmp_path / "colours/A").glob("*"):
        image = Image.open(file)
        if form == "rgba":
            image.putalpha(0)
        if form == "palette":
            image = image.quantize(8, dither=Image.Dither.NONE)  # whose numbers mean nothing
        image.save(file)
    there = opened(numbered(tmp_path / "numbers"), plugins, label_colors=None)
    for _ in range(2):  # decoded, and from what an earlier check has kept
        here = opened(tmp_path / "colours", plugins, layout="side-by-side" if form == "halves" else "folders")
        assert not here.problems
        for place in range(len(here.train)):
            assert set(np.unique(here.train[1, place]["source"])) <= {0, 1, 2, 3}
        if form != "halves":  # whose samples are held out by other names
            assert len(here.train) == len(there.train)
            for place in range(len(here.train)):
                one, other = here.train[1, place], there.train[1, place]
                assert torch.equal(one["source"], other["source"])
                assert torch.equal(one["target"], other["target"])
        assert here.classes["source"][0] == 3


def test_grey_files_are_colours_too(plugins, tmp_path):
    for number, classes in enumerate(typed_data.label_maps()):
        save(tmp_path / f"A/{number}.png", (classes > 0).astype(np.uint8) * 255)
        save(tmp_path / f"B/{number}.png", typed_data.photograph(classes, number))
    data = opened(tmp_path, plugins, label_colors=[[0, 0, 0, 0], [1, 255, 255, 255]])
    assert set(np.unique(data.train[0, 0]["source"])) == {0, 1}


def test_grey_halves_are_colours_as_the_same_files_in_rgb(plugins, tmp_path):
    """Also where a check knows the files from before; the other half stays grey."""
    for number, classes in enumerate(typed_data.label_maps()):
        grey = np.where(classes > 0, 255, 0).astype(np.uint8)
        photo = typed_data.photograph(classes, number)[..., 1]
        halves = np.hstack([grey, photo])
        save(tmp_path / f"grey/{number}.png", halves)
        save(tmp_path / f"rgb/{number}.png", np.dstack([halves] * 3))
    table = [[7, 0, 0, 0], [3, 255, 255, 255]]
    for _ in range(2):
        grey, rgb = (
            opened(tmp_path / name, plugins, layout="side-by-side", label_colors=table) for name in ("grey", "rgb")
        )
        assert not grey.problems
        assert grey.classes["source"][0] == 7
        assert len(grey.train) == len(rgb.train)
        seen = [(grey.train[1, place], rgb.train[1, place]) for place in range(len(grey.train))]
        assert all(torch.equal(one["source"], other["source"]) for one, other in seen)
        assert {int(value) for one, _ in seen for value in one["source"].unique()} == {3, 7}
        assert seen[0][0]["target"].shape[0] == 1


MIXED = """
import i2i, numpy as np

class Mixed(i2i.Dataset):
    kinds = {"source": "labels"}

    def __init__(self, config, *, root, split, transform, read):
        self.root, self.transform, self.read, self.own = root, transform, read, config.own
        self.has_splits = split == "train"

    def __len__(self):
        return 6

    def __getitem__(self, index):
        file = self.read(self.root / f"{index}.png")
        return self.transform({"source": np.full((40, 40, 1), 9, np.uint8) if self.own else file, "target": file})

class Config(i2i.Config):
    own: bool = True

@i2i.hookimpl
def i2i_datasets():
    return [i2i.Component("mixed", Mixed, Config, "X")]
"""


@pytest.mark.parametrize(("own", "values"), [(True, {9}), (False, {3, 7})])
def test_one_channel_of_a_plugin_has_numbers_unless_it_is_a_file(tmp_path, own, values):
    (tmp_path / "mixed.py").write_text(MIXED)
    for number in range(6):
        save(tmp_path / f"in/{number}.png", np.where(np.eye(40) > 0, 255, 0).astype(np.uint8))
    config = DataConfig(
        root=str(tmp_path / "in"),
        size=32,
        jitter=1,
        layout={"name": "mixed", "own": own},
        label_colors=[[7, 0, 0, 0], [3, 255, 255, 255]],
    )
    requirements = Requirements(frozenset({"source", "target"}), kinds={"source": "labels"})
    data = open_data(config, Plugins([tmp_path / "mixed.py"]), requirements, seed=0)
    assert set(data.train[0, 0]["source"].unique().tolist()) == values


def test_maps_that_are_drawn_by_code_are_read_by_their_colours(plugins):
    rows = [[number, *colour] for number, colour in enumerate(FACADES.values())]
    config = DataConfig(layout="facades", size=32, label_colors=rows)
    requirements = Requirements(frozenset({"source", "target"}), kinds={"source": "labels"})
    source = open_data(config, plugins, requirements, seed=0).train[0, 0]["source"]
    assert source.shape == (32, 32)
    assert 3 < len(source.unique()) <= len(FACADES)


def test_the_target_may_be_the_label_map(plugins, tmp_path):
    data = opened(coded(tmp_path), plugins, recipe_kinds={"target": "labels"}, direction="BtoA")
    assert data.train[0, 0]["target"].shape == (32, 32)


@pytest.mark.parametrize("layout", ["folders", "side-by-side"])
def test_a_colour_that_stands_for_nothing_is_told_with_its_file_and_place(plugins, tmp_path, layout):
    for number, classes in enumerate(typed_data.label_maps()):
        image, photo = COLOURS[classes], typed_data.photograph(classes, number)
        if number == 4:
            image[5:15, 7:17] = 1, 2, 3
        if layout == "folders":
            save(tmp_path / f"A/{number}.png", image)
            save(tmp_path / f"B/{number}.png", photo)
        else:
            save(tmp_path / f"{number}.png", np.hstack([image, photo]))
    said = (
        "4.png: the colour 1, 2, 3 in row 5, column 7 stands for no class: add it to data.label_colors, or set "
        "data.label_ignore to what such pixels count as"
    )
    for _ in range(2):  # a second check knows what the first has found
        data = opened(tmp_path, plugins, layout=layout)
        assert [problem.endswith(said) for problem in data.problems] == [True]
    config = DataConfig(root=str(tmp_path), size=32, layout=layout, label_colors=ROWS, check_files=0)
    requirements = Requirements(frozenset({"source", "target"}), kinds={"source": "labels"})
    assert check_dataset(config, plugins, requirements, everything=True).problems[0].endswith(said)
    kept = opened(tmp_path, plugins, layout=layout, label_ignore=255)
    assert not kept.problems
    seen = [split[0, place]["source"] for split in (kept.train, kept.val) for place in range(len(split))]
    assert [255 in values for values in seen].count(True) == 1


@pytest.mark.parametrize("layout", ["folders", "side-by-side"])
def test_jpeg_keeps_no_colours(plugins, tmp_path, layout):
    """And of PNG files, which keep them, nothing of the sort is said."""
    for ending in ("jpg", "png"):
        for number, classes in enumerate(typed_data.label_maps()):
            image = COLOURS[classes] + (noise(*classes.shape, 3) & 1)
            if layout == "folders":
                save(tmp_path / ending / f"A/{number}.{ending}", image)
                save(tmp_path / ending / f"B/{number}.png", image)
            else:
                save(tmp_path / ending / f"{number}.{ending}", np.hstack([image, image]))
        with pytest.raises(DataError, match=rf"\d\.{ending}: the colour .* and so do \d+ others: ") as error:
            opened(tmp_path / ending, plugins, layout=layout)
        assert ("others: JPEG changes colours, PNG does not: add" in str(error.value)) == (ending == "jpg")
        assert ("JPEG" in str(error.value)) == (ending == "jpg")
        assert "grey" not in str(error.value)


def test_the_nearest_colour_counts_where_jpeg_changed_it(plugins, tmp_path):
    for number, classes in enumerate(typed_data.label_maps()):
        save(tmp_path / f"A/{number}.jpg", COLOURS[classes])
        save(tmp_path / f"B/{number}.png", typed_data.photograph(classes, number))
    data = opened(tmp_path, plugins, label_nearest=True)
    assert not data.problems
    assert {int(value) for value in data.train[0, 0]["source"].unique()} <= {0, 1, 2, 3}
    pixels = noise(20, 21, 3)
    found = numbers_of_colors(pixels, LabelColors(tuple(map(tuple, ROWS)), nearest=True))[..., 0]
    for row, column in np.ndindex(found.shape):
        apart = [sum((int(a) - int(b)) ** 2 for a, b in zip(pixels[row, column], one, strict=True)) for one in COLOURS]
        assert found[row, column] == apart.index(min(apart))


def test_a_grey_file_may_have_numbers_already(plugins, tmp_path):
    says = r"0\.png: the colour .* and so do \d others: a grey file may have the numbers of classes already: leave out "
    with pytest.raises(DataError, match=says + r"data\.label_colors then; else add it to data\.label_colors, or set"):
        opened(numbered(tmp_path), plugins)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """SPADE trained on palettes, and on the same maps as colours."""
    root = tmp_path_factory.mktemp("spade")
    typed_data.make(root / "typed")
    options = {"steps": 2, "plugins": Plugins([SPADE])}
    of_numbers = i2i.train("modulated", data=root / "typed/labels", out=root / "a", sets=SETS, **options)
    of_colours = i2i.train("modulated", data=coded(root / "coded"), out=root / "b", sets=[*SETS, TABLE], **options)
    return of_numbers.run, of_colours.run, root


def test_a_run_does_not_go_on_with_another_table(runs):
    """Each value in its message is cut where that can be seen."""
    table = json.dumps([*ROWS, [3, 0, 0, 255]])
    with pytest.raises(i2i.RunError) as error:
        i2i.train(out=runs[1], resume=True, sets=[f"data.label_colors={table}"], plugins=Plugins([SPADE]))
    shown = "[[0, 128, 64, 128], [1, 0, 0, 142], [2, 9, 9, 9], [3, 70,..."
    assert f"data.label_colors: run has {shown}, asked for {shown}" in str(error.value)


def test_spade_trains_on_colours_as_on_numbers(runs):
    files = [run / "checkpoints/step-0000002/networks.safetensors" for run in runs[:2]]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_model_translates_the_same_files(runs, cli, tmp_path):
    of_numbers, of_colours, root = runs
    for run, folder in ((of_numbers, root / "typed/labels/A"), (of_colours, root / "coded/A")):
        done = cli("translate", run, folder, "-o", tmp_path / run.name)
        assert done.returncode == 0, done.stderr
    pictures = [{file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in "ab"]
    assert pictures[0] == pictures[1]
    save(tmp_path / "in/good.png", COLOURS[np.zeros((32, 40), int)])
    save(tmp_path / "in/other.png", noise(32, 40, 3))
    done = cli("translate", of_colours, tmp_path / "in", "-o", tmp_path / "out")
    assert done.returncode == 1
    assert "other.png: the colour" in done.stderr
    assert "in row 0, column 0 stands for no class" in done.stderr
    assert (tmp_path / "out/good.png").is_file()
    assert "Traceback" not in done.stderr


def test_a_table_of_more_classes_than_the_recipe_knows_is_refused(tmp_path):
    coded(tmp_path / "data")
    for more, says in (
        (["data.label_colors=voc", "data.label_ignore=0"], "data.label_colors: has the class 4, and the recipe knows"),
        ([TABLE, "data.label_ignore=255"], "data.label_ignore: has the class 255, and the recipe knows .* 0 to 3"),
    ):
        with pytest.raises(DataError, match=says):
            i2i.train(
                "modulated",
                data=tmp_path / "data",
                out=tmp_path / "run",
                sets=[*SETS, *more],
                steps=1,
                plugins=Plugins([SPADE]),
            )


def test_a_recipe_that_knows_the_ignored_value_gets_it(tmp_path, cli):
    """And so does its model: pixels of other colours are translated, not refused."""
    text = SPADE.read_text(encoding="utf-8")
    text = text.replace("LabelMapInput(self.config.classes)", "LabelMapInput(self.config.classes, ignore=9)")
    text = text.replace("one_hot(labels, self.classes)", "one_hot(labels.clamp(max=3), self.classes)")
    text = text.replace('one_hot(batch["source"], ', 'one_hot(batch["source"].clamp(max=3), ')
    (tmp_path / "modulated.py").write_text(text, encoding="utf-8")
    sets, plugins = [*SETS, TABLE, "data.label_ignore=9"], Plugins([tmp_path / "modulated.py"])
    run = i2i.train(
        "modulated", data=coded(tmp_path / "data"), out=tmp_path / "run", sets=sets, steps=1, plugins=plugins
    )
    model = i2i.load(run.exported[0].path)
    classes = next(typed_data.label_maps())
    colours = COLOURS[classes]
    colours[:9] = 1, 2, 3
    classes[:9] = 3  # what the network takes the value for
    assert np.array_equal(model.translate(colours), model.translate(COLOURS[classes]))
    save(tmp_path / "in.png", colours)
    done = cli("translate", run.run, tmp_path / "in.png", "-o", tmp_path / "out.png")
    assert done.returncode == 0, done.stderr


def test_damaged_metadata_are_told(runs, tmp_path):
    import onnx

    model = onnx.load(next(runs[1].glob("model*.onnx")))
    for entry in model.metadata_props:
        if entry.key == "i2i.label_colors":
            entry.value = '{"classes": [[0, 1, 2, 999]], "other": null}'
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(i2i.ModelError, match=r"its metadata are damaged: i2i\.label_colors"):
        i2i.load(tmp_path / "m.onnx")
