"""Options of layouts. They need no NumPy and no OpenCV, so that tables of components are had at once."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from i2i.api import Config


class FoldersConfig(Config):
    """Names of the two folders, if they are not the usual ones."""

    source: str | None = None
    """Folder of the A images, relative to data.root; null: the first of the two by name."""
    target: str | None = None
    """Folder of the B images; null: the second."""

    def names(self) -> tuple[str, str] | None:
        """Both names, if both are given."""
        return (self.source, self.target) if self.source and self.target else None


class PairedFoldersConfig(FoldersConfig):
    """Names of the two folders, if they are not the usual ones, and of further ones."""

    more: Annotated[dict[str, str], Field(default_factory=dict)]
    """Further folders of the same file names, beside that of A, by the key of a sample: {instance: FOLDER}."""
