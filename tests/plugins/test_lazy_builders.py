"""Components whose builder is named by a text, and imported when it is needed."""

import sys

import pytest

from i2i.config import DataConfig
from i2i.data.detect import Requirements
from i2i.data.source import find_source
from i2i.errors import PluginError
from i2i.extras import MissingExtraError
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder, build_recipe

PLUGIN = """
import i2i

@i2i.hookimpl
def {hook}():
    return [i2i.Component("own", {build!r})]
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Makes a package with a plugin whose component has that text as `build`, and a module `lazy.parts` beside it."""

    def make(build, hook="i2i_generators", parts=""):
        package = tmp_path / "lazy"
        package.mkdir()
        (package / "__init__.py").write_text(PLUGIN.format(hook=hook, build=build))
        (package / "parts.py").write_text(parts)
        monkeypatch.syspath_prepend(str(tmp_path))
        for name in ("lazy", "lazy.parts"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        return Plugins(extra=["lazy"])

    return make


def test_a_builder_is_imported_when_it_is_first_used(plugin):
    parts = "from torch import nn\n\ndef build(config, *, in_channels, out_channels, size):\n    return nn.Identity()\n"
    plugins = plugin("lazy.parts:build", parts=parts)
    assert plugins.get("generator", "own").build == "lazy.parts:build"
    assert "lazy.parts" not in sys.modules
    Builder(plugins, (8, 8)).generator("own", in_channels=3, out_channels=3)
    assert "lazy.parts" in sys.modules


@pytest.mark.parametrize("build", ["", "lazy.parts", "lazy.parts:", ":build", "lazy/parts.py:build", "a:b:c", 3, None])
def test_what_names_no_builder_is_refused_when_plugins_are_listed(plugin, build):
    with pytest.raises(
        PluginError, match=r"plugin lazy: i2i_generators: the build of 'own' (must be|cannot be called)"
    ):
        plugin(build).get("generator", "own")


@pytest.mark.parametrize(
    ("build", "parts", "reason"),
    [
        ("lazy.nothing:build", "", "ModuleNotFoundError: No module named 'lazy.nothing'"),
        ("lazy.parts:nothing", "", "AttributeError: module 'lazy.parts' has no attribute 'nothing'"),
        ("lazy.parts:build", "1 / 0", "ZeroDivisionError: division by zero"),
        ("lazy.parts:build", "raise SystemExit", "SystemExit: no reason given"),
    ],
)
@pytest.mark.parametrize("kind", ["generator", "recipe", "dataset", "metric"])
def test_a_builder_that_cannot_be_imported_names_its_component(plugin, tmp_path, kind, build, parts, reason):
    plugins = plugin(build, f"i2i_{kind}s", parts)
    builder = Builder(plugins, (8, 8))
    component = plugins.get(kind, "own")
    use = {
        "generator": lambda: builder.generator("own", in_channels=3, out_channels=3),
        "recipe": lambda: build_recipe(plugins, "own", component.config()),
        "dataset": lambda: find_source(
            DataConfig(root=str(tmp_path), layout="own"), plugins, Requirements(frozenset())
        ),
        "metric": lambda: builder.metric("own"),
    }
    with pytest.raises(PluginError) as caught:
        use[kind]()
    assert str(caught.value).startswith(f"{kind} 'own' of plugin lazy (lazy) cannot be built: {reason}")


def test_a_builder_that_lacks_an_extra_names_it(plugin):
    plugins = plugin("lazy.parts:build", parts="raise ModuleNotFoundError('torch', name='torch')")
    with pytest.raises(MissingExtraError, match=r"needs the extra 'train' \(torch is not installed\)"):
        Builder(plugins, (8, 8)).generator("own", in_channels=3, out_channels=3)


def test_a_dataset_that_cannot_be_imported_does_not_keep_others_from_reading_a_folder(plugin, tmp_path):
    plugins = plugin("lazy.nothing:build", "i2i_datasets")
    config = DataConfig()
    assert find_source(config, plugins, Requirements(frozenset({"source", "target"}), True)).layout.name == "facades"
