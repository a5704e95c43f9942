"""An error inside a training step names phase, network, layer and precision in one line; validation compares pairs."""

import re

import pytest

import i2i
from helpers.image_files import save
from helpers.paths import HELPERS
from helpers.recipes import TINY
from i2i.plugins import Plugins
from i2i_samples.facades import draw_facade

PLUGIN = HELPERS / "failing.py"
SMALL = ["data.size=16", "data.load_size=16", "engine.threads=1"]


@pytest.fixture(scope="module")
def failing():
    return Plugins([str(PLUGIN)])


@pytest.fixture(scope="module")
def unpaired_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("unpaired")
    for split, count in (("train", 3), ("val", 2)):
        for index in range(count):
            labels, facade = draw_facade(index, size=16)
            save(root / f"{split}A" / f"a{index}.png", labels)
            save(root / f"{split}B" / f"b{index}.png", facade)
    return root


def tried(plugins, data, fault="", *sets, recipe="failing", precision="fp32", **options):
    sets = [*SMALL, f"{recipe}.fault={fault}", f"engine.precision={precision}", *sets]
    return i2i.train(recipe, data=data, sets=sets, plugins=plugins, dry_run=True, **options)


@pytest.mark.parametrize(
    ("fault", "precision", "where"),
    [
        ("blend", "bf16", "phase 'learn', network 'net', layer 1 (Blend) (try engine.precision=fp32): RuntimeError: "),
        ("constant", "fp64", "phase 'learn', network 'net', layer 1 (Constant) (try engine.precision=fp32): Runtime"),
        ("backward", "fp32", "phase 'learn', backward pass: LookupError: no way back"),
    ],
)
def test_an_error_in_a_step_names_phase_network_and_precision(failing, pairs_root, fault, precision, where):
    with pytest.raises(i2i.PluginError, match=re.escape(where)) as error:
        tried(failing, pairs_root, fault, precision=precision)
    assert f"), engine.precision={precision}, " in str(error.value)
    assert "\n" not in str(error.value)
    if precision != "fp32":
        assert tried(failing, pairs_root, fault).step == 1


@pytest.mark.parametrize(
    ("fault", "layer"),
    [("batch", "of_mean.1 (BatchNorm2d)"), ("flat", "of_mean.2 (BatchNorm1d)"), ("instance", "of_mean.1 (Instance")],
)
def test_a_norm_that_gets_one_value_a_channel_is_named_with_what_to_do(failing, pairs_root, fault, layer):
    with pytest.raises(i2i.ConfigError, match=r"set train\.batch_size to 2 or more") as error:
        tried(failing, pairs_root, fault)
    assert f"engine.precision=fp32, phase 'learn', network 'net', layer {layer}" in str(error.value)
    assert "Expected" not in str(error.value) and "\n" not in str(error.value)  # torch's words
    if fault != "instance":  # which looks at one image, however many there are
        assert tried(failing, pairs_root, fault, "train.batch_size=2").step == 1


def test_the_command_says_in_one_line_that_a_bottleneck_cannot_be_normalised(cli, pairs_root):
    words = ["train", "pix2pix", "--data", pairs_root, "--dry-run", *(w for line in TINY for w in ("--set", line))]
    done = cli(*words, "--precision", "fp32", "--set", "pix2pix.generator.bottleneck_norm=true")
    assert done.returncode == 2
    assert "device cpu, processes 1, precision fp32, memory format contiguous, generator parameters" in done.stderr
    line = done.stderr.splitlines()[-1]
    assert re.match(r"i2i: error: recipe 'pix2pix' of .*before phase 'discriminator', shared, network", line)
    assert "network 'generator', layer down.4.2 (BatchNorm2d): it is to normalise 1 x 64 x 1 x 1" in line
    assert "set train.batch_size to 2 or more" in line and "bottleneck_norm" in line
    assert "Expected more" not in done.stderr


@pytest.mark.parametrize("recipe", ["failing", "failing-unpaired"])
def test_a_target_that_has_nothing_to_do_with_the_source_is_refused_before_the_first_step(
    failing, unpaired_root, pairs_root, recipe
):
    expected = rf"recipe '{recipe}' of plugin failing .*: translator 'default' .*'target'.*layout=unpaired.*target=None"
    with pytest.raises(i2i.PluginError, match=expected):
        tried(failing, unpaired_root, recipe=recipe)
    for fitting in ("null", "source"):
        assert tried(failing, unpaired_root, "", f"{recipe}.target={fitting}", recipe=recipe).step == 1
    assert tried(failing, unpaired_root, "", f"data.val_root={pairs_root}", recipe=recipe).step == 1
    if recipe == "failing":
        assert tried(failing, pairs_root).step == 1


def test_the_command_refuses_it_too_and_writes_nothing(cli, unpaired_root, tmp_path):
    sets = [word for line in SMALL for word in ("--set", line)]
    done = cli("-p", PLUGIN, "train", "failing-unpaired", "--data", unpaired_root, "--out", tmp_path / "run", *sets)
    assert done.returncode == 2
    assert "has nothing to do with its 'source'" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()
