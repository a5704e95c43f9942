"""The table of the numbers that a model gives: one row an image, written when all results are there."""

from __future__ import annotations

import csv
import io
from collections.abc import Generator, Sequence
from pathlib import Path

from i2i.errors import UserError
from i2i.files import printable, write_file
from i2i.images.errors import errors_about
from i2i.translate.results import Result


def with_table(results: Generator[Result], file: Path, columns: Sequence[str], *, keep: bool) -> Generator[Result]:
    """Hands results on, and writes the numbers among them in the end, also after an interrupt.

    Args:
        results: the results of a folder.
        file: the table, a CSV file with a header; its first columns are the input, and the frame where there are any.
        columns: names of the numbers.
        keep: whether the rows of a table that is there stay above the new ones, but for images that are done anew.

    Raises:
        UserError: the table that is there cannot be read, or has other columns; or the new one cannot be written.
    """
    header, rows = ["input", "frame", *columns], list[list[str]]()
    before = _rows(file, header) if keep and file.exists() else []
    try:
        for result in results:
            if result.status == "written":
                frame = "" if result.frame is None else str(result.frame)
                rows.append([printable(result.input), frame, *(repr(result.numbers[name]) for name in columns)])
            yield result
    finally:
        results.close()
        text, anew = io.StringIO(), {tuple(row[:2]) for row in rows}
        kept = [row for row in before if tuple(row[:2]) not in anew]
        csv.writer(text, lineterminator="\n").writerows([header, *kept, *rows])
        with errors_about(file):
            write_file(file, text.getvalue().encode())


def _rows(file: Path, header: list[str]) -> list[list[str]]:
    with errors_about(file):
        first, *rows = [*csv.reader(io.StringIO(file.read_text(encoding="utf-8"), newline=""))] or [[]]
    if first != header:
        raise UserError(f"has the columns {', '.join(first)}, not {', '.join(header)}", path=printable(file))
    return rows
