"""The conformance kit: checks of components for plugin authors, a check for each promise that components must keep.

``pytest_plugins = "i2i.testing"`` in a test file gives the fixtures ``plugins``, ``paired_folder``,
``unpaired_folder``, ``labelled_folder`` and ``hr_folder``; `check_recipe` and `check_component` run all checks of a
component; ``i2i plugins check`` does so without pytest.

PYTEST_DONT_REWRITE: tests import it before they tell pytest of it.
"""

from i2i.testing.kit import Finding, check_component, check_recipe, findings

__all__ = ["Finding", "check_component", "check_recipe", "findings"]

pytest_plugins = ("i2i.testing.fixtures",)
