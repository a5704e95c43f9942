"""The examples in docstrings run and give what they say."""

import doctest
import importlib
import sys

import pytest

from helpers.small_models import make_model, noise
from helpers.source_tree import sources
from i2i.images import write_image

EXAMPLES = {
    "i2i.api.components": {"Component"},
    "i2i.api.options": {"Choice", "Config"},
    "i2i.api.recipes": {"Phase", "Recipe", "Translator"},
    "i2i.loading": {"load"},
    "i2i.plugins.names": {"nearest"},
    "i2i.plugins.registry": {"Plugins"},
    "i2i.testing.kit": {"check_component", "check_recipe", "findings"},
    "i2i.translate.folders.folder": {"translate_folder"},
    "i2i.translate.generate": {"generate_folder"},
    "i2i.translate.model": {"Model.generate", "Model.translate"},
}
"""Module -> the names in it whose docstrings have an example."""


def examples(module):
    found = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(module), module)
    return {test.name.removeprefix(f"{module}."): test for test in found if test.examples}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """The folder that the examples take for granted: two models and two photos."""
    folder = tmp_path_factory.mktemp("workplace")
    make_model(folder / "model.onnx", "double")
    make_model(folder / "dreams.onnx", "dream-of", labels=["cat", "dog"])
    (folder / "photos").mkdir()
    write_image(folder / "photos" / "cat.png", noise(8, 10, 3))
    write_image(folder / "photos" / "dog.jpg", noise(12, 16, 3))
    return folder


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in EXAMPLES.items() for name in sorted(names)]
)
def test_an_example_gives_what_it_says(module, name, workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    test = examples(module)[name]
    test.globs = {"__name__": module}  # an example shows every import that it needs
    results = doctest.DocTestRunner(optionflags=doctest.FAIL_FAST).run(test, out=sys.stderr.write)
    assert results.attempted
    assert not results.failed, capsys.readouterr().err


def test_no_example_is_left_out():
    assert {file.module for file in sources() if ">>> " in file.text} == EXAMPLES.keys()
    assert {module: set(examples(module)) for module in EXAMPLES} == EXAMPLES
