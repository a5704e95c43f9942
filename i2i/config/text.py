"""YAML in and out: values with the lines they stand on, and a configuration as commented YAML."""

from __future__ import annotations

import io
import os
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.representer import RoundTripRepresenter

from i2i.api import Choice, MetricChoice, TrackerChoice
from i2i.errors import ConfigError, system_reason
from i2i.plugins import Plugins

KeyPath = tuple[str, ...]

MAX_DEPTH, MAX_VALUES = 8, 20_000
"""Bounds of a configuration; real ones are 5 deep and have 80 values."""


@dataclass(frozen=True)
class Layer:
    """Some values of a configuration, and where each of them was written.

    Attributes:
        values: nested values; any part of a configuration.
        origin: where they come from, for messages, such as the path of a file.
        lines: line numbers of the keys, for values from a file.
        may_omit_section: whether ``scale`` may stand for ``data.scale``, as it may in a ``--set``.
    """

    values: dict[str, Any]
    origin: str = ""
    lines: dict[KeyPath, int] = field(default_factory=dict)
    may_omit_section: bool = False

    def place(self, path: KeyPath) -> str:
        """Where the value at `path`, or what holds it, was written; empty when it is not from this layer."""
        node: Any = self.values
        for key in path:
            if not isinstance(node, Mapping) or key not in node:
                return ""
            node = node[key]
        return f"{self.origin} line {self.lines[path]}" if path in self.lines else self.origin


def read_yaml(path: Path) -> Layer:
    """Reads a YAML file of nested mappings.

    Raises:
        ConfigError: it cannot be read, is no YAML, or is no mapping.
    """
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        document = YAML().load(text)
    except OSError as error:
        raise ConfigError(f"{path}: {system_reason(error)}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file in UTF-8") from error
    except MarkedYAMLError as error:
        number = error.problem_mark.line if error.problem_mark else 0
        line = number + 1 if error.problem_mark else "?"
        hint = _quotes_hint("".join(text.splitlines()[number : number + 1]))
        repeated = isinstance(error, DuplicateKeyError)
        broken = f"no valid YAML here or before{hint or ': look at quotes, brackets, colons and indentation'}"
        raise ConfigError(f"{path} line {line}: {'a key that was given before' if repeated else broken}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deep for a configuration") from error
    except (YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: no valid YAML, or a value that no YAML can have") from error
    if document is None:
        document = CommentedMap()
    if not isinstance(document, CommentedMap):
        raise ConfigError(f"{path}: expected 'key: value' lines at the top, found a {type(document).__name__}")
    lines: dict[KeyPath, int] = {}
    return Layer(_plain(document, (), lines, count()), str(path), lines)


def parse_set(text: str) -> Layer:
    """Parses one ``a.b=value``; the value is a YAML scalar or list, so ``1e-4`` is a number and ``null`` is none.

    Raises:
        ConfigError: there is no ``=``, no key, or the value is no YAML.
    """
    key, equals, value = text.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise ConfigError(f"--set {text}: expected KEY=VALUE, such as train.batch_size=4")
    return setting(".".join(parts), parse_value(value, f"--set {text}"), f"--set {text}", may_omit_section=True)


def parse_value(text: str, origin: str) -> Any:
    """Parses one YAML value, such as ``1e-4``, ``[1, 2]`` or ``{name: psnr}``; an empty text is itself.

    Args:
        text: the value.
        origin: the option that it was given with, for messages.

    Raises:
        ConfigError: it is no YAML.
    """
    try:
        return _plain(YAML().load(text) if text.strip() else "", (), {}, count())
    except (YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{origin}: the value is no valid YAML{_quotes_hint(text)}") from error


def _quotes_hint(text: str) -> str:
    r"""Where a text that is no YAML has a backslash in double quotes, as ``"C:\data"`` has: what to write; else ""."""
    if re.search(r'"[^"]*\\', text) is None:
        return ""
    return "; in double quotes a backslash begins an escape: use single quotes or none"


def setting(key: str, value: Any, origin: str, *, may_omit_section: bool = False) -> Layer:
    """One value as a layer.

    Args:
        key: such as ``train.batch_size``.
        value: a plain value, list, mapping or path.
        origin: where the value comes from, for messages.
        may_omit_section: whether the key may lack its section.
    """
    tree: Any = os.fspath(value) if isinstance(value, os.PathLike) else value
    for part in reversed(key.split(".")):
        tree = {part: tree}
    return Layer(tree, origin, may_omit_section=may_omit_section)


def _plain(node: Any, path: KeyPath, lines: dict[KeyPath, int], numbers: Iterator[int], depth: int = 0) -> Any:
    """Makes ruamel's nodes plain python values, notes the line of every key on the way, and numbers the values."""
    if depth > MAX_DEPTH or next(numbers) > MAX_VALUES:  # an alias may contain itself, or expand without end
        raise ConfigError(f"{'.'.join(path[:3])}: nested too deep or too large for a configuration")
    if isinstance(node, CommentedMap):
        for key in node:
            if key in (node.lc.data or {}):  # keys that a YAML merge brought have no line of their own
                lines[(*path, str(key))] = node.lc.key(key)[0] + 1
        return {str(key): _plain(value, (*path, str(key)), lines, numbers, depth + 1) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value, (*path, str(place)), lines, numbers, depth + 1) for place, value in enumerate(node)]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node if node is None else str(node)


def plain_yaml(values: Mapping[str, Any]) -> str:
    """Nested values as YAML without comments."""
    return _dump(_commented_values(values))


def _commented_values(values: Mapping[str, Any]) -> CommentedMap:
    return CommentedMap(
        (key, _commented_values(v) if isinstance(v, Mapping) else _flow(v)) for key, v in values.items()
    )


def commented_yaml(header: str, head: Mapping[str, Any], sections: Mapping[str, BaseModel], plugins: Plugins) -> str:
    """A whole configuration as YAML in which a comment above each key says its meaning and type."""
    document = CommentedMap(head)
    document.yaml_set_start_comment(header)
    for name, section in sections.items():
        document[name] = _commented(section, plugins, indent=2)
        summary = (type(section).__doc__ or "").strip().splitlines()
        document.yaml_set_comment_before_after_key(name, before="\n" + (summary[0] if summary else ""))
    return _dump(document)


def _commented(model: BaseModel, plugins: Plugins, indent: int) -> CommentedMap:
    node, plain = CommentedMap(), model.model_dump(mode="json")
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, Choice):
            node[name] = _commented_choice(value, plugins, indent + 2)
        elif isinstance(value, BaseModel):
            node[name] = _commented(value, plugins, indent + 2)
        elif isinstance(value, dict):
            node[name] = _commented_values(plain[name])
        else:
            node[name] = _flow(plain[name])
        node.yaml_set_comment_before_after_key(name, before=_comment(info), indent=indent)
    return node


def _commented_choice(choice: Choice, plugins: Plugins, indent: int) -> CommentedMap:
    node = CommentedMap({"name": choice.name})
    if choice.options:
        model = plugins.get(choice.kind, choice.name).config(**choice.options)
        options = _commented(model, plugins, indent)
        for key, value in options.items():
            node[key] = value
            node.yaml_set_comment_before_after_key(key, before=_comment(type(model).model_fields[key]), indent=indent)
    return node


def _comment(info: FieldInfo) -> str:
    meaning = " ".join((info.description or "").split())
    return f"{meaning} ({type_text(info.annotation)})".strip()


def type_text(annotation: Any) -> str:
    """A field's type in words: ``integer``, ``number or null``, ``adam | adamw``."""
    if isinstance(annotation, type) and issubclass(annotation, Choice):
        listed = issubclass(annotation, MetricChoice | TrackerChoice)  # their options stand beside the name
        return f"{annotation.kind} name{'' if listed else ', options below it'}"
    if get_origin(annotation) is Literal:
        return " | ".join(str(value) for value in get_args(annotation))
    if get_origin(annotation) in (Union, types.UnionType):
        return " or ".join(type_text(part) for part in get_args(annotation))
    if get_origin(annotation) in (tuple, list):
        parts = [type_text(part) for part in get_args(annotation) if part is not Ellipsis]
        return "list of " + ", ".join(parts)
    if get_origin(annotation) is not None and hasattr(annotation, "__metadata__"):
        return type_text(get_args(annotation)[0])
    names = {int: "integer", float: "number", str: "text", Path: "path", bool: "true or false", type(None): "null"}
    return names.get(annotation, "mapping")


def _flow(value: Any) -> Any:
    """Lists on one line, choices in them as short as possible; everything else unchanged."""
    if isinstance(value, MetricChoice | TrackerChoice):
        return _flow(value.plain())
    if isinstance(value, Mapping):
        mapping = CommentedMap((key, _flow(item)) for key, item in value.items())
        mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, list | tuple):
        sequence = CommentedSeq(_flow(item) for item in value)
        sequence.fa.set_flow_style()
        return sequence
    return value


class _Representer(RoundTripRepresenter):
    """Writes ``null`` where ruamel would leave the value empty."""

    def represent_none(self, data: None) -> Any:
        return self.represent_scalar("tag:yaml.org,2002:null", "null")


_Representer.add_representer(type(None), _Representer.represent_none)


def _dump(document: CommentedMap) -> str:
    writer = YAML()
    writer.width = 120
    writer.Representer = _Representer
    stream = io.StringIO()
    writer.dump(document, stream)
    return stream.getvalue()
