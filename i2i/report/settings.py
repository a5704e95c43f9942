"""Settings of a run as rows of a table: those that differ from its preset, or from other runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from i2i.config import resolve
from i2i.errors import UserError
from i2i.plugins import Plugins


def changed_settings(config: Mapping[str, Any], plugins: Plugins) -> tuple[list[tuple[str, str, str]], str]:
    """What the configuration of a run has changed in its preset.

    Args:
        config: the values in its ``config.yaml``, which names recipe and preset.
        plugins: where the recipe and its presets are looked up.

    Returns:
        Key, value of the run and value of the preset for each option of the run that differs; and why there are none if
        the preset is not known, else an empty text.
    """
    recipe, preset = config.get("recipe"), config.get("preset")
    if not isinstance(recipe, str) or not isinstance(preset, str):
        return [], "config.yaml does not name a recipe and a preset to compare with"
    try:
        usual = flat(resolve(plugins, recipe, preset=preset, samples=False).to_dict())
    except UserError as error:
        return [], f"not compared with preset {preset} of {recipe}: {error}"
    own = {key: value for key, value in flat(config).items() if key not in ("recipe", "preset")}
    return [(key, value, usual.get(key, "")) for key, value in own.items() if value != usual.get(key, "")], ""


def flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Nested mappings as texts by dotted key; anything else at the top gives nothing."""
    if isinstance(value, Mapping) and (value or not prefix):
        leaves: dict[str, str] = {}
        for key, inner in value.items():
            leaves.update(flat(inner, f"{prefix}.{key}" if prefix else str(key)))
        return leaves
    if not prefix:
        return {}
    return {prefix: value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)}


def rows(columns: Sequence[Mapping[str, str]]) -> list[tuple[str, list[str]]]:
    """Rows of a name and one text a column, empty where a column lacks the name."""
    names = dict.fromkeys(name for column in columns for name in column)
    return [(name, [column.get(name, "") for column in columns]) for name in names]
