"""One HTML page about one training run or several: key figures, samples, curves, settings, how to use the model.

The page is a single file without scripts or links to the network. It shows what a run folder happens to have: a run
that is still going, was interrupted or has lost a file gets a shorter report, not an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2

from i2i.errors import RunError
from i2i.files import printable_lines, user_path, write_file
from i2i.report import charts
from i2i.report.run import RunSummary, read_run

_COLOURS = 8
_DASHES = 4
"""Colours and dash patterns that the page's style sheet has; further curves begin again with the first."""


def write_report(runs: Sequence[Path], out: Path) -> Path:
    """Writes a self-contained HTML report; several runs are compared.

    Args:
        runs: run folders; one given twice counts once.
        out: the file to write, replaced as a whole; for a folder, ``report.html`` in it.

    Returns:
        The file written.

    Raises:
        RunError: no run is given, or one is no folder or has neither ``config.yaml`` nor ``metrics.jsonl``.
    """
    out = user_path(out, "the report")
    folders = list({path.resolve(): path for path in (user_path(run, "the run") for run in runs)}.values())
    if not folders:
        raise RunError("a report needs at least one run folder")
    read = [read_run(folder, name) for folder, name in zip(folders, _names(folders), strict=True)]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        title=read[0].name if len(read) == 1 else f"{len(read)} runs compared",
        runs=read,
        figures=_table([run.figures for run in read]),
        summary=_table([run.summary for run in read]),
        charts=_charts(read),
        differing=[row for row in _table([run.config for run in read]) if len(set(row[1])) > 1],
        plot=charts,
    )
    out = out / "report.html" if out.is_dir() else out
    out.parent.mkdir(parents=True, exist_ok=True)
    write_file(out, page.encode())
    return out


def _shown(value: object) -> object:
    """A text of a run, such as its path, with control characters escaped; pieces of the page itself as they are."""
    return printable_lines(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders' names, with as many parents as it takes to tell them apart."""
    whole = [folder.resolve().parts for folder in folders]
    for depth in range(1, max(map(len, whole)) + 1):
        names = ["/".join(parts[-depth:]) for parts in whole]
        if len(set(names)) == len(names):
            break
    return names


def _table(columns: Sequence[Mapping[str, str]]) -> list[tuple[str, list[str]]]:
    """Rows of a name and one text a column, empty where a column lacks the name."""
    names = dict.fromkeys(name for column in columns for name in column)
    return [(name, [column.get(name, "") for column in columns]) for name in names]


def _charts(runs: Sequence[RunSummary]) -> list[charts.Chart]:
    """A chart for each phase's losses, one for the learning rates, one for every other metric.

    The colour tells curves apart; where there are several runs it tells the runs apart, and the dashes the curves.
    """
    groups: dict[str, dict[str, str]] = {}
    for key in dict.fromkeys(key for run in runs for key in run.series if key != "epoch"):
        head, _, tail = key.rpartition("/")
        together = head.split("/")[0] in ("loss", "lr", "accuracy", "grad")
        groups.setdefault(head if together else key, {})[key] = tail
    drawn = []
    for title, members in sorted(groups.items(), key=lambda item: _rank(item[0])):
        curves = []
        for place, run in enumerate(runs):
            for number, (key, short) in enumerate(members.items()):
                if key in run.series:
                    several = len(runs) > 1
                    name = f"{run.name}: {short}" if several and len(members) > 1 else run.name if several else short
                    colour, dash = (place, number) if several else (number, 0)
                    curves.append(charts.Curve(name, run.series[key], colour % _COLOURS, dash % _DASHES))
        drawn.append(charts.draw(title, curves))
    return drawn


def _rank(title: str) -> int:
    """Losses first, then validation, learning rates and the rest, each in the order logged."""
    order = ("loss", "val", "lr")
    head = title.split("/")[0]
    return order.index(head) if head in order else len(order)
