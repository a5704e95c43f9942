"""What a command imports before it knows that it needs it."""

import numpy as np
import pytest

from helpers.cold import cold
from helpers.image_files import save
from i2i.extras import missing_extra
from i2i.plugins import KINDS, Plugins

HEAVY = {"torch", "torchvision", "lightning_fabric", "torchmetrics", "albumentations", "kornia"}
"""Packages that take seconds to import."""
PICTURES = {"cv2", "numpy", "PIL"}
"""Packages that only work on images needs."""
LIGHT = ("typer", "pydantic", "pluggy", "ruamel.yaml", "filelock")
"""Packages that may be imported."""


def test_tables_are_had_without_what_the_components_need(tmp_path):
    lines = ["plugins list", "plugins show unet", "plugins show samples", "plugins new x --kind loss", "config pix2pix"]
    for line, done in zip(lines, cold([(line, "") for line in lines], cwd=tmp_path, preload=LIGHT), strict=True):
        assert done.returncode == 0, done.stderr
        assert not done.modules & (HEAVY | PICTURES), line


def test_data_check_imports_no_torch(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (4, 16, 16, 3), np.uint8)
    for number, image in enumerate(images):
        save(tmp_path / "data" / f"{number}.png", image)
    line = "data check data --set data.layout=images --set data.size=16"
    [done] = cold([(line, "")], cwd=tmp_path, preload=LIGHT, I2I_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert not done.modules & HEAVY


def test_doctor_imports_torch_only_when_asked_to(tmp_path):
    [done] = cold([("doctor", "")], cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert not done.modules & HEAVY
    assert "i2i doctor --full" in done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_the_builders_of_the_built_in_components_are_where_they_are_said_to_be(kind):
    for entries in Plugins().table(kind).values():
        for plugin, component in entries:
            try:
                assert not plugin.built_in or callable(component.builder), component.name
            except ModuleNotFoundError as error:  # of a package that an extra brings
                assert missing_extra(error)


def test_what_cannot_be_trained_or_exported_is_said_without_importing_torch(tmp_path):
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "notes.txt").touch()
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "config.yaml").touch()
    (tmp_path / "whole" / "checkpoints" / "step-0000002").mkdir(parents=True)
    (tmp_path / "whole" / "config.yaml").touch()
    used = "used: not empty; add --resume to go on with the run there, or choose another --out"
    said = {
        "train pix2pix --data missing": "missing: no such folder (data.root)",
        "train pix2pix --data missing --resume --out none": "missing: no such folder (data.root)",
        "train pix2pix --data used/notes.txt": "used/notes.txt: not a folder (data.root)",
        "train pix2pix --set data.val_root=nowhere": "nowhere: no such folder (data.val_root)",
        "train pix2pix --data missing --dry-run": "missing: no such folder (data.root)",
        "train cyclegan --out used": used,
        "train cyclegan --out used/notes.txt": "used/notes.txt: a file, not a folder: choose another --out",
        "train cyclegan --from nothing": "nothing: no such run folder",
        "train cyclegan --from run": "run: no checkpoint in it yet to start from",
        "export missing": "missing: no such run folder",
        "export run": "run: no checkpoint in it yet",
        "export whole --checkpoint 3": "whole: no checkpoint '3'; there are: last, best, 2",
        "export whole -o /proc/model.onnx": "/proc: cannot write: No such file or directory",
        "export whole -o whole/config.yaml/model.onnx": "whole/config.yaml: cannot write: File exists",
    }
    ended = cold([(line, "") for line in said], cwd=tmp_path, preload=(*LIGHT, "cv2", "numpy", "PIL.Image"))
    for (line, reason), done in zip(said.items(), ended, strict=True):
        assert (done.returncode, done.stderr.splitlines()) == (2, [f"i2i: error: {reason}"]), line
        assert not done.modules & HEAVY, line
