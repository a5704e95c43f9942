"""Checks of commands, which are not run: what they take from the command line."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from i2i.api import Config
from i2i.plugins.commands import command_line_problem, command_parameters
from i2i.testing.subject import Check, Subject, fail


def command_line(subject: Subject) -> None:
    """Every option can be given on the command line, has a default that fits, and a help text."""
    config: type[Config] = subject.component.config
    if bare := [name for name, field in config.model_fields.items() if not (field.description or "").strip()]:
        subject.notes.append(f"say what {', '.join(bare)} means in a docstring under it, which --help prints")
    if problem := command_line_problem(config):
        fail(problem)
    command_parameters(config)
    texts = {name: _as_given(field) for name, field in config.model_fields.items() if not field.is_required()}
    for what, values in (("the default", {}), ("the default as a text", texts)):
        for name, reason in _refused(config, {key: value for key, value in values.items() if value is not None}):
            fail(f"option {name}: {what} is refused ({reason}): the command line gives texts, or lists of texts")


def call(subject: Subject) -> None:
    """Is called with its options, and with `plugins` if it has a parameter of that name."""
    signature = inspect.signature(subject.component.builder)
    optional = {"plugins": subject.plugins} if "plugins" in signature.parameters else {}
    try:
        signature.bind(None, **optional)
    except TypeError as error:
        fail(f"it cannot be called as command(config{', plugins=plugins' if optional else ''}): {error}")


COMMAND: Sequence[Check] = (command_line, call)


def _as_given(field: FieldInfo) -> Any:
    """A field's default as the command line would give it: true or false, a list of texts, or a text."""
    value = field.get_default(call_default_factory=True)
    if value is None or isinstance(value, bool):
        return value
    return [str(one) for one in value] if isinstance(value, list | tuple | set | frozenset) else str(value)


def _refused(config: type[Config], values: dict[str, Any]) -> list[tuple[str, str]]:
    """The options whose values do not fit, each with the reason; those that must be given are left out of account."""
    try:
        config(**values)
    except ValidationError as error:
        found = [one for one in error.errors() if one["type"] != "missing"]
        return [(".".join(map(str, one["loc"])), one["msg"].lower()) for one in found]
    return []
