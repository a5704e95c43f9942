"""Settings that make a training faster compute the same, and load nothing that is not needed."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d
from torch.utils._pytree import tree_leaves
from torchmetrics import MeanAbsoluteError
from torchmetrics.image import PeakSignalNoiseRatio
from torchvision.utils import make_grid

import i2i
from helpers.fast_settings import TINY
from i2i.components import optimizers
from i2i.components.narrow import NarrowConv2d, is_narrow
from i2i.components.options import OptimizerConfig
from i2i.config import EngineConfig, resolve
from i2i.engine import launch
from i2i.engine.batching.step_batches import step_batches
from i2i.engine.device.networks import casts_kept, move_to_device, recipe_networks
from i2i.engine.output.grids import tiled
from i2i.engine.setup import open_training
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder
from i2i.testing.subject import small_options
from i2i.timing.profile import step_profile
from i2i_metrics import pixels
from i2i_metrics.options import PixelsConfig

CPU = torch.device("cpu")
FORMATS = ("contiguous", "channels_last")
NETWORKS = [(kind, name) for kind in ("generator", "discriminator") for name in Plugins().table(kind)]


def built(kind: str, name: str) -> tuple[nn.Module, list[int]]:
    """A small network in double precision without dropout, and the sides of images that it takes."""
    plugins = Plugins()
    options = small_options(plugins, kind, plugins.get(kind, name))
    if "classes" in plugins.get(kind, name).config.model_fields:
        options["classes"] = 2
    for side in (64, 256):
        torch.manual_seed(0)
        builder = Builder(plugins, (side, side))
        try:
            if kind == "generator":
                network = builder.generator(name, in_channels=3, out_channels=3, **options)
            else:
                network = builder.discriminator(name, in_channels=3, **options)
            break
        except i2i.ConfigError:
            continue
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    return network.double(), [side, side]


def gradients(network: nn.Module, side: list[int], batch: int, engine: EngineConfig, dtype: torch.dtype) -> Tensor:
    """All gradients of a weighted sum of the outputs, those of images included, as one vector in double precision."""
    network = copy.deepcopy(network)
    move_to_device({"net": network}, engine, CPU, dtype, 1)
    call = recipe_networks({"net": network}, engine, dtype)["net"]
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    draw = torch.Generator().manual_seed(1)
    known = {
        "image": torch.rand(batch, 3, *side, generator=draw, dtype=torch.float64) * 2 - 1,
        "noise": torch.randn(batch, getattr(network, "noise_length", 3), generator=draw, dtype=torch.float64),
        "label": torch.arange(batch) % 2,
        "mask": (torch.rand(batch, 1, *side, generator=draw, dtype=torch.float64) < 0.3).double(),
    }
    inputs = [known[name] for name in getattr(network, "inputs", ("image",))]
    inputs = [x.to(exact).requires_grad_() if x.is_floating_point() else x for x in inputs]
    outputs = call(*inputs)
    total = inputs[0].new_zeros(())
    for output in tree_leaves(outputs):
        total = total + (output * torch.rand(output.shape, generator=draw, dtype=torch.float64).to(exact)).mean()
    total.backward()
    leaves = [*network.parameters(), *(x for x in inputs if x.requires_grad)]
    return torch.cat([leaf.grad.double().flatten() for leaf in leaves if leaf.grad is not None])


def distance(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(("kind", "name"), NETWORKS)
def test_gradients_agree_with_float64_in_every_format_and_precision(kind, name, batch):
    # The error of plain float32 is allowed: batch norm over the few pixels of one small image magnifies rounding.
    network, side = built(kind, name)
    plain = EngineConfig(tune="off", memory_format="contiguous", compile=False)
    exact = gradients(network, side, batch, plain, torch.float64)
    single = distance(gradients(network, side, batch, plain, torch.float32), exact)
    rounded = distance(gradients(network, side, batch, plain, torch.bfloat16), exact)
    for memory_format in FORMATS:
        engine = EngineConfig(tune="auto", memory_format=memory_format, compile=False)
        assert distance(gradients(network, side, batch, engine, torch.float64), exact) < 1e-10
        assert distance(gradients(network, side, batch, engine, torch.float32), exact) < 1.3 * single + 1e-3
        assert distance(gradients(network, side, batch, engine, torch.bfloat16), exact) < 1.3 * rounded + 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), NETWORKS)
def test_compiled_gradients_agree_with_float64(kind, name):
    network, side = built(kind, name)
    plain = EngineConfig(tune="off", memory_format="contiguous", compile=False)
    exact = gradients(network, side, 1, plain, torch.float64)
    single = distance(gradients(network, side, 1, plain, torch.float32), exact)
    rounded = distance(gradients(network, side, 1, plain, torch.bfloat16), exact)
    for memory_format in FORMATS:
        engine = EngineConfig(tune="auto", memory_format=memory_format, compile=True)
        assert distance(gradients(network, side, 1, engine, torch.float32), exact) < 1.3 * single + 1e-3
        assert distance(gradients(network, side, 1, engine, torch.bfloat16), exact) < 1.3 * rounded + 1e-3


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("padding", [0, 3, (4, 2)])
def test_a_narrow_convolution_is_the_convolution_and_so_are_its_derivatives(padding, bias):
    layer = nn.Conv2d(5, 3, (9, 7), padding=padding, bias=bias, dtype=torch.float64)
    assert is_narrow(layer)
    narrow = copy.deepcopy(layer)
    narrow.__class__ = NarrowConv2d
    x = torch.randn(2, 5, 14, 15, dtype=torch.float64, requires_grad=True)
    made = []
    for one in (layer, narrow):
        y = one(x)
        first = torch.autograd.grad(y.square().sum(), [x, *one.parameters()], create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), [x, one.weight])
        made.append([y, *first, *second])
    torch.testing.assert_close(made[0], made[1], rtol=1e-10, atol=1e-10)
    narrow.eval()
    assert torch.equal(narrow(x), conv2d(x, layer.weight, layer.bias, padding=padding))


@pytest.mark.parametrize("change", [{"stride": 2}, {"groups": 2}, {"dilation": 2}, {"padding_mode": "reflect"}])
def test_other_convolutions_stay_as_they_are(change):
    assert not is_narrow(nn.Conv2d(4, 4, 9, **change))
    assert not is_narrow(nn.Conv2d(4, 64, 9))
    assert not is_narrow(nn.Conv2d(4, 3, 7))


@pytest.mark.parametrize(("height", "dtype"), [(9, torch.float32), (9, torch.bfloat16), (7, torch.float32)])
def test_rows_are_used_only_where_they_are_faster(height, dtype):
    """In bfloat16 and for kernels of 7 rows they are slower."""
    network = nn.Sequential(nn.Conv2d(4, 3, height))
    move_to_device({"net": network}, EngineConfig(), CPU, dtype, 1)
    assert (type(network[0]) is NarrowConv2d) == ((height, dtype) == (9, torch.float32))


def test_rows_are_not_used_for_large_images():
    layer = nn.Conv2d(16, 3, 9, padding=4)
    narrow = copy.deepcopy(layer)
    narrow.__class__ = NarrowConv2d
    for height, by_rows in ((96, True), (97, False)):
        x = torch.randn(1, 16, height, 96, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(narrow(x), layer(x))
        assert torch.equal(narrow(x), layer(x)) is not by_rows  # rows are added in another order


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "sgd"])
def test_optimisers_step_as_those_of_torch(name):
    theirs = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop}
    options = OptimizerConfig(lr=0.01, weight_decay=0.1)
    start = torch.randn(7, generator=torch.Generator().manual_seed(0))
    ours, other = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    built = getattr(optimizers, name)(options, params=[ours])
    keys = built.param_groups[0].keys() - {"params", "decoupled_weight_decay"}
    reference = theirs.get(name, torch.optim.SGD)([other], **{key: built.param_groups[0][key] for key in keys})
    for _ in range(3):
        for parameter, optimizer in ((ours, built), (other, reference)):
            optimizer.zero_grad()
            parameter.pow(4).sum().backward()
            optimizer.step()
            optimizer.load_state_dict(optimizer.state_dict())
    assert torch.equal(ours, other)
    assert isinstance(built, type(reference))


def test_metrics_of_pixels_are_those_of_torchmetrics():
    draw = torch.Generator().manual_seed(0)
    pairs = [torch.rand(2, 2, 3, 9, 8, generator=draw) * 2.4 - 1.2 for _ in range(3)]
    for ours, theirs in (
        (pixels.l1(PixelsConfig()), MeanAbsoluteError()),
        (pixels.psnr(PixelsConfig()), PeakSignalNoiseRatio(data_range=(-1.0, 1.0))),
    ):
        for _ in range(2):
            ours.reset()
            theirs.reset()
            for output, target in pairs:
                ours.update(output, target)
                theirs.update(output, target)
            torch.testing.assert_close(ours.compute(), theirs.compute(), rtol=1e-5, atol=1e-6)
        assert ours.higher_is_better == theirs.higher_is_better
        with pytest.raises(ValueError, match="their targets"):
            ours.update(pairs[0][0], pairs[0][1][:, :2])


@pytest.mark.parametrize("count", [1, 3, 5])
@pytest.mark.parametrize("channels", [1, 3])
def test_grids_are_those_of_torchvision(count, channels):
    images = torch.rand(count, channels, 6, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(tiled(images, 3, fill=1.0), make_grid(images, nrow=3, pad_value=1.0))
    assert torch.equal(tiled(images, 8), make_grid(images))


def test_a_training_loads_neither_the_compiler_nor_libraries_it_has_no_use_for(tmp_path):
    code = f"""
import json, sys, i2i
i2i.train("pix2pix", sets={TINY!r}, steps=1, dry_run=True)
heavy = ("torch._dynamo", "torchmetrics", "torchvision", "lightning_fabric", "kornia", "tensorboard")
found = [name for name in heavy if name in sys.modules]
from torchmetrics.image import StructuralSimilarityIndexMeasure  # works afterwards
from lightning_fabric import Fabric
print(json.dumps(found))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert json.loads(out.stdout.splitlines()[-1]) == []


def test_a_step_profile_says_where_all_of_a_step_goes():
    """The parts of every phase are there, those that are on and no others, and they add up."""
    plugins = Plugins()
    config = resolve(plugins, "pix2pix", sets=[*TINY, "train.steps=9", "train.ema=0.9", "data.workers=0"])
    rows = step_profile(config, plugins, launch(config.engine), steps=3)
    names = [row.name for row in rows]
    phases = [f"{phase}: {part}" for phase in ("discriminator", "generator") for part in ("losses", "backward")]
    assert names[:3] == ["data: loading", "data: to the device", "shared by phases"]
    assert set(phases) | {"moving averages", "gradient norms", "checks of numbers", "health"} <= set(names)
    assert names[-1] == "other"
    assert sum(row.share for row in rows) == pytest.approx(1, abs=0.01)
    assert all(row.seconds >= 0 and row.cpu_seconds >= 0 for row in rows)
    assert next(row for row in rows if row.name == "generator: backward").seconds > 0
    assert rows[-1].share < 0.5


def test_a_profile_without_averages_has_none():
    plugins = Plugins()
    config = resolve(plugins, "pix2pix", sets=[*TINY, "train.steps=9"])
    names = [row.name for row in step_profile(config, plugins, launch(config.engine), steps=1)]
    assert "moving averages" not in names


def test_weights_are_cast_once_and_again_after_they_change():
    """In bfloat16 two calls of a network see one cast; a call without gradients takes none from a later one."""
    module = nn.Conv2d(3, 4, 3)
    net = recipe_networks({"net": module}, EngineConfig(compile=False), torch.bfloat16)["net"]
    x = torch.rand(1, 3, 8, 8)
    with casts_kept(CPU, torch.bfloat16):
        with torch.no_grad():
            before = net(x)
        assert torch.equal(net(x), before)
        net(x).sum().backward()
        assert module.weight.grad is not None
        with torch.no_grad():
            module.weight.mul_(2)
        assert torch.equal(net(x), before)  # the cast is the old one, until it is forgotten
        torch.clear_autocast_cache()
        assert not torch.equal(net(x), before)


@pytest.mark.parametrize("recipe", ["pix2pix", "cyclegan"])
def test_bfloat16_steps_use_the_weights_of_the_step_before(recipe, tmp_path):
    """A cast that outlived its weights would repeat the losses of the first step."""
    layout = {"pix2pix": "facades", "cyclegan": "day-night"}[recipe]
    plugins = Plugins()
    sets = ["data.size=32", f"data.layout={layout}", "engine.precision=bf16", "train.optimizer.lr=0.01", "steps=9"]
    config = resolve(plugins, recipe, sets=[*sets, f"{recipe}.generator.filters=4"])
    fabric = launch(config.engine)
    training, data = open_training(config, plugins, fabric)
    batch = next(step_batches(training, data, fabric))
    first, later = ({name: float(loss) for name, loss in training.train_step(batch).items()} for _ in range(2))
    assert all(first[name] != later[name] for name in first)
