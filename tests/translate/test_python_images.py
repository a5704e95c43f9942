"""What `Model.translate` and its neighbours take from Python, and what they refuse, each in one line."""

import io
import tempfile

import numpy as np
import pytest
import torch

import i2i
from helpers.small_models import noise
from i2i.images import write_image

PIXELS = noise(6, 8, 3)


@pytest.fixture
def file(tmp_path):
    write_image(tmp_path / "a.png", PIXELS)
    return tmp_path / "a.png"


def test_bytes_and_open_files_are_images(model, file):
    data = file.read_bytes()
    with file.open("rb") as opened, tempfile.SpooledTemporaryFile() as spooled:
        spooled.write(b"before" + data)
        spooled.seek(6)
        for image in (str(file), file, data, bytearray(data), memoryview(data), io.BytesIO(data), opened, spooled):
            assert np.array_equal(model().translate(image), 255 - PIXELS), image
        assert not opened.closed


@pytest.mark.parametrize("dtype", [">u2", ">f4", "f2", "f8", "g"])
def test_arrays_of_other_byte_orders_and_float_types_are_images(model, dtype):
    native = np.uint16 if dtype.endswith("u2") else np.float32
    array = (PIXELS.astype(np.uint16) * 257 if native is np.uint16 else PIXELS / 255).astype(dtype)
    result = model().translate(array)
    assert result.dtype == native
    assert np.array_equal(result, model().translate(array.astype(native)))


REFUSED = {
    "list": ([PIXELS], "not a list: give one image at a time, or paths to translate_folder"),
    "tuple": ((PIXELS,), "not a tuple: give one image at a time"),
    "tensor": (torch.zeros(3, 4, 4), "not a torch tensor: convert it, tensor.permute(1, 2, 0).cpu().numpy()"),
    "none": (None, "expected a path, the bytes of an image file"),
    "number": (5, "not something of type int"),
    "text file": (io.StringIO("text"), "the file is open for text: open it with mode 'rb'"),
    "no bytes": (b"", "there are no bytes in it"),
    "other bytes": (b"text", "not an image in a known format"),
    "no name": ("", "the image has an empty name"),
    "null": ("a\0b", "a\\x00b: the image has a null character in its name"),
    "whole numbers": (
        PIXELS.astype(int),
        "the array of an image has the type uint8, uint16, or floats in [0, 1], not int64",
    ),
    "booleans": (PIXELS > 4, "not bool"),
    "objects": (PIXELS.astype(object), "not object"),
    "batch": (PIXELS[np.newaxis], "an array of shape (1, 6, 8, 3) is no image"),
    "masked": (np.ma.array(PIXELS), "an array with a mask: fill what is masked"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_everything_else_is_refused_in_one_line(model, case):
    image, said = REFUSED[case]
    with pytest.raises(i2i.UserError) as caught:
        model().translate(image)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_cut_bytes_are_told_without_a_name(model, file):
    with pytest.raises(i2i.DataError, match=r"^image: cut off"):
        model().translate(file.read_bytes()[:-30])
    with (file.parent / "cut.png").open("wb") as written:
        written.write(file.read_bytes()[:-30])
    with (file.parent / "cut.png").open("rb") as opened, pytest.raises(i2i.DataError, match=r"cut.png: cut off"):
        model().translate(opened)


@pytest.mark.parametrize("value", [5, None, b"a.png", PIXELS, object()], ids=lambda value: type(value).__name__)
def test_what_is_no_path_is_told_as_such(model, file, value, tmp_path):
    own = model()
    for call in (
        lambda: own.translate_folder(value, tmp_path / "out"),
        lambda: own.translate_folder(file, value),
        lambda: i2i.load(value),
    ):
        with pytest.raises(i2i.UserError, match=f"not .*type {type(value).__name__}"):
            call()
    if not isinstance(value, np.ndarray):
        with pytest.raises(i2i.DataError, match=f"a numpy array, not .*type {type(value).__name__}"):
            own.translate_batch(value)
    assert not (tmp_path / "out").exists()


def test_the_model_has_a_public_name_and_says_what_it_is(model):
    from importlib.metadata import version

    assert i2i.__version__ == version("i2i-toolkit")
    one = model("labelled", labels=["cat", "dog"])
    assert isinstance(one, i2i.Model)
    assert repr(one).startswith("<i2i.Model ")
    assert repr(one).endswith(
        "labelled-uint8.onnx: test default, RGB -> RGB, scale 1, uint8, takes a label of 2: ['cat', 'dog'], "
        "CPUExecutionProvider>"
    )
    assert "noise -> RGB, scale 1, float32" in repr(model("dream", "float32"))
    assert "grey -> 2 channels" in repr(model("pair"))
