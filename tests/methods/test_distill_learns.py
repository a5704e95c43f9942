"""A distilled student is many times as quick as its teacher, at a stated loss of quality."""

import time

import numpy as np
import pytest

import i2i
from i2i_samples.facades import draw_facade

TEACHER = ["pix2pix.generator={name: resnet, filters: 32, blocks: 6}", "data.size=64", "data.load_size=64"]


def psnr(made, wanted):
    return 10 * np.log10(255**2 / np.square(made.astype(float) - wanted).mean((1, 2, 3))).mean()


def cpu_times(models, image, rounds):
    """CPU seconds of each model on the image, in turn: (rounds, models)."""
    for model in models:
        model.translate(image)
    times = []
    for _ in range(rounds):
        times.append([])
        for model in models:
            begin = time.process_time()
            model.translate(image)
            times[-1].append(time.process_time() - begin)
    return np.array(times)


@pytest.mark.slow
def test_the_student_is_five_times_as_quick_and_nearly_as_good(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    threads = ["engine.threads=1"]
    teacher = i2i.train("pix2pix", out="teacher", sets=[*TEACHER, *threads, "train.batch_size=4"], steps=400)
    student = i2i.train("distill", out="student", sets=["distill.teacher=teacher", *threads])
    models = [i2i.load(run.run, threads=1) for run in (teacher, student)]
    labels, facades = map(np.stack, zip(*(draw_facade(10_000 + n, size=64) for n in range(24)), strict=True))
    of_teacher, of_student = (np.asarray(model.translate_batch(labels)) for model in models)
    figures = psnr(of_teacher, facades), psnr(of_student, facades), psnr(of_student, of_teacher)
    large, _ = draw_facade(10_000, size=256)
    slow, quick = cpu_times(models, large, 7).T
    print(f"teacher {figures[0]:.2f} dB, student {figures[1]:.2f} dB, to the teacher {figures[2]:.2f} dB;", end=" ")
    print(f"CPU time {np.median(slow / quick):.1f} to 1")
    assert np.median(slow / quick) >= 5
    assert figures[1] >= figures[0] - 1.0
    assert figures[2] >= 20
