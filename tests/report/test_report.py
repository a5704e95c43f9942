"""The HTML report: self-contained, escaped, and content with whatever a run folder has."""

import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from i2i.errors import RunError
from i2i.report import charts, write_report
from i2i.runs.listing import list_models

VOID = {"meta", "img", "br", "hr", "link", "input", "line", "circle", "polyline", "polygon"}


class Page(HTMLParser):
    """Collects tags, attributes and text, and checks that every element is closed where it should be."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.urls, self.text = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.urls += [value for name, value in attrs if name in ("src", "href", "xlink:href", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def count(self, tag):
        return sum(found == tag for found, _ in self.tags)

    @property
    def words(self):
        return re.sub(r"\s+", " ", " ".join(self.text))


def entries(steps=100):
    for step in range(1, steps + 1):
        yield {
            "step": step,
            "epoch": step / 50,
            "loss/discriminator/adversarial": 0.6,
            "loss/generator/adversarial": 0.9,
            "loss/generator/l1": 40 / step,
            "lr/generator": 2e-4,
            "images_per_second": 12.5,
        }
    yield {"step": steps, "val/l1": 0.21, "val/psnr": 15.2}


@pytest.fixture
def make_run(tmp_path):
    def make(name="pix2pix-001", size=64, samples=3):
        run = tmp_path / name
        (run / "samples").mkdir(parents=True)
        (run / "config.yaml").write_text(f"recipe: pix2pix\ndata:\n  size: {size}\n  layout: pairs\n", encoding="utf-8")
        lines = "".join(json.dumps(entry) + "\n" for entry in entries())
        (run / "metrics.jsonl").write_text(lines + '{"step": 101, "loss/gen', encoding="utf-8")
        for number in range(samples):
            image = np.full((8, 24, 3), 5 * number, np.uint8)
            Image.fromarray(image).save(run / "samples" / f"step-{100 * number:07d}.png")
        (run / "model.onnx").write_bytes(b"0" * 2000)
        (run / "checkpoints" / "step-0000100").mkdir(parents=True)
        return run

    return make


def page_of(*runs, out=None):
    out = out or runs[0].parent / "report.html"
    assert write_report(runs, out) == out
    return Page(out.read_text(encoding="utf-8"))


def test_page_shows_every_section_of_a_run(make_run):
    page = page_of(make_run())
    headings = (
        "What was trained",
        "Results",
        "Through training",
        "Curves",
        "Settings",
        "Commands",
        "Files and machine",
    )
    for heading in headings:
        assert heading in page.words
    assert "loss/generator" in page.words
    assert "model.onnx 2 kB" in page.words


def test_page_reaches_for_nothing_and_its_policy_forbids_it(make_run):
    run = make_run()
    page = page_of(run)
    text = (run.parent / "report.html").read_text(encoding="utf-8")
    assert page.urls
    assert all(url.startswith(("data:image/", "#")) for url in page.urls)
    assert not re.search(r"(src|href)\s*=\s*[\"']?https?:|url\(|@import", text)
    [policy] = [attrs["content"] for tag, attrs in page.tags if tag == "meta" and "http-equiv" in attrs]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    assert not [name for _, attrs in page.tags for name in attrs if name == "style" or name.startswith("on")]


def test_links_lead_to_sections_of_the_page(make_run):
    page = page_of(make_run())
    names = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    links = [attrs["href"][1:] for tag, attrs in page.tags if tag == "a"]
    assert links
    assert set(links) <= names


def test_headings_are_in_order(make_run):
    for page in (page_of(make_run("one")), page_of(make_run("two"), make_run("three"))):
        levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))


def test_a_chart_for_each_group(make_run):
    page = page_of(make_run())
    labels = [attrs["aria-label"] for tag, attrs in page.tags if tag == "svg" and "aria-label" in attrs]
    groups = ["val/l1", "val/psnr", "loss/discriminator", "loss/generator", "lr", "images_per_second"]
    assert labels == [f"{group} by step" for group in groups]


def test_figures_of_classes_share_a_chart(make_run):
    run = make_run()
    figures = {"val/kid-random": 0.1} | {f"val/kid-random/class/{label}": 0.2 for label in ("day", "night")}
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.writelines("\n" + json.dumps({"step": step} | figures) + "\n" for step in (1, 2))
    labels = [attrs["aria-label"] for tag, attrs in page_of(run).tags if tag == "svg" and "aria-label" in attrs]
    found = [label for label in labels if "kid" in label]
    assert found == ["val/kid-random by step", "val/kid-random/class by step"]


def test_names_and_settings_are_escaped(make_run):
    run = make_run('<img src=x onerror=alert(1)> & "co"')
    with (run / "config.yaml").open("a", encoding="utf-8") as file:
        file.write("note: </pre><script>alert(2)</script>\n")
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n" + json.dumps({"step": 5, 'val/"><script>': 1.0}) + "\n")
    page = page_of(run)
    assert page.count("script") == 1
    assert not [attrs for _, attrs in page.tags if "onerror" in attrs]
    assert all(attrs.get("src", "data:").startswith("data:") for _, attrs in page.tags)
    assert "<script>alert(2)</script>" in page.words


def test_a_half_written_or_odd_line_is_passed_over(make_run):
    run = make_run()
    odd = [
        "[1, 2]",
        "null",
        '{"val/l1": 3}',
        '{"step": "x", "val/l1": 3}',
        '{"step": 7, "val/l1": NaN, "val/x": "text"}',
    ]
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(
            ("\n" + "\n".join(odd) + "\n" + '{"step": 8, "val/l1": 1' + "0" * 400 + "}\n").encode() + b'\xff\xfe{"st'
        )
    assert "l1 0.21 ↓ lower is better" in page_of(run).words


def test_a_step_logged_again_after_a_resume_counts_as_logged_last(make_run):
    run = make_run()
    (run / "metrics.jsonl").write_text(
        '{"step": 2, "val/l1": 0.5}\n{"step": 1, "val/l1": 9}\n{"step": 2, "val/l1": 0.25}\n'
    )
    assert "l1 0.25 ↓ lower is better" in page_of(run).words


def test_unreadable_parts_are_left_out(make_run):
    run = make_run(samples=1)
    (run / "samples" / "step-0000000.png").write_bytes(b"\x89PNG\r\n\x1a\nhalf")
    (run / "config.yaml").write_text("recipe: [unclosed", encoding="utf-8")
    (run / "summary.json").write_text("{", encoding="utf-8")
    page = page_of(run)
    assert page.count("img") == 0
    assert "Summary of the training" not in page.words
    assert "config.yaml is damaged" in page.words
    assert "summary.json is damaged" in page.words


DAMAGED = {
    "nested deeper than Python follows": "[" * 100_000,
    "of wrong types": '{"step": "x", "training": "x", "left_out": [1], "labels": 7, "images": 3, "best": 7}',
    "with numbers beyond floats": f'{{"best": {{"step": {"9" * 400}, "value": {"9" * 400}}}, "training": {"9" * 400}}}',
}


@pytest.mark.parametrize("name", ["config.yaml", "data.json", "metrics.jsonl", "summary.json", "validation.json"])
@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_no_content_of_a_small_file_stops_page_or_list(name, text, make_run):
    run = make_run()
    (run / name).write_text(text, encoding="utf-8")
    assert page_of(run).words
    assert [found.status != "" for found in list_models(run.parent)]


def test_a_run_without_metrics_has_a_report(tmp_path):
    (tmp_path / "config.yaml").write_text("recipe: pix2pix\n", encoding="utf-8")
    page = page_of(tmp_path, out=tmp_path / "deep" / "report.html")
    assert "Curves" not in page.words
    assert "i2i translate" not in page.words


def test_without_the_plugin_of_the_recipe_its_preset_is_not_compared_with(make_run):
    run = make_run()
    (run / "config.yaml").write_text("recipe: elsewhere\npreset: paper\n", encoding="utf-8")
    page = page_of(run)
    assert "not compared with preset paper of elsewhere" in page.words
    assert "The whole config.yaml" in page.words


def test_several_runs_share_charts_and_show_the_settings_that_differ(make_run):
    page = page_of(make_run("one", size=64), make_run("two", size=128))
    assert "data.size 64 128" in page.words
    assert "data.layout" not in page.words
    assert "one: l1" in page.words
    assert "two: l1" in page.words
    classes = {attrs["class"] for tag, attrs in page.tags if tag == "polyline"}
    assert {"line c0 d0", "line c1 d0", "line c0 d1"} <= classes


def test_runs_of_the_same_name_are_told_apart(make_run):
    page = page_of(make_run("a/run"), make_run("b/run"))
    assert "a/run: l1" in page.words
    assert "b/run: l1" in page.words


def test_summary_is_shown_as_a_table(make_run):
    run = make_run()
    (run / "summary.json").write_text('{"device": "cpu", "versions": {"torch": "2.15"}}', encoding="utf-8")
    assert "device cpu versions.torch 2.15" in page_of(run).words


@pytest.mark.parametrize(
    ("models", "command"),
    [
        (["model.onnx"], "i2i translate '{run}' INPUT -o OUT"),
        (["model.AtoB.onnx", "model.BtoA.onnx"], "i2i translate '{run}/model.BtoA.onnx' INPUT -o OUT"),
        ([], "i2i export '{run}'"),
    ],
)
def test_commands_fit_the_models(make_run, models, command):
    run = make_run("my run")
    (run / "model.onnx").unlink()
    for model in models:
        (run / model).write_bytes(b"0")
    assert command.format(run=run.as_posix()) in page_of(run).words


def test_a_folder_that_is_no_run_is_refused_in_one_line(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(RunError) as caught:
            write_report([folder], tmp_path / "report.html")
        assert str(folder) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_no_run_is_refused(tmp_path):
    with pytest.raises(RunError):
        write_report([], tmp_path / "report.html")


def test_a_failed_write_keeps_the_old_report(make_run, monkeypatch):
    run = make_run()
    out = run / "report.html"
    out.write_text("old")
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_report([run], out)
    assert out.read_text() == "old"
    assert not list(run.glob(".report*"))


def test_a_folder_as_target_gets_a_report_html(make_run):
    run = make_run()
    assert write_report([run], run) == run / "report.html"


def test_long_curves_are_thinned_and_keep_their_range():
    chart = charts.draw("loss", [charts.Curve("l1", {step: float(step % 7) for step in range(10_000)})])
    (line,) = chart.lines
    assert len(line.points.split()) <= charts.MAX_POINTS
    assert (line.low, line.high, line.last) == ("0", "6", "3")
    assert line.band


@pytest.mark.parametrize(
    "values", [{0: 0.0}, {5: 1e-5, 6: 1e-5}, {0: -1e99, 1: 1e99}, {0: 1.0, 1: 1.0 + 2e-16}, {0: 0.0, 1: 5e-324}]
)
def test_extreme_curves_stay_inside_the_plot(values):
    chart = charts.draw("x", [charts.Curve("x", values)])
    for x, y in (map(float, point.split(",")) for point in chart.lines[0].points.split()):
        assert charts.LEFT <= x <= charts.RIGHT
        assert charts.TOP <= y <= charts.BOTTOM
    assert chart.y_ticks


def test_curves_of_different_magnitude_get_a_logarithmic_axis():
    far = [charts.Curve("a", {0: 0.5, 1: 0.6}), charts.Curve("b", {0: 40.0, 1: 30.0})]
    assert charts.draw("loss", far).log
    assert not charts.draw("loss", [*far, charts.Curve("c", {0: 0.0})]).log


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.12345, "0.1235"), (2e-4, "0.0002"), (1234567, "1,234,567"), (1e-7, "1e-07")]
)
def test_numbers_are_short(value, text):
    assert charts.number(value) == text
