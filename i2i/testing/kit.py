"""Runs the checks of a component one after the other and reports their findings.

The checks themselves are in `i2i.testing.checks`; they import torch, and are imported when the first one runs.
"""

from __future__ import annotations

import contextlib
import io
import random
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from i2i.errors import PluginError, UserError, debugging, one_line, plugin_failures
from i2i.extras import MissingExtraError
from i2i.plugins import KINDS, Plugins, nearest
from i2i.testing.subject import Check, Skipped, Subject


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        subject: kind and name of the component.
        check: name of the check.
        promise: the promise that was checked, in a few words.
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


def findings(
    kind: str,
    name: str,
    *,
    plugins: Plugins | None = None,
    data: str | Path | None = None,
    sets: Sequence[str] = (),
    skip: Collection[str] = (),
) -> Iterator[Finding]:
    """Runs the checks of one component, each when the next finding is asked for.

    Random states and the number of threads are put back at the end.

    Args:
        kind: of component: recipe, generator, discriminator, loss, features, dataset, transform, optimizer, schedule,
            metric, command, backend or tracker.
        name: the component's name.
        plugins: where the component is looked up; by default the installed plugins.
        data: a folder for datasets and recipes that have no samples drawn by code.
        sets: ``KEY=VALUE`` texts: configuration of a recipe, else the component's own options.
        skip: names of checks to leave out.

    Yields:
        A finding for each check, in the order in which they run.

    Raises:
        PluginError: there is no such component, kind or check.

    Example:
        >>> from i2i.testing import findings
        >>> for finding in findings("loss", "hinge"):
        ...     print(finding)
        ok      loss hinge, documentation: A summary, and a docstring on the builder or its module
        ok      loss hinge, options: Every option has a default that fits, and a name for --set
        ok      loss hinge, scalar: Gives a finite float32 scalar that can be differentiated
        ok      loss hinge, mean: Is the mean over the batch: the same images twice cost the same
    """
    if kind not in KINDS:
        raise PluginError(f"unknown kind of component '{kind}'{nearest(kind, KINDS)}; known: {', '.join(KINDS)}")
    checks = _checks(kind, skip)
    with _process_state_kept(), tempfile.TemporaryDirectory(prefix="i2i-check-") as folder:
        subject = Subject(kind, name, plugins or Plugins(), Path(folder), Path(data) if data else None, sets)
        _ = subject.component  # a name that nobody gives is refused before the first check
        problems: set[str] = set()
        for label, check in checks.items():
            promise = (check.__doc__ or "").strip().splitlines()[0].rstrip(".")
            finding = Finding(f"{kind} {name}", label, promise)
            if label in skip:
                yield replace(finding, skipped="left out")
                continue
            finding = _run(check, subject, finding)
            if finding.problem in problems:
                finding = replace(finding, problem="", skipped="fails like the check before")
            elif finding.problem:
                problems.add(finding.problem)
            yield finding


def check_component(
    kind: str,
    name: str,
    *,
    plugins: Plugins | None = None,
    data: str | Path | None = None,
    sets: Sequence[str] = (),
    skip: Collection[str] = (),
) -> None:
    """Checks what every component of a kind promises: for a test of a plugin.

    Args:
        kind: of component: recipe, generator, discriminator, loss, features, dataset, transform, optimizer, schedule,
            metric, command, backend or tracker.
        name: the component's name.
        plugins: where the component is looked up; by default the installed plugins.
        data: a folder for datasets and recipes that have no samples drawn by code.
        sets: ``KEY=VALUE`` texts: configuration of a recipe, else the component's own options.
        skip: names of checks to leave out.

    Raises:
        AssertionError: promises are broken; one line for each.
        PluginError: there is no such component, kind or check.

    Example:
        >>> from i2i.testing import check_component
        >>> check_component("loss", "r1", sets=["every=2"])
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
    """Checks a training method from its options to the exported model, small and within about a minute.

    Args:
        name: the recipe's name.
        plugins: where the recipe and its components are looked up; by default the installed plugins.
        data: a folder for a recipe that has no samples drawn by code.
        sets: ``KEY=VALUE`` texts of its configuration, as ``i2i train --set`` takes them.
        skip: names of checks to leave out.

    Raises:
        AssertionError: promises are broken; one line for each.
        PluginError: there is no such recipe or check.

    Example:
        >>> from i2i.testing import check_recipe
        >>> check_recipe("pix2pix", skip=["gradients", "bf16", "export", "resume", "processes"])
    """
    check_component("recipe", name, plugins=plugins, data=data, sets=sets, skip=skip)


def _checks(kind: str, skip: Collection[str]) -> dict[str, Check]:
    """The checks of a kind by name.

    Raises:
        PluginError: `skip` names one that no kind has.
    """
    from i2i.testing.checks.table import CHECKS, check_name

    checks = {check_name(check): check for check in CHECKS[kind]}
    known = {check_name(check) for of_kind in CHECKS.values() for check in of_kind}
    if unknown := [name for name in skip if name not in known]:
        raise PluginError(f"no check '{unknown[0]}'{nearest(unknown[0], checks)}; {kind}s have: {', '.join(checks)}")
    return checks


@contextlib.contextmanager
def _process_state_kept() -> Iterator[None]:
    """Restores the process's random states and number of threads when the context ends."""
    import torch

    states, threads = (random.getstate(), np.random.get_state(), torch.get_rng_state()), torch.get_num_threads()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        torch.set_num_threads(threads)


def _run(check: Check, subject: Subject, finding: Finding) -> Finding:
    """Runs a check and completes its finding; what the check prints is dropped."""
    problem, skipped = "", ""
    subject.notes.clear()
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            check(subject)
    except (Skipped, MissingExtraError) as reason:
        skipped = str(reason)
    except (AssertionError, UserError) as error:
        if debugging():
            raise
        problem = " ".join(str(error).split()) or one_line(error)
    except plugin_failures() as error:
        if debugging():
            raise
        problem = f"{one_line(error)} (I2I_DEBUG=1 shows where)"
    return replace(finding, problem=problem, skipped=skipped, notes=tuple(subject.notes))
