"""Checks that a validation compares images that belong together."""

from __future__ import annotations

from collections.abc import Mapping

from i2i.api import Translator
from i2i.data.loading import Data
from i2i.engine.state import Training
from i2i.errors import PluginError, attributed_to


def check_targets(training: Training, data: Data) -> None:
    """Refuses translators whose outputs would be compared with images that have nothing to do with their inputs.

    Such metrics mean nothing, and would still choose the best checkpoint.

    Args:
        training: the run in memory.
        data: its samples; nothing is compared without validation samples.

    Raises:
        PluginError: source and target of the validation samples do not belong together, and a translator's target is
            another image than its source.
    """
    if not len(data.val) or data.val.dataset.paired:
        return
    with attributed_to(f"{training.owner}, translators"):
        translators = training.recipe.translators(training.modules, training.data.sample)
    for name, one in translators.items() if isinstance(translators, Mapping) else ():
        if isinstance(one, Translator) and "image" in one.example and one.target not in (None, one.source):
            raise PluginError(
                f"{training.owner}: translator '{name}' would be validated against '{one.target}', which in unpaired "
                f"data (data.layout={data.layout}) has nothing to do with its '{one.source}': give the i2i.Translator "
                "target=None, or set paired = True in the recipe, which then asks for pairs"
            )
