"""The examples in the docstrings of loading, translating and generating run and give what they say."""

import doctest
import importlib
import sys

import pytest

from helpers.small_models import make_model, noise
from i2i.images import write_image

EXAMPLES = {
    "i2i.translate.folders.folder": ["translate_folder"],
    "i2i.translate.generate": ["generate_folder"],
    "i2i.translate.model": ["Model.generate", "Model.translate", "load"],
}
"""Module -> the names in it whose docstrings have an example."""


def examples(module):
    found = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(module), module)
    return {test.name.removeprefix(f"{module}."): test for test in found if test.examples}


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """The folder that the examples take for granted: two models and two photos."""
    make_model(tmp_path / "model.onnx", "double")
    make_model(tmp_path / "dreams.onnx", "dream-of", labels=["cat", "dog"])
    (tmp_path / "photos").mkdir()
    write_image(tmp_path / "photos" / "cat.png", noise(8, 10, 3))
    write_image(tmp_path / "photos" / "dog.jpg", noise(12, 16, 3))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in EXAMPLES.items() for name in names])
def test_an_example_gives_what_it_says(module, name, workplace, capsys):
    test = examples(module)[name]
    test.globs = {}  # an example shows every import that it needs
    results = doctest.DocTestRunner(optionflags=doctest.FAIL_FAST).run(test, out=sys.stderr.write)
    assert results.attempted
    assert not results.failed, capsys.readouterr().err


def test_no_example_is_left_out():
    assert {module: sorted(examples(module)) for module in EXAMPLES} == EXAMPLES
