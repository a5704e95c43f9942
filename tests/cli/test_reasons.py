"""No reason that a user reads is the text of a Python exception: those are written for programmers."""

import errno
import io
import os

import numpy as np
import pytest
from PIL import Image

from helpers.small_models import make_model, noise
from i2i.config.text import parse_set, read_yaml
from i2i.errors import FileError, UserError
from i2i.images import image_info, read_frames, read_image, write_image
from i2i.images.errors import errors_about
from i2i.runs import checkpoint as checkpoints
from i2i.translate import load

ENDINGS = [".png", ".jpg", ".webp", ".avif", ".tif", ".bmp", ".ppm", ".npy", ".gif"]


def chain(error):
    """The errors that led to one, of other code than ours."""
    found, seen = [], set()
    waiting = [error.__cause__, error.__context__]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__]
        if not isinstance(one, UserError | FileError):
            found.append(one)
    return found


def foreign_text(error):
    """What a message has of the text of another's exception; what the system says of files is no such text."""
    message = str(error)
    for one in chain(error):
        texts = [str(one), *(str(argument) for argument in one.args if isinstance(argument, str))]
        if isinstance(one, OSError) and one.strerror:
            texts = [text for text in texts if text != one.strerror]
        for text in texts:
            if len(text) > 3 and " ".join(text.split())[:40] in message:
                return f"{type(one).__name__}: {text}"
    return ""


def refused(action, *arguments):
    """The error of an action on bad input, which must be one of ours, in one line; None if it went well."""
    try:
        action(*arguments)
    except UserError as error:
        assert "\n" not in str(error)
        assert not foreign_text(error), str(error)
        return error
    return None


def content(ending):
    """A small image file."""
    if ending == ".gif":
        file = io.BytesIO()
        Image.fromarray(noise(9, 12, 3)).save(file, "GIF")
        return file.getvalue()
    return None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An image file of each format: its bytes by ending."""
    folder = tmp_path_factory.mktemp("whole")
    files = {ending: content(ending) for ending in ENDINGS}
    for ending in ENDINGS:
        if files[ending] is None:
            write_image(folder / f"a{ending}", noise(9, 12, 3))
            files[ending] = (folder / f"a{ending}").read_bytes()
    return files


@pytest.mark.parametrize("ending", ENDINGS)
def test_damaged_images(whole, tmp_path, ending):
    data, rng = whole[ending], np.random.default_rng(0)
    path, kinds = tmp_path / f"a{ending}", set()
    for round_ in range(60):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), 1 + round_ % 7):
            damaged[place] = rng.integers(256)
        if round_ % 3 == 0:
            del damaged[rng.integers(1, len(data)) :]
        path.write_bytes(damaged)
        for read in (read_image, image_info, lambda one: list(read_frames(one))):
            if error := refused(read, path):
                kinds.add(error.kind)
    assert len(kinds) > 1  # otherwise nothing was tried


@pytest.mark.parametrize(
    "raised",
    [
        IndexError("string index out of range"),
        KeyError("tile_offsets"),
        ValueError("cannot reshape array of size 7 into shape (3,)"),
        OSError("broken data stream when reading image file"),
        SyntaxError("not a TIFF file"),
        OverflowError("Python int too large to convert to C long"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_a_decoder(tmp_path, raised):
    def fail():
        with errors_about(tmp_path / "a.png"):
            raise raised

    error = refused(fail)
    assert error.reason == "damaged, or of a sort that i2i does not read"
    assert error.__cause__ is raised  # I2I_DEBUG=1 shows it


def test_what_the_system_says_of_files_is_passed_on(tmp_path):
    error = refused(read_image, tmp_path / "none.png")
    assert error.reason == os.strerror(errno.ENOENT)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data: [1, 2\ntrain: 3\n", "c.yaml line 2: no valid YAML here or before: look at quotes, brackets"),
        ("data:\n\tsize: 3\n", "c.yaml line 2: no valid YAML"),
        ("data: 'open\n", "no valid YAML"),
        ("a: 1\na: 2\n", "c.yaml line 2: a key that was given before"),
        ("a: *none\n", "c.yaml line 1: no valid YAML"),
        ("a: 2020-13-45\n", "c.yaml: no valid YAML, or a value that no YAML can have"),
        ("a: \x00\n", "c.yaml: no valid YAML"),
        (b"a: \xff\xfe", "c.yaml: not a text file in UTF-8"),
        ("a: " + "[" * 200, "no valid YAML"),
        ("just text", "c.yaml: expected 'key: value' lines"),
    ],
)
def test_configurations(tmp_path, text, said):
    path = tmp_path / "c.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert said in str(refused(read_yaml, path))


@pytest.mark.parametrize("text", ["a=[1,", "a={", "a='", "a=\t- [", "a=*x", "a=!!python/object:os.system x", "=", "a"])
def test_settings(text):
    refused(parse_set, text)


def test_checkpoints(tmp_path):
    from helpers.small_models import tree

    for name, data in (("state.json", b"{"), ("networks.safetensors", b"\xff" * 40), ("training.pt", b"PK\3\4")):
        place = tmp_path / name.partition(".")[0] / "step-000001"
        place.mkdir(parents=True)
        (place / name).write_bytes(data)
        assert tree(place) == [name]
        assert refused(checkpoints.load, place) is not None


def test_models(tmp_path):
    whole_model = make_model(tmp_path / "m.onnx", "invert").read_bytes()
    path = tmp_path / "damaged.onnx"
    for data in (b"\x08text", whole_model[: len(whole_model) // 2]):
        path.write_bytes(data)
        error = refused(lambda: load(path, check=True))
        assert error.reason.startswith("not an ONNX file")
        assert "Error" not in error.reason
