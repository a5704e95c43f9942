"""Which dataset component reads a folder, or draws samples, for a recipe that needs certain keys."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path

from i2i.api import Component
from i2i.config import DataConfig
from i2i.errors import DataError
from i2i.images.reading import find_images
from i2i.plugins import Plugins


@dataclass(frozen=True)
class Wanted:
    """What a recipe wants of its data.

    Attributes:
        keys: that samples must have.
        paired: see `i2i.Recipe.paired`.
    """

    keys: frozenset[str]
    paired: bool | None = None

    def rank(self, component: Component, config: DataConfig) -> tuple[int, bool, int] | None:
        """How well a dataset fits, less being better; None if it does not.

        Layouts that give the keys by themselves come before those that ``data.degrade`` completes, which have nothing
        but targets; then those that are paired, or unpaired, as wanted; then those with the fewest other keys.
        """
        gives = frozenset(getattr(component.build, "gives", self.keys))
        paired = bool(getattr(component.build, "paired", True))
        completed = config.degrade is not None and gives == {"target"}
        if not self.keys <= gives | ({"source"} if completed else set()) or (self.paired and not paired):
            return None
        return int(not self.keys <= gives), paired == (self.paired is False), len(gives - self.keys)


def find_layout(config: DataConfig, plugins: Plugins, root: Path | None, wanted: Wanted) -> str:
    """The name of the dataset component to use: the one that fits best, a folder or, without one, drawings.

    Args:
        config: the data section.
        plugins: where datasets are looked up.
        root: the data folder, or None.
        wanted: what the samples are for.

    Raises:
        DataError: none fits, or several do equally, or the configured one needs a folder.
    """
    if (chosen := config.layout.name) != "auto":
        if (root is not None) != _needs_folder(plugins.get("dataset", chosen)):
            instead = f"draws its samples and reads no folder, and {root} was given" if root else "needs --data DIR"
            raise DataError(f"data.layout={chosen} {instead}")
        return chosen
    givers = {name: givers[0] for name, givers in plugins.table("dataset").items()}
    found: dict[str, Component] = {}
    # the built-in layouts first: installing a plugin must not change how a folder is read
    for built_in in (True, False):
        asked = {name: c for name, (plugin, c) in givers.items() if plugin.built_in == built_in and _finds(c, root)}
        ranks = {name: rank for name, c in asked.items() if (rank := _rank(wanted, c, config)) is not None}
        best = [name for name in ranks if ranks[name] == min(ranks.values())]
        if len(best) > 1 and not wanted.keys:  # nobody asks for anything: rather pairs, whose names say that they are
            best = [name for name in best if {"source", "target"} <= getattr(asked[name].build, "gives", set())][:1]
        if len(best) > 1 and root is not None:
            raise DataError(f"{root}: could be {' or '.join(best)}: say which with --set data.layout=NAME")
        if best:
            return best[0]
        found |= asked
    raise DataError(_nothing_fits({name: c for name, (_, c) in givers.items()}, found, root, wanted))


def _finds(component: Component, root: Path | None) -> bool:
    """Whether it reads that folder, one that cannot say does not; without a folder, whether it draws."""
    if root is None:
        return not _needs_folder(component)
    detect = getattr(component.build, "detect", None)
    try:
        return bool(detect and detect(root))
    except KeyboardInterrupt:
        raise
    except BaseException:  # whatever it is, other people's data must not suffer
        return False


def _rank(wanted: Wanted, component: Component, config: DataConfig) -> tuple[int, bool, int] | None:
    try:
        return wanted.rank(component, config)
    except Exception:  # `gives` is no set of names
        return None


def _nothing_fits(
    components: dict[str, Component], found: dict[str, Component], root: Path | None, wanted: Wanted
) -> str:
    needs = ", ".join(sorted(wanted.keys))
    if root is None:
        return f"no samples drawn by code have {needs}: give --data DIR"
    if not find_images(root):
        return f"{root}: no images in it"
    if not found:
        able = ", ".join(name for name, component in components.items() if hasattr(component.build, "detect"))
        return f"{root}: found no layout in it ({able}): set data.layout, or see `i2i plugins list` for layouts"
    if wanted.paired and any(not getattr(component.build, "paired", True) for component in found.values()):
        return (
            f"{root}: the recipe needs pairs, and the images of the two folders have different names; "
            "--set data.layout=images takes them all as pictures, where data.degrade makes the pairs"
        )
    gives = "; ".join(f"{name} gives {', '.join(sorted(getattr(c.build, 'gives', ())))}" for name, c in found.items())
    return f"{root}: the recipe needs {needs}, but layout {gives}"


def _needs_folder(component: Component) -> bool:
    root = inspect.signature(component.build).parameters.get("root")
    return root is not None and root.default is root.empty
