"""Real-ESRNet and Real-ESRGAN: which loss sees which target, the networks that are theirs, and that they learn."""

import numpy as np
import onnxruntime
import pytest
import torch
from pydantic import ValidationError
from torch import nn

import i2i
from helpers.recipes import small
from i2i.components.inference import for_inference
from i2i.config import resolve
from i2i.engine.context import StepContext
from i2i.export.graph import Deployed
from i2i.export.onnx_file import write_onnx
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder
from i2i_samples.datasets import Pictures
from i2i_samples.options import PicturesConfig
from i2i_srgan.degradations.imresize import imresize
from i2i_srgan.degradations.options import RealConfig
from i2i_srgan.degradations.transforms import Real
from i2i_srgan.networks import msrresnet, rrdb, srvgg, unet_sn
from i2i_srgan.options import MSRResNetConfig, RRDBConfig, SRVGGConfig, UNetDiscriminatorConfig
from i2i_srgan.recipes import SRGAN, SRGANConfig, SRResNet, SRResNetConfig
from i2i_srgan.sharpening import sharpened

PLUGINS = Plugins()
NETWORKS = {
    "srvgg": (srvgg.build, SRVGGConfig, {}),
    "msrresnet": (msrresnet.build, MSRResNetConfig, {}),
    "rrdb": (rrdb.build, RRDBConfig, {"unshuffle": True, "growth": 2}),
}


def network(name, scale, channels=(3, 3), **options):
    make, config, own = NETWORKS[name]
    chosen = config(scale=scale, filters=4, blocks=1, **own | options)
    return make(chosen, in_channels=channels[0], out_channels=channels[1], size=(32, 32))


class Twice(nn.Module):
    """Feature maps whose distance is known."""

    def forward(self, images):
        return [images, 3 * images]


def losses(**options):
    """Each phase's losses of a batch, and the plain and the sharpened target."""
    torch.manual_seed(0)
    build = Builder(PLUGINS, (16, 16))
    build.features = lambda choice: Twice()
    target = torch.rand(2, 3, 32, 32) * 2 - 1
    batch = {"source": torch.rand(2, 3, 16, 16) * 2 - 1, "target": target}
    config = SRGANConfig(
        generator={"name": "srvgg", "filters": 4, "blocks": 1},
        discriminator={"name": "unet-sn", "filters": 4},
        distance="l1",
        perceptual_distance="l1",
        pixel=0.5,
        **options,
    )
    recipe = SRGAN(config)
    nets = recipe.networks(build, batch)
    nets["discriminator"].eval()  # keeps its estimate of the largest singular value
    ctx = StepContext(0, 10, torch.device("cpu"), torch.float32)
    ctx.begin(0)
    batch |= recipe.shared(nets, batch, ctx)
    found = {phase: recipe.losses(phase, nets, batch, ctx) for phase in ("pixel", "discriminator", "generator")}
    return found, batch["fake"], target, sharpened((target + 1) / 2) * 2 - 1, nets["discriminator"]


@pytest.mark.parametrize("sharpen", [(), ("pixel", "perceptual"), ("adversarial",)])
def test_each_loss_sees_the_target_that_the_options_say(sharpen):
    found, fake, target, sharp, judge = losses(sharpen=sharpen, perceptual_weights=(0.1, 2.0))
    seen = {name: sharp if name in sharpen else target for name in ("pixel", "perceptual", "adversarial")}
    assert (sharp - target).abs().mean() > 0.01
    pixel = (fake - seen["pixel"]).abs().mean()
    torch.testing.assert_close(found["pixel"]["pixel"], pixel)
    torch.testing.assert_close(found["generator"]["pixel"], 0.5 * pixel)
    distance = (fake - seen["perceptual"]).abs().mean()
    torch.testing.assert_close(found["generator"]["perceptual"], (0.1 + 2.0 * 3) * distance)
    real, made = judge(seen["adversarial"]), judge(fake)
    wanted = nn.functional.softplus(-real).mean() + nn.functional.softplus(made).mean()
    torch.testing.assert_close(sum(found["discriminator"].values()), wanted)


def test_perceptual_weights_replace_the_mean_and_must_fit():
    found, fake, target, *_ = losses()
    torch.testing.assert_close(found["generator"]["perceptual"], (1 + 3) / 2 * (fake - target).abs().mean())
    with pytest.raises(i2i.ConfigError, match="3 weights for 2 feature maps"):
        losses(perceptual_weights=(1, 1, 1))


@pytest.mark.parametrize("sharpen", [False, True])
def test_real_esrnet_compares_with_the_sharpened_target(sharpen):
    target = torch.rand(1, 3, 32, 32) * 2 - 1
    recipe = SRResNet(SRResNetConfig(distance="l1", sharpen=sharpen))
    found = recipe.losses("generator", {"generator": lambda x: x * 0}, {"source": target, "target": target}, None)
    wanted = (sharpened((target + 1) / 2) * 2 - 1 if sharpen else target).abs().mean()
    torch.testing.assert_close(found["pixel"], wanted)


def test_presets_have_the_losses_and_rates_of_the_authors_options():
    preset = PLUGINS.get("recipe", "realesrgan").presets["paper"]
    own, train = SRGANConfig(**preset["realesrgan"]), preset["train"]
    assert own.features.options["layers"] == ["conv1_2", "conv2_2", "conv3_4", "conv4_4", "conv5_4"]
    assert own.perceptual_weights == (0.1, 0.1, 1, 1, 1)
    assert (own.perceptual, own.pixel, own.adversary.weight) == (1, 0.5, 0.1)
    assert (own.discriminator.name, own.sharpen) == ("unet-sn", ("pixel", "perceptual"))
    assert (train["ema"], train["optimizer"]["lr"], train["optimizer"]["betas"]) == (0.999, 1e-4, [0.9, 0.99])
    assert round(own.pretrain * train["steps"], -3) == 1_000_000


def test_multi_step_halves_the_rate_at_each_milestone():
    choice = i2i.ScheduleChoice.parse({"name": "multi-step", "milestones": [3, 5], "gamma": 0.5, "warmup": 1})
    schedule = Builder(PLUGINS, (8, 8)).schedule(choice)
    assert [schedule(step, steps=8, epoch=4) for step in range(8)] == [0.5, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_without_vgg19_the_training_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: (_ for _ in ()).throw(OSError("offline")))
    sets = [*small("realesrgan"), "realesrgan.features=vgg19"]
    with pytest.raises(i2i.ModelError, match=r"VGG19's ImageNet weights are missing.*features=null"):
        i2i.train("realesrgan", out=tmp_path / "run", steps=1, sets=sets)
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
def test_images_grow_by_the_scale(name, scale):
    made = network(name, scale, value_range=(0, 1))
    step = getattr(made, "multiple", 1)
    assert (made.scale, step) == (scale, {1: 4, 2: 2}.get(scale, 1) if name == "rrdb" else 1)
    for height, width in ((1, 1), (2, 3)):
        images = torch.rand(2, 3, height * step, width * step)
        assert made(images).shape == (2, 3, height * step * scale, width * step * scale)


@pytest.mark.parametrize("name", ["srvgg", "msrresnet"])
def test_without_weights_the_input_is_enlarged(name):
    made = network(name, 2, (1, 3))
    for parameter in made.parameters():
        nn.init.zeros_(parameter)
    image = torch.rand(1, 1, 5, 4)
    wanted = np.kron(image[0, 0], np.ones((2, 2)))
    if name == "msrresnet":  # bilinear: a quarter and three quarters of neighbours, clamped at the border
        rows = np.pad(image[0, 0].numpy(), 1, mode="edge")
        halves = lambda x: np.stack([0.25 * x[:-2] + 0.75 * x[1:-1], 0.75 * x[1:-1] + 0.25 * x[2:]], 1)
        rows = halves(rows).reshape(-1, rows.shape[1])
        wanted = halves(rows.T).reshape(-1, rows.shape[0]).T
    for channel in made(image)[0].detach():
        np.testing.assert_allclose(channel, wanted, atol=1e-6)
    assert network(name, 2, (4, 3))(torch.rand(1, 4, 5, 4)).shape == (1, 3, 10, 8)  # nothing that could be added


def test_value_range_is_what_black_and_white_are_inside():
    torch.manual_seed(0)
    inside, plain = network("srvgg", 2, value_range=(0, 255)), network("srvgg", 2)
    inside.network.load_state_dict(plain.state_dict())
    image = torch.rand(1, 3, 6, 6) * 2 - 1
    torch.testing.assert_close(inside(image), plain((image + 1) * 127.5) / 127.5 - 1)
    for wrong in ((1, 0), (1, 1)):
        with pytest.raises(ValidationError, match="value_range"):
            SRVGGConfig(value_range=wrong)


def test_unshuffled_networks_refuse_training_sizes_that_do_not_fit():
    for scale, multiple in ((2, 2), (1, 4)):
        config = RRDBConfig(scale=scale, filters=4, blocks=1, unshuffle=True)
        with pytest.raises(ValueError, match=f"divisible by {multiple}, got 18x33: change data.size"):
            rrdb.build(config, in_channels=3, out_channels=3, size=(18, 33))


def test_the_u_net_judges_each_pixel_and_has_spectral_norm_inside():
    config = UNetDiscriminatorConfig(filters=4, features=True)
    made = unet_sn.build(config, in_channels=3, size=(16, 24))
    logits, *maps = made.train()(torch.rand(2, 3, 16, 24))
    assert logits.shape == (2, 1, 16, 24)
    assert [m.shape[1] for m in maps] == [4, 8, 16, 32, 16, 8, 4, 4, 4]
    assert [m.shape[2] for m in maps] == [16, 8, 4, 2, 4, 8, 16, 16, 16]
    for _ in range(30):
        made(torch.rand(1, 3, 8, 8))
    for layer in (*made.down, *made.up, *made.refine):
        assert torch.linalg.svdvals(layer.weight.flatten(1))[0].item() == pytest.approx(1, abs=0.02)
    plain = unet_sn.build(UNetDiscriminatorConfig(filters=4, skips=False), in_channels=3, size=(16, 24))
    plain.load_state_dict(made.state_dict())
    assert not torch.allclose(plain.eval()(torch.ones(1, 3, 8, 8)), made.eval()(torch.ones(1, 3, 8, 8))[0])
    with pytest.raises(ValueError, match="divisible by 8, got 20x24"):
        unet_sn.build(config, in_channels=3, size=(20, 24))


@pytest.mark.parametrize(("name", "scale"), [("rrdb", 2)])
def test_exported_networks_are_the_same_at_odd_sizes(name, scale, tmp_path):
    torch.manual_seed(0)
    made = network(name, scale, value_range=(0, 1))
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.1)
    made = for_inference(made, image_statistics=False)
    translator = i2i.Translator(module=made, example={"image": torch.rand(1, 3, 16, 16) * 2 - 1})
    assert write_onnx(tmp_path / "model.onnx", translator, "uint8", {}).difference <= 1
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    for shape in ((1, 1, 1), (2, 7, 13)):
        images = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
        [got] = session.run(None, {"image": images})
        wanted = Deployed(translator, "uint8")(torch.from_numpy(images)).numpy()
        assert got.shape == (shape[0], shape[1] * scale, shape[2] * scale, 3)
        assert np.abs(got.astype(int) - wanted).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["realesrnet", "realesrgan"])
def test_drawings_come_closer_to_the_sharpened_target_than_by_bicubic_enlarging(recipe, tmp_path):
    trained = i2i.train(recipe, out=tmp_path / "run", sets=["engine.threads=1"])
    assert max(one.difference for one in trained.exported) <= 1
    model, options = i2i.load(trained.run), resolve(PLUGINS, recipe, preset="samples").to_dict()["data"]["degrade"]
    degrade = Real(RealConfig(**{key: value for key, value in options.items() if key != "name"}), scale=2)
    drawn, errors, edges = Pictures(PicturesConfig(count=16), split="val", transform=dict), [], []
    np.random.seed(0)
    for index in range(16):
        target = drawn[index]["target"]
        source = degrade({"target": target})["source"]
        wanted = sharpened(torch.from_numpy(target.transpose(2, 0, 1)[None] / np.float32(255)))[0].permute(1, 2, 0)
        images = [image.astype(float) / 255 for image in (imresize(source, 2, enlarge=True), model.translate(source))]
        errors.append([np.abs(image - wanted.numpy()).mean() for image in images])
        edges.append([np.abs(np.diff(image, axis=1)).mean() for image in images])
    (bicubic, made), (soft, sharp) = np.mean(errors, 0), np.mean(edges, 0)
    assert made < 0.9 * bicubic
    assert sharp > 1.2 * soft
