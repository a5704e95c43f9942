"""What generating from noise promises."""

import json
import math
import os
import subprocess
import sys
import time
from statistics import NormalDist

import numpy as np
import onnx
import pytest

from helpers.small_models import make_model, metadata_of, noise, tree
from i2i.errors import ModelError, UserError
from i2i.images import read_image
from i2i.runtime.noise import draw_noise
from i2i.translate import generate, load
from i2i.translate.generate import Sampling, file_names

DIGITS = ["3", "1", "0", "2"]  # names that are numbers too, but other ones


@pytest.fixture
def dream(model):
    """Images of 192 values, each of which is 0.5 + z / 16."""
    return model("dream", "float32")


@pytest.fixture
def dream_of(model):
    """Grey images of 64 values: 63 are 128 + 16 z, the last is the number of the label."""

    def make(*labels):
        return model("dream-of", labels=labels)

    return make


def generate_folder(model, out, *, labels=(), overwrite=False, **sampling):
    return generate.generate_folder(model, out, Sampling(**sampling), labels=labels, overwrite=overwrite)


def noise_of(images):
    return (images.astype(np.float64) - 0.5) * 16


def is_normal(values, limit=math.inf):
    """Kolmogorov-Smirnov against the closed form of the normal distribution within the limit."""
    cdf = NormalDist().cdf
    low, high = cdf(-limit), cdf(limit)
    expected = (np.array([cdf(value) for value in np.sort(values)]) - low) / (high - low)
    steps = np.arange(len(values) + 1) / len(values)
    distance = max((steps[1:] - expected).max(), (expected - steps[:-1]).max())
    return distance < 1.95 / math.sqrt(len(values))  # exceeded by chance for one seed in a thousand


def test_a_noise_model_tells_what_it_is(dream, dream_of):
    assert dream.channels == (0, 3)
    assert dream.info.generates
    assert not dream.takes_label
    cats = dream_of("cat", "dog")
    assert (cats.labels, cats.takes_label, cats.channels, cats.dtype) == (("cat", "dog"), True, (0, 1), np.uint8)


def test_an_image_is_the_same_however_many_are_made_and_whatever_the_batch(dream):
    images = dream.generate(7, seed=5)
    assert images.shape == (7, 8, 8, 3)
    assert images.dtype == np.float32
    for count, batch in ((1, 1), (3, 2), (7, 1), (7, 3), (7, 100)):
        assert np.array_equal(dream.generate(count, seed=5, batch=batch), images[:count])
    assert np.array_equal(dream.generate_batch([6, 2], seed=5), images[[6, 2]])


def test_numbers_seeds_and_labels_each_give_other_noise():
    keys = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (2**32, 0, 0), (1 + 5 * 2**32, 3, 0), (1, 5, 3)]
    drawn = np.concatenate(
        [draw_noise((500,), [number], label=label, seed=seed, truncation=None) for seed, label, number in keys]
    )
    correlations = np.corrcoef(drawn) - np.eye(len(keys))
    assert np.abs(correlations).max() < 5 / math.sqrt(500)


def test_noise_is_normal(dream):
    assert is_normal(noise_of(dream.generate(200)).ravel())


@pytest.mark.parametrize("limit", [2.0, 1.1, 0.01])
def test_truncation_draws_anew_only_what_is_beyond_the_limit(limit):
    whole = draw_noise((60000,), [3], label=None, seed=0, truncation=None)[0]
    within = draw_noise((60000,), [3], label=None, seed=0, truncation=limit)[0]
    outside = np.abs(whole) > limit
    assert np.array_equal(within[~outside], whole[~outside])
    assert np.abs(within.astype(np.float64)).max() <= limit
    assert is_normal(within[outside], limit)
    assert is_normal(within, limit)


def test_a_truncation_that_nothing_exceeds_changes_nothing(dream):
    for limit in (40.0, 1e300, math.inf):
        assert np.array_equal(dream.generate(3, truncation=limit), dream.generate(3))


def test_a_tiny_truncation_does_not_take_for_ever():
    begin = time.process_time()
    for limit in (1e-6, 1e-45, 1e-300):
        assert np.abs(draw_noise((512,), [0], label=None, seed=0, truncation=limit).astype(np.float64)).max() <= limit
    assert time.process_time() - begin < 2


@pytest.mark.parametrize(
    "options",
    [{"count": 0}, {"batch": 0}, {"seed": -1}, {"truncation": 0.0}, {"truncation": -1.0}, {"truncation": math.nan}],
)
def test_numbers_out_of_range_are_refused_before_anything_is_done(dream, tmp_path, options):
    with pytest.raises(UserError, match=next(iter(options))):
        dream.generate(**options)
    with pytest.raises(UserError, match=next(iter(options))):
        generate_folder(dream, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_labels_go_by_name_before_number(dream_of, model):
    digits = dream_of(*DIGITS)
    for label, number in (("3", 0), ("0", 2), ("2", 3), (3, 3), (0, 0)):
        images = digits.generate(3, label=label)
        assert (images[:, 7, 7, 0] == number).all()
        assert np.array_equal(images, digits.generate(3, label=DIGITS[number]))
    for label in ("4", 4, -1, "three", None, "9" * 5000):
        with pytest.raises(UserError, match="3, 1, 0, 2"):
            digits.generate(label=label)
    with pytest.raises(UserError, match="no labels"):
        model("dream", "float32").generate(label="3")
    for names in (("1", "3", "5"), ("-1", "0", "+1"), ("0.5", "1.5", "3.5"), ("01", "03", "05"), ("cat", "7", "dog")):
        with pytest.raises(UserError, match="unknown label '2'"):
            dream_of(*names).generate(label="2")
        assert (dream_of(*names).generate(1, label=2)[:, 7, 7, 0] == 2).all()  # a number that is no text is a position
    black = np.zeros((2, 2, 3), np.uint8)
    translated = model("labelled", labels=DIGITS)
    for label, number in (("3", 0), ("0", 2), (3, 3)):
        assert (translated.translate(black, label=label) == number).all()


def test_each_kind_of_model_names_the_command_for_it(dream, dream_of, model, tmp_path):
    image = noise(8, 8, 3)
    for generator in (dream, dream_of("a")):
        for act in (
            lambda m=generator: m.translate(image),
            lambda m=generator: m.translate(tmp_path / "absent.png"),
            lambda m=generator: m.translate_batch(image[np.newaxis]),
        ):
            with pytest.raises(ModelError, match=r"takes none; use: i2i generate$"):
                act()
    for translator in (model("invert"), model("noisy", "float32"), model("labelled", labels=["a"])):
        for act in (translator.generate, lambda m=translator: generate_folder(m, tmp_path / "out")):
            with pytest.raises(ModelError, match=r"use: i2i translate$"):
                act()


@pytest.mark.parametrize(
    ("graph", "channels", "reason"),
    [
        ("dream", "3", "3 channels of input"),
        ("dream", "-1", "i2i.channels_in is '-1', not a whole number from 0"),
        ("identity", "0", "0 channels of input"),
        ("noisy", "0", "0 channels of input"),
    ],
)
def test_metadata_agree_with_the_graph_on_whether_there_is_an_image(tmp_path, graph, channels, reason):
    metadata = metadata_of(graph, "float32", []) | {"i2i.channels_in": channels}
    path = make_model(tmp_path / "model.onnx", graph, "float32", metadata=metadata)
    with pytest.raises(ModelError, match=reason):
        load(path, device="cpu")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda noise: noise.shape.dim[1].Clear(), "known size"),
        (lambda noise: noise.shape.dim.pop(), "known size"),
        (lambda noise: setattr(noise.shape.dim[1], "dim_param", "Z"), "known size"),
        (lambda noise: setattr(noise, "elem_type", onnx.TensorProto.DOUBLE), r"tensor\(double\)|can load"),
    ],
)
def test_a_model_whose_noise_cannot_be_drawn_is_refused(tmp_path, change, reason):
    model = onnx.load(make_model(tmp_path / "model.onnx", "dream", "float32"))
    change(model.graph.input[0].type.tensor_type)
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ModelError, match=reason):
        load(tmp_path / "model.onnx", device="cpu")


def test_a_folder_holds_what_generate_gives(dream_of, tmp_path):
    cats = dream_of("cat", "dog", "2")
    results = list(generate_folder(cats, tmp_path / "all", count=5, seed=4, truncation=1.0, batch=2))
    assert [(result.label, result.number) for result in results] == [
        (x, k) for x in ("cat", "dog", "2") for k in range(5)
    ]
    assert tree(tmp_path / "all") == sorted(f"{result.label}-{result.number:04d}.png" for result in results)
    for result in results:
        expected = cats.generate(5, label=result.label, seed=4, truncation=1.0)[result.number]
        assert np.array_equal(read_image(result.output).pixels, expected)
        assert (result.status, result.width, result.height) == ("written", 8, 8)
        assert result.seconds > 0
    some = generate_folder(cats, tmp_path / "some", labels=["2", 0, "cat"], count=1, seed=4, truncation=1.0)
    assert [result.label for result in some] == ["2", "cat"]
    assert tree(tmp_path / "some") == ["2-0000.png", "cat-0000.png"]
    assert (tmp_path / "some/cat-0000.png").read_bytes() == (tmp_path / "all/cat-0000.png").read_bytes()


def test_models_without_labels_or_names_of_them_have_files_too(dream, dream_of, tmp_path):
    list(generate_folder(dream, tmp_path / "plain", count=2))
    assert tree(tmp_path / "plain") == ["image-0000.png", "image-0001.png"]
    deep = read_image(tmp_path / "plain/image-0001.png").pixels
    assert np.array_equal(deep, np.rint(dream.generate(2)[1].astype(np.float64) * 65535))
    list(generate_folder(dream_of(), tmp_path / "numbers", labels=["7"], count=1))
    assert read_image(tmp_path / "numbers/7-0000.png").pixels[7, 7, 0] == 7
    with pytest.raises(UserError, match="needs a label: a number"):
        generate_folder(dream_of(), tmp_path / "none")


def test_no_label_leads_out_of_the_folder_hides_or_takes_anothers_file(dream_of, tmp_path):
    labels = [
        *("a", "A", "a_1", "Ａ", "é", "e\u0301", "zebra crossing", "日本語"),
        *(
            "",
            ".",
            "..",
            "../up",
            "/root",
            "..\\up",
            "a/b",
            "a:b",
            "a_b",
            ".hidden",
            "-rf",
            "~",
            "con",
            "nul\0",
            "a\nb",
        ),
        *("\u202egnp", "x" * 300, "x" * 299, "\U0001f600" * 90, "\ud800", "a*", "a?", 'a"', "<a>", "a|"),
    ]
    model = dream_of(*labels)
    out = tmp_path / "in" / "out"
    results = list(generate_folder(model, out, count=1))
    assert [result.label for result in results] == labels
    assert {result.status for result in results} == {"written"}
    assert len({result.output.name.casefold() for result in results}) == len(labels)
    for number, result in enumerate(results):
        assert read_image(result.output).pixels[7, 7, 0] == number
        assert result.output.parent == out
        assert result.output.name[0] not in ".-"
        assert result.output.name.isprintable()
        assert not set(result.output.name) & set(' /\\:*?"<>|')
    assert [path.name for path in tmp_path.rglob("*") if path.is_file() and path.parent != out] == [
        f"{model.path.name}"
    ]
    assert file_names(["a", "zebra crossing", "日本語", "7"]) == ["a", "zebra_crossing", "日本語", "7"]
    assert file_names(["a b", "a_b", "A_B"]) == ["a_b_0", "a_b", "A_B_2"]


def test_what_exists_is_refused_before_anything_is_written(dream_of, tmp_path):
    cats = dream_of("cat", "dog")
    out = tmp_path / "out"
    out.mkdir()
    (out / "dog-0001.png").write_bytes(b"mine")
    with pytest.raises(UserError) as caught:
        generate_folder(cats, out, count=2)  # before the first result is asked for
    assert str(caught.value) == f"{out / 'dog-0001.png'}: exists already, 1 of 4 outputs do; add --overwrite"
    assert tree(out) == ["dog-0001.png"]
    assert (out / "dog-0001.png").read_bytes() == b"mine"
    assert {result.status for result in generate_folder(cats, out, count=2, overwrite=True)} == {"written"}
    assert np.array_equal(read_image(out / "dog-0001.png").pixels, cats.generate(2, label="dog")[1])


def test_a_batch_that_fails_is_tried_again_image_by_image(dream, tmp_path):
    run = dream.network.generate

    def small_only(numbers, **options):
        if len(numbers) > 1 or numbers[0] == 2:
            raise ModelError("no memory")
        return run(numbers, **options)

    dream.network.generate = small_only
    results = list(generate_folder(dream, tmp_path, count=4))
    assert [result.status for result in results] == ["written", "written", "failed", "written"]
    assert results[2].reason == f"{tmp_path / 'image-0002.png'}: no memory"


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs ``i2i generate`` on a model of cats and dogs: exit code, stdout, the error line."""
    from i2i.cli import main

    make_model(tmp_path / "run" / "model.onnx", "dream-of", labels=["cat", "dog"])
    make_model(tmp_path / "plain.onnx", "dream", "float32")
    make_model(tmp_path / "nan.onnx", "dream-of-nan", "float32")
    make_model(tmp_path / "invert.onnx", "invert")
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["i2i", *words])
        with pytest.raises(SystemExit) as exit_:
            main()
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return exit_.value.code, said.out, said.err

    return run


def test_the_command_writes_every_label_and_tells_what_it_did(command, tmp_path):
    code, out, err = command("generate", "run", "-o", "out", "--count", "3", "--seed", "9", "--device", "cpu", "--json")
    report = json.loads(out)
    assert code == 0
    assert err.startswith("6 written, ")
    assert (report["written"], report["failed"]) == (6, 0)
    assert [(r["label"], r["number"], r["status"]) for r in report["results"]] == [
        (label, number, "written") for label in ("cat", "dog") for number in range(3)
    ]
    expected = load(tmp_path / "run", device="cpu").generate(3, label="dog", seed=9)
    for record in report["results"][3:]:
        assert np.array_equal(read_image(record["output"]).pixels, expected[record["number"]])
        assert (record["width"], record["height"]) == (8, 8)


def test_the_command_takes_options_and_defaults(command, tmp_path):
    assert command("generate", "plain.onnx", "-o", "a")[:2] == (0, "")
    assert len(tree(tmp_path / "a")) == 8
    words = ("generate", "run", "-o", "b", "--label", "dog", "--label", "0", "--count", "1", "--batch", "1")
    assert command(*words, "--truncation", "0.1", "--translator", "default")[0] == 0
    assert tree(tmp_path / "b") == ["cat-0000.png", "dog-0000.png"]
    pixels = read_image(tmp_path / "b" / "dog-0000.png").pixels.ravel()[:-1].astype(float)
    assert np.abs(pixels - 128).max() <= 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("run", "-o", "out", "--label", "cow"), "unknown label 'cow'; the model knows: cat, dog"),
        (("plain.onnx", "-o", "out", "--label", "cat"), "the model has no labels"),
        (("invert.onnx", "-o", "out"), "use: i2i translate"),
        (("absent.onnx", "-o", "out"), "absent.onnx: no such file"),
        (("run", "-o", "full"), "exists already, 1 of 16 outputs do; add --overwrite"),
        (("run", "-o", "out.png"), "the output is a folder"),
        (("run", "-o", "plain.onnx"), "cannot be written"),
        (("run", "-o", "out", "--count", "0"), "--count"),
        (("run", "-o", "out", "--seed", "-1"), "--seed"),
        (("run", "-o", "out", "--truncation", "0"), "truncation"),
        (("run", "-o", "out", "--translator", "AtoB"), "AtoB"),
        (("run",), "--out"),
        (("nan.onnx", "-o", "out"), "none of 8 images could be made"),
    ],
)
def test_when_nothing_is_done_the_exit_code_is_2_and_nothing_is_lost(command, tmp_path, words, expected):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "dog-0007.png").write_bytes(b"mine")
    before = tree(tmp_path)
    code, out, err = command("generate", *words)
    lines = [line for line in err.splitlines() if line.startswith("i2i: error: ")]
    assert (code, out, len(lines)) == (2, "", 1)
    assert expected in lines[0]
    assert tree(tmp_path) == before
    assert (tmp_path / "full" / "dog-0007.png").read_bytes() == b"mine"


def test_translate_on_a_noise_model_names_generate(command, tmp_path):
    code, _, err = command("translate", "run", "plain.onnx", "-o", "out")
    assert code == 2
    assert err.splitlines()[-1].endswith("use: i2i generate")


def test_when_some_images_fail_the_others_are_written_and_the_exit_code_is_1(command, tmp_path):
    (tmp_path / "out" / "dog-0001.png").mkdir(parents=True)
    code, out, err = command("generate", "run", "-o", "out", "--count", "2", "--overwrite", "--json")
    assert code == 1
    assert "failed: " in err
    assert "dog-0001.png: a folder is in the way" in err
    assert [record["status"] for record in json.loads(out)["results"]] == ["written", "written", "written", "failed"]
    assert tree(tmp_path / "out") == ["cat-0000.png", "cat-0001.png", "dog-0000.png"]


def test_generating_imports_neither_torch_nor_onnx_nor_plugins(tmp_path):
    path = make_model(tmp_path / "model.onnx", "dream", "float32")
    code = (
        "import sys\nfrom i2i.cli import main\n"
        "try:\n    main()\nexcept SystemExit as e:\n    assert not e.code, e.code\n"
        "print(sorted({'torch', 'torchvision', 'onnx', 'i2i.plugins', 'i2i_pix2pix'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "generate", str(path), "-o", str(tmp_path / "out")],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert done.stdout == "[]\n"
    assert len(tree(tmp_path / "out")) == 8
