"""The translators of a checkpoint, as they are exported."""

from __future__ import annotations

from i2i.api import Translator
from i2i.components.inference import inference_translators
from i2i.config import RunConfig
from i2i.plugins import Plugins
from i2i.runs.checkpoint import Checkpoint
from i2i.runs.networks import rebuilt


def load_translators(checkpoint: Checkpoint, config: RunConfig, plugins: Plugins) -> dict[str, Translator]:
    """Rebuilds a checkpoint's networks, averaged ones where there are, as they are used for inference.

    Raises:
        RunError: the weights do not fit the networks that the configuration describes.
    """
    loaded, who = rebuilt(checkpoint, config, plugins), plugins.full_name("recipe", config.recipe)
    return inference_translators(loaded.recipe, loaded.networks, loaded.sample, config, who)
