"""What can be wrong in a data folder, as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from i2i.errors import DataError, ErrorKind

ERRORS = {
    "unreadable": "cannot be read",
    "truncated": "cut off",
    "size": "unequal sizes in a pair",
    "partner": "no partner",
    "name": "name given twice",
    "channels": "wrong number of channels",
    "label": "label out of range",
    "unusable": "refused by the dataset",
}
"""Kinds of findings that leave a sample out, and what a table calls them."""

WARNINGS = {
    "constant": "constant image",
    "duplicate": "in training and validation",
    "small": "much smaller than data.size",
    "mode": "unlike most in channels or bits",
    "class": "class with few images",
    "shape": "shapes differ",
}
"""Kinds of findings that leave nothing out, and what a table calls them."""

_KINDS = {
    ErrorKind.CUT_OFF: "truncated",
    ErrorKind.EMPTY: "truncated",
    ErrorKind.CHANNELS: "channels",
    ErrorKind.UNEQUAL_SIZES: "size",
    ErrorKind.NO_PARTNER: "partner",
    ErrorKind.SAME_NAME: "name",
    ErrorKind.OTHER: "unusable",
}
"""Kind of a finding by the kind of its error; with all other kinds the file is unreadable."""


@dataclass(frozen=True)
class DataFinding:
    """One thing that is wrong.

    Attributes:
        file: the file's path; the name of the sample where no file is known, or of what several files have in common.
        kind: a key of `ERRORS` or `WARNINGS`.
        line: what a person reads, the file's name included.
        split: ``train`` or ``val``.
        key: of the sample, such as ``target``; empty where it is about all of it.
    """

    file: str
    kind: str
    line: str
    split: str = "train"
    key: str = ""

    @classmethod
    def of_error(cls, error: DataError, split: str, *, file: str = "") -> DataFinding:
        """What an error says about a file.

        Args:
            error: why the file is left out.
            split: ``train`` or ``val``.
            file: name of the file, if the error does not know it.
        """
        return cls(error.path or file or str(error), _KINDS.get(error.kind, "unreadable"), str(error), split)

    @property
    def severity(self) -> Literal["error", "warning"]:
        """Whether it leaves the sample out."""
        return "error" if self.kind in ERRORS else "warning"

    @property
    def reason(self) -> str:
        """The line without the file's name at its beginning."""
        return self.line.removeprefix(f"{self.file}: ")

    def as_dict(self) -> dict[str, str]:
        """As it stands in the JSON object."""
        record = {"file": self.file, "kind": self.kind, "severity": self.severity, "split": self.split}
        return record | ({"key": self.key} if self.key else {}) | {"reason": self.reason}


def counts(findings: Iterable[DataFinding]) -> dict[str, int]:
    """How many findings there are of each kind that occurs, errors first."""
    found = Counter(finding.kind for finding in findings)
    return {kind: found[kind] for kind in (*ERRORS, *WARNINGS) if found[kind]}
