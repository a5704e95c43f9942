"""Running the checks of a component, one after the other, and saying what came out."""

from __future__ import annotations

import contextlib
import io
import random
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from i2i.api import Component
from i2i.config.text import parse_set
from i2i.errors import PluginError, UserError, debugging, one_line
from i2i.plugins.builder import Builder
from i2i.plugins.registry import KINDS, Plugins, nearest

SMALL = {"filters": 4, "blocks": 1, "growth": 4, "dense": 8}
"""Options by which networks are made small enough to be checked in seconds, wherever they have them."""


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        subject: kind and name of the component.
        check: name of the check.
        promise: what was checked, in a few words.
        problem: what is wrong and how to mend it, in one line; empty if nothing is.
        skipped: why the check was not done; empty if it was.
        notes: what could be better, a line each.
    """

    subject: str
    check: str
    promise: str
    problem: str = ""
    skipped: str = ""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        state, text = ("wrong", self.problem) if self.problem else ("skipped", self.skipped)
        if not text:
            state, text = "ok", self.promise
        notes = "".join(f"; better: {note}" for note in self.notes)
        return f"{state:8}{self.subject}, {self.check}: {text}{notes}"


class Skipped(Exception):  # noqa: N818  not an error
    """A check does not apply; the message says why."""


@dataclass
class Subject:
    """A component under test.

    Attributes:
        kind: one of `i2i.plugins.registry.KINDS`.
        name: the component's.
        plugins: where it is looked up.
        folder: for whatever the checks write.
        data: a folder that a dataset, or the recipe's layout, can read.
        sets: ``KEY=VALUE`` texts: configuration of a recipe, else the component's own options.
        notes: what the running check found that could be better.
        cache: see `once`.
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
        """Options that make it small, and on top of them those of `sets`."""
        options = small_options(self.plugins, self.kind, self.component)
        for text in self.sets:
            options |= parse_set(text).values
        return options

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        """What several checks need and is made once; if that failed, it fails again in the same way."""
        if key not in self.cache:
            try:
                self.cache[key] = make()
            except (Exception, SystemExit) as error:
                self.cache[key] = error
        if isinstance(self.cache[key], BaseException):
            raise self.cache[key]
        return self.cache[key]


Check = Callable[[Subject], None]
"""Raises AssertionError or anything else if a promise is broken, `Skipped` if it does not apply.

The function's name names the check, the first line of its docstring is the promise.
"""


def small_options(plugins: Plugins, kind: str, component: Component) -> dict[str, Any]:
    """Those of `SMALL` that the component has as whole numbers, if it can be built with them."""
    taken: dict[str, Any] = {}
    for key, value in SMALL.items():
        if key in component.config.model_fields:
            with contextlib.suppress(ValueError):  # its least value may be larger
                if type(getattr(component.config(**taken, **{key: value}), key)) is int:
                    taken[key] = value
    build = Builder(plugins, (64, 64))
    try:
        if kind == "generator":
            build.generator(component.name, in_channels=3, out_channels=3, **taken)
        elif kind == "discriminator":
            build.discriminator(component.name, in_channels=3, **taken)
    except UserError:  # a norm of 32 groups has no use for 4 channels
        return {}
    return taken


def fail(problem: str) -> NoReturn:
    """A promise is broken."""
    raise AssertionError(problem)


@contextlib.contextmanager
def trying(what: str) -> Iterator[None]:
    """An error inside says what was tried.

    Raises:
        AssertionError: anything but an error that is meant for people.
    """
    try:
        yield
    except (AssertionError, UserError, Skipped):
        raise
    except (Exception, SystemExit) as error:
        raise AssertionError(f"{what}: {one_line(error)} (I2I_DEBUG=1 shows where)") from error


def findings(
    kind: str,
    name: str,
    *,
    plugins: Plugins | None = None,
    data: str | Path | None = None,
    sets: Sequence[str] = (),
    skip: Collection[str] = (),
) -> Iterator[Finding]:
    """Runs the checks of one component, a finding each, as they come.

    Args:
        kind: of component: recipe, generator, discriminator, loss, features, dataset, transform or metric.
        name: the component's.
        plugins: where it is looked up; by default the installed plugins.
        data: a folder for datasets and recipes that have no samples drawn by code.
        sets: ``KEY=VALUE`` texts: configuration of a recipe, else the component's own options.
        skip: names of checks to leave out.

    Raises:
        PluginError: there is no such component, kind or check.
    """
    if kind not in KINDS:
        raise PluginError(f"unknown kind of component '{kind}'{nearest(kind, KINDS)}; known: {', '.join(KINDS)}")
    checks = {check.__name__.replace("_", "-"): check for check in _checks()[kind]}
    if unknown := [name for name in skip if name not in {key for c in _checks().values() for key in _names(c)}]:
        raise PluginError(f"no check '{unknown[0]}'{nearest(unknown[0], checks)}; {kind}s have: {', '.join(checks)}")
    with _state_kept(), tempfile.TemporaryDirectory(prefix="i2i-check-") as folder:
        subject = Subject(kind, name, plugins or Plugins(), Path(folder), Path(data) if data else None, sets)
        _ = subject.component
        seen: set[str] = set()
        for label, check in checks.items():
            promise = (check.__doc__ or "").strip().splitlines()[0].rstrip(".")
            about = Finding(f"{kind} {name}", label, promise)
            yield _run(check, subject, about, "left out" if label in skip else "", seen)


@contextlib.contextmanager
def _state_kept() -> Iterator[None]:
    """Puts the process's random states and number of threads back."""
    import torch

    states, threads = (random.getstate(), np.random.get_state(), torch.get_rng_state()), torch.get_num_threads()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        torch.set_num_threads(threads)


def _names(checks: Sequence[Check]) -> list[str]:
    return [check.__name__.replace("_", "-") for check in checks]


def _run(check: Check, subject: Subject, about: Finding, skipped: str, seen: set[str]) -> Finding:
    """Runs one check; what a check before it found already is not told twice."""
    problem = ""
    subject.notes.clear()
    try:
        if not skipped:
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                check(subject)
    except Skipped as reason:
        skipped = str(reason)
    except (AssertionError, UserError) as error:
        if debugging():
            raise
        problem = " ".join(str(error).split()) or one_line(error)
    except (Exception, SystemExit) as error:
        if debugging():
            raise
        problem = f"{one_line(error)} (I2I_DEBUG=1 shows where)"
    if problem in seen:
        problem, skipped = "", "fails like the check before"
    elif problem:
        seen.add(problem)
    return Finding(about.subject, about.check, about.promise, problem, skipped, tuple(subject.notes))


def check_component(
    kind: str,
    name: str,
    *,
    plugins: Plugins | None = None,
    data: str | Path | None = None,
    sets: Sequence[str] = (),
    skip: Collection[str] = (),
) -> None:
    """Checks what every component of that kind promises; arguments as those of `findings`.

    Raises:
        AssertionError: promises are broken; one line for each.
        PluginError: there is no such component, kind or check.
    """
    found = list(findings(kind, name, plugins=plugins, data=data, sets=sets, skip=skip))
    if wrong := [str(finding) for finding in found if finding.problem]:
        raise AssertionError("\n".join(wrong))


def check_recipe(
    name: str,
    *,
    plugins: Plugins | None = None,
    data: str | Path | None = None,
    sets: Sequence[str] = (),
    skip: Collection[str] = (),
) -> None:
    """Checks a training method from its options to the exported model; see `check_component`."""
    check_component("recipe", name, plugins=plugins, data=data, sets=sets, skip=skip)


def _checks() -> Mapping[str, Sequence[Check]]:
    """Kind of component -> its checks; they import torch, which asking for the kit should not."""
    from i2i.testing.checks import common, datasets, metrics, networks, objectives, recipes, transforms

    shared = [common.documentation, common.options]
    return {
        "recipe": [*shared, *recipes.CHECKS],
        "generator": [*shared, *networks.GENERATOR],
        "discriminator": [*shared, *networks.DISCRIMINATOR],
        "features": [*shared, *networks.FEATURES],
        "loss": [*shared, *objectives.LOSS],
        "dataset": [*shared, *datasets.DATASET],
        "transform": [*shared, *transforms.TRANSFORM],
        "metric": [*shared, *metrics.METRIC],
    }
