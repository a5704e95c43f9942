"""Plain words, one name for one thing, and no decision by the text of an error."""

import ast
import re
from collections import defaultdict
from functools import cache

import pytest

from helpers.paths import ROOT
from helpers.source_tree import functions, sources

PYTHON = [file for file in sources() if file.path.suffix == ".py"]
PROSE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

READS_MESSAGES = {
    "i2i/memory.py: ran_out": "onnxruntime, cuDNN, cuBLAS and the C++ library have no class for a lack of memory",
    "i2i/errors.py: attributed_to": "puts a message of several lines into one; what is raised stays the same",
}
"""Where the text of an error is looked at: ``file: function``, and the reason why nothing better is there."""


def test_no_likewise():
    texts = {file.path.as_posix(): file.text for file in sources()}
    texts |= {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PROSE}
    found = [
        f"{path}:{number}: {line.strip()}"
        for path, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if "likewise" in line.lower()
    ]
    assert not found, "\n".join([*sorted(found), "say what it is: a docstring must be understood alone"])


def test_limits_are_called_max_and_min():
    found = {
        f"{file.path.as_posix()}: {node.id}"
        for file in PYTHON
        for node in file.nodes
        if isinstance(node, ast.Name) and re.match(r"_?(MOST|LEAST)_", node.id)
    }
    assert not found, "\n".join([*sorted(found), "call them MAX_ and MIN_"])


def test_no_public_class_name_stands_for_two_things():
    places = defaultdict(list)
    for file in PYTHON:
        for node in file.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and file.path.parts[0] == "i2i":
                places[node.name].append(file.path.as_posix())
    found = [f"{name}: {', '.join(files)}" for name, files in places.items() if len(files) > 1]
    assert not found, "\n".join(found)


def test_nothing_is_decided_by_the_text_of_an_error():
    found = [
        f"{where}: {code}"
        for file in PYTHON
        for where, code in ((f"{file.path.as_posix()}: {name}", code) for name, code in message_decisions(file))
        if where not in READS_MESSAGES
    ]
    assert not found, "\n".join([*sorted(found), "look at the class of the error, or at its kind"])


def test_every_exception_is_still_needed():
    needed = {f"{file.path.as_posix()}: {name}" for file in PYTHON for name, _ in message_decisions(file)}
    assert READS_MESSAGES.keys() <= needed


@cache
def message_decisions(file):
    """Function and code of each place where the text of an error is compared, searched or tested."""
    found = []
    for name, function in functions(file):
        nodes = list(ast.walk(function))
        errors = {arg.arg for arg in all_arguments(function) if re.search(r"Error|Exception", text(arg.annotation))}
        errors |= {node.name for node in nodes if isinstance(node, ast.ExceptHandler) and node.name}
        if not errors:
            continue
        texts = set()
        for node in nodes:
            if isinstance(node, ast.Assign | ast.NamedExpr) and mentions(node.value, errors, texts):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                texts |= {target.id for target in targets if isinstance(target, ast.Name)}
        for node in nodes:
            if any(mentions(part, errors, texts) for part in looked_at(node)):
                found.append((name, ast.unparse(node)))
    return found


def looked_at(node):
    """The expressions whose value a comparison, a method of texts or a regular expression looks at."""
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in ("startswith", "endswith", "find", "index", "count"):
            return [node.func.value]
        if node.func.attr in ("search", "match", "fullmatch", "findall", "finditer"):
            return node.args
    return []


def mentions(expression, errors, texts):
    """Whether an expression is made of an error's text: ``str(error)``, ``error.args`` or a variable that holds it."""
    if isinstance(expression, ast.Call) and text(expression.func) == "len":
        return False  # how long a text is says nothing of what it says
    for node in ast.walk(expression):
        if isinstance(node, ast.Name) and node.id in texts:
            return True
        if isinstance(node, ast.Call) and text(node.func) in ("str", "repr", "one_line"):
            named = (each for argument in node.args for each in ast.walk(argument) if isinstance(each, ast.Name))
            if any(each.id in errors for each in named):
                return True
        if isinstance(node, ast.Attribute) and node.attr == "args" and text(node.value) in errors:
            return True
    return False


def all_arguments(function):
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]


def text(node):
    return ast.unparse(node) if node else ""


DECISIONS = {
    "in": "try: f()\n    except OSError as error:\n        return 'disk' in str(error)",
    "a method": "try: f()\n    except OSError as error:\n        return str(error).lower().startswith('disk')",
    "a variable": "try: f()\n    except OSError as error:\n        words = str(error)\n        return 'disk' in words",
    "an argument": "return 'disk' in str(cause)",
    "a pattern": "return re.search('disk', str(cause))",
    "args": "return cause.args[0] == 'disk'",
}
FORMATTING = {
    "a message": "try: f()\n    except OSError as error:\n        return ' '.join(str(error).split())[:300]",
    "a number": "try: f()\n    except OSError as error:\n        return error.errno == 28",
    "a class": "return isinstance(cause, OSError)",
}


@pytest.mark.parametrize("body", DECISIONS.values(), ids=DECISIONS)
def test_a_decision_by_a_text_is_found(body, tmp_path):
    assert decisions(body, tmp_path)


@pytest.mark.parametrize("body", FORMATTING.values(), ids=FORMATTING)
def test_what_only_makes_a_message_is_not_found(body, tmp_path):
    assert not decisions(body, tmp_path)


def decisions(body, folder):
    (folder / "p").mkdir()
    (folder / "p" / "a.py").write_text(f"def tried(cause: BaseException):\n    {body}\n")
    (file,) = sources(folder, ("p",))
    return message_decisions(file)
