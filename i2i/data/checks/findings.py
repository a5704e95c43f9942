"""Findings: records of what is wrong in a data folder."""

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
"""Kinds of findings for which a sample is left out -> their names in tables."""

WARNINGS = {
    "validation": "no validation sample",
    "constant": "constant image",
    "duplicate": "in training and validation",
    "small": "much smaller than data.size",
    "mode": "unlike most in channels or bits",
    "class": "class with few images",
    "pages": "only the first page is used",
    "shape": "shapes differ",
    "range": "values do not fit their range",
    "blend": "label maps resized as pictures",
}
"""Kinds of findings that are only reported -> their names in tables."""

SUMMARIES = {
    "duplicate": "validation samples are in the training data too",
    "small": "images are much smaller than data.size",
    "mode": "images are unlike most in channels or bits",
    "pages": "images have several pages, of which the first is used",
}
"""Kinds of warnings of which one line may stand for all -> what that says behind their number."""

_KINDS = {
    ErrorKind.CUT_OFF: "truncated",
    ErrorKind.EMPTY: "truncated",
    ErrorKind.CHANNELS: "channels",
    ErrorKind.UNEQUAL_SIZES: "size",
    ErrorKind.NO_PARTNER: "partner",
    ErrorKind.SAME_NAME: "name",
    ErrorKind.OTHER: "unusable",
}
"""Kind of an error -> kind of the finding; all other kinds of errors become ``unreadable``."""


@dataclass(frozen=True, slots=True)
class DataFinding:
    """One problem of a file or sample, or of a whole split.

    Attributes:
        file: the file's path; the name of the sample if no file is known; a text such as ``class zebra`` for several.
        kind: a key of `ERRORS` or `WARNINGS`.
        line: the message for a person, with the file's name.
        split: ``train`` or ``val``.
        key: key of the sample's value that is meant, such as ``target``; empty for the whole sample.
    """

    file: str
    kind: str
    line: str
    split: str = "train"
    key: str = ""

    @classmethod
    def of_error(cls, error: DataError, split: str, *, file: str = "") -> DataFinding:
        """The finding for an error.

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
        """The finding as an object for JSON."""
        record = {"file": self.file, "kind": self.kind, "severity": self.severity, "split": self.split}
        return record | ({"key": self.key} if self.key else {}) | {"reason": self.reason}


def counts(findings: Iterable[DataFinding]) -> dict[str, int]:
    """How many findings there are of each kind that occurs, errors first."""
    found = Counter(finding.kind for finding in findings)
    return {kind: found[kind] for kind in (*ERRORS, *WARNINGS) if found[kind]}
