"""`new_plugin`: what it writes works as it is, for every kind of component; what it refuses, and why."""

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import i2i
from helpers.image_files import save
from helpers.inner_pytest import passed_tests
from helpers.paths import ROOT
from helpers.recipes import train_only
from helpers.small_models import make_model, noise
from i2i.errors import PluginError
from i2i.plugins import KINDS, Plugins
from i2i.plugins.builder import Builder
from i2i.plugins.scaffold import MAX_LENGTH, USES, new_plugin, next_commands
from i2i.testing import check_component

TINY = [
    "data.size=32",
    "train.val_images=2",
    "train.sample_count=2",
    "train.batch_size=2",
    "engine.threads=1",
    "engine.precision=fp32",
]
SMALL = {
    "pix2pix": ["pix2pix.generator.filters=4", "pix2pix.discriminator.filters=4"],
    "srgan": ["data.scale=2", "srgan.generator.filters=4", "srgan.discriminator.filters=4", "srgan.pretrain=0"],
    "of-recipe": ["of-recipe.generator.filters=4"],
}


@pytest.fixture(scope="module")
def made(plugins, tmp_path_factory):
    """A plugin of each kind: the folders by kind."""
    root = tmp_path_factory.mktemp("made")
    return {kind: new_plugin(f"of-{kind}", kind, root / f"i2i-of-{kind}", plugins) for kind in KINDS}


@pytest.fixture(scope="module")
def in_out_folder(tmp_path_factory):
    """Pairs as the dataset template reads them, and one image without a partner."""
    root = tmp_path_factory.mktemp("in-out")
    for index in range(6):
        image = np.random.default_rng(index).integers(0, 256, (40, 48, 3), np.uint8)
        Image.fromarray(image).save(root / f"{index}_in.png")
        Image.fromarray(255 - image).save(root / f"{index}_out.png")
    Image.fromarray(image).save(root / "alone_out.png")
    return root


def module_of(folder):
    return next(folder.glob("i2i_*.py"))


def loaded(folder):
    return Plugins([str(module_of(folder))])


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_component_keeps_its_contract(made, in_out_folder, kind):
    data = in_out_folder if kind == "dataset" else None
    check_component(kind, f"of-{kind}", plugins=loaded(made[kind]), data=data)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("command", "backend")])
def test_the_readme_s_last_command_trains_with_it(made, in_out_folder, kind):
    """The command's own words, with one step of tiny networks."""
    command = USES[kind].format(name=f"of-{kind}").replace('"', "")
    assert command in (made[kind] / "README.md").read_text().replace('"', "")
    _, _, recipe, *words = command.split()
    chosen = [word for word in words if "=" in word]
    sets = [s for s in SMALL[recipe] if not any(s.startswith(c.split("=")[0] + ".") for c in chosen)]
    data = in_out_folder if "FOLDER" in words else None
    trained = i2i.train(recipe, data=data, sets=[*TINY, *sets, *chosen], dry_run=True, plugins=loaded(made[kind]))
    assert trained.step == 1


def test_a_new_command_runs_as_the_readme_says(made, cli, tmp_path):
    """Against numpy's singular values of the same weights."""
    sets = [*TINY, *SMALL["pix2pix"]]
    train_only("pix2pix", out=tmp_path / "RUN", sets=sets, steps=1)
    assert "\ni2i run of-command RUN\n" in (made["command"] / "README.md").read_text()
    plugin = ["-p", module_of(made["command"])]
    done = cli(*plugin, *USES["command"].format(name="of-command").split()[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    printed = {name: float(value) for value, name in map(str.split, done.stdout.splitlines())}
    for network, module in i2i.load_networks(tmp_path / "RUN", "last").networks.items():
        for key, weight in module.named_parameters():
            if weight.ndim > 1:
                largest = np.linalg.svd(weight.detach().flatten(1).numpy(), compute_uv=False)[0]
                assert printed.pop(f"{network}.{key}") == pytest.approx(largest, abs=1e-3)
    assert not printed
    done = cli(*plugin, "run", "of-command", "RUN", "--network", "critic", cwd=tmp_path)
    assert done.stderr == "i2i: error: RUN: no network 'critic'; there are: generator, discriminator\n"


def test_a_new_backend_translates_as_the_readme_says(made, cli, tmp_path):
    make_model(tmp_path / "RUN" / "model.onnx", "invert")
    save(tmp_path / "FOLDER" / "a.png", noise(40, 48, 3))
    assert "\ni2i translate RUN FOLDER -o OUT --backend of-backend\n" in (made["backend"] / "README.md").read_text()
    words = USES["backend"].format(name="of-backend").split()[1:]
    done = cli("-p", module_of(made["backend"]), *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "note: computed by of-backend (CPUExecutionProvider): equal to the exact result\n" in done.stderr
    assert (np.asarray(Image.open(tmp_path / "OUT" / "a.png")) == 255 - noise(40, 48, 3)).all()


def test_the_package_s_own_test_passes_once_it_is_installed(made, tmp_path, monkeypatch):
    """A dist-info folder on the path is what pip leaves. Recipe and generator, which take long, are left out."""
    folders = {kind: folder for kind, folder in made.items() if kind not in ("recipe", "generator")}
    for kind, folder in folders.items():
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        info = tmp_path / f"of_{kind}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n")
        lines = [f"{key} = {value}" for key, value in project["entry-points"]["i2i"].items()]
        (info / "entry_points.txt").write_text("[i2i]\n" + "\n".join(lines))
    for folder in (tmp_path, *folders.values()):
        monkeypatch.syspath_prepend(folder)
    tests = [next(folder.glob("test_*.py")) for folder in folders.values()]
    assert len(passed_tests(*tests)) == len(folders)


def test_the_dataset_names_images_without_a_partner(made, in_out_folder):
    component = loaded(made["dataset"]).get("dataset", "of-dataset")
    dataset = component.build(component.config(), root=in_out_folder, split="train", transform=dict, read=lambda p: p)
    assert len(dataset) == 6
    assert dataset.problems == [f"{in_out_folder / 'alone_out.png'}: no alone_in.png beside it"]
    assert dataset[0]["source"] == in_out_folder / "0_in.png"


def test_the_dataset_is_found_by_itself(made, in_out_folder, capfd):
    sets = [*TINY, *SMALL["pix2pix"]]
    i2i.train("pix2pix", data=in_out_folder, sets=sets, dry_run=True, plugins=loaded(made["dataset"]))
    assert "(of-dataset)" in capfd.readouterr().err


def test_the_formulas_in_the_templates(made):
    """By hand: targets -1, 1 and 0; half of the pixels within 16/255; Lion; restarts; levels that add up."""
    loss = Builder(loaded(made["loss"]), (8, 8)).loss("of-loss")
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 2.0])
    assert loss("discriminator", real=real, fake=fake) == pytest.approx(0.5 * (2.0 + 4.5))
    assert loss("generator", fake=fake) == pytest.approx(0.5 * 2.5)

    metric = Builder(loaded(made["metric"]), (8, 8)).metric("of-metric")
    target = torch.zeros(1, 3, 2, 2)
    output = target.clone()
    output[0, 1, 0] = 17 / 127.5
    output[0, 2, 1] = 15 / 127.5
    metric.update(output, target)
    assert metric.compute() == 0.5

    parameter = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    choice = i2i.OptimizerChoice("of-optimizer", lr=0.5, betas=(0.5, 0.75), weight_decay=0.1)
    optimizer = Builder(loaded(made["optimizer"]), (8, 8)).optimizer(choice, [parameter])
    for gradient in ([1.0, 2.0], [-2.0, 1.0]):  # the averages are 0, then 0.25 and 0.5: the signs are +, + and -, +
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
    first = torch.tensor([1.0 - 0.5 * (1 + 0.1), -2.0 - 0.5 * (1 - 0.2)])
    assert parameter.tolist() == pytest.approx((first * 0.95 - 0.5 * torch.tensor([-1, 1])).tolist())

    schedule = Builder(loaded(made["schedule"]), (8, 8)).schedule(
        i2i.ScheduleChoice("of-schedule", periods=2, least=0.2)
    )
    factors = [schedule(step, steps=8, epoch=3) for step in range(8)]
    assert factors == pytest.approx(2 * [1.0, 0.6 + 0.4 * 0.5**0.5, 0.6, 0.6 - 0.4 * 0.5**0.5])

    image = torch.rand(1, 3, 16, 16)
    *details, rest = Builder(loaded(made["features"]), (16, 16)).features("of-features", levels=2)(image)
    for level in reversed(details):
        rest = level + torch.nn.functional.interpolate(rest, level.shape[2:], mode="bilinear")
    torch.testing.assert_close(rest, image)


@pytest.mark.parametrize("name", ["a1", "x" * MAX_LENGTH])
@pytest.mark.parametrize("kind", KINDS)
def test_generated_files_are_clean_whatever_the_name(plugins, tmp_path, kind, name):
    folder = new_plugin(name, kind, tmp_path / "plugin", plugins)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [f"i2i_{name}.py", f"test_{name}.py", "pyproject.toml", "README.md"]
    )
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8")
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
        assert max(map(len, text.splitlines())) <= 120, path
    compile(module_of(folder).read_text(), "module", "exec")
    assert "\nPLUGIN_API = 1\n" in module_of(folder).read_text()
    assert len(module_of(folder).read_text().splitlines()) <= 100


def test_ruff_finds_nothing_in_the_generated_modules(made):
    files = [str(module_of(folder)) for folder in made.values()]
    for command in (["check"], ["format", "--check"]):
        words = [sys.executable, "-m", "ruff", *command, "--no-cache", "--config", str(ROOT / "pyproject.toml"), *files]
        ran = subprocess.run(words, capture_output=True, text=True, timeout=600)
        assert ran.returncode == 0, ran.stdout


def test_the_package_says_what_pip_and_i2i_need(plugins, tmp_path):
    folder = new_plugin("i2i-two-words", "loss", tmp_path / "plugin", plugins)  # the prefix may be typed or not
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "i2i-two-words"
    assert project["entry-points"]["i2i"] == {"two-words": "i2i_two_words"}
    assert project["dependencies"][0].startswith("i2i-toolkit>=")
    assert "class TwoWordsLoss(" in (folder / "i2i_two_words.py").read_text()
    readme = (folder / "README.md").read_text()
    for command in (
        "i2i plugins check two-words",
        "pytest",
        "i2i train pix2pix --set pix2pix.adversary.loss=two-words",
    ):
        assert f"\n{command}\n" in readme


def test_without_a_folder_it_is_made_here(plugins, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UV", raising=False)
    assert new_plugin("stripes", "recipe", None, plugins) == Path("i2i-stripes")
    assert (tmp_path / "i2i-stripes" / "i2i_stripes.py").is_file()
    assert next_commands("stripes", "recipe", Path("i2i-stripes")) == [
        "pip install -e ./i2i-stripes",
        "i2i plugins check stripes",
        "i2i train stripes",
    ]
    monkeypatch.setenv("UV", "/usr/bin/uv")  # as uv sets it for what it runs
    assert next_commands("stripes", "recipe", Path("i2i-stripes")) == [
        "uv pip install -e ./i2i-stripes",
        "uv run i2i plugins check stripes",
        "uv run i2i train stripes",
    ]


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("Stripes", "recipe", "cannot be called 'Stripes': use small letters"),
        ("two_words", "recipe", "cannot be called"),
        ("1st", "recipe", "cannot be called"),
        ("a--b", "recipe", "cannot be called"),
        ("a-", "recipe", "cannot be called"),
        ("i2i-", "recipe", "cannot be called ''"),
        ("x\n", "recipe", "cannot be called"),
        ("../x", "recipe", "cannot be called"),
        ("x" * (MAX_LENGTH + 1), "recipe", "at most 32 characters"),
        ("data", "recipe", "a word of the configuration"),
        ("seed", "recipe", "a word of the configuration"),
        ("auto", "dataset", "a word of the configuration"),
        ("unet", "generator", r"there is a generator 'unet' already, of plugin components \(i2i-toolkit"),
        ("i2i-unet", "generator", "there is a generator 'unet' already"),
        ("srgan", "generator", r"there is a plugin srgan \(i2i-toolkit"),
        ("toolkit", "loss", "the package i2i-toolkit .* is installed"),
        ("stripes", "recipy", r"unknown kind 'recipy' \(did you mean 'recipe'\?\); known: generator, .*recipe"),
    ],
)
def test_names_and_kinds_that_will_not_do_are_refused(plugins, tmp_path, monkeypatch, name, kind, reason):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PluginError, match=reason) as error:
        new_plugin(name, kind, None, plugins)
    assert "\n" not in str(error.value).replace(name, "")
    assert not any(tmp_path.iterdir())


def test_one_name_may_stand_for_components_of_two_kinds(plugins, tmp_path):
    assert new_plugin("unet", "loss", tmp_path / "plugin", plugins).is_dir()


def test_what_exists_is_left_alone(plugins, tmp_path):
    folder = tmp_path / "i2i-stripes"
    folder.mkdir()
    with pytest.raises(PluginError, match=r"i2i-stripes exists: take another name, or another folder with -o"):
        new_plugin("stripes", "recipe", folder, plugins)
    assert not any(folder.iterdir())


def test_nothing_is_left_behind_when_writing_fails(plugins, tmp_path, monkeypatch):
    real, written = Path.write_text, []

    def full_disk(path, *args, **options):
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        written.append(path)
        return real(path, *args, **options)

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(PluginError, match="cannot write the plugin: No space left on device"):
        new_plugin("stripes", "recipe", tmp_path / "not" / "there", plugins)
    assert len(written) == 2
    assert not any(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_an_error(plugins, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PluginError, match="cannot make the folder"):
        new_plugin("stripes", "recipe", tmp_path / "file" / "plugin", plugins)
