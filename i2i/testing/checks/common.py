"""Checks of components of every kind: documentation and options."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ruamel.yaml import YAML

from i2i.api import Config
from i2i.config.text import plain_yaml
from i2i.plugins.builder import imported_builder
from i2i.testing.subject import Check, Subject, fail, failing_as


def documentation(subject: Subject) -> None:
    """A summary, and a docstring on the builder or its module."""
    component = subject.component
    if not component.summary.strip() or "\n" in component.summary:
        fail("give the i2i.Component a summary of one line: `i2i plugins list` shows it")
    builder = imported_builder(component, subject.plugins.full_name(subject.kind, subject.name))
    module = sys.modules.get(getattr(builder, "__module__", ""))
    if not getattr(builder, "__doc__", None) and not getattr(module, "__doc__", None):
        fail("write a docstring: what it is, which paper it is from")


def options(subject: Subject) -> None:
    """Every option has a default that fits, and a name for --set."""
    config: type[Config] = subject.component.config
    required = [name for name, field in config.model_fields.items() if field.is_required()]
    if required:
        fail(f"give option {required[0]} a default: people start without a configuration")
    try:
        made = config()
    except ValueError as error:
        fail(f"the defaults of {config.__name__} do not pass its own checks: {error}")
    with failing_as(f"writing {config.__name__} as YAML and reading it again"):
        values = made.model_dump(mode="json")
        again = config(**YAML(typ="safe").load(plain_yaml(values)) or {})
    if again.model_dump(mode="json") != values:
        fail(f"{config.__name__} does not come back from its own values: a validator changes them each time")
    if bare := [name for name, field in config.model_fields.items() if not (field.description or "").strip()]:
        subject.notes.append(f"say what {', '.join(bare)} means in a docstring under it, which `i2i config` prints")
    if "name" in config.model_fields:
        fail("rename option 'name': in a configuration it says which component is meant")


COMMON: Sequence[Check] = (documentation, options)
