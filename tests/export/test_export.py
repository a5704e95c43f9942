"""The exported file: self-contained, equal to torch, independent of its batch."""

import json
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import i2i
from helpers.recipes import TINY
from i2i.components.layers import InstanceNorm2d
from i2i.config import resolve
from i2i.errors import ModelError, RunError
from i2i.export.graph import Deployed
from i2i.export.networks import load_translators
from i2i.export.onnx_file import write_onnx
from i2i.export.receptive import has_global_statistics, receptive_field
from i2i.plugins.builder import Builder
from i2i.runs import checkpoint as checkpoints
from i2i.runtime.float_graph import float_graph
from i2i.runtime.sandbox import check
from i2i.runtime.sandbox.verdicts import verdict_name

SIZES = [(1, 256, 256), (1, 200, 333), (1, 1, 1), (3, 40, 56)]


@pytest.fixture(scope="module")
def run(pairs_root, tmp_path_factory) -> Path:
    """A run of a few steps, batch 1, whose weights are far from the initial ones."""
    sets = [*TINY, "train.optimizer.lr=0.01", "train.ema=0.5"]
    return i2i.train("pix2pix", data=pairs_root, out=tmp_path_factory.mktemp("run"), sets=sets, steps=6).run


@pytest.fixture(scope="module")
def deployed(run, plugins) -> Deployed:
    """The same model in torch."""
    found = checkpoints.load(checkpoints.list_checkpoints(run / "checkpoints")[-1])
    config = resolve(plugins, config=found.state["config"])
    return Deployed(load_translators(found, config, plugins)["default"], "uint8")


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def session_of(graph: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("shape", SIZES)
def test_onnxruntime_and_torch_agree(run, deployed, shape):
    images = noise(*shape, 3)
    [got] = session(run / "model.onnx").run(None, {"image": images})
    with torch.inference_mode():
        want = deployed(torch.from_numpy(images)).numpy()
    assert got.shape == images.shape
    assert got.dtype == np.uint8
    assert np.abs(got.astype(int) - want).max() <= 1


def test_an_image_does_not_depend_on_its_batch(run):
    images = noise(3, 40, 56, 3)
    model = session(run / "model.onnx")
    [together] = model.run(None, {"image": images})
    for index in range(3):
        [alone] = model.run(None, {"image": images[index : index + 1]})
        assert np.abs(alone[0].astype(int) - together[index]).max() <= 1


def test_file_is_valid_single_and_tells_nothing_of_this_machine(run):
    assert [path.name for path in run.glob("*.onnx*")] == ["model.onnx"]
    onnx.checker.check_model(str(run / "model.onnx"), full_check=True)
    content = (run / "model.onnx").read_bytes()
    assert b".py" not in content
    assert str(Path(i2i.__file__).parent).encode() not in content


def test_metadata_and_dimensions(run, deployed):
    translator = i2i.Translator(deployed.module, {"image": torch.zeros(1, 3, 32, 32)})
    model = onnx.load(run / "model.onnx")
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    expected = {
        "i2i.recipe": "pix2pix",
        "i2i.translator": "default",
        "i2i.scale": "1",
        "i2i.multiple": "32",
        "i2i.channels_in": "3",
        "i2i.channels_out": "3",
        "i2i.value_type": "uint8",
        "i2i.receptive_field": str(receptive_field(translator)),
        "i2i.global_statistics": "true",
    }
    assert expected.items() <= metadata.items()
    assert json.loads(metadata["i2i.labels"]) == []
    assert len(metadata["i2i.config_digest"]) == 64
    assert metadata["i2i.version"]
    names = [
        [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in (*model.graph.input, *model.graph.output)
    ]
    assert names == [["batch", "height", "width", 3], ["batch", "height_out", "width_out", 3]]


def test_validation_sees_what_is_exported(run, deployed, pairs_root):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    reported = [line["val/l1"] for line in lines if "val/l1" in line][-1]
    model, errors = i2i.load(run), []
    for path in sorted((pairs_root / "val").iterdir())[:3]:
        import cv2

        pair = cv2.imread(str(path))[..., ::-1]
        small = [cv2.resize(half, (32, 32), interpolation=cv2.INTER_AREA) for half in (pair[:, :40], pair[:, 40:])]
        errors.append(np.abs(model.translate(np.ascontiguousarray(small[0])).astype(float) - small[1]).mean() / 127.5)
    assert np.mean(errors) == pytest.approx(reported, abs=0.01)


@pytest.mark.parametrize("choice", ["last", "best", "6"])
def test_checkpoints_can_be_chosen(run, tmp_path, choice):
    [exported] = i2i.export(run, out=tmp_path / "m.onnx", checkpoint=choice)
    assert exported.step == 6
    assert exported.difference <= 1
    assert session(tmp_path / "m.onnx")


def test_wrong_choices_are_one_line(run, tmp_path):
    with pytest.raises(RunError, match="no checkpoint '5'; there are: last, best, 6"):
        i2i.export(run, checkpoint="5")
    with pytest.raises(RunError, match="no translator 'AtoB'; it has default"):
        i2i.export(run, translator="AtoB")
    with pytest.raises(RunError, match="not a run folder"):
        i2i.export(tmp_path)
    with pytest.raises(RunError, match="no such run folder"):
        i2i.export(tmp_path / "absent")


def test_a_file_that_is_no_model_is_not_replaced(run):
    before = (run / "config.yaml").read_bytes()
    with pytest.raises(RunError, match=r"must end in \.onnx"):
        i2i.export(run, out=run / "config.yaml")
    assert (run / "config.yaml").read_bytes() == before


def test_the_package_itself_can_be_called(run, tmp_path):
    import i2i.export.graph

    assert i2i.export(run, out=tmp_path / "m.onnx")


class Shifted(torch.nn.Module):
    """Computes something else when it is traced."""

    def forward(self, x):
        return x + (0.5 if torch.compiler.is_exporting() else 0.0)


def test_a_file_that_computes_something_else_is_refused(tmp_path):
    translator = i2i.Translator(Shifted(), {"image": torch.zeros(1, 3, 16, 16)})
    with pytest.raises(ModelError, match="onnxruntime and torch differ by"):
        write_onnx(tmp_path / "m.onnx", translator, "uint8", {})
    assert list(tmp_path.iterdir()) == []


def test_float_images_keep_their_precision(tmp_path):
    class Same(torch.nn.Module):
        def forward(self, x):
            return x

    translator = i2i.Translator(Same(), {"image": torch.zeros(1, 1, 16, 16)})
    write_onnx(tmp_path / "m.onnx", translator, "float32", {})
    images = np.random.default_rng(0).random((2, 7, 5, 1), np.float32)
    [got] = session(tmp_path / "m.onnx").run(None, {"image": images})
    np.testing.assert_allclose(got, images, atol=1e-6)


def test_a_file_that_export_has_checked_is_not_tried_again(run, tmp_path, monkeypatch):
    monkeypatch.setenv("I2I_CACHE", str(tmp_path / "cache"))
    [exported] = i2i.export(run, out=tmp_path / "m.onnx")
    monkeypatch.setattr(check, "start_child", lambda *_: pytest.fail("it is tried again"))
    assert i2i.load(exported.path).translate(noise(32, 32, 3)).shape == (32, 32, 3)


def test_damaged_weights_are_not_vouched_for(tmp_path, monkeypatch):
    """What export makes of NaN is refused when it is used, with a reason."""
    layer = torch.nn.Conv2d(3, 3, 1)
    torch.nn.init.constant_(layer.weight, torch.nan)
    written = write_onnx(tmp_path / "m.onnx", i2i.Translator(layer, {"image": torch.zeros(1, 3, 16, 16)}), "uint8", {})
    assert written.verdict == ""
    good = torch.nn.Conv2d(3, 3, 1)
    written = write_onnx(tmp_path / "m.onnx", i2i.Translator(good, {"image": torch.zeros(1, 3, 16, 16)}), "uint8", {})
    assert written.verdict == verdict_name(tmp_path / "m.onnx")


def test_images_of_floats_keep_the_levels_between_those_of_8_bits(run):
    """The form for floats of a rewritten model gives what that for 8 bits gives before it rounds."""
    graph = session_of(float_graph(run / "model.onnx", ["image_out"]))
    images = noise(2, 40, 56, 3)
    [rounded] = session(run / "model.onnx").run(None, {"image": images})
    [exact] = graph.run(None, {"image": images.astype(np.float32) / 255})
    assert exact.dtype == np.float32
    assert np.abs(exact * 255 - rounded).max() <= 0.5 + 1e-3


def test_the_command_says_what_was_changed_and_how_long_it_took(run, tmp_path, cli):
    done = cli("export", run, "-o", tmp_path / "m.onnx")
    pattern = (
        r"m\.onnx: default, step 6, differs from torch by [01]\.00/255 at most; "
        r"\d transposed convolutions rewritten, \d+\.\d s"
    )
    assert re.search(pattern, done.stdout), done


@pytest.mark.parametrize(("kernels", "field"), [([3], 3), ([3, 5], 7), ([1, 1], 1), ([7, 7, 7], 19)])
def test_receptive_field_of_plain_convolutions(kernels, field):
    layers = [torch.nn.Conv2d(3, 3, kernel, padding=kernel // 2) for kernel in kernels]
    translator = i2i.Translator(torch.nn.Sequential(*layers), {"image": torch.zeros(1, 3, 8, 8)})
    assert receptive_field(translator) == field


@pytest.mark.parametrize(("name", "options"), [("unet", {"depth": 3}), ("resnet", {"blocks": 1})])
def test_receptive_field_against_changing_every_column(plugins, name, options):
    network = Builder(plugins, (32, 32)).generator(name, in_channels=1, out_channels=1, filters=2, **options)
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, 0.01 if parameter.ndim > 1 else 0.0)
    network = _without_norm(network).double()
    plain = network(torch.ones(1, 1, 96, 96).double())
    reach = 0
    for column in range(40, 56):
        changed = torch.ones(1, 1, 96, 96).double()
        changed[..., column] += 1
        columns = (network(changed) - plain).abs().sum((0, 1, 2)).nonzero().flatten()
        reach = max(reach, column - int(columns.min()), int(columns.max()) - column)
    translator = i2i.Translator(network, {"image": torch.zeros(1, 1, 32, 32)})
    assert receptive_field(translator) == 2 * reach + 1


class Conv(torch.nn.Conv2d):
    """The same as a class of its own."""


class Up(torch.nn.ConvTranspose2d):
    """The same as a class of its own."""


def test_receptive_field_is_the_same_whatever_class_the_layers_have():
    def field(conv, up):
        layers = [
            conv(3, 6, 5, padding=2, padding_mode="reflect"),
            torch.nn.ReLU(inplace=True),
            conv(6, 6, 3, dilation=2, padding="same"),
            conv(6, 6, 4, 2, 1, groups=2),
            up(6, 3, 3, 2, 1, output_padding=1),
        ]
        network = torch.nn.Sequential(*layers)
        network.multiple = 2
        return receptive_field(i2i.Translator(network, {"image": torch.zeros(1, 3, 16, 16)}))

    assert field(torch.nn.Conv2d, torch.nn.ConvTranspose2d) == field(Conv, Up) == 15


def _without_norm(network):
    for parent in list(network.modules()):
        for child_name, child in parent.named_children():
            if isinstance(child, torch.nn.BatchNorm2d | InstanceNorm2d | torch.nn.Tanh):
                setattr(parent, child_name, torch.nn.Identity())
    return network


def test_global_statistics_are_noticed():
    assert not has_global_statistics(torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3), torch.nn.BatchNorm2d(3)))
    assert has_global_statistics(torch.nn.Sequential(torch.nn.InstanceNorm2d(3)))
