"""Finding plugins, and what happens when one is broken."""

import sys

import pytest

from i2i.errors import PluginError
from i2i.plugins import KINDS, Plugins

HEAD = "import i2i\n\n\n@i2i.hookimpl\ndef i2i_generators():\n    "


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Makes distributions that give entry points, as pip would install them."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(name: str, source: str | None, entry_point: str | None = None, text: str | None = None) -> None:
        module = name.replace("-", "_")
        if source is not None:
            (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(text or f"[i2i]\n{name} = {entry_point or module}\n")
        sys.modules.pop(module, None)

    return install


def test_built_in_plugins_are_found_by_entry_point():
    plugins = Plugins()
    assert {"unet", "resnet"} <= plugins.table("generator").keys()
    assert "pix2pix" in plugins.table("recipe")
    assert not plugins.failed()


@pytest.mark.parametrize("kind", KINDS)
def test_every_component_has_a_summary_and_documented_options(kind):
    for name, [(_, component)] in Plugins().table(kind).items():
        assert component.summary, name
        component.config()  # every option has a default
        for option, field in component.config.model_fields.items():
            assert field.description, f"{name}.{option}"


def test_installed_plugin_gives_its_components(installed):
    installed("i2i-good", HEAD + "return [i2i.Component('good', lambda config, **shape: None)]")
    assert Plugins().get("generator", "good").name == "good"


@pytest.mark.parametrize(
    ("source", "entry_point", "reason"),
    [
        ("raise RuntimeError('no luck')", None, "RuntimeError: no luck"),
        ("def (", None, "SyntaxError"),
        ("import sys; sys.exit(0)", None, "SystemExit"),
        ("thing = 42", "i2i_bad:thing", "not a module with i2i hooks"),
        (None, "no_such_module_here", "ModuleNotFoundError"),
        ("import i2i\n\n@i2i.hookimpl\ndef i2i_generatorz():\n    return []", None, "i2i_generatorz"),
        ("import i2i\n\n@i2i.hookimpl\ndef i2i_generators(surprise):\n    return []", None, "surprise"),
        (HEAD + "raise ValueError('at call')", None, "ValueError: at call"),
        (HEAD + "return ['a string']", None, "must return i2i.Component objects, not str"),
        (HEAD + "return 'abc'", None, "must return a list of i2i.Component, not str"),
    ],
)
def test_a_broken_plugin_is_set_aside_with_its_reason(installed, source, entry_point, reason):
    installed("i2i-bad", source, entry_point)
    plugins = Plugins()
    [broken] = plugins.failed()
    assert (broken.name, broken.distribution, broken.version) == ("i2i-bad", "i2i-bad", "1.2")
    assert reason in broken.error
    assert "\n" not in broken.error
    assert "unet" in plugins.table("generator")
    with pytest.raises(PluginError, match="could not be loaded"):
        plugins.get("recipe", "i2i-bad")


def test_malformed_metadata_of_another_package_is_ignored(installed):
    installed("unrelated", None, text="[i2i\nthis is = = no ini file\n]")
    assert "unet" in Plugins().table("generator")


def test_two_plugins_with_one_name_are_an_error_when_it_is_asked_for(installed):
    installed("i2i-twin", HEAD + "return [i2i.Component('unet', lambda config, **shape: None)]")
    plugins = Plugins()
    with pytest.raises(PluginError) as error:
        plugins.get("generator", "unet")
    assert "components (i2i-toolkit" in str(error.value)
    assert "i2i-twin (i2i-twin 1.2)" in str(error.value)
    assert "--disable i2i-twin" in str(error.value)
    assert plugins.get("generator", "resnet")
    assert Plugins(disable=["i2i-twin"]).get("generator", "unet").summary


def test_unknown_name_lists_the_known_and_the_nearest():
    with pytest.raises(PluginError, match=r"unknown generator 'unett' \(did you mean 'unet'\?\); known: .*resnet"):
        Plugins().get("generator", "unett")


def test_plugin_from_a_file_and_its_errors(tmp_path):
    good = tmp_path / "extra_generator.py"
    good.write_text(HEAD + "return [i2i.Component('extra', lambda config, **shape: None)]")
    assert Plugins([str(good)]).get("generator", "extra")
    bad = tmp_path / "extra_broken.py"
    bad.write_text("1 / 0")
    with pytest.raises(PluginError, match=r"extra_broken\.py: ZeroDivisionError"):
        Plugins([str(bad)]).table("generator")
    with pytest.raises(PluginError, match="no such file"):
        Plugins([str(tmp_path / "absent.py")]).table("generator")


def test_autoload_can_be_turned_off(monkeypatch):
    monkeypatch.setenv("I2I_DISABLE_PLUGIN_AUTOLOAD", "1")
    assert Plugins().all == []


def test_hooks_are_called_once(tmp_path):
    counting = tmp_path / "counting_plugin.py"
    counting.write_text("calls = []\n" + HEAD + "calls.append(1); return []")
    plugins = Plugins([str(counting)])
    for _ in range(3):
        plugins.table("generator")
        plugins.table("recipe")
    assert next(p for p in plugins.all if p.name == "counting_plugin").module.calls == [1]
