"""Which dataset component reads a folder, or draws samples, for a recipe that needs certain keys."""

from __future__ import annotations

import inspect
from pathlib import Path

from i2i.api import Component
from i2i.config import DataConfig
from i2i.data.images import find_images
from i2i.errors import DataError
from i2i.plugins import Plugins


def find_layout(config: DataConfig, plugins: Plugins, root: Path | None, needs: frozenset[str]) -> str:
    """The name of the dataset component to use.

    Without a folder it is one that draws samples with the needed keys, paired ones and those with no other keys first.

    Args:
        config: the data section.
        plugins: where datasets are looked up.
        root: the data folder, or None.
        needs: keys that samples must have.

    Raises:
        DataError: none fits, or several do, or the configured one needs a folder.
    """
    if (chosen := config.layout.name) != "auto":
        if (root is not None) != _needs_folder(plugins.get("dataset", chosen)):
            instead = "draws its samples: leave --data out, or set data.layout=auto" if root else "needs --data DIR"
            raise DataError(f"data.layout={chosen} {instead}")
        return chosen
    components = {name: givers[0][1] for name, givers in plugins.table("dataset").items()}
    if root is None:
        return _drawn(components, config, needs)
    fitting = [n for n, c in components.items() if (detect := getattr(c.build, "detect", None)) and detect(root)]
    if not fitting and not find_images(root):
        raise DataError(f"{root}: no images in it")
    if not fitting:
        able = ", ".join(name for name, component in components.items() if hasattr(component.build, "detect"))
        raise DataError(
            f"{root}: found no layout in it ({able}): set data.layout, or see `i2i plugins list` for layouts"
        )
    usable = [name for name in fitting if needs <= _keys(components[name], config, needs)]
    if not usable:
        gives = "; ".join(
            f"{name} gives {', '.join(sorted(_keys(components[name], config, needs)))}" for name in fitting
        )
        raise DataError(f"{root}: the recipe needs {', '.join(sorted(needs))}, but layout {gives}")
    if len(usable) > 1:
        raise DataError(f"{root}: could be {' or '.join(usable)}: choose with --set data.layout={usable[0]}")
    return usable[0]


def _drawn(components: dict[str, Component], config: DataConfig, needs: frozenset[str]) -> str:
    drawn = {name: component for name, component in components.items() if not _needs_folder(component)}
    usable = [name for name, component in drawn.items() if needs <= _keys(component, config, needs)]
    if not usable:
        raise DataError(f"no samples drawn by code have {', '.join(sorted(needs))}: give --data DIR")
    return min(usable, key=lambda name: _surplus(drawn[name], needs))


def _surplus(component: Component, needs: frozenset[str]) -> tuple[bool, int]:
    """What makes drawings less fit: being unpaired, and keys that nobody asked for."""
    gives = getattr(component.build, "gives", needs)
    return not getattr(component.build, "paired", True), len(gives - needs)


def _keys(component: Component, config: DataConfig, needs: frozenset[str]) -> frozenset[str]:
    """The keys of a component's samples in training; one that does not say gets the benefit of the doubt."""
    gives = frozenset(getattr(component.build, "gives", needs))
    return gives | {"source"} if config.degrade and "target" in gives else gives


def _needs_folder(component: Component) -> bool:
    root = inspect.signature(component.build).parameters.get("root")
    return root is not None and root.default is root.empty
