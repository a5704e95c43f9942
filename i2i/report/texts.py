"""Numbers, times and sizes as short texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from i2i.report.charts import number
from i2i.runs.disk import byte_text


def duration(seconds: float) -> str:
    """A time as a person says it: ``45 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60:02d} min"


def size(path: Path) -> str:
    """The size of a file, or of all files in a folder; empty if it cannot be told."""
    try:
        return byte_text(sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file()))
    except OSError:  # a run that goes on prunes its checkpoints
        return ""


def value_text(value: float, error: Any = None) -> str:
    """A figure with its error bar, if it has one."""
    return f"{number(value)} ± {number(error)}" if isinstance(error, int | float) and error > 0 else number(value)


def images_text(facts: Mapping[str, Any]) -> str:
    """What ``data.json`` says of the images under a key, such as ``RGB uint8, 256 x 256 px, cropped to 128 x 128``."""
    count = facts.get("channels")
    sort = {1: "grey", 3: "RGB", 4: "RGBA"}.get(count, f"{count} channels") if isinstance(count, int) else ""
    kind = str(facts.get("kind") or "image")
    parts = [" ".join(filter(None, ["" if kind == "image" else f"{kind},", sort, str(facts.get("dtype") or "")]))]
    heights, widths, crop = facts.get("heights"), facts.get("widths"), facts.get("crop")
    if _is_pair(heights) and _is_pair(widths):
        sides = [str(low) if low == high else f"{low}-{high}" for low, high in (heights, widths)]
        parts.append(f"{sides[1]} × {sides[0]} px")
    if _is_pair(crop) and [heights, widths] != [[side, side] for side in crop]:
        parts.append(f"trained at {crop[1]} × {crop[0]}")
    if facts.get("bands"):
        parts.append(f"bands {', '.join(map(str, facts['bands']))}")
    if facts.get("range"):
        parts.append(f"values {facts['range']}")
    return ", ".join(filter(None, parts))


def _is_pair(value: Any) -> TypeGuard[Sequence[int]]:
    return isinstance(value, Sequence) and len(value) == 2 and all(isinstance(one, int) for one in value)
