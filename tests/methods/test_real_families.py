"""The families on real images: trained, killed, resumed, exported and used, from the command line."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

import i2i
from helpers.digests import digest
from helpers.image_files import save
from helpers.recipes import OWN, SHARED
from i2i.images import image_info

pytestmark = [pytest.mark.realdata, pytest.mark.slow]
STEPS = 8
FACADES = [  # the colours of the label maps of the twelve classes, which JPEG has changed
    *[(0, 0, 222), (0, 48, 255), (0, 128, 255), (0, 207, 255), (32, 255, 223), (112, 255, 143)],
    *[(192, 255, 63), (255, 239, 0), (255, 159, 0), (255, 80, 0), (255, 0, 0), (174, 0, 0)],
]
COLOURS = json.dumps([[number, *colour] for number, colour in enumerate(FACADES)])
CASES = {
    "cyclegan": ("horse2zebra", ["data.size=64", "data.load_size=72", "train.batch_size=2"], "horse2zebra/testA"),
    "cut": ("horse2zebra", ["data.size=64", "data.load_size=72", "train.batch_size=2"], "horse2zebra/testA"),
    "fastcut": ("horse2zebra", ["data.size=64", "data.load_size=72", "train.batch_size=2"], "horse2zebra/testA"),
    "cgan": ("sign_digits", ["data.size=32", "data.load_size=32"], ""),
    "stargan": ("emoji", ["data.size=32", "data.load_size=32"], "emoji/google"),
    "colorize": (
        "horse2zebra/trainB",
        ["data.size=64", "data.load_size=72", "train.batch_size=2"],
        "horse2zebra/testB",
    ),
    "inpaint": ("photos", ["data.size=64", "data.load_size=96", "train.batch_size=2"], "horse2zebra/testB"),
    "bicyclegan": ("facades", ["data.size=32", "data.load_size=32", "data.direction=BtoA"], "facades/val"),
    "starganv2": ("sign_digits", ["data.size=32", "data.load_size=32"], "sign_digits/3"),
    "spade": (
        "facades",
        ["data.direction=BtoA", f"data.label_colors={COLOURS}", "data.label_nearest=true", "spade.classes=12"],
        "facades/val",
    ),
    "srresnet": (
        "sr/T91",
        ["data.load_size=48", "data.size=48", "data.val_root={data}/sr/Set5/HR"],
        "sr/Set5/LR_bicubic/X4",
    ),
    "realesrgan": (  # the degradations of the paper; without VGG19, whose weights are not here
        "sr/T91",
        [
            "data.scale=2",
            "data.load_size=48",
            "data.size=48",
            "data.val_root={data}/sr/Set5/HR",
            "realesrgan.features=null",
        ],
        "sr/Set5/LR_bicubic/X2",
    ),
}


def words(recipe, data, run):
    folder, sets, _ = CASES[recipe]
    sets = [
        *SHARED,
        "data.val_fraction=0.02",
        "data.check_files=50",
        *(f"{recipe}.{line}" for line in OWN[recipe]),
        *sets,
    ]
    sets += [f"train.steps={STEPS}", "train.checkpoint_every=2", "train.ema=0.9"]
    texts = [word for line in sets for word in ("--set", line.format(data=data) if "{data}" in line else line)]
    return ["train", recipe, "--data", str(data / folder), "--out", str(run), "--resume", *texts]


def digests(run):
    newest = run / "checkpoints" / f"step-{STEPS:07d}"
    files = [newest / name for name in ("networks.safetensors", "ema.safetensors")]
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [{k: v for k, v in line.items() if k.startswith(("loss/", "step"))} for line in lines if "epoch" in line]
    training = digest(torch.load(newest / "training.pt", weights_only=True))
    return [*(hashlib.sha256(path.read_bytes()).hexdigest() for path in files), training], losses


@pytest.mark.parametrize("recipe", CASES)
def test_kill_9_on_real_images_changes_nothing(recipe, tmp_path, i2i_data, cli):
    data = i2i_data.resolve()
    whole = cli(*words(recipe, data, tmp_path / "whole"))
    assert whole.returncode == 0, whole.stderr
    run = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "i2i", *words(recipe, data, run)], env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    end = time.monotonic() + 120
    while not list(run.glob("checkpoints/step-*2")) and time.monotonic() < end and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = cli(*words(recipe, data, run))
    assert resumed.returncode == 0, resumed.stderr
    assert digests(run) == digests(tmp_path / "whole")
    use(recipe, run, data, tmp_path / "out", cli)


def use(recipe, run, data, out, cli):
    """Translates some of the real images, or draws from noise."""
    if recipe == "cgan":
        done = cli("generate", run, "--label", "7", "--count", 3, "-o", out)
        assert done.returncode == 0, done.stderr
        assert len(list(out.iterdir())) == 3
        return
    files = sorted((data / CASES[recipe][2]).iterdir())[:3]
    if recipe == "spade":  # the right halves of pairs
        maps = [Image.open(path).crop((256, 0, 512, 256)) for path in files]
        files = [out.parent / f"{path.stem}.png" for path in files]
        for image, path in zip(maps, files, strict=True):
            image.save(path)
    options = {"stargan": ["--label", "twitter"], "starganv2": ["--label", "7"]}.get(recipe, [])
    if recipe == "inpaint":
        for path in files:
            hole = np.zeros((image_info(path).height, image_info(path).width), np.uint8)
            hole[20:60, 30:90] = 255
            save(out.parent / "masks" / f"{path.stem}.png", hole)
        options = ["--input", f"mask={out.parent / 'masks'}"]
    several = {
        "cyclegan": ["AtoB", "BtoA"],
        "bicyclegan": ["default", "reference"],
        "starganv2": ["default", "reference"],
    }
    for name in several.get(recipe, [""]):
        which = ["--translator", name] if name else []
        if name == "reference":
            of_class = sorted((data / "sign_digits/7").glob("*.JPG"))
            which += ["--input", f"reference={files[-1] if recipe == 'bicyclegan' else of_class[0]}"]
        done = cli("translate", run, *files, "-o", out / name, *options, *which)
        assert done.returncode == 0, done.stderr
        made = sorted((out / name).iterdir())
        scale = {"srresnet": 4, "realesrgan": 2}.get(recipe, 1)
        sizes = [np.array([image_info(path).width, image_info(path).height]) for path in (files[0], made[0])]
        assert len(made) == 3
        assert (sizes[0] * scale == sizes[1]).all()


def test_labels_are_stored_in_the_model_by_name(tmp_path, i2i_data, cli):
    done = cli(*words("stargan", i2i_data.resolve(), tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert i2i.load(tmp_path / "run").labels == ("google", "twitter")
    wrong = cli("translate", tmp_path / "run", i2i_data / "emoji" / "google", "-o", tmp_path / "o", "--label", "apple")
    assert wrong.returncode == 2
    assert "the model knows: google, twitter" in wrong.stderr
