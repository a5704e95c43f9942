"""The public surface: names, signatures, options and hooks that plugins and scripts build upon.

``surface.txt`` holds a line for each; whoever changes one on purpose writes the file anew by
``python tests/plugins/test_surface.py``. Annotations are printed as they stand in the source and never evaluated, for
types are printed otherwise from one Python version to the next.
"""

import ast
import dataclasses
import importlib
import inspect
import re
from pathlib import Path

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

import i2i
import i2i.testing
from i2i.plugins import hookspecs

FILE = Path(__file__).with_name("surface.txt")
RESULTS = ("i2i.training.Trained", "i2i.export.run.Exported")
"""What public functions return, under names that are not public themselves."""
MADE_BY_OTHERS = ("i2i.Model",)
"""Public classes whose instances come from functions: how they are made is not public."""

MISSING = inspect.Parameter.empty


def surface():
    """The lines of the file."""
    lines = []
    for name, value in public():
        lines += described(name, value)
    return lines


def public():
    """Every public thing by its name."""
    stub = ast.parse(Path(i2i.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    *imports, version = stub.body
    yield f"i2i.{version.target.id}", version.annotation
    for statement in imports:  # "from .api import X as X"; `i2i.export` may by now be the package of that name
        assert isinstance(statement, ast.ImportFrom)
        module = importlib.import_module(f"i2i.{statement.module}")
        for alias in statement.names:
            yield f"i2i.{alias.asname}", getattr(module, alias.name)
    for path in RESULTS:
        module, _, name = path.rpartition(".")
        yield path, getattr(importlib.import_module(module), name)
    for name in sorted(i2i.testing.__all__):
        yield f"i2i.testing.{name}", getattr(i2i.testing, name)
    for module in i2i.testing.pytest_plugins:
        tree = ast.parse(Path(importlib.import_module(module).__file__).read_text(encoding="utf-8"))
        for function in tree.body:
            marks = map(ast.unparse, getattr(function, "decorator_list", []))
            if any("fixture" in mark for mark in marks):
                yield f"fixture {function.name}", function
    for name, hook in sorted(vars(hookspecs).items()):
        if name.startswith("i2i_"):
            yield f"hook {name}", hook


def described(name, value):
    """The lines about one thing: a class has one for itself and one for each public member."""
    if isinstance(value, ast.FunctionDef):
        return [f"{name} -> {ast.unparse(value.returns)}"]
    if isinstance(value, ast.expr):
        return [f"{name}: {ast.unparse(value)}"]
    if inspect.isclass(value):
        return [class_line(name, value), *(member(f"{name}.{key}", own, value) for key, own in members(value))]
    if inspect.isfunction(value):
        build = re.search(r"``(build\([^`]*)``", inspect.getdoc(value) or "") if name.startswith("hook ") else None
        return [f"{name}{signature(value)}" + (f": {' '.join(build[1].split())}" if build else "")]
    return [f"{name} = {value!r}" if isinstance(value, int | str) else f"{name}: {type(value).__name__}"]


def class_line(name, cls):
    bases = ", ".join(base.__name__ for base in cls.__bases__ if base is not object)
    how = ""
    if dataclasses.is_dataclass(cls):
        how = " frozen" if cls.__dataclass_params__.frozen else " mutable"
    elif "__init__" in vars(cls) and not getattr(cls, "_is_protocol", False) and name not in RESULTS + MADE_BY_OTHERS:
        how = f" made by {signature(cls.__init__)}"
    return f"class {name}({bases}){how}"


def members(cls):
    """Own public names of a class: annotated ones in their order, then the others in theirs."""
    own = {**dict.fromkeys(inspect.get_annotations(cls)), **vars(cls)}
    if issubclass(cls, BaseModel):  # a field is no attribute of its class
        own = {key: value for key, value in own.items() if not key.startswith("model_")}
    return [(key, value) for key, value in own.items() if not key.startswith("_")]


def member(where, value, cls):
    key = where.rpartition(".")[2]
    if isinstance(value, property):
        return f"property {where}{signature(value.fget)}"
    raw = value.__func__ if isinstance(value, classmethod | staticmethod) else value
    if inspect.isfunction(raw):
        marks = [type(value).__name__] if raw is not value else []
        marks += ["abstract"] if getattr(raw, "__isabstractmethod__", False) else []
        return "".join(f"{mark} " for mark in marks) + where + signature(raw)
    annotation = text(inspect.get_annotations(cls).get(key, MISSING))
    return where + (f": {annotation}" if annotation else "") + default_of(cls, key)


def default_of(cls, key):
    """`` = value`` of a field or attribute, or nothing if it has none."""
    if issubclass(cls, BaseModel):
        field = cls.model_fields[key]
        value = field.default_factory() if field.default_factory else field.default
        return "" if value is PydanticUndefined else f" = {value!r}"
    if dataclasses.is_dataclass(cls) and key in (fields := {field.name: field for field in dataclasses.fields(cls)}):
        field = fields[key]
        if field.default_factory is not dataclasses.MISSING:
            return f" = {field.default_factory()!r}"
        return "" if field.default is dataclasses.MISSING else f" = {field.default!r}"
    value = vars(cls).get(key, MISSING)
    return "" if value is MISSING else f" = {sorted(value) if isinstance(value, frozenset) else value!r}"


def signature(function):
    """As the source has it: `inspect.Signature` would put quotes around annotations."""
    parts, star = [], False
    own = inspect.signature(function)
    for parameter in own.parameters.values():
        if parameter.kind == parameter.KEYWORD_ONLY and not star:
            parts.append("*")
        star = star or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        before = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        annotation = text(parameter.annotation)
        part = before + parameter.name + (f": {annotation}" if annotation else "")
        if parameter.default is not MISSING:
            part += f" = {parameter.default!r}" if annotation else f"={parameter.default!r}"
        parts.append(part)
    returned = text(own.return_annotation)
    return f"({', '.join(parts)})" + (f" -> {returned}" if returned else "")


def text(annotation):
    if annotation is MISSING:
        return ""
    if isinstance(annotation, str):
        return annotation
    return annotation.__name__ if inspect.isclass(annotation) else str(annotation)


def name_in(line):
    """The name that a line is about."""
    return re.match(r"(?:(?:class|property|classmethod|staticmethod|abstract) )*((?:hook |fixture )?[\w.]+)", line)[1]


def difference(recorded, current):
    """One line for each name that is gone, new or other than recorded."""
    old = {name_in(line): line for line in recorded}
    new = {name_in(line): line for line in current}
    lines = [f"gone: {line}" for name, line in old.items() if name not in new]
    lines += [f"changed: {line}   was: {old[name]}" for name, line in new.items() if name in old and old[name] != line]
    return lines + [f"new: {line}" for name, line in new.items() if name not in old]


def test_a_difference_is_told_by_its_name():
    recorded = ["class i2i.A()", "i2i.f(x: int) -> int", "abstract i2i.A.g(self)"]
    current = ["class i2i.A()", "i2i.f(x: int, y: int) -> int", "hook i2i_things() -> Sequence[Component]"]
    assert difference(recorded, current) == [
        "gone: abstract i2i.A.g(self)",
        "changed: i2i.f(x: int, y: int) -> int   was: i2i.f(x: int) -> int",
        "new: hook i2i_things() -> Sequence[Component]",
    ]


def test_the_public_surface_is_the_recorded_one():
    found = difference(FILE.read_text(encoding="utf-8").splitlines(), surface())
    accept = "if that is meant, run `python tests/plugins/test_surface.py` and write it into CHANGELOG.md"
    assert not found, "\n".join([*found, accept])


if __name__ == "__main__":
    FILE.write_text("\n".join(surface()) + "\n", encoding="utf-8")
