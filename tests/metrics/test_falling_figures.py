"""Distances of sets fall while a generator learns: untrained, half trained, trained."""

import json

import pytest

from helpers.recipes import OWN, SHARED, train_only
from i2i.plugins import Plugins

METRICS = "[{name: fid, features: random}, {name: kid, features: random}]"


@pytest.mark.parametrize(("recipe", "steps"), [("pix2pix", 100), pytest.param("cgan", 400, marks=pytest.mark.slow)])
def test_fid_and_kid_fall_from_an_untrained_generator_to_a_trained_one(recipe, steps, tmp_path):
    larger = [line.replace("filters=4", "filters=8").replace("filters: 4", "filters: 8") for line in OWN[recipe]]
    data = ["data.layout.count=80", "data.layout.val_count=40", "train.val_images=40"]
    sets = [
        *SHARED,
        *(f"{recipe}.{line}" for line in larger),
        *data,
        f"train.metrics={METRICS}",
        f"train.checkpoint_every={steps // 2}",
    ]
    sets = [line for line in sets if line != "train.val_images=2"]
    train_only(recipe, plugins=Plugins(), out=tmp_path / "run", sets=sets, steps=steps)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    for name in ("fid-random", "kid-random"):
        figures = [line[f"val/{name}"] for line in lines if f"val/{name}" in line]
        assert len(figures) == 3
        assert figures == sorted(figures, reverse=True)
        assert figures[-1] < figures[0] / 3
