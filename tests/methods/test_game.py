"""The adversarial game converges where theory says so (Goodfellow et al. 2014, proposition 1): see game.py."""

import pytest
import torch
from lightning_fabric import Fabric
from torch.distributions import Normal

from helpers.paths import HELPERS
from i2i.config import resolve
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i.engine.setup import build_training
from i2i.plugins import Plugins

SETS = [
    "data.layout=nothing",
    "train.steps=2500",
    "train.optimizer={name: adam, lr: 1e-2, betas: [0.0, 0.9]}",
    "train.schedule={name: linear, hold: 0.3}",
    "train.ema=0.99",
    "engine.precision=fp32",
]


def played(*sets: str):
    """Generator (averaged) and discriminator at the end of the game, trained by the engine."""
    plugins = Plugins(extra=[str(HELPERS / "game.py")])
    config = resolve(plugins, "game", sets=[*SETS, *sets])
    data = open_data(config.data, plugins, Requirements(frozenset({"target"})), seed=0)
    training = build_training(config, plugins, data, Fabric(accelerator="cpu", devices=1))
    while training.step < training.steps:
        training.train_step([{"target": torch.zeros(1, 1, 1, 1)}])
    return training.averages["generator"].module, training.modules["discriminator"]


@pytest.mark.parametrize("loss", ["vanilla", "minimax", "lsgan"])
def test_the_game_ends_at_the_data_and_the_best_discriminator(loss):
    quick = ["train.steps=1000", "train.optimizer.lr=2e-2"]
    generator, discriminator = played(f"game.adversary.loss={loss}", *quick)
    assert generator.b.item() == pytest.approx(5, abs=0.2)
    assert abs(generator.a.item()) == pytest.approx(1, abs=0.2)
    x = torch.linspace(3, 7, 41)
    judged = discriminator(x[:, None, None, None]).detach().flatten()
    probability = judged if loss == "lsgan" else torch.sigmoid(judged)
    p, q = Normal(5.0, 1.0), Normal(generator.b.item(), abs(generator.a.item()))
    best = 1 / (1 + torch.exp(q.log_prob(x) - p.log_prob(x)))  # p / (p + q)
    torch.testing.assert_close(probability, best, atol=0.05, rtol=0)


@pytest.mark.parametrize(
    "sets",
    [
        ["game.adversary.loss=hinge"],
        ["game.adversary.loss=relativistic"],
        ["game.adversary={loss: wasserstein, penalty: null, clip_weights: 0.1}", "train.optimizer.name=rmsprop"],
        ["game.adversary={penalty: null, spectral_norm: true, loss: hinge}"],
        ["game.adversary.augment=0.2"],  # the generator does not learn the changes
    ],
)
@pytest.mark.slow
def test_other_games_find_the_mean(sets):
    generator, _ = played(*sets)
    assert generator.b.item() == pytest.approx(5, abs=0.5)


def test_clipped_weights_stay_within_the_limit():
    _, critic = played("game.adversary={loss: wasserstein, penalty: null, clip_weights: 0.01}", "train.steps=5")
    assert max(p.abs().max().item() for p in critic.parameters()) == pytest.approx(0.01)
