"""The component under test, and how a check fails or is skipped."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from i2i.api import Component
from i2i.config.text import parse_set
from i2i.errors import UserError, one_line, plugin_failures
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder

SMALL = {"filters": 4, "blocks": 1, "growth": 4, "dense": 8}
"""Options by which networks are made small enough to be checked in seconds, wherever they have them."""


class Skipped(Exception):  # noqa: N818  not an error
    """A check does not apply; the message says why."""


@dataclass
class Subject:
    """A component under test.

    Attributes:
        kind: one of `i2i.plugins.KINDS`.
        name: the component's name.
        plugins: where the component is looked up.
        folder: an empty folder for the files that checks write.
        data: a folder that a dataset, or the recipe's layout, can read; None for folders that the checks make.
        sets: ``KEY=VALUE`` texts: configuration of a recipe, else the component's own options.
        notes: lines of the running check about what could be better.
        cache: values made by `once`, by key.
    """

    kind: str
    name: str
    plugins: Plugins
    folder: Path
    data: Path | None = None
    sets: Sequence[str] = ()
    notes: list[str] = field(default_factory=list)
    cache: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def component(self) -> Component:
        """The component; raises PluginError if there is none of that kind and name."""
        return self.plugins.get(self.kind, self.name)

    @cached_property
    def options(self) -> dict[str, Any]:
        """The component's options: those that make it small, and on top of them those of `sets`."""
        options = small_options(self.plugins, self.kind, self.component)
        for text in self.sets:
            options |= parse_set(text).values
        return options

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        """A value that several checks need, made by the first of them.

        Args:
            key: names the value among those of this component.
            make: makes the value.

        Returns:
            What `make` returned when the key was first asked for.

        Raises:
            Exception: whatever `make` raised then, at every call.
        """
        if key not in self.cache:
            try:
                self.cache[key] = make()
            except plugin_failures() as error:
                self.cache[key] = error
        if isinstance(self.cache[key], BaseException):
            raise self.cache[key]
        return self.cache[key]


Check = Callable[[Subject], None]
"""A function that raises AssertionError or anything else if a promise is broken, `Skipped` if it does not apply.

The function's name names the check, the first line of its docstring is the promise.
"""


def small_options(plugins: Plugins, kind: str, component: Component) -> dict[str, Any]:
    """The options of `SMALL` that the component has as whole numbers; empty if it cannot be built with them."""
    small: dict[str, Any] = {}
    for key, value in SMALL.items():
        if key in component.config.model_fields:
            with contextlib.suppress(ValueError):  # the smallest value that the option allows may be larger
                if type(getattr(component.config(**small, **{key: value}), key)) is int:
                    small[key] = value
    build = Builder(plugins, (64, 64))
    try:
        if kind == "generator":
            build.generator(component.name, in_channels=3, out_channels=3, **small)
        elif kind == "discriminator":
            build.discriminator(component.name, in_channels=3, **small)
    except UserError:  # a norm of 32 groups has no use for 4 channels
        return {}
    return small


def fail(problem: str) -> NoReturn:
    """Ends a check: the promise is broken, and `problem` says how and what mends it."""
    raise AssertionError(problem)


@contextlib.contextmanager
def failing_as(what: str) -> Iterator[None]:
    """Makes an error inside a broken promise that names what was tried.

    Args:
        what: what is tried inside, put before the error.

    Raises:
        AssertionError: the code inside raised something that is not meant for people to read; a `UserError`, a
            `Skipped` and an AssertionError stay as they are.
    """
    try:
        yield
    except (AssertionError, UserError, Skipped):
        raise
    except plugin_failures() as error:
        raise AssertionError(f"{what}: {one_line(error)} (I2I_DEBUG=1 shows where)") from error
