"""The best feature network that is there without a download: inception-v3, efficientnet-lite0, or random weights.

Figures of different networks cannot be compared. So a metric says in the network's name which one it looks through, and
a run's configuration names that one: it stays the same when the run goes on, on whatever machine.
"""

from __future__ import annotations

from torch import nn

import i2i
from i2i_metrics.networks import efficientnet, inception
from i2i_metrics.networks.untrained import RandomFeatures
from i2i_metrics.networks.weights import cached_file
from i2i_metrics.options import InceptionConfig, LiteConfig


def build(config: i2i.Config) -> nn.Module:
    """Builds the network, whose attribute `settled` is the name of the component that it is one of.

    Args:
        config: it has no options.

    Raises:
        i2i.ModelError: the file with its weights is there and damaged.
    """
    network: nn.Module
    if cached_file(inception.URL).exists():
        name, network = "inception-v3", inception.build(InceptionConfig())
    elif efficientnet.package_file() is not None:
        name, network = "efficientnet-lite0", efficientnet.build(LiteConfig())
    else:
        name, network = "random", RandomFeatures(config)
    network.settled = name  # type: ignore[assignment]
    return network
