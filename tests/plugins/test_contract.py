"""A component that does the wrong thing is stopped at step 0 by one line that names it and what was expected."""

import pickle

import pytest

import i2i
from helpers.command import server_context, without_main
from helpers.paths import HELPERS
from helpers.recipes import TINY
from helpers.samples_elsewhere import write_shape
from i2i.config import resolve
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i.errors import PluginError, TrainingError
from i2i.plugins import Plugins

PLUGIN = HELPERS / "misbehaving.py"
ODD = Plugins([str(PLUGIN)])
BASE = [line for line in TINY if "discriminator" not in line and "generator" not in line]
SMALL = [*BASE, "train.batch_size=2", "pix2pix.generator={name: unet, filters: 4}"]
PATCH = "pix2pix.discriminator={name: patch, filters: 4, layers: 2}"

FAULTS = [  # kind, fault, what the message says behind the component's name
    ("generator", "size", r"must give images \(2, 3, 32, 32\), .*, not a tensor \(2, 3, 32, 31\)"),
    ("generator", "channels", r"must give images \(2, 3, 32, 32\), .*, not a tensor \(2, 1, 32, 32\)"),
    ("generator", "none", r"must give images .*, not a NoneType"),
    ("generator", "nan", "gives values that are not finite"),
    ("generator", "raises", r"RuntimeError: two lines \(I2I_DEBUG=1 shows where\)"),
    ("discriminator", "list", "must give logits, or a tuple of logits and features, or a list of these, not a list"),
    ("discriminator", "nan", "gives values that are not finite"),
    ("loss", "vector", r"must give a scalar tensor, the mean over the batch, not a tensor \(2, "),
    ("loss", "number", "must give a scalar tensor, the mean over the batch, not a float"),
    ("loss", "inf", "gives values that are not finite"),
    ("dataset", "raises", "KeyError: 'folder'"),
    ("dataset", "item", "sample 0: IndexError: item is not there"),
    ("dataset", "lacks", "recipe needs target, but dataset 'odd' .* gives source"),
    ("dataset", "lacks one", "sample 2: must have target, and has only source"),
    ("dataset", "list", "sample 0: ValueError: dictionary update"),
    ("dataset", "planar", r"sample 0: source must be an array \(H, W, C\) .*, not \(3, 40, 40\) of uint8"),
    ("dataset", "double", r"sample 0: source must be an array .*, not \(40, 40, 3\) of float64"),
    ("dataset", "label", "sample 0: label must be a class's number from 0, not 'zebra'"),
    ("transform", "nothing", "what it returns: must be a dictionary .*, not a NoneType"),
    ("transform", "drops", "what it returns: must have target, and has only source"),
    ("transform", "path", "what it returns: source must be an array .*, not a "),
    ("transform", "raises", "KeyError: 'no such key'"),
    ("metric", "vector", "compute must return a scalar: "),
    ("metric", "raises", "TypeError: no"),
    ("metric", "nothing", "what it builds, a NoneType, has no method update"),
]
OWN_OUTPUT = [  # fault, what the message says behind the recipe's name
    ("evaluate", "evaluate: KeyError: 'gone'"),
    ("figures", "evaluate must return numbers by name, not a list"),
    ("figure", r"evaluate must return numbers by plain names, not 'error': a tensor \(2,\)"),
    ("figure name", "evaluate must return numbers by plain names, not 'mean error': a float"),
    ("complex", "evaluate must return numbers by plain names, not 'error': a tensor"),
    ("huge", "evaluate must return numbers by plain names, not 'error': a int"),
    ("kept", "state holds 'kept'"),
    ("grid", "grid: KeyError: 'gone'"),
    ("complex image", "column 'image' of grid must be an image"),
    ("image", r"grid must return images by the name of their column, not a tensor \(1, 3, 32, 32\)"),
    ("flat", r"column 'flat' of grid must be an image \(1, C, H, W\) .*, not a tensor \(3, 32, 32\)"),
    ("no columns", "grid must return images by the name of their column, not an empty dictionary"),
]
SETTING = {
    "generator": "pix2pix.generator={{name: odd, fault: {}}}",
    "discriminator": "pix2pix.discriminator={{name: odd, fault: {}}}",
    "loss": "pix2pix.adversary.loss={{name: odd, fault: {}}}",
    "dataset": "data.layout={{name: odd, fault: {}}}",
    "transform": "data.transform={{name: odd, fault: {}}}",
    "metric": "train.metrics=[l1, {{name: odd, fault: {}}}]",
}


def train(tmp_path, *sets, recipe="pix2pix", **options):
    return i2i.train(recipe, out=tmp_path / "run", sets=[*SMALL, *sets], plugins=ODD, steps=2, **options)


@pytest.mark.parametrize(("kind", "fault", "reason"), FAULTS)
def test_a_component_that_does_the_wrong_thing_is_stopped_at_step_0(kind, fault, reason, tmp_path, pairs_root):
    sets = [PATCH] if kind != "discriminator" else []
    sets.append(SETTING[kind].format(fault))
    data = None if kind == "dataset" else pairs_root
    where = f"{kind} 'odd' of plugin misbehaving "
    with pytest.raises(i2i.UserError, match=f"{where}.*{reason}" if fault != "lacks" else reason) as error:
        train(tmp_path, *sets, data=data)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("needs", "needs must be a set of names"),
        ("networks", "networks must return modules by name, not a list"),
        ("no module", "network 'net' must be an nn.Module, not a function"),
        ("no phases", "phases must return at least one i2i.Phase"),
        ("phase", "phase 'p': every must be at least 1, not 0"),
        ("trains", "phase 'p' trains 'nett', but its networks are net, other"),
        ("shared", "shared: KeyError: 'nothing'"),
        ("vector", r"phase 'p': loss 'error' must be a scalar tensor, not a tensor \(2,\)"),
        ("nan", "phase 'p': loss 'error' must be finite, and is nan in its first step"),
        ("tensor", r"phase 'p': losses must return scalars by name, not a tensor \(\)"),
        ("none", "phase 'p': losses must return scalars by name, not an empty dictionary"),
        ("detached", "phase 'p': no loss depends on the networks that the phase trains"),
        ("other", "phase 'p': no loss depends on the networks that the phase trains"),
        ("raises", "phase 'p': KeyError: 'gone'"),
        ("translators", "translator 'default' needs a plain name, a module and an example"),
        *OWN_OUTPUT,
    ],
)
def test_a_recipe_that_contradicts_itself_is_stopped_at_step_0(fault, reason, tmp_path, pairs_root):
    sets = [*BASE, f"odd-recipe.fault={fault}", "train.batch_size=2"]
    with pytest.raises(PluginError, match=rf"recipe 'odd-recipe' of plugin misbehaving .*{reason}") as error:
        i2i.train("odd-recipe", data=pairs_root, out=tmp_path / "run", sets=sets, plugins=ODD, steps=2)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("fault", "reason"), OWN_OUTPUT)
def test_a_dry_run_finds_wrong_figures_and_grids(fault, reason, pairs_root):
    sets = [*BASE, f"odd-recipe.fault={fault}", "train.batch_size=2"]
    with pytest.raises(PluginError, match=rf"recipe 'odd-recipe' of plugin misbehaving .*{reason}"):
        i2i.train("odd-recipe", data=pairs_root, sets=sets, plugins=ODD, dry_run=True)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "bool"])
def test_label_maps_of_every_integer_type_can_be_columns(dtype, pairs_root):
    sets = [*BASE, f"odd-recipe.fault=map {dtype}", "train.batch_size=2"]
    assert i2i.train("odd-recipe", data=pairs_root, sets=sets, plugins=ODD, dry_run=True).step == 1


def test_a_dataset_that_fails_in_a_loader_process_is_named_in_one_line(tmp_path):
    with pytest.raises(
        i2i.UserError, match=r"dataset 'odd' of plugin misbehaving .* IndexError: item is not there"
    ) as error:
        train(tmp_path, PATCH, "data.layout={name: odd, fault: worker}", "data.workers=1")
    assert "\n" not in str(error.value)


def test_samples_travel_to_processes_that_have_not_loaded_the_plugin(tmp_path):
    config = resolve(ODD, "pix2pix", sets=[*SMALL, "data.layout=odd"])
    (tmp_path / "samples").write_bytes(
        pickle.dumps(open_data(config.data, ODD, Requirements(frozenset()), seed=0).train)
    )
    other = server_context().Process(target=write_shape, args=(tmp_path / "samples", tmp_path / "shape"))
    with without_main():
        other.start()
    other.join()
    assert (tmp_path / "shape").read_text() == "misbehaving was not loaded; torch.Size([3, 32, 32])"


def test_networks_are_called_as_recipes_like(pairs_root):
    generator = [line for line in SMALL if "unet" not in line] + ["odd-recipe.fault=own way", "data.size=32"]
    sets = [line for line in generator if not line.startswith("pix2pix")]
    assert i2i.train("odd-recipe", data=pairs_root, sets=sets, plugins=ODD, dry_run=True).step == 1


def test_a_metric_that_fails_later_loses_no_step(tmp_path, pairs_root):
    with pytest.raises(
        TrainingError, match=r"metric 'odd' of plugin misbehaving .*: TypeError: no .*, at step 2, which"
    ) as e:
        sets = [PATCH, "train.metrics=[{name: odd, fault: later}]", "train.checkpoint_every=2", "train.val_images=1"]
        train(tmp_path, *sets, data=pairs_root)
    assert e.value.exit_code == 1
    assert (tmp_path / "run" / "checkpoints" / "step-0000002").is_dir()


def test_a_component_that_fails_later_leaves_its_checkpoints(tmp_path, pairs_root):
    sets = [*SMALL, PATCH, "pix2pix.generator={name: odd, fault: late}", "train.checkpoint_every=1"]
    with pytest.raises(
        TrainingError,
        match=r"generator 'odd' of plugin misbehaving .*: RuntimeError: two lines .*, at step 6; go on with --resume",
    ) as error:
        i2i.train("pix2pix", data=pairs_root, out=tmp_path / "run", sets=sets, plugins=ODD, steps=9)
    assert error.value.exit_code == 1
    assert list((tmp_path / "run").glob("checkpoints/step-*"))


def test_the_command_says_one_line_and_leaves_with_2(tmp_path, pairs_root, cli):
    words = [word for line in [*SMALL, PATCH, SETTING["generator"].format("size")] for word in ("--set", line)]
    done = cli("-p", PLUGIN, "train", "pix2pix", "--data", pairs_root, "--out", tmp_path / "run", *words)
    assert done.returncode == 2
    assert "generator 'odd' of plugin misbehaving (" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
