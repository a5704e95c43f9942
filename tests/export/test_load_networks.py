"""A run's networks as torch modules."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import i2i
from helpers.recipes import TINY


@pytest.fixture(scope="module")
def run(pairs_root, tmp_path_factory):
    sets = [*TINY, "train.checkpoint_every=1", "train.ema=0.5"]
    return i2i.train("pix2pix", data=pairs_root, out=tmp_path_factory.mktemp("run") / "run", sets=sets, steps=2).run


def test_the_averaged_weights_come_without_gradients_in_evaluation_mode(run):
    loaded = i2i.load_networks(run, "last")
    averaged = load_file(run / "checkpoints/step-0000002/ema.safetensors")
    last = load_file(run / "checkpoints/step-0000002/networks.safetensors")
    for name, stored in (("generator", averaged), ("discriminator", last)):
        state = loaded.networks[name].state_dict()
        keys = [key for key in stored if key.startswith(f"{name}/")]
        assert keys
        for key in keys:
            short = key.removeprefix(f"{name}/").removeprefix("module.")
            assert short not in state or torch.equal(state[short], stored[key])
        assert not loaded.networks[name].training
        assert not any(parameter.requires_grad for parameter in loaded.networks[name].parameters())
    assert (loaded.step, loaded.labels, loaded.config.recipe) == (2, (), "pix2pix")


def test_they_give_what_the_exported_model_gives_but_for_rounding(run):
    loaded = i2i.load_networks(run, "last")
    [exported] = i2i.export(run, checkpoint="last")
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    given = torch.from_numpy(image / np.float32(127.5) - 1).permute(2, 0, 1)[None]
    from i2i.components.inference import for_inference

    generator = for_inference(loaded.networks["generator"], image_statistics=True)  # pix2pix at test time
    want = (generator(given)[0].permute(1, 2, 0).numpy() + 1) * 127.5
    assert np.abs(i2i.load(exported.path).translate(image) - want).max() <= 1


def test_a_step_can_be_chosen_and_one_that_is_not_there_is_told(run):
    assert i2i.load_networks(run, "1").step == 1
    with pytest.raises(i2i.RunError, match="no checkpoint '7'; there are: last, best, 1, 2"):
        i2i.load_networks(run, "7")
