"""Figures of folders whose values are known beforehand, or by other means."""

import cv2
import numpy as np
import pytest

import i2i
from helpers.evaluated_folders import figures, picture_folder
from i2i_srgan.degradations.imresize import cut_to_multiple, imresize


def test_a_folder_has_no_distance_from_itself(tmp_path):
    folder = picture_folder(tmp_path / "one", 20)
    found = figures(folder, folder, "fid", "precision", "recall")
    assert abs(found["fid-random"]) < 1e-3
    assert found["precision-random"] == found["recall-random"] == 1


def test_kid_of_two_halves_of_one_set_is_zero_within_its_error_bar(tmp_path):
    halves = [picture_folder(tmp_path / str(first), 30, first=first) for first in (0, 30)]
    kid = i2i.evaluate(*halves, metrics=["kid"], features="random", cache=False)[0].figures["kid-random"]
    assert abs(kid.value) < 3 * kid.error


@pytest.mark.realdata
@pytest.mark.parametrize(("scale", "expected"), [(2, 33.67), (3, 30.40), (4, 28.43)])
def test_bicubic_enlarging_of_set5_has_the_psnr_that_everybody_reports(scale, expected, tmp_path, i2i_data, cli):
    for file in sorted((i2i_data / "sr/Set5/HR").glob("*.png")):
        whole = cut_to_multiple(cv2.imread(file), scale)
        images = {"enlarged": imresize(imresize(whole, scale), scale, enlarge=True), "whole": whole}
        for name, image in images.items():
            (tmp_path / name).mkdir(exist_ok=True)
            assert cv2.imwrite(tmp_path / name / file.name, image)
    metric = f"{{name: psnr-y, border: {scale}}}"
    done = cli("evaluate", tmp_path / "enlarged", tmp_path / "whole", "--metric", metric, "--bootstrap", 0)
    assert done.returncode == 0
    row = next(line.split() for line in done.stdout.splitlines() if line.startswith("psnr-y"))
    assert float(row[2]) == pytest.approx(expected, abs=0.02)
    assert row[-1] == "5"


def blur(level):
    return lambda image: cv2.GaussianBlur(image, (0, 0), level) if level else image


def noise(level):
    draw = np.random.default_rng(0)
    return lambda image: np.clip(image + draw.normal(0, 12 * level, image.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("change", [blur, noise])
@pytest.mark.parametrize(("features", "count"), [("random", 24), ("efficientnet-lite0", 8)])
def test_distances_rise_with_five_strengths(features, count, change, tmp_path):
    real, found = picture_folder(tmp_path / "real", count, size=64), []
    for level in range(6):
        output = picture_folder(tmp_path / str(level), count, size=64, change=change(level))
        found.append(list(figures(output, real, "fid", "kid", features=features).values()))
    for values in zip(*found, strict=True):
        assert list(values) == sorted(set(values))


def grey(image):
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


@pytest.mark.parametrize("features", ["random", "efficientnet-lite0"])
def test_sixteen_bit_grey_files_have_the_figures_of_their_eight_bit_copies(features, tmp_path):
    found = {}
    for bits, change in ((8, grey), (16, lambda image: grey(image).astype(np.uint16) * 257 + 40)):
        folders = [picture_folder(tmp_path / f"{bits}-{first}", 6, first=first, change=change) for first in (0, 50)]
        found[bits] = figures(*folders, "fid", features=features)[f"fid-{features}"]
    assert found[16] == pytest.approx(found[8], rel=1e-2)
    assert found[8] > 0.01
