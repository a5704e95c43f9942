"""Nothing grows too large to be read at once: functions, files, folders, rooms, lists of parameters."""

from collections import Counter

from helpers.source_tree import functions, sources

MAX_FUNCTION, MAX_FILE, MAX_FOLDER = 75, 400, 1500
"""Lines, docstrings and comments included; of a folder those of its own files, without the folders in it."""

MAX_ROOM_SHARE = 0.14
"""Largest share of all lines that one sub-package of i2i, or one plugin, may have."""

MAX_PARAMETERS = 6
"""Of a function or method; `self` and `cls` do not count."""

MANY_PARAMETERS = {
    "i2i/cli/models/bench.py: model": "a command: each option is a parameter",
    "i2i/cli/models/bench.py: train": "a command: each option is a parameter",
    "i2i/cli/models/deploy.py: translate": "a command: each option is a parameter",
    "i2i/cli/models/evaluate.py: evaluate": "a command: each option is a parameter",
    "i2i/cli/models/generate.py: generate": "a command: each option is a parameter",
    "i2i/cli/train.py: train": "a command: each option is a parameter",
    "i2i/evaluation/evaluate.py: evaluate": "i2i.evaluate, which mirrors the command",
    "i2i/loading.py: load": "i2i.load, what the commands' options do, for programs",
    "i2i/training.py: train": "i2i.train, which mirrors the command",
    "i2i/translate/folders/folder.py: translate_folder": "what the command does, for programs: mirrors the command",
}
"""Public functions that may have more, and the reason."""

PYTHON = [file for file in sources() if file.path.suffix == ".py"]


def test_no_function_is_longer_than_a_screen_and_a_half():
    sized = [(file, name, node.end_lineno - node.lineno + 1) for file in PYTHON for name, node in functions(file)]
    found = [f"{file.path.as_posix()}: {name} has {size} lines" for file, name, size in sized if size > MAX_FUNCTION]
    assert not found, "\n".join(found)


def test_no_file_is_too_long():
    found = [f"{file.path.as_posix()} has {file.lines} lines" for file in PYTHON if file.lines > MAX_FILE]
    assert not found, "\n".join(found)


def test_no_folder_holds_too_much():
    lines = Counter()
    for file in PYTHON:
        lines[file.path.parent.as_posix()] += file.lines
    found = [f"{folder} holds {count} lines" for folder, count in lines.items() if count > MAX_FOLDER]
    assert not found, "\n".join(found)


def test_no_room_is_a_house_of_its_own():
    lines = Counter()
    for file in PYTHON:
        lines[file.room] += file.lines
    share = {room: count / lines.total() for room, count in lines.items()}
    found = [f"{room} has {part:.1%} of all lines" for room, part in share.items() if part >= MAX_ROOM_SHARE]
    assert not found, "\n".join(found)


def test_no_function_takes_too_many_parameters():
    found = [
        f"{where} takes {count} parameters"
        for where, count in parameter_counts()
        if count > MAX_PARAMETERS and where not in MANY_PARAMETERS
    ]
    assert not found, "\n".join(found)


def test_every_exception_is_still_needed():
    assert MANY_PARAMETERS.keys() <= {where for where, count in parameter_counts() if count > MAX_PARAMETERS}


def parameter_counts():
    """``file: function`` of each function with the number of its parameters; ``*args`` and ``**options`` are one."""
    for file in PYTHON:
        for name, node in functions(file):
            taken = node.args
            names = [one.arg for one in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)]
            own = [each for each in names if each not in ("self", "cls")]
            yield f"{file.path.as_posix()}: {name}", len(own) + bool(taken.vararg) + bool(taken.kwarg)
