"""Finding plugins, and what happens when one is broken."""

import gc
import sys

import pytest

from i2i.errors import PluginError
from i2i.plugins import Plugins, hookspecs

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
        (None, "42", "ModuleNotFoundError"),
        (None, "what is this", "must name a module"),
        ("import i2i\n\ndef i2i_generators():\n    return []", None, "must be marked by @i2i.hookimpl"),
        ("PLUGIN_API = 99\n" + HEAD + "return []", None, "it needs version 99 of the plugin API, and this i2i has 1"),
        ("PLUGIN_API = '2'\n" + HEAD + "return []", None, "its PLUGIN_API must be a whole number, such as 1, not '2'"),
        (HEAD + "return []\n\ndef __getattr__(name):\n    raise RuntimeError('lazy')", None, "RuntimeError: lazy"),
        ("class E(Exception):\n    def __str__(self):\n        raise self\n\nraise E", None, "E: no reason given"),
        (HEAD + "return [i2i.Component('a b', print)]", None, "must be letters, digits and hyphens"),
        (HEAD + "return [i2i.Component('a', print)] * 2", None, "gives generator 'a' 2 times"),
        ("import i2i\n\n@i2i.hookimpl\ndef i2i_generatorz():\n    return []", None, "did you mean 'i2i_generators'?"),
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
    with pytest.raises(PluginError, match="is not loaded: "):
        plugins.get("recipe", "i2i-bad")


@pytest.mark.parametrize("text", ["[i2i\ni2i-bad = i2i_bad\n", "[i2i]\nno equals sign\n", "i2i-bad = i2i_bad"])
def test_malformed_entry_points_of_a_plugin_are_reported(installed, text):
    installed("i2i-bad", HEAD + "return []", text=text)
    [broken] = Plugins().failed()
    assert (broken.name, broken.distribution, broken.version) == ("i2i-bad", "i2i-bad", "1.2")
    assert "its entry_points.txt cannot be read: " in broken.error
    assert "\n" not in broken.error


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # what the plugin leaves behind
def test_what_a_plugin_prints_does_not_reach_stdout(installed, capfd):
    wrapped = "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer)\nprint('hello')\n"
    installed("i2i-loud", wrapped + HEAD + "print('from a hook'); return []")
    assert not Plugins().failed()
    gc.collect()
    print("still here", file=sys.stderr)
    out, err = capfd.readouterr()
    assert out == ""
    assert "still here" in err


def test_malformed_metadata_of_another_package_is_ignored(installed):
    installed("unrelated", None, text="[i2i\nthis is = = no ini file\n]")
    assert "unet" in Plugins().table("generator")


def test_a_plugin_with_a_built_in_name_is_set_aside(installed):
    installed(
        "i2i-twin", HEAD + "return [i2i.Component(name, lambda config, **shape: None) for name in ('own', 'unet')]"
    )
    plugins = Plugins()
    assert plugins.get("generator", "unet").summary  # the built-in one goes on
    [twin] = plugins.failed()
    assert "generator 'unet' is a built-in one, of plugin components (i2i-toolkit" in twin.error
    assert "--disable components" in twin.error
    with pytest.raises(
        PluginError, match=r"unknown generator 'own'.*not loaded: i2i-twin \(i2i-twin 1.2\): generator 'u"
    ):
        plugins.get("generator", "own")
    assert not Plugins(disable=["components"]).get("generator", "unet").summary


def test_two_installed_plugins_with_one_name_are_an_error_when_it_is_asked_for(installed):
    for name in ("i2i-one", "i2i-two"):
        installed(name, HEAD + "return [i2i.Component('same', lambda config, **shape: None)]")
    plugins = Plugins()
    with pytest.raises(PluginError) as error:
        plugins.get("generator", "same")
    assert "i2i-one (i2i-one 1.2) and i2i-two (i2i-two 1.2)" in str(error.value)
    assert "--disable i2i-one or --disable i2i-two" in str(error.value)
    assert plugins.get("generator", "resnet")
    assert Plugins(disable=["i2i-two"]).get("generator", "same")


def test_a_plugin_may_be_ready_for_hooks_that_are_to_come(installed):
    later = "\n\n@i2i.hookimpl(optionalhook=True)\ndef i2i_schedules():\n    return []\n"
    named = "\n\n@i2i.hookimpl(specname='i2i_losses')\ndef losses():\n    return []\n"
    installed("i2i-early", HEAD + "return []" + later + named)
    assert not Plugins().failed()


def test_a_file_may_be_called_like_a_module_that_it_imports(tmp_path):
    (tmp_path / "json.py").write_text("import json\nassert json.dumps\n" + HEAD + "return []")
    assert not Plugins([str(tmp_path / "json.py")], autoload=False).failed()


def test_a_file_that_was_mended_is_loaded_anew(tmp_path):
    file = tmp_path / "mended.py"
    file.write_text("1 / 0")
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        _ = Plugins([str(file)]).all
    file.write_text(HEAD + "return [i2i.Component('mended', print)]")
    assert Plugins([str(file)]).get("generator", "mended")


def test_disabling_what_is_not_there_is_an_error():
    with pytest.raises(PluginError, match=r"--disable cyclegam: no such plugin \(did you mean 'cyclegan'\?\)"):
        _ = Plugins(disable=["cyclegam"]).all


def test_a_file_asked_for_takes_the_place_of_the_installed_module(installed, tmp_path):
    source = HEAD + "return [i2i.Component('stripes', lambda config, **shape: None, summary='SUMMARY')]"
    installed("i2i-stripes", source)
    (tmp_path / "draft").mkdir()
    draft = tmp_path / "draft" / "i2i_stripes.py"
    draft.write_text(source.replace("SUMMARY", "draft"))
    assert Plugins([str(draft)]).get("generator", "stripes").summary == "draft"


def test_a_deprecated_hook_works_and_warns(monkeypatch, tmp_path):
    def i2i_generators():
        """A hook on its way out."""

    warning = FutureWarning("i2i_generators goes in version 2: implement i2i_networks")
    monkeypatch.setattr(hookspecs, "i2i_generators", hookspecs.hookspec(warn_on_impl=warning)(i2i_generators))
    (tmp_path / "old_plugin.py").write_text(HEAD + "return [i2i.Component('old', lambda config, **shape: None)]")
    plugins = Plugins([str(tmp_path / "old_plugin.py")], autoload=False)
    assert plugins.get("generator", "old")
    assert plugins.all[0].warnings == ["FutureWarning: i2i_generators goes in version 2: implement i2i_networks"]


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
