"""The examples in the docstrings of what plugin authors use run and give what they say."""

import doctest
import importlib
import sys

import pytest

MODULES = {
    "i2i.api.components": {"Component"},
    "i2i.api.options": {"Choice", "Config"},
    "i2i.api.recipes": {"Phase", "Recipe", "Translator"},
    "i2i.plugins.names": {"nearest"},
    "i2i.plugins.registry": {"Plugins"},
    "i2i.testing.kit": {"check_component", "check_recipe", "findings"},
}
"""Module -> the names in it whose docstrings have an example."""

EXAMPLES = {
    test.name.rpartition(".")[2]: (module, test)
    for module in MODULES
    for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(module), module)
    if test.examples
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_gives_what_it_says(name, capsys):
    module, test = EXAMPLES[name]
    test.globs = {"__name__": module}  # an example shows every import that it needs
    results = doctest.DocTestRunner(optionflags=doctest.FAIL_FAST).run(test, out=sys.stderr.write)
    assert results.attempted
    assert not results.failed, capsys.readouterr().err


def test_no_example_is_lost():
    assert set(EXAMPLES) == set().union(*MODULES.values())
