"""What export and translation would refuse is refused before the first step, in one line."""

import pytest

import i2i
from helpers import typed_data
from helpers.recipes import SHARED
from i2i.errors import DataError, PluginError
from i2i.plugins import Plugins

SETS = [line for line in SHARED if not line.startswith("data.load_size")] + ["data.jitter=1"]
RECIPE = """
import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, l1_loss
import i2i

class Net(nn.Module):
    {attributes}
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, {channels}, 3, padding=1)
    def forward(self, {names}):
        y = self.layer(image)
        return {result}

class Odd(i2i.Recipe):
    {kinds}
    def networks(self, build, sample):
        return {{"net": Net()}}
    def phases(self):
        return [i2i.Phase("net", trains=("net",))]
    def losses(self, phase, nets, batch, ctx):
        return {{"l1": nets["net"].layer(batch["source"]).square().mean()}}
    def translators(self, nets, sample):
        return {{"default": i2i.Translator(nets["net"], {example}, {options})}}

@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component("odd", Odd, i2i.Config, "Odd translators")]
"""
DEFAULT = {
    "attributes": "multiple = 1",
    "channels": "3",
    "names": "image",
    "result": "y",
    "kinds": "",
    "example": '{"image": sample["source"][:1]}',
    "options": "target=None",
}
TWO = '{"image": sample["source"][:1], "extra": torch.zeros(1)}'
REFUSED = {
    "an input without a type": (
        {"names": "image, reference", "example": '{"image": sample["source"][:1], "reference": sample["source"][:1]}'},
        r"its input 'reference' needs a type, such as inputs=\{'reference': i2i.ImageInput\(key='reference'\)\}",
    ),
    "a type without an example": (
        {"options": 'target=None, inputs={"mask": i2i.MaskInput()}'},
        "its input 'mask' has a type and no example",
    ),
    "an example of another shape": (
        {"names": "image, extra", "example": TWO, "options": 'target=None, inputs={"extra": i2i.VectorInput(3)}'},
        r"its example of 'extra' must be \(N, 3\) of floats, not \(1,\) torch.float32",
    ),
    "a name that translating takes": (
        {
            "names": "image, seed",
            "example": TWO.replace("extra", "seed"),
            "options": 'target=None, inputs={"seed": i2i.NumberInput()}',
        },
        "an input with a type cannot be called 'seed'",
    ),
    "a default beyond its limits": (
        {"names": "image, extra", "example": TWO, "options": 'inputs={"extra": i2i.NumberInput(2, high=1)}'},
        "the default 2 must be a number within the limits",
    ),
    "an output before that is none": (
        {
            "names": "image, extra",
            "example": TWO.replace("torch.zeros(1)", 'sample["source"][:1]'),
            "options": 'target=None, inputs={"extra": i2i.ImageInput(previous="score")}',
        },
        "its input 'extra' is 'score' of the frame before, which is no image output",
    ),
    "one output of two": (
        {"options": 'target=None, outputs={"image_out": i2i.Image(), "score": i2i.Number()}'},
        r"the module must return 2 outputs \(image_out, score\), not 1",
    ),
    "a number that is an image": (
        {"options": 'target=None, outputs={"score": i2i.Number()}'},
        r"output 'score' must be \(N,\), not \(1, 3, 32, 32\)",
    ),
    "an image that is a vector": (
        {"result": "y.mean((2, 3))"},
        r"output 'image_out' must be \(N, C, H, W\), not \(1, 3\)",
    ),
    "other channels": (
        {"options": 'target=None, outputs={"image_out": i2i.Image(channels=1)}'},
        "its output 'image_out' must have 1 channels",
    ),
    "one row for all images": ({"result": "y.mean(0, keepdim=True)"}, "must have a row for each image"),
    "one size only": ({"result": "y + torch.zeros(32, 32)"}, r"1 image of 39 x 24 pixels: it fails.*; module.size ="),
    "no small images": (
        {"result": "y if y.shape[-2] > 16 else 1 / 0"},
        "2 images of 9 x 21 pixels: it fails.*ZeroDivisionError.*; module.minimum says",
    ),
    "a size that is not a multiple": ({"result": "y[..., 1:, 1:]"}, "has 31 x 31 pixels, no whole multiple of that"),
    "the wrong fixed size": ({"attributes": "size = (8, 8)"}, r"its module is for \(8, 8\), height and width"),
    "no picture without an image": (
        {
            "names": "noise",
            "result": "noise",
            "example": '{"noise": torch.zeros(1, 4)}',
            "options": 'target=None, outputs={"code": i2i.Vector()}',
        },
        "without an input 'image' it must give one image or label map and nothing else",
    ),
}


def plugin(folder, **changes):
    file = folder / "odd.py"
    file.write_text(RECIPE.format(**{**DEFAULT, **changes}), encoding="utf-8")
    return Plugins([file])


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_in_a_dry_run(what, tmp_path):
    changes, says = REFUSED[what]
    if "names" in changes and "noise" in changes["names"]:
        changes = changes | {"result": "noise"}
        text = RECIPE.replace("y = self.layer(image)", "pass")
    else:
        text = RECIPE
    (tmp_path / "odd.py").write_text(text.format(**{**DEFAULT, **changes}), encoding="utf-8")
    plugins, sets = Plugins([tmp_path / "odd.py"]), [*SETS, "data.layout=facades"]
    with pytest.raises(PluginError, match=says) as caught:
        i2i.train("odd", sets=sets, steps=1, plugins=plugins, dry_run=True)
    assert "\n" not in str(caught.value)


def test_what_is_right_passes(tmp_path):
    i2i.train("odd", sets=[*SETS, "data.layout=facades"], steps=1, plugins=plugin(tmp_path), dry_run=True)


def test_a_class_beyond_the_count_names_its_file(tmp_path):
    typed_data.make(tmp_path / "data")
    from i2i.images import write_image

    classes = next(typed_data.label_maps())
    write_image(tmp_path / "data/labels/A/4.png", classes * 3 + 1)
    changes = {
        "kinds": 'kinds = {"source": "labels"}',
        "names": "image",
        "example": '{"image": sample["source"][:1]}',
        "options": 'inputs={"image": i2i.LabelMapInput(4)}',
        "result": "y",
    }
    text = RECIPE.replace("y = self.layer(image)", "y = self.layer(image[:, None].float().expand(-1, 3, -1, -1))")
    text = text.replace('nets["net"].layer(batch["source"])', 'nets["net"](batch["source"])')
    (tmp_path / "odd.py").write_text(text.format(**{**DEFAULT, **changes}), encoding="utf-8")
    options = {"data": tmp_path / "data/labels", "sets": [*SETS, "data.layout=folders"], "steps": 1, "dry_run": True}
    with pytest.raises(DataError, match=r"A/4\.png: has the class 4, and the recipe knows those from 0 to 3"):
        i2i.train("odd", plugins=Plugins([tmp_path / "odd.py"]), **options)


def test_images_where_the_recipe_needs_labels_are_refused(tmp_path):
    typed_data.make(tmp_path / "data")
    sets = [*SETS, "data.layout=folders", "data.source_kind=image"]
    plugins = plugin(tmp_path, kinds='kinds = {"source": "labels"}')
    with pytest.raises(i2i.ConfigError, match=r"source is of the kind image.*the recipe needs labels"):
        i2i.train("odd", data=tmp_path / "data/labels", sets=sets, steps=1, plugins=plugins, dry_run=True)


def test_label_maps_of_colours_are_refused_where_the_recipe_takes_numbers(tmp_path):
    typed_data.make(tmp_path / "data")
    plugins = plugin(tmp_path, kinds='kinds = {"source": "labels"}')
    options = {"data": tmp_path / "data/pairs", "sets": [*SETS, "data.layout=folders"], "steps": 1, "dry_run": True}
    reason = r"A/0\.png: the source is a label map of colours, and what the recipe takes is numbers of classes"
    with pytest.raises(DataError, match=reason):
        i2i.train("odd", plugins=plugins, **options)
