"""Memory does not grow much with the number of images."""

import os
import subprocess
import sys

import pytest

from helpers.evaluated_folders import picture_folder

MEASURE = """
import resource, sys
import i2i
i2i.evaluate(*sys.argv[1:], metrics=["fid", "kid", "precision", "recall"], features="random", cache=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak_megabytes(*folders):
    command = [sys.executable, "-c", MEASURE, *map(str, folders)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    return int(done.stdout)


@pytest.mark.slow
def test_ten_thousand_images_take_little_more_memory_than_a_hundred(tmp_path):
    few = picture_folder(tmp_path / "few", 100, size=64)
    many = tmp_path / "many"
    many.mkdir()
    for number in range(10_000):
        os.link(few / f"{number % 100}.png", many / f"{number}.png")
    assert peak_megabytes(many, few) - peak_megabytes(few, few) < 300
