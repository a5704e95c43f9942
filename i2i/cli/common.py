"""What several commands need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from i2i.plugins import Plugins


def plugins_of(context: typer.Context) -> Plugins:
    """The plugins as the options before the command ask for them."""
    from i2i.plugins import Plugins

    return Plugins(**context.obj)
