"""From YAML, --set and presets to one checked configuration."""

from itertools import pairwise
from pathlib import Path

import pytest

import i2i
from helpers.paths import HELPERS, ROOT
from i2i.config import resolve
from i2i.errors import ConfigError, PluginError
from i2i.plugins import Plugins

PLUGINS = Plugins()
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def pix2pix(*sets: str, **more):
    return resolve(PLUGINS, "pix2pix", sets=sets, samples=False, **more)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "given.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "get", "value"),
    [
        ("train.optimizer.lr=1e-4", lambda c: c.train.optimizer.options["lr"], 1e-4),
        ("train.batch_size=4", lambda c: c.train.batch_size, 4),
        ("train.optimizer.betas=[0, 0.9]", lambda c: c.train.optimizer.options["betas"], [0.0, 0.9]),
        ("engine.compile=true", lambda c: c.engine.compile, True),
        ("data.load_size=null", lambda c: c.data.load_size, None),
        ("data.size=512", lambda c: (c.data.size, c.data.height_width), (512, (512, 512))),
        ("data.size=[512, 512]", lambda c: c.data.size, 512),
        ("data.size=[256, 512]", lambda c: (c.data.size, c.data.resized), ((256, 512), (286, 572))),
        ("data.root=123", lambda c: c.data.root, "123"),
        ("pix2pix.generator.filters=8", lambda c: c.options.generator.options["filters"], 8),
        ("pix2pix.generator=resnet", lambda c: c.options.generator.name, "resnet"),
        ("pix2pix.l1=50", lambda c: c.options.l1, 50.0),
        ("train.phases.discriminator.lr=4e-4", lambda c: c.train.phases["discriminator"].lr, 4e-4),
        ("seed=7", lambda c: c.seed, 7),
    ],
)
def test_set_is_typed(text, get, value):
    assert get(pix2pix(text)) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data.sise=3", "unknown key data.sise; did you mean data.size?"),
        ("filters=3", "unknown key filters"),
        ("trian.steps=3", "unknown key trian; did you mean train?"),
        ("pix2pix.generator.filter=3", "unknown key pix2pix.generator.filter; did you mean pix2pix.generator.filters?"),
        ("train.phases.discriminator.rate=3", "unknown key train.phases.discriminator.rate"),
        ("data.size=big", "data.size: input should be a valid integer"),
        ("train.batch_size=0", "train.batch_size: input should be greater than or equal to 1"),
        ("engine.precision=fp16", "engine.precision: input should be 'auto', 'fp32', 'bf16' or 'fp64', got 'fp16'"),
        ("pix2pix.generator.norm=group", "pix2pix.generator.norm: input should be 'batch', 'instance' or 'none'"),
        ("data=3", "data is a section"),
        ("data.load_size=9", "load_size 9 is smaller than size 256"),
        ("data.load_size=[512, 255]", "load_size [512,255] is smaller than size 256"),
        ("data.size=3", "data.size: input should be greater than or equal to 4, got 3"),
        ("data.size=[256, 3]", "data.size: input should be greater than or equal to 4, got 3"),
        ("data.size=[256]", "data.size: must be a number of pixels, or [height, width], got [256]"),
        ("data.size=[256, [4, 5]]", "data.size: must be a number of pixels, or [height, width]"),
        ("data.size=[8, 8, 8]", "data.size: must be a number of pixels, or [height, width]"),
        ("nothing", "expected KEY=VALUE"),
        ("seed=-1", "seed: expected an integer from 0"),
    ],
)
def test_a_wrong_set_names_key_and_place(text, message):
    with pytest.raises(ConfigError) as error:
        pix2pix(text)
    assert message in str(error.value)
    assert f"--set {text}" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_set_may_leave_out_the_section_of_its_option():
    config = resolve(Plugins(), "srresnet", sets=["scale=2", "distance=l1", "batch_size=3", "root=here"])
    assert (config.data.scale, config.options.distance, config.train.batch_size) == (2, "l1", 3)
    assert (config.preset, config.data.root) == ("paper", "here")  # there is data: no samples


def test_sets_may_be_values_by_key():
    sets = {
        "train.batch_size": 4,
        "train.steps": None,
        "l1": 50,
        "data.root": Path("here"),
        "pix2pix.generator": "resnet",
    }
    config = resolve(PLUGINS, "pix2pix", sets=sets)
    assert (config.train.batch_size, config.train.steps, config.data.root) == (4, None, "here")
    assert (config.options.l1, config.options.generator.name) == (50.0, "resnet")
    for wrong, message in (
        ({"train.bacth_size": 4}, "unknown key train.bacth_size; did you mean train.batch_size?"),
        ({"train.batch_size": "many"}, "train.batch_size: input should be a valid integer"),
    ):
        with pytest.raises(ConfigError) as error:
            resolve(PLUGINS, "pix2pix", sets=wrong)
        assert str(error.value).startswith(f"sets[{next(iter(wrong))!r}]: {message}")


def test_a_wrong_file_names_the_line(tmp_path):
    path = written(tmp_path, "recipe: pix2pix\ntrain:\n  steps: 10\n  bacth_size: 3\n")
    with pytest.raises(
        ConfigError, match=r"given.yaml line 4: unknown key train.bacth_size; did you mean train.batch_size\?"
    ):
        resolve(PLUGINS, config=path)
    path = written(tmp_path, "recipe: pix2pix\npix2pix:\n  generator:\n    name: unet\n    filters: many\n")
    with pytest.raises(
        ConfigError, match=r"given.yaml line 5: pix2pix.generator.filters: input should be a valid integer"
    ):
        resolve(PLUGINS, config=path)


@pytest.mark.parametrize("text", ["a: [1", "- 1\n- 2\n", "a: 1\na: 2\n", "\x00"])
def test_a_file_that_is_no_mapping_is_named(tmp_path, text):
    with pytest.raises(ConfigError, match=r"given\.yaml"):
        resolve(PLUGINS, "pix2pix", config=written(tmp_path, text))


def test_unknown_names_of_components_and_recipes():
    with pytest.raises(PluginError, match="unknown generator 'unett'"):
        pix2pix("pix2pix.generator=unett")
    with pytest.raises(PluginError, match=r"unknown recipe 'pix2pux' \(did you mean 'pix2pix'\?\)"):
        resolve(PLUGINS, "pix2pux")
    with pytest.raises(ConfigError, match="no preset 'papr'"):
        pix2pix(preset="papr")


def test_another_component_forgets_the_options_of_the_old_one():
    options = pix2pix(
        "pix2pix.generator.dropout_layers=[1]", "pix2pix.generator=resnet", "pix2pix.generator.blocks=2"
    ).options
    assert options.generator.options["blocks"] == 2
    assert "dropout_layers" not in options.generator.options


def test_later_layers_win(tmp_path):
    path = written(tmp_path, "recipe: pix2pix\ntrain: {batch_size: 2, steps: 5}\n")
    config = resolve(PLUGINS, config=path, sets=["train.batch_size=3", "train.steps=8", "train.steps=9"])
    assert (config.train.batch_size, config.train.steps) == (3, 9)


@pytest.mark.parametrize("name", PLUGINS.table("recipe"))
def test_printed_configuration_is_taken_back_unchanged(tmp_path, name):
    for preset in [None, *PLUGINS.get("recipe", name).presets]:
        config = resolve(PLUGINS, name, preset=preset, samples=False)
        text = config.to_commented_yaml(PLUGINS, "header")
        assert resolve(PLUGINS, config=written(tmp_path, text)) == config
        assert resolve(PLUGINS, config=written(tmp_path, config.to_yaml())) == config


@pytest.mark.parametrize("name", PLUGINS.table("recipe"))
def test_every_printed_option_has_its_meaning_above_it(name):
    lines = resolve(PLUGINS, name, samples=False).to_commented_yaml(PLUGINS, "header").splitlines()
    for above, line in pairwise(lines):
        if line.startswith(" ") and not line.lstrip().startswith(("#", "name:")):
            assert above.lstrip().startswith(("#", "name:")), line


def test_presets_of_pix2pix_differ_where_paper_and_reference_differ():
    paper, reference = pix2pix(preset="paper"), pix2pix()
    assert reference.preset == "reference"
    assert paper.options.generator.options["dropout_layers"] == [1, 2, 3]
    assert reference.options.generator.options["dropout_layers"] == [2, 3, 4]
    assert (paper.train.schedule.name, reference.train.schedule.name) == ("constant", "linear-epochs")
    for config in (paper, reference):
        assert config.options.generator.options["bottleneck_norm"] is False
        assert (config.options.l1, config.options.adversary.discriminator_weight) == (100.0, 0.5)
        options = config.train.optimizer.options
        assert (options["lr"], options["betas"]) == (2e-4, [0.5, 0.999])
        assert (config.train.epochs, config.train.batch_size, config.data.size, config.data.resized) == (
            200,
            1,
            256,
            (286, 286),
        )


def test_samples_preset_serves_only_when_there_is_no_data():
    assert resolve(PLUGINS, "pix2pix").train.steps is not None
    assert resolve(PLUGINS, "pix2pix", sets={"data.root": "somewhere"}).train.steps is None


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configurations_are_what_i2i_config_prints(path):
    name, _, preset = path.stem.partition("-")
    component = PLUGINS.get("recipe", name)
    config = resolve(PLUGINS, name, preset=preset or None, samples=False)
    assert resolve(PLUGINS, config=path, samples=False) == config
    assert component.summary in path.read_text()


def test_there_is_a_shipped_configuration_for_every_preset():
    built_in = [c for p in PLUGINS.all if p.distribution == "i2i-toolkit" for k, c in p.components if k == "recipe"]
    wanted = {f"{c.name}-{preset}" for c in built_in for preset in c.presets}
    assert wanted <= {path.stem for path in CONFIGS}


def test_a_third_partys_recipe_without_data_can_be_repeated(tmp_path):
    plugins = Plugins([str(HELPERS / "wgan.py")])
    config = resolve(plugins, "wgan-gp")
    assert (config.preset, config.train.steps) == ("samples", 200)
    assert resolve(plugins, config=written(tmp_path, config.to_yaml())) == config


@pytest.mark.parametrize(
    "text",
    [
        "a: &a {x: 1}\nb: &b {x: *a, y: *a}\n"
        + "".join(f"c{i}: &c{i} [*b, *b, *b, *b]\n" for i in range(3))
        + "data: "
        + "[" * 1200,
        "data: {root: " * 30,
        "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9 if i else ['1'] * 9)}]\n" for i in range(12)),
        "preset: [1]\n",
        "seed: 18446744073709551616\n",
        "train: {optimizer: {lr: .inf}}\n",
    ],
)
def test_monstrous_files_are_one_line(tmp_path, text):
    with pytest.raises(ConfigError) as error:
        resolve(PLUGINS, "pix2pix", config=written(tmp_path, text))
    assert "\n" not in str(error.value)


def test_yaml_merge_keys_work(tmp_path):
    path = written(tmp_path, "recipe: pix2pix\ntrain: &t {batch_size: 2}\nengine: {}\n")
    assert resolve(PLUGINS, config=path).train.batch_size == 2
    text = "recipe: pix2pix\ntrain:\n  optimizer: &o {lr: 0.1}\n  phases: {generator: {<<: *o}}\n"
    assert resolve(PLUGINS, config=written(tmp_path, text)).train.phases["generator"].lr == 0.1


def test_choice_is_a_name_or_a_mapping():
    class Options(i2i.Config):
        generator: i2i.GeneratorChoice = i2i.GeneratorChoice("unet", {"depth": 3})

    assert Options().generator.options == {"depth": 3}
    assert Options(generator="resnet").generator.name == "resnet"
    assert Options(generator={"name": "resnet", "blocks": 2}).model_dump() == {
        "generator": {"name": "resnet", "blocks": 2}
    }


def test_metrics_are_names_or_take_options():
    config = resolve(Plugins(), "srresnet", sets=["train.metrics=[psnr-y, {name: ssim}]"])
    assert [metric.name for metric in config.train.metrics] == ["psnr-y", "ssim"]
    assert [metric["name"] for metric in config.to_dict()["train"]["metrics"]] == ["psnr-y", "ssim"]
    assert resolve(Plugins(), config=config.to_dict()) == config
    with pytest.raises(ConfigError, match=r"train.metrics.*windw"):
        resolve(Plugins(), "srresnet", sets=["train.metrics=[{name: ssim, windw: 3}]"])
    with pytest.raises(ConfigError, match="each metric can be there once only"):
        resolve(Plugins(), "srresnet", sets=["train.metrics=[ssim, ssim]"])
    with pytest.raises(PluginError, match=r"unknown metric 'pnsr' \(did you mean 'psnr'\?\)"):
        resolve(Plugins(), "srresnet", sets=["train.metrics=[pnsr]"])
