"""A model file that has passed the check is not tried again, unless something changed or others could have said so."""

import os
import stat

import onnxruntime
import pytest

from helpers.small_models import make_model
from i2i.errors import ModelError
from i2i.runtime.sandbox import check, verdicts
from i2i.runtime.sandbox.check import check_model

unix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights of files are those of Unix")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("I2I_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "checked-models"


@pytest.fixture
def tries(monkeypatch):
    """A list that gets the name of every file that is really tried."""
    tried, start = [], check.start_child

    def noting(file, limits):
        tried.append(file.name)
        return start(file, limits)

    monkeypatch.setattr(check, "start_child", noting)
    return tried


@pytest.fixture
def good(tmp_path):
    return make_model(tmp_path / "good.onnx", "invert")


def test_a_file_that_passed_is_not_tried_again_under_any_name(good, tmp_path, tries):
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(good.read_bytes())
    for file in (good, good, copy):
        check_model(file)
    assert tries == ["good.onnx"]


def test_another_content_is_tried(good, tries):
    check_model(good)
    good.write_bytes(make_model(good.with_name("other.onnx"), "identity").read_bytes())
    check_model(good)
    assert tries == ["good.onnx"] * 2


@pytest.mark.parametrize("what", ["onnxruntime", "check"])
def test_another_version_tries_it_again(good, tries, monkeypatch, what):
    check_model(good)
    if what == "onnxruntime":
        monkeypatch.setattr(onnxruntime, "__version__", "99.1")
    else:
        monkeypatch.setattr(verdicts, "_digest_of_check", lambda: "another")
    check_model(good)
    check_model(good)
    assert tries == ["good.onnx"] * 2


def test_a_file_that_fails_is_tried_each_time_with_the_same_reason(tmp_path, tries, cache):
    bad = make_model(tmp_path / "bad.onnx", "invert")
    bad.write_bytes(bad.read_bytes()[:-20])
    reasons = []
    for _ in range(2):
        with pytest.raises(ModelError) as caught:
            check_model(bad)
        reasons.append(str(caught.value))
    assert tries == ["bad.onnx"] * 2
    assert reasons[0] == reasons[1]
    assert not cache.exists() or not list(cache.iterdir())


def test_what_changes_while_it_is_tried_is_not_remembered(good, tmp_path, tries, monkeypatch):
    other = make_model(tmp_path / "other.onnx", "identity").read_bytes()
    finish = check.start_check(good)
    good.write_bytes(other)
    finish()
    check_model(good)
    assert tries == ["good.onnx"] * 2


@unix
@pytest.mark.parametrize("how", ["in place", "by a rename"])
def test_a_file_of_the_same_size_and_time_is_read_again_once_it_was_changed(good, tries, how):
    before, content = good.stat(), bytearray(good.read_bytes())
    for _ in range(2):
        check_model(good)
    content[-1] ^= 1  # in the last entry of the metadata
    target = good if how == "in place" else good.with_name("new.onnx")
    target.write_bytes(content)
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    target.replace(good)
    assert (good.stat().st_size, good.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    check_model(good)
    assert tries == ["good.onnx"] * 2


@unix
def test_only_the_user_can_read_and_write_what_is_kept(good, cache):
    before = os.umask(0)
    try:
        check_model(good)
    finally:
        os.umask(before)
    [kept] = cache.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


def give_away(path):
    if os.geteuid():
        pytest.skip("only root can give a file to another user")
    os.chown(path, 12345, -1)


@unix
@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder, kept: folder.chmod(0o770),
        lambda folder, kept: folder.chmod(0o702),
        lambda folder, kept: kept.chmod(0o620),
        lambda folder, kept: kept.chmod(0o602),
        lambda folder, kept: kept.rename(folder.parent / "own") and kept.symlink_to(folder.parent / "own"),
        lambda folder, kept: folder.rename(folder.parent / "own") and folder.symlink_to(folder.parent / "own"),
        lambda folder, kept: give_away(kept),
        lambda folder, kept: give_away(folder),
    ],
    ids=["folder-g", "folder-o", "file-g", "file-o", "link", "linked folder", "owner", "folder's owner"],
)
def test_what_others_could_have_written_does_not_count(good, cache, tries, spoil):
    check_model(good)
    [kept] = cache.iterdir()
    spoil(cache, kept)
    check_model(good)
    assert tries == ["good.onnx"] * 2


def test_a_cache_that_cannot_be_used_does_not_keep_a_model_from_being_used(good, tmp_path, tries):
    (tmp_path / "cache").write_text("a file")
    check_model(good)
    check_model(good)
    assert tries == ["good.onnx"] * 2
