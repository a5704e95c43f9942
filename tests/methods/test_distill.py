"""The recipe `distill`: a student of a run, of an exported file, of either direction, and of a slow model's outputs."""

import hashlib
import shutil

import numpy as np
import pytest
import torch

import i2i
from helpers.image_files import save
from helpers.recipes import OWN, SHARED, small, train_only
from i2i.images import read_image
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder
from i2i_distill.options import DistillConfig
from i2i_distill.recipe import Distill
from i2i_samples.facades import draw_facade

TINY = [*SHARED, *(f"distill.{line}" for line in OWN["distill"])]
GREY_TO_COLOUR = ["data.source_channels=1", "cyclegan.identity=0"]


@pytest.fixture(scope="module")
def cycle(tmp_path_factory):
    """A CycleGAN from grey facades (A) to colour ones (B), exported in both directions, and its data."""
    folder = tmp_path_factory.mktemp("cycle")
    for split, count in (("train", 4), ("test", 2)):
        for number in range(count):
            labels, facade = draw_facade(number, size=32)
            save(folder / f"data/{split}A/{number}.png", labels[..., 2])
            save(folder / f"data/{split}B/other{number}.png", facade)
    sets = [*small("cyclegan", drawn=False), *GREY_TO_COLOUR]
    i2i.train("cyclegan", data=folder / "data", out=folder / "run", sets=sets, steps=2)
    return folder


def student(data, teacher, *more, steps=1, **options):
    sets = [*TINY, f"distill.teacher={teacher}", *more]
    return train_only("distill", data=data, sets=sets, steps=steps, **options)


@pytest.mark.parametrize(("direction", "key", "channels"), [("AtoB", "source", (1, 3)), ("BtoA", "target", (3, 1))])
def test_each_direction_of_a_cyclegan_learns_from_its_own_side(cycle, tmp_path, direction, key, channels):
    sets = [*GREY_TO_COLOUR[:1], f"distill.translator={direction}", "train.metrics=[]"]
    student(cycle / "data", cycle / "run", *sets, out=tmp_path / "run")
    loaded = i2i.load_networks(tmp_path / "run")
    assert loaded.recipe.key == key
    given = torch.zeros(1, channels[0], 32, 32)
    assert loaded.networks["student"](given).shape == (1, channels[1], 32, 32)
    assert loaded.networks.keys() == {"student", "discriminator"}  # no teacher in the checkpoint


@pytest.fixture(scope="module")
def pictures(cycle):
    """One folder of grey pictures, nothing else."""
    shutil.copytree(cycle / "data/trainA", cycle / "pictures")
    return cycle / "pictures"


@pytest.mark.parametrize("teacher", ["run", "run/model.AtoB.onnx"])
def test_one_folder_of_pictures_will_do_and_figures_compare_with_the_teacher(cycle, pictures, tmp_path, teacher):
    sets = ["distill.translator=AtoB"] if teacher == "run" else []
    more = ["data.val_fraction=0.5", "distill.features={name: random}", *sets]
    trained = student(pictures, cycle / teacher, *more, steps=2, out=tmp_path / "run")
    model = i2i.load(cycle / "run", translator="AtoB")
    network = i2i.load_networks(tmp_path / "run", "last").networks["student"]
    held_out = trained.metrics
    assert held_out["distill.psnr"] == held_out["distill.score"]
    distances = []
    for file in sorted(pictures.iterdir()):
        pixels = read_image(file).pixels
        wanted = np.asarray(model.translate(pixels), float) / 127.5 - 1
        given = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
        made = network(given).detach()[0].permute(1, 2, 0).numpy()
        distances.append(np.abs(made - wanted).mean())
    assert min(distances) - 0.01 <= held_out["distill.l1"] <= max(distances) + 0.01


def test_an_export_needs_no_teacher_and_a_resumed_run_has_the_same_bits(cycle, pictures, cli, tmp_path):
    shutil.copytree(cycle / "run", tmp_path / "teacher")
    sets = [
        *TINY,
        "distill.teacher=teacher",
        "distill.translator=AtoB",
        "train.checkpoint_every=1",
        "train.keep_last=9",
    ]
    words = [f"--set={line}" for line in sets]
    done = cli("train", "distill", "--data", pictures, "--out=run", "--steps=3", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    last = tmp_path / "run/checkpoints/step-0000003/networks.safetensors"
    bits = hashlib.sha256(last.read_bytes()).hexdigest()
    for step in (2, 3):
        shutil.rmtree(tmp_path / f"run/checkpoints/step-000000{step}")
    done = cli("train", "--resume", "--out=run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256(last.read_bytes()).hexdigest() == bits
    shutil.rmtree(tmp_path / "teacher")
    (tmp_path / "run/model.onnx").unlink()
    (tmp_path / "elsewhere").mkdir()
    done = cli("export", tmp_path / "run", cwd=tmp_path / "elsewhere")
    assert done.returncode == 0, done.stderr
    done = cli("translate", tmp_path / "run", pictures, "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_a_teacher_that_enlarges_has_students_that_enlarge(pictures, tmp_path):
    sets = [*small("srresnet", drawn=False), "data.scale=2", "data.degrade=bicubic"]
    i2i.train("srresnet", data=pictures, out=tmp_path / "teacher", sets=sets, steps=1)
    options = ["distill.student={name: srresnet, filters: 4, blocks: 1}"]
    student(pictures, tmp_path / "teacher", *options, out=tmp_path / "run")
    network = i2i.load_networks(tmp_path / "run").networks["student"]
    assert network(torch.zeros(1, 1, 32, 32)).shape == (1, 1, 64, 64)
    words = "the teacher's images are 2 times as large as its input, so must be the student's: .*: choose one that"
    with pytest.raises(i2i.ConfigError, match=words):
        student(pictures, tmp_path / "teacher", out=tmp_path / "other")


def test_what_cannot_be_a_teacher_is_told_in_one_line(cycle, pictures, tmp_path):
    colour = tmp_path / "colour"
    shutil.copytree(cycle / "data/trainB", colour)
    i2i.train("stargan", out=tmp_path / "stargan", sets=small("stargan"), steps=1)
    run = cycle / "run"
    for data, teacher, more, words in (
        (pictures, tmp_path / "none", [], "none: no such run folder or .onnx file, which the recipe learns from"),
        (pictures, run, [], "no translator 'default'; there are: AtoB, BtoA"),
        (pictures, run, ["distill.translator=CtoD"], "no network 'CtoD'; there are: AtoB, .*; and translators: AtoB"),
        (colour, run, ["distill.translator=AtoB"], "takes images of 1 channels and gets 3"),
        (colour, run / "model.AtoB.onnx", [], "takes images of 1 channels and gets 3"),
        (colour, run / "model.AtoB.onnx", ["distill.translator=AtoB"], "a file has no network 'AtoB'"),
        (colour, tmp_path / "stargan", [], "the teacher takes image and label: a teacher takes one image alone"),
        (colour, tmp_path / "stargan/model.onnx", [], r"takes more than an image \(label\)"),
        (pictures, run, ["distill.translator=discriminator_A"], "the teacher makes .* of 1x32x32, and not a whole"),
        (pictures, "null", ["distill.translator=AtoB"], "translator is one of the teacher's: set teacher, too"),
        (pictures, run, ["distill.l1=0"], "nothing ties the student's image to the teacher's: set l1 above 0"),
    ):
        with pytest.raises(i2i.UserError, match=words) as raised:
            student(data, teacher, *more, out=tmp_path / "out")
        assert "\n" not in str(raised.value)
        assert not (tmp_path / "out").exists()


class Constant(torch.nn.Module):
    """Gives one value everywhere; keeps what it was asked about."""

    def __init__(self, value):
        super().__init__()
        self.value, self.seen = value, []

    def forward(self, image):
        self.seen.append(image)
        return torch.full((len(image), 3, *image.shape[2:]), self.value)


def test_losses_are_means_over_all_pixels_and_the_teachers_images_are_the_real_ones():
    options = {"features": "random", "perceptual": 3.0, "l1": 10.0, "adversary": {"loss": "lsgan"}}
    made = Distill(DistillConfig(teacher="elsewhere", **options))
    made.state |= {"key": "source", "channels": 3, "scale": 1}
    made.adversary = i2i.Adversary(made.config.adversary, Builder(Plugins(), (8, 8)))
    judged = []

    def discriminator(images):
        judged.append(images)
        return images.mean((1, 2, 3))

    source = torch.rand(2, 1, 8, 8) * 2 - 1
    features = lambda image: [image[:, :1] * 2, image.mean((2, 3))]
    nets = {"student": Constant(0.25), "teacher": Constant(-0.5), "discriminator": discriminator, "features": features}
    batch = {"source": source}
    batch |= made.shared(nets, batch, None)
    assert torch.equal(nets["teacher"].seen[0], source)
    losses = made.losses("student", nets, batch, Nobody())
    assert float(losses["l1"]) == pytest.approx(10 * 0.75)
    assert float(losses["perceptual"]) == pytest.approx(3 * (2 * 0.75 + 0.75) / 2)
    critic = made.losses("discriminator", nets, batch, Nobody())
    real, fake = judged[-2:]
    assert torch.equal(real, torch.cat([source, batch["wanted"]], 1))
    assert torch.equal(fake, torch.cat([source, batch["fake"]], 1))
    score = [np.asarray([pair.mean() for pair in images.numpy()]) for images in (real, fake)]
    # equation 2 of Mao et al. 2017 with a = 0 and b = 1, but for its halves, which are `discriminator_weight`
    want = np.square(score[0] - 1).mean() + np.square(score[1]).mean()
    assert float(critic["adversarial"]) in (pytest.approx(want), pytest.approx(want / 2))


class Nobody:
    """What the engine offers, as far as these losses ask for it."""

    step, steps, turn, observer = 0, 10, 0, None


def test_targets_of_pairs_are_the_outputs_of_a_slow_model(pairs_root, tmp_path):
    trained = train_only("distill", data=pairs_root, out=tmp_path / "run", sets=TINY, steps=20)
    assert trained.metrics["distill.l1"] < 1
    loaded = i2i.load_networks(tmp_path / "run", "last")
    assert loaded.recipe.state == {"key": "source", "channels": 3, "scale": 1}
