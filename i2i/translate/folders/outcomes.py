"""Builds the `Result` of an image: decoded, skipped or failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from i2i.errors import UserError
from i2i.files import printable
from i2i.translate.folders.planning.plan import PlannedImage
from i2i.translate.results import Result


def decoded_result(image: PlannedImage, seconds: float = 0.0) -> Result:
    """The result of an image after decoding, which took `seconds`; the later stages complete it."""
    return Result(image.input, image.outputs[0], "written", frame=image.frame, decode=seconds)


def known_result(image: PlannedImage) -> Result | None:
    """The result of an image that the plan refuses or skips; None for an image that is to be read."""
    result = decoded_result(image)
    if image.refused:
        return replace(result, status="failed", reason=f"{printable(image.input)}: {image.refused}")
    return skipped(result) if image.skip else None


def skipped(result: Result) -> Result:
    """The result of an image whose output exists and is kept."""
    reason = f"{printable(result.input)}: {printable(result.output)} exists"
    return replace(result, status="skipped", note="", reason=reason)


def failed(result: Result, error: UserError) -> Result:
    """The result of an image after that error; the reason names the input once, and then the frame."""
    name = printable(result.input)
    reason = error.reason if error.path == name else str(error)
    frame = "" if result.frame is None else f"frame {result.frame}: "
    return replace(result, status="failed", note="", reason=f"{name}: {frame}{reason}")


def with_notes(note: str, input: Path, notes: Sequence[str]) -> str:
    """The note on an image with further ones, each without the image's name; empty without any."""
    if not notes:
        return note
    return f"{note}; {'; '.join(notes)}" if note else f"{printable(input)}: {'; '.join(notes)}"
