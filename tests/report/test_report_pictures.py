"""The pictures of the report: which steps it shows, what stands above them, and how many bytes they take."""

import json

import numpy as np
import pytest
from PIL import Image

from i2i.report import write_report
from i2i.report.pictures import MAX_GRIDS, MAX_PAGE_GRIDS, chosen_steps
from i2i.runs.grid import Column, Grid, GridLayout, read_grid, write_grid

COLUMNS = (Column("source", "source"), Column("output", "output"), Column("target", "target"))
MAX_PAGE_BYTES = 5_000_000


def make_grid(seed, rows=2, side=24, columns=COLUMNS):
    """A grid of noise, which takes as many bytes as a picture can; its sources are the same for every seed."""
    height, width = rows * (side + 2) + 2, len(columns) * (side + 2) + 2
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels[:, : side + 2] = np.random.default_rng(0).integers(0, 256, (height, side + 2, 3), dtype=np.uint8)
    return Grid(pixels, GridLayout(columns, [""] * rows, side, side, 2))


def make_run(run, grids):
    (run / "samples").mkdir(parents=True)
    (run / "config.yaml").write_text("recipe: none\n", encoding="utf-8")
    for step, grid in grids.items():
        write_grid(run / "samples" / f"step-{step:07d}.png", grid)
    return run


def page_text(*runs, out):
    return write_report(runs, out).read_text(encoding="utf-8")


def test_a_grid_keeps_its_layout_in_its_file(tmp_path):
    grid = make_grid(1)
    write_grid(tmp_path / "grid.png", grid)
    image, layout = read_grid(tmp_path / "grid.png")
    assert np.array_equal(np.asarray(image), grid.pixels)
    assert [column.caption for column in layout.columns] == ["source", "output", "target"]
    assert np.array_equal(np.asarray(image.crop(layout.box(1, 2))), grid.pixels[28:52, 54:78])


@pytest.mark.parametrize("text", ["", "{", '{"columns": []}', '{"columns": 3}'])
def test_a_picture_without_a_layout_that_is_understood_has_none(tmp_path, text):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("i2i.grid", text)
    Image.new("RGB", (8, 8)).save(tmp_path / "grid.png", pnginfo=info)
    assert read_grid(tmp_path / "grid.png")[1] is None


def test_a_layout_larger_than_its_picture_is_not_used(tmp_path):
    grid = make_grid(1)
    write_grid(tmp_path / "grid.png", Grid(grid.pixels[:30], grid.layout))
    assert read_grid(tmp_path / "grid.png")[1] is None


@pytest.mark.parametrize("best", [None, 0, 37, 99, 1234])
def test_the_first_the_best_and_the_last_step_are_among_those_chosen(best):
    chosen = chosen_steps(range(100), best)
    assert len(chosen) == MAX_GRIDS
    assert chosen == sorted(set(chosen))
    assert {0, 99} <= set(chosen)
    assert best in chosen or best in (None, 1234)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_a_few_steps_are_all_chosen(count):
    assert chosen_steps(range(count), 1) == [*range(count)]


def test_a_hundred_large_grids_make_a_small_page_that_says_what_it_shows(tmp_path):
    grid = make_grid(3, rows=6, side=256)  # of noise, which no photograph needs as many bytes as
    run = make_run(tmp_path / "run", {0: grid})
    for step in range(100, 10_000, 100):
        (run / "samples" / f"step-{step:07d}.png").write_bytes((run / "samples" / "step-0000000.png").read_bytes())
    text = page_text(run, out=tmp_path / "report.html")
    assert len(text) < MAX_PAGE_BYTES
    assert "20 of 100 grids shown" in text
    assert text.count('class="sheet') == MAX_GRIDS


def test_many_runs_share_the_page(tmp_path):
    runs = [make_run(tmp_path / f"run-{n}", {10 * step: make_grid(n, 6, 64) for step in range(9)}) for n in range(8)]
    text = page_text(*runs, out=tmp_path / "report.html")
    assert len(text) < MAX_PAGE_BYTES
    assert text.count("5 of 9 grids shown") == 8
    assert text.count('class="sheet') == MAX_PAGE_GRIDS


def test_columns_have_captions_and_outputs_are_compared_with_their_sources(tmp_path):
    columns = [Column(f"{name}: {role}", role) for name in ("AtoB", "BtoA") for role in ("source", "output")]
    run = make_run(tmp_path / "run", {5: make_grid(1, rows=6, columns=columns)})
    text = page_text(run, out=tmp_path / "report.html")
    assert "<span>AtoB: source</span><span>AtoB: output</span><span>BtoA: source</span>" in text
    assert text.count('class="before"') == 8
    assert "8 of 12 shown" in text


def test_images_from_noise_are_generated_and_not_compared(tmp_path):
    columns = [Column("output", "output")] * 3
    grid = make_grid(1, columns=columns)
    labelled = Grid(grid.pixels, GridLayout(columns, ["cat", "dog"], 24, 24, 2))
    run = make_run(tmp_path / "run", {5: labelled})
    (run / "model.onnx").touch()
    text = page_text(run, out=tmp_path / "report.html")
    assert "rows: cat, dog" in text
    assert f"i2i generate {run.as_posix()} -o OUT" in text
    assert 'class="before"' not in text


def test_runs_show_what_they_make_of_the_same_inputs(tmp_path):
    one, two = (make_run(tmp_path / name, {step: make_grid(step)}) for name, step in (("one", 5), ("two", 7)))
    text = page_text(one, two, out=tmp_path / "report.html")
    assert 'alt="source of input 2"' in text
    assert 'alt="one of input 2"' in text
    assert 'alt="two of input 2"' in text
    other = make_run(tmp_path / "other", {5: Grid(np.zeros_like(make_grid(5).pixels), make_grid(5).layout)})
    assert "of input 1" not in page_text(one, other, out=tmp_path / "report.html")


def test_grids_of_older_runs_are_shown_without_captions(tmp_path):
    run = make_run(tmp_path / "run", {})
    Image.fromarray(make_grid(1).pixels).save(run / "samples" / "step-0000003.png")
    text = page_text(run, out=tmp_path / "report.html")
    assert 'alt="Sample grid at step 3"' in text
    assert 'class="columns"' not in text


def test_error_bars_and_the_best_step_are_in_the_chart(tmp_path):
    run = make_run(tmp_path / "run", {})
    lines = [{"step": step, "val/kid": 1 / step, "val_error/kid": 0.1} for step in (1, 2, 4)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    figure = {"value": 0.25, "error": 0.1, "higher_is_better": False, "summary": "kernel distance"}
    validation = {
        "best": {"metric": "kid", "higher_is_better": False, "step": 2, "value": 0.5},
        "stopped_early": "no better for 2 validations",
        "step": 4,
        "figures": {"kid": figure | {"protocol": {"fake_images": 1200, "network": "inception"}}},
    }
    (run / "validation.json").write_text(json.dumps(validation), encoding="utf-8")
    text = page_text(run, out=tmp_path / "report.html")
    assert text.count('class="whisker') == 3
    assert text.count('class="best') == 1
    assert "val_error" not in text
    for said in ("0.25 ± 0.1", "lower is better, 1,200 images", "Kernel distance.", "no better for 2 validations"):
        assert said in text
    assert "<dt>network</dt><dd>inception</dd>" in text
