"""The command that a training prints at its end does what it says."""

import numpy as np
import pytest

import i2i
from helpers.image_files import noise
from helpers.recipes import small
from i2i.images import image_info, read_image
from i2i.plugins import Plugins
from i2i.translate.folders.folder import translate_folder


@pytest.mark.parametrize("recipe", Plugins().table("recipe"))
def test_the_next_command_uses_the_model(recipe, tmp_path):
    trained = i2i.train(recipe, out=tmp_path / "run", sets=[*small(recipe), "train.steps=2"])
    assert {one.path.name for one in trained.exported} == {path.name for path in trained.run.glob("*.onnx")}
    check_use(trained, tmp_path / "used")


def check_use(trained, out):
    """The printed command's work: images of the right number, size and kind."""
    for one in trained.exported:
        model = i2i.load(one.path)
        if "image" not in one.inputs:
            images = model.generate(2, label=model.labels[0] if model.labels else None)
            assert images.shape[0] == 2
            assert images.dtype == np.uint8
            assert f"generate {trained.run}" in trained.next_command()
            continue
        examples = sorted((trained.run / "examples").glob("*.png"))
        label = model.labels[0] if model.labels else None
        assert f"translate {trained.run}" in trained.next_command()
        saved = {name: trained.run / "example_inputs" / name for name in one.required}
        given = {name: folder if folder.is_dir() else examples[0] for name, folder in saved.items()}
        examples_in = [str(trained.run / "examples")]
        results = list(translate_folder(model, examples_in, out / one.translator, label=label, given=given))
        assert [result.status for result in results] == ["written"] * len(examples)
        assert examples
        example, made = image_info(examples[0]), image_info(results[0].output)
        assert (made.width, made.height) == (example.width * model.scale, example.height * model.scale)
        assert read_image(results[0].output).pixels.std() > 0
        if not isinstance(model.info.inputs.get("image"), i2i.LabelMapInput):  # which have no alpha
            given = {"reference": examples[0]} if "reference" in model.info.inputs else {}
            check_hidden_colours(model, label, given)


def check_hidden_colours(model, label, given):
    """What stands under an alpha of 0 decides about nothing that is seen, in one piece and in tiles."""
    pixels = np.dstack([noise(40, 44, 3), np.full((40, 44), 255, np.uint8)])
    pixels[8:30, 9:32, 3] = 0
    other = np.where(pixels[..., 3:] == 0, 255 - pixels, pixels)
    other[..., 3] = pixels[..., 3]
    masks = {name: noise(40, 44, 1) for name, of in model.info.inputs.items() if isinstance(of, i2i.MaskInput)}
    for tile in ("none",) if model.info.receptive_field is None else ("none", 32):  # with a label or code: not cut
        one = model.translate(pixels, label=label, tile=tile, **given, **masks)
        assert one.shape[2] == 4
        assert np.array_equal(one, model.translate(other, label=label, tile=tile, **given, **masks))
