"""Damaged model files, by chance: each is refused in one line or works, in a process that never crashes or hangs."""

import random
import sys

import onnx
import pytest
from google.protobuf.message import Message

from helpers.forked import tried
from helpers.small_models import make_model

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")
SEEDS = {"double": "uint8", "labelled": "uint8", "dream": "float32", "noisy": "float32"}


def flipped(data, rng, other):
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        data[rng.randrange(len(data))] = rng.randrange(256)


def bits(data, rng, other):
    for _ in range(rng.choice((1, 2, 4))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def cut(data, rng, other):
    del data[rng.randrange(len(data)) :]


def hole(data, rng, other):
    start = rng.randrange(len(data))
    del data[start : start + rng.randrange(1, 40)]


def spliced(data, rng, other):
    start, place = rng.randrange(len(other)), rng.randrange(len(data))
    data[place : place + rng.choice((0, 20))] = other[start : start + rng.randrange(1, 200)]


def doubled(data, rng, other):
    start = rng.randrange(len(data))
    data[start:start] = data[start : start + rng.randrange(1, 100)]


def number(data, rng, other):
    data[(place := rng.randrange(len(data))) : place + 1] = rng.choice(
        (
            b"\x00",
            b"\x7f",
            b"\xff\xff\xff\xff\x0f",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x80\x80\x80\x80\x04",
        )
    )


NUMBERS = (0, 1, 2, 3, 7, 100, 1 << 20, (1 << 31) - 1)
LARGE = (1 << 62, (1 << 63) - 1, -1, -2, -(1 << 63))
REALS = (0.0, -1.0, 0.5, 1e9, 1e38, -1e38, float("inf"), float("nan"))
OPERATORS = sorted({schema.name for schema in onnx.defs.get_all_schemas() if not schema.domain})


def rewritten(data, rng, other):
    """Fields of the graph get other values, operators other names: the file can still be parsed."""
    model = onnx.ModelProto.FromString(bytes(data))
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        _rewrite(model, rng)
    data[:] = model.SerializeToString()


def _rewrite(model, rng):
    waiting, fields = [model], []
    for message in waiting:
        for field, value in message.ListFields():
            fields.append((message, field, value))
            if field.message_type is not None:
                waiting.extend([value] if isinstance(value, Message) else value)
    message, field, value = rng.choice(fields)
    if field.is_repeated:
        index = rng.randrange(len(value))
        if field.message_type is None:
            value[index] = _other(field, value[index], rng)
        elif rng.random() < 0.5:
            value.append(value[index])
        else:
            del value[index]
    elif field.message_type is None:
        setattr(message, field.name, _other(field, value, rng))
    else:
        message.ClearField(field.name)


def _other(field, value, rng):
    """Another value for a field of that type."""
    if isinstance(value, str):
        return (
            rng.choice(OPERATORS)
            if field.name == "op_type"
            else rng.choice(("", "image", "image_out", "noise", "x", "7"))
        )
    if isinstance(value, bytes):
        return rng.choice((b"", b"bilinear", value[::-1], value[:-1], value + b"\xff" * 8))
    if isinstance(value, float):
        return rng.choice(REALS)
    if field.cpp_type == field.CPPTYPE_ENUM:
        return rng.choice([each.number for each in field.enum_type.values])
    return rng.choice(NUMBERS + (LARGE if field.cpp_type == field.CPPTYPE_INT64 else ()))


CHANGES = (rewritten, flipped, rewritten, bits, rewritten, cut, rewritten, hole, rewritten, spliced, doubled, number)


def damaged(folder, count):
    """That many damaged files; the same for the same count."""
    seeds = [
        make_model(folder / f"{name}.onnx", name, kind, labels=["a", "b"] * (name == "labelled")).read_bytes()
        for name, kind in SEEDS.items()
    ]
    rng, files = random.Random(count), []
    for index in range(count):
        data = bytearray(seeds[index % len(seeds)])
        CHANGES[index // len(seeds) % len(CHANGES)](data, rng, rng.choice(seeds))
        files.append(folder / f"{index}.onnx")
        files[-1].write_bytes(data)
    return files


@pytest.mark.parametrize("count", [48, pytest.param(528, marks=pytest.mark.slow)])
def test_no_damaged_model_crashes_hangs_or_shows_a_traceback(tmp_path, count):
    """The first process may end by a limit or crash, for that is what it is for; the one that translates may not."""
    files = damaged(tmp_path, count)
    ends = tried(files)
    for file, end in zip(files, ends, strict=True):
        assert "\n" not in end.says and "cannot be checked" not in end.says, f"{file.name}: {end}"
    passed = [file for file, end in zip(files, ends, strict=True) if not end.says]
    assert len(files) // 20 < len(passed) < len(files) * 3 // 4  # else the damage is too much, or none
    for file, end in zip(passed, tried(passed, act="use"), strict=True):
        assert end.signal == 0 and end.answer, f"{file.name}: {end}"
        assert "\n" not in end.says and "cannot be checked" not in end.says, f"{file.name}: {end}"
