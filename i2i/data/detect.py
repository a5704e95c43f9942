"""Finds the dataset component that reads a folder, or draws samples by code, for a recipe's requirements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from i2i.api import Recipe
from i2i.config import DataConfig
from i2i.data.adapter import DatasetComponent, dataset_component, dataset_components
from i2i.errors import DataError
from i2i.images import find_images
from i2i.kinds import ValueKind
from i2i.plugins import Plugins


@dataclass(frozen=True)
class Requirements:
    """What a recipe requires of its data.

    Attributes:
        keys: keys that samples must have.
        paired: whether source and target of a sample must belong together (True), should preferably not (False), or
            may or may not (None).
        takes_labels: whether sources that are palette images count as label maps, unless something says otherwise.
        kinds: what the images under some keys must stand for; see `i2i.Recipe`.
    """

    keys: frozenset[str]
    paired: bool | None = None
    takes_labels: bool = False
    kinds: Mapping[str, ValueKind] = field(default_factory=dict)

    @classmethod
    def of_recipe(cls, recipe: Recipe) -> Requirements:
        """What a recipe says that it requires."""
        return cls(frozenset(recipe.needs), recipe.paired, recipe.takes_labels, dict(recipe.kinds))

    def rank(self, component: DatasetComponent, config: DataConfig) -> tuple[int, bool, int] | None:
        """How well a dataset meets the requirements, smaller is better; None if it does not.

        Layouts that give all keys come before those of targets only, for which ``data.degrade`` makes the sources; of
        samples drawn by code it is the other way, for there a degradation says what is to be learned. Then come those
        that are paired, or unpaired, as preferred; then those with the fewest other keys.
        """
        gives = self.keys if component.gives is None else component.gives
        completed = config.degrade is not None and gives == {"target"}
        if not self.keys <= gives | ({"source"} if completed else set()) or (self.paired and not component.paired):
            return None
        whole = self.keys <= gives
        first = not whole if config.degrade is not None and not component.reads_folder else whole
        return int(not first), component.paired == (self.paired is False), len(gives - self.keys)


def find_layout(config: DataConfig, plugins: Plugins, root: Path | None, requirements: Requirements) -> str:
    """The name of the dataset component to use: the configured one, else the one that fits best.

    Args:
        config: the data section.
        plugins: where datasets are looked up.
        root: the data folder; None for samples drawn by code.
        requirements: what the samples are for.

    Raises:
        DataError: none fits, or several do equally, or the configured one needs a folder.
    """
    if (chosen := config.layout.name) != "auto":
        if (root is not None) != dataset_component(plugins, chosen).reads_folder:
            instead = f"draws its samples and reads no folder, and {root} was given" if root else "needs --data DIR"
            raise DataError(f"data.layout={chosen} {instead}")
        return chosen
    components = dataset_components(plugins)
    fitting: dict[str, DatasetComponent] = {}
    # the built-in layouts first: installing a plugin must not change how a folder is read
    for built_in in (True, False):
        asked = {name: c for name, c in components.items() if c.built_in == built_in and c.fits(root)}
        ranks = {name: rank for name, c in asked.items() if (rank := requirements.rank(c, config)) is not None}
        best = [name for name in ranks if ranks[name] == min(ranks.values())]
        if len(best) > 1 and not requirements.keys:  # nothing is required: rather pairs, whose names say that they are
            best = [name for name in best if {"source", "target"} <= (asked[name].gives or set())][:1]
        if len(best) > 1 and root is not None:
            raise DataError(f"{root}: could be {' or '.join(best)}: say which with --set data.layout=NAME")
        if best:
            return best[0]
        fitting |= asked
    raise DataError(_nothing_fits(components, fitting, root, requirements, degraded=config.degrade is not None))


def _nothing_fits(
    components: Mapping[str, DatasetComponent],
    fitting: Mapping[str, DatasetComponent],
    root: Path | None,
    requirements: Requirements,
    *,
    degraded: bool,
) -> str:
    """Why no component can be used; `fitting` are those that read the folder, but do not give what is required."""
    needs = ", ".join(sorted(requirements.keys))
    if root is None:
        return f"no samples drawn by code have {needs}: give --data DIR"
    if not find_images(root):
        return f"{root}: no images in it"
    if not fitting:
        able = ", ".join(name for name, component in components.items() if component.detects)
        return f"{root}: found no layout in it ({able}): set data.layout, or see `i2i plugins list` for layouts"
    pairs = frozenset({"source", "target"})
    if requirements.paired and any(not c.paired and pairs <= (c.gives or pairs) for c in fitting.values()):
        return (
            f"{root}: the recipe needs pairs, and the images of the two folders have different names; "
            "--set data.layout=images takes them all as pictures, where data.degrade makes the pairs"
        )
    missing = requirements.keys - {key for component in fitting.values() for key in component.gives or ()}
    if missing & ({"label"} if degraded else {"source", "label"}):
        return f"{root}: {_advice(missing, requirements)}"
    gives = "; ".join(f"{name} gives {', '.join(sorted(c.gives or ()))}" for name, c in fitting.items())
    return f"{root}: the recipe needs {needs}, but layout {gives}"


def _advice(missing: frozenset[str], requirements: Requirements) -> str:
    """What to give a recipe, or which one to take, for a folder of images without the keys that are missing."""
    if "label" in missing:
        return (
            "images without classes, and the recipe needs a folder for each class, such as zebra/1.jpg and horse/1.jpg"
        )
    if requirements.paired is False:
        return "images of one kind, and the recipe needs two: a folder for each, such as trainA and trainB"
    return (
        "single images, and the recipe needs pairs of source and target: side by side in a file, or in two folders "
        "under the same names. Without pairs: cyclegan with two folders, srresnet to enlarge, or "
        "--set data.degrade=NAME, which makes each source out of its image"
    )
