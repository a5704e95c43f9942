"""The conformance kit against components that break one promise each: that check finds it, and says what to do."""

import random
import re
import sys
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from helpers import (  # noqa: F401  they add their own
    kit_backend_mutants,
    kit_command_mutants,
    kit_metric_mutants,
    kit_rate_mutants,
    kit_tracker_mutants,
)
from helpers.inner_pytest import passed_tests
from helpers.kit_lists import MUTANTS, SOUND
from helpers.kit_mutants import RAW, More, broken, sound
from helpers.recipes import without_export
from i2i.cli import main
from i2i.errors import PluginError
from i2i.plugins import KINDS, Plugins
from i2i.testing import check_component, check_recipe, findings, folders

SLOW = {"resume", "processes", "bf16", "export"}
"""Checks that take a second or more: done where they are what is asked for."""

OPENED = ExitStack()
"""Files that a mutant keeps open; the fixture `pairs` closes them."""

# Feature networks


@sound("features", "sound-features")
class Features(More, nn.Module):
    """Two convolutions."""

    def __init__(self, config):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.more()

    def forward(self, image):
        return [self.first(image), self.second(self.first(image))]

    def embed(self, image):
        return {"features": self(image)[-1].mean((2, 3))}


@sound("features", "for-metrics")
class ForMetrics(Features):
    """Features without gradients, and without a method embed."""

    differentiable, embed = False, None
    forward = torch.no_grad()(Features.forward)


mutant = partial(broken, Features)
of_maps = lambda s, x: {"features": s.first(x)}
of_batch = lambda s, x: {"features": s.first(x).mean((2, 3)) - s.first(x).mean()}
mutant("one-vector", "embedding", "must return a dictionary with features", embed=lambda s, x: s.first(x).mean((2, 3)))
mutant("embeds-maps", "embedding", r"must be floats \(2, ...\), not \(2, 4, 62, 62\)", embed=of_maps)
mutant("embeds-batch", "embedding", "depend on the other images", embed=of_batch)
mutant("one-map", "feature-maps", "must give a list of feature maps, not Tensor", forward=lambda s, x: s.first(x))
mutant("no-grad-maps", "feature-maps", "reaches the images", missed=RAW, forward=torch.no_grad()(Features.forward))
mutant("mean-map", "feature-maps", "have the batch first", forward=lambda s, x: [s.first(x).mean(0)])
mutant("infinite-maps", "feature-maps", "must be finite", forward=lambda s, x: [s.first(x) / 0])
mutant("features-fail", "feature-maps", "cannot be built: TypeError", more=lambda s: nn.Conv2d(4, 4))

# Datasets


@sound("dataset", "sound-pairs")
class Pairs(More):
    """Side-by-side files."""

    gives = frozenset({"source", "target"})

    def __init__(self, config, *, root, split, transform, read):
        self.transform, self.read, self.root = transform, read, root
        self.paths = self.listed(root / self.folder(split))
        self.more()

    def folder(self, split):
        return split

    def listed(self, folder):
        return sorted(folder.glob("*.png"))

    def halves(self, index):
        image = self.read(self.paths[index])
        return {"source": image[:, : image.shape[1] // 2], "target": image[:, image.shape[1] // 2 :]}

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return self.transform(self.halves(index))


def each(change):
    """Halves with each image changed."""
    return lambda self, index: {key: change(image) for key, image in Pairs.halves(self, index).items()}


def more_keys(**values):
    """Halves with more keys; `gives` says so."""
    halves = lambda self, index: Pairs.halves(self, index) | {key: value(index) for key, value in values.items()}
    return {"halves": halves, "gives": Pairs.gives | set(values)}


shuffled = lambda s, folder: random.sample(Pairs.listed(s, folder), len(Pairs.listed(s, folder)))
any_partner = lambda s, n: Pairs.halves(s, n) | {"target": Pairs.halves(s, random.randrange(8))["target"]}
transform_each = lambda s, n: {key: s.transform({key: image})[key] for key, image in s.halves(n).items()}
transform_arrays = lambda s, n: {key: s.transform(image) for key, image in s.halves(n).items()}
finds_train = staticmethod(lambda root: any((root / "train").iterdir()))

mutant = partial(broken, Pairs)
arrays = r"source must be an array \(H, W, C\) of uint8, uint16 or float32 .* not "
no_target = "sample 0 has source, and its attribute gives says source, target"
mutant("no-target", "samples", no_target, halves=lambda s, n: {"source": s.read(s.paths[n])})
mutant("channels-first", "samples", rf"{arrays}\(3, 72, 72\)", halves=each(lambda x: x.transpose(2, 0, 1)))
mutant("float-to-255", "samples", r"in \[0, 1\] as float32: divide by", halves=each(lambda x: x.astype(np.float32)))
mutant("float64", "samples", f"{arrays}.* of float64", halves=each(lambda x: x / 255))
mutant("tensors", "training", "crop of 32 pixels", halves=each(lambda x: torch.tensor(x).permute(2, 0, 1)))
mutant("tuples", "samples", "must be a dictionary .* not a tuple", __getitem__=lambda s, n: (*s.halves(n).values(),))
mutant("text-label", "samples", "label must be a class's number from 0, not 'new'", **more_keys(label=lambda n: "new"))
from_one = "label is 2, and the dataset's labels are 2, from 0"
mutant("from-one", "samples", from_one, labels=("old", "new"), **more_keys(label=lambda n: 1 + n % 2))
mutant("no-gives", "samples", r"on the class: gives = frozenset\(...\)", gives=None, note=True)
mutant("finds-none", "samples", "no samples in", listed=lambda s, folder: sorted(folder.glob("*.webp")))
called = r"called %d times .* return transform\({...}\), once"
mutant("transform-each", "one-transform", called % 2, __getitem__=transform_each)
mutant("transform-arrays", "one-transform", r"return transform\({...}\)", missed=RAW, __getitem__=transform_arrays)
mutant("no-transform", "one-transform", called % 0, __getitem__=Pairs.halves)
mutant("unused", "one-transform", called % 1, __getitem__=lambda s, n: s.transform(s.halves(n)) and s.halves(n))
added = {"__getitem__": lambda s, n: s.transform(s.halves(n)) | {"number": n}, "gives": Pairs.gives | {"number"}}
mutant("adds-more", "one-transform", "return transform", missed="only what is lost is looked for", **added)
sends = "cannot be sent to loader processes: .* keep open files and lambdas out of its attributes"
mutant("with-lambda", "repeatable", sends, more=lambda s: setattr(s, "width", lambda image: image.shape[1] // 2))
mutant("with-file", "repeatable", sends, more=lambda s: setattr(s, "file", OPENED.enter_context(s.paths[0].open("rb"))))
order = r"sample \d differs between two readings: sort what the file system lists, give it no chance"
mutant("unsorted", "repeatable", order, listed=lambda s, folder: list(folder.glob("*.png")))
mutant("a-set", "repeatable", order, missed="a set's order", listed=lambda s, root: list(set(Pairs.listed(s, root))))
mutant("shuffled", "repeatable", order, listed=shuffled)
mutant("any-partner", "repeatable", order, halves=any_partner)
mutant("no-split", "splits", "validation sample is a training sample too: .* has_splits", folder=lambda s, _: "train")
mutant = partial(broken, type("Unsplit", (Pairs,), {"folder": lambda s, _: "train", "has_splits": False}))
own_text = r"key\(index\) must be a text of its own for each sample"
mutant("keys-alike", "splits", own_text, key=lambda s, n: "x")
mutant("number-keys", "splits", own_text, key=lambda s, n: n)
mutant = partial(broken, Pairs)
unweighable = r"weights\(0\) must be a finite number from 0, not "
mutant("negative-weight", "weights", f"{unweighable}-1", weights=lambda s, n: -1)
mutant("infinite-weight", "weights", f"{unweighable}inf", weights=lambda s, n: float("inf"))
mutant("text-weight", "weights", f"{unweighable}'1'", weights=lambda s, n: "1")
mutant("no-weight", "weights", "weights is 0 for every training sample", weights=lambda s, n: 0)
mutant("chance-weight", "weights", "weights differ between two readings", weights=lambda s, n: random.random())
mutant("detects-all", "detection", "says yes to a folder without any image", detect=staticmethod(lambda root: True))
mutant("detects-none", "detection", "says no to .* which it reads", detect=staticmethod(lambda root: False))
mutant("detection-fails", "detection", "detect", missed=RAW, detect=finds_train)
mutant("paths", "training", "path", missed=RAW, **more_keys(path=lambda n: Path(str(n))))
mutant("two-sizes", "training", "be equal", halves=lambda s, n: Pairs.halves(s, n) | {"source": s.read(s.paths[n])})

# Transforms


@sound("transform", "sound-mirror")
class Mirror:
    """Mirrors and darkens by chance."""

    def __init__(self, config):
        self.generator = np.random.default_rng(0)

    def __call__(self, sample):
        drawn = self.draw()
        return sample | {key: self.changed(sample[key], drawn) for key in ("source", "target") if key in sample}

    def draw(self):
        return random.random()

    def changed(self, image, drawn):
        return (image[:, :: 1 if drawn < 0.5 else -1] * drawn).astype(image.dtype)


@sound("transform", "sound-degradation")
class Degradation:
    """Makes the source by leaving out rows and columns."""

    def __init__(self, config, *, scale=1):
        self.scale = scale

    def __call__(self, sample):
        return sample if "source" in sample else sample | {"source": self.small(sample["target"])}

    def small(self, image):
        return image[:: self.scale, :: self.scale]


eight_bits = lambda s, x, _: np.arange(255, -1, -1, np.uint8)[x]

mutant = partial(broken, Mirror)
mutant("drops-label", "samples", "must have label", __call__=lambda s, x: {key: x[key] for key in ("source", "target")})
mutant("shifts-label", "samples", "changed the label", __call__=lambda s, x: x | {"label": x["label"] - 1})
mutant("gives-none", "samples", "must be a dictionary .* not a NoneType", __call__=lambda s, x: x.update(label=2))
mutant("unit-range", "samples", "of uint8 with 3 channels: .* not .* of float64", changed=lambda s, x, _: x / 255)
mutant("eight-bits", "samples", "images of uint16 with 3 channels: .* out of bounds", changed=eight_bits)
mutant("squeezes", "samples", r"with 1 channels: .* not \(64, 64\)", changed=lambda s, x, _: x.squeeze())
mutant("to-chw", "samples", r"3 channels: .* not \(3, 64, 64\)", changed=lambda s, x, _: x.transpose(2, 0, 1))
halved = r"became \(32, 32\) and \(64, 64\): transform both images alike"
mutant("source-only", "sizes", halved, __call__=lambda s, x: x | {"source": x["source"][::2, ::2]})
once = "equal images became different: unless that is meant, draw random parameters once a sample"
mutant("each-its-own", "together", once, note=True, changed=lambda s, x, _: Mirror.changed(s, x, s.draw()))
seeds = "the same seed differ: draw from numpy.random or random, which i2i seeds"
mutant("system-chance", "repeatable", seeds, draw=lambda s: random.SystemRandom().random())
mutant("own-generator", "repeatable", seeds, draw=lambda s: s.generator.random())
copies = "writes into its input: copy the image first"
mutant("in-place", "inputs-kept", copies, changed=lambda s, x, _: np.floor_divide(x, 2, out=x))
mutant("in-place-cv2", "inputs-kept", copies, changed=lambda s, x, _: cv2.line(x, (0, 0), (9, 9), 0))
mutant("in-place-torch", "inputs-kept", copies, changed=lambda s, x, _: torch.from_numpy(x).fill_(0).numpy())
mutant = partial(broken, Degradation)
told = r"told a scale of 2, it made a source of \(%d, %d\) from a target of \(64, 64\)"
mutant("fixed-scale", "sizes", told % (16, 16), small=lambda s, x: x[::4, ::4])
mutant("scale-ignored", "sizes", told % (64, 64), small=lambda s, x: x // 2)

# The tests

KIT = Plugins(["helpers.kit_mutants"])
KITS = {"backend": Plugins(["helpers.kit_backend_mutants"])}
"""Plugins by kind, where these are others."""


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Side-by-side files in train and val."""
    with OPENED:
        yield folders.paired(tmp_path_factory.mktemp("pairs"))


def found(mutant, data, skip):
    data = data if mutant.kind == "dataset" else None
    return findings(mutant.kind, mutant.component.name, plugins=KITS.get(mutant.kind, KIT), data=data, skip=skip)


def case(mutant):
    marks = [pytest.mark.xfail(strict=True, reason=mutant.missed)] if mutant.missed else []
    return pytest.param(mutant, id=f"{mutant.kind}-{mutant.component.name}", marks=marks)


@pytest.mark.parametrize("sound", [*map(case, SOUND)])
def test_nothing_is_found_where_nothing_is_wrong(pairs, sound):
    done = found(sound, pairs, SLOW if sound.missed else ())
    assert not [str(one) for one in done if one.problem or one.notes]


@pytest.mark.parametrize("mutant", [case(mutant) for mutant in MUTANTS if not mutant.note])
def test_the_check_of_a_broken_promise_is_the_first_to_fail_and_says_why(pairs, mutant):
    exports = nullcontext() if mutant.check == "export" else without_export()
    with exports:
        wrong = next((one for one in found(mutant, pairs, SLOW - {mutant.check}) if one.problem), None)
    assert wrong is not None
    assert wrong.check == mutant.check, wrong
    assert re.search(mutant.words, wrong.problem), wrong


@pytest.mark.parametrize("kind", KINDS)
def test_every_check_finds_a_mutant(kind):
    name = next(one.component.name for one in SOUND if one.kind == kind)
    checks = {one.check for one in findings(kind, name, plugins=KITS.get(kind, KIT), skip=SLOW)}
    of_all = {"documentation", "options"}  # the same code for every kind
    assert checks - of_all <= {one.check for one in MUTANTS if one.kind == kind and not one.missed}
    assert of_all <= {one.check for one in MUTANTS}


def test_a_builder_without_docstring_in_a_module_without_docstring(tmp_path):
    lines = ["import i2i", "build = lambda config: None", "", "@i2i.hookimpl", "def i2i_losses():"]
    (tmp_path / "silent.py").write_text("\n".join([*lines, "    return [i2i.Component('silent', build, summary='X')]"]))
    first = next(iter(findings("loss", "silent", plugins=Plugins([str(tmp_path / "silent.py")]))))
    assert (first.check, first.problem) == ("documentation", "write a docstring: what it is, which paper it is from")


@pytest.mark.filterwarnings("ignore:std.*degrees of freedom:UserWarning")  # of one mutant
@pytest.mark.parametrize("noted", [case(mutant) for mutant in MUTANTS if mutant.note])
def test_what_could_be_better_is_a_note_and_no_failure(pairs, noted):
    done = list(found(noted, pairs, SLOW))
    assert not [str(one) for one in done if one.problem]
    assert re.search(noted.words, " ".join(next(one.notes for one in done if one.check == noted.check)))


def test_all_failures_come_in_one_assertion_a_line_each():
    with pytest.raises(AssertionError) as raised:
        check_component("metric", "two-values", plugins=KIT)
    lines = str(raised.value).splitlines()
    assert len(lines) > 1
    assert lines[0] == "wrong   metric two-values, value: compute must return a scalar, not a tensor (2,)"
    check_component("metric", "two-values", plugins=KIT, skip=["value", "accumulation", "direction"])
    check_recipe("with-curve", plugins=KIT, skip=SLOW)


@pytest.mark.parametrize(
    ("kind", "name", "skip", "words"),
    [
        ("metrics", "x", [], r"unknown kind of component 'metrics' \(did you mean 'metric'\?\)"),
        ("metric", "no-such", [], "unknown metric 'no-such'"),
        ("metric", "psnr", ["valu"], r"no check 'valu' \(did you mean 'value'\?\); metrics have: documentation, o"),
    ],
)
def test_what_there_is_not_is_refused_before_any_check(kind, name, skip, words):
    with pytest.raises(PluginError, match=words):
        check_component(kind, name, plugins=KIT, skip=skip)


@pytest.fixture
def check(monkeypatch, capsys):
    """Runs ``i2i plugins check`` in this process: exit code, lines of the output, errors."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["i2i", "-p", "helpers.kit_mutants", "plugins", "check", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        output, errors = capsys.readouterr()
        return left.value.code or 0, output.splitlines(), errors

    return run


def test_the_command_says_a_line_a_check_and_leaves_with_0_or_1(check):
    code, lines, _ = check("sound-loss")
    assert code == 0
    assert [line.split(":")[0] for line in lines] == [
        *(f"ok      loss sound-loss, {name}" for name in ("documentation", "options", "scalar", "mean")),
        "4 ok",
    ]
    code, lines, _ = check("sum")
    assert (code, lines[-1]) == (1, "3 ok, 1 wrong")
    assert lines[-2].startswith("wrong   loss sum, mean: loss(output, target): ")


def test_the_command_skips_sets_and_reads_what_it_is_told(check, pairs, tmp_path):
    assert check("sum", "--skip", "mean")[:2][1][-2:] == ["skipped loss sum, mean: left out", "3 ok, 1 skipped"]
    assert "option weight: field required" in "".join(check("required")[1])
    assert "field required" not in "".join(check("required", "--set", "weight=1")[1])
    assert check("sound-pairs", "--data", pairs)[0] == 0
    (tmp_path / "train").mkdir()
    code, lines, _ = check("sound-pairs", "--data", tmp_path)
    assert code == 1
    assert f"wrong   dataset sound-pairs, samples: no samples in {tmp_path}" in lines


def test_the_command_leaves_with_2_when_there_is_nothing_to_check(check, tmp_path):
    (tmp_path / "raises.py").write_text("raise RuntimeError('no luck')")
    for target, words in [
        ("sund-loss", "no plugin or component 'sund-loss' (did you mean 'sound-loss'?)"),
        (tmp_path / "raises.py", "raises.py: RuntimeError: no luck"),
        (tmp_path / "absent.py", "absent.py: FileNotFoundError: no such file"),
    ]:
        code, lines, errors = check(target)
        assert (code, lines) == (2, [])
        assert words in errors
        assert len(errors.splitlines()) == 1
    assert check("sum", "--skip", "men")[0] == 2


def test_a_module_that_needs_another_one_is_no_unknown_name(check, tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import no_such_package")
    monkeypatch.syspath_prepend(str(tmp_path))
    code, _, errors = check("needs_more")
    assert (code, "needs_more: ModuleNotFoundError: No module named 'no_such_package'" in errors) == (2, True)
    code, _, errors = check("needs_mor")
    assert (code, "no plugin or component 'needs_mor'" in errors) == (2, True)


FIXTURES = """
from i2i.testing import check_component, findings

pytest_plugins = "i2i.testing"


def test_folders(plugins, paired_folder, unpaired_folder, labelled_folder, hr_folder):
    for folder in (paired_folder, unpaired_folder, labelled_folder, hr_folder):
        assert list(folder.glob("train*")) and list(folder.glob("val*"))
    check_component("dataset", "side-by-side", plugins=plugins, data=paired_folder)
    check_component("dataset", "unpaired", plugins=plugins, data=unpaired_folder)
    check_component("dataset", "classes", plugins=plugins, data=labelled_folder)
    check_component("dataset", "images", plugins=plugins, data=hr_folder)
"""


def test_the_fixtures_in_a_test_of_a_plugin(tmp_path):
    (tmp_path / "test_mine.py").write_text(FIXTURES)
    assert len(passed_tests(tmp_path / "test_mine.py")) == 1
