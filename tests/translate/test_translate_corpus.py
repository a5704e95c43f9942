"""The whole corpus through `i2i translate` with models that change nothing: each output looks like its input."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from helpers.command import Command
from helpers.corpus import make_corpus, quadrants
from helpers.image_files import swapped_profile
from helpers.small_models import make_model
from i2i.images.pixels import bleed

LOSSY = {".jpg", ".jpeg", ".webp", ".avif"}


def with_bands_refused(case):
    """The case for a model of three channels, which takes no other bands than grey and RGB."""
    other = case.pixels is not None and case.pixels.shape[2] not in (1, 3)
    return dataclasses.replace(case, refused="bands; the model takes 3") if other else case


@pytest.fixture(scope="module", params=["uint8", "float32"])
def job(request, tmp_path_factory):
    """The cases, the value type, the finished command and what it reported by file name."""
    place = tmp_path_factory.mktemp("corpus")
    (place / "in").mkdir()
    cases = [with_bands_refused(case) for case in make_corpus(place / "in")]
    make_model(place / "model.onnx", "identity", request.param)
    words = ["translate", place / "model.onnx", place / "in", "-o", place / "out", "--json"]
    done = Command(*words).completed()
    results = {Path(result["input"]).name: result for result in json.loads(done.stdout)["results"]}
    return cases, request.param, done, results


def test_each_broken_file_is_named_once_and_nothing_else_is_said(job):
    cases, _, done, results = job
    assert done.returncode == 1
    assert {name for name, result in results.items() if result["status"] == "failed"} == {
        case.name for case in cases if case.refused
    }
    assert all(result["status"] == "written" for name, result in results.items() if result["status"] != "failed")
    lines = [line for line in done.stderr.splitlines() if line.startswith("failed: ")]
    assert sorted(line.removeprefix("failed: ") for line in lines) == sorted(
        result["reason"] for result in results.values() if result["status"] == "failed"
    )
    assert "Traceback" not in done.stderr


def displayed(path, *, deep):
    """Pixels ``(H, W, 3)`` and alpha, as other libraries read them: Pillow 8 bits, OpenCV more."""
    if path.suffix == ".npy":
        values = np.load(path)
    elif not deep:
        with Image.open(path) as image:
            assert "exif" not in image.info
            values = np.asarray(image)
    else:
        values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        values = values[..., [2, 1, 0, 3][: values.shape[2]]] if values.ndim == 3 else values
    values = np.atleast_3d(values)
    alpha = values[..., 3] if values.shape[2] == 4 else None
    return np.broadcast_to(values[..., :3], (*values.shape[:2], 3)), alpha


def test_each_output_looks_like_its_input(job):
    cases, value_type, _, results = job
    for case in [case for case in cases if not case.refused]:
        output = Path(results[case.name]["output"])
        deep = case.pixels.dtype != np.uint8
        pixels, alpha = displayed(output, deep=deep)
        assert pixels.shape[1::-1] == case.size, case.name
        visible = case.pixels if case.alpha is None else bleed(case.pixels, case.alpha)
        expected = np.broadcast_to(visible, pixels.shape)
        if case.pixels.dtype == np.float32 and output.suffix == ".png":
            assert pixels.dtype == np.uint16, case.name
        else:
            assert pixels.dtype == case.pixels.dtype, case.name
        exact = 1 / 65535 if value_type == "float32" else 0.51 / 255
        loses = output.suffix in LOSSY and "lossless" not in case.name
        tolerance = max(case.tolerance, exact if deep else 1e-9, 3 / 255 if loses else 0)
        difference = np.abs(quadrants(pixels) - quadrants(expected)).max()
        assert difference <= tolerance, (case.name, difference)
        assert (alpha is None) == (case.alpha is None), case.name
        if alpha is not None:
            assert np.abs(quadrants(alpha[..., None]) - quadrants(case.alpha[..., None])).max() <= max(
                tolerance, case.tolerance
            ), case.name


def test_a_profile_that_is_kept_is_the_one_its_values_refer_to(job):
    """Deep images keep theirs; those of 8 bits are in sRGB and say so."""
    cases, _, _, results = job
    kept = 0
    for case in [case for case in cases if case.profile and not case.refused]:
        output = Path(results[case.name]["output"])
        if output.suffix not in {".png", ".jpg", ".tif", ".tiff", ".webp", ".avif"}:
            continue
        with Image.open(output) as image:
            icc = image.info.get("icc_profile")
        assert (icc == swapped_profile()) == (case.pixels.dtype != np.uint8), case.name
        kept += icc is not None
    assert kept > 3
