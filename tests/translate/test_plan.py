"""What finding inputs and planning outputs promises."""

import os
import time
from pathlib import Path

import pytest
from PIL import Image

from helpers.planning import names, planned, refused, touch
from i2i.errors import UserError
from i2i.images import READABLE
from i2i.images.search import NO_IMAGE, search_folder
from i2i.translate.folders.planning.outputs import inside

# What is there already


def test_outputs_that_exist_are_refused_replaced_or_skipped(tmp_path):
    touch(tmp_path / "in", "a.jpg", "b.jpg", "c.jpg", "sub/d.jpg")
    touch(tmp_path / "out", "a.jpg", "b.png", "sub/other.jpg")
    (tmp_path / "out/c.png").mkdir()  # a folder is no output: writing will tell
    with pytest.raises(UserError) as caught:
        planned(tmp_path / "in", tmp_path / "out")
    first = tmp_path / "out/a.jpg"
    assert str(caught.value) == f"{first}: exists already, 2 of 4 outputs do; add --overwrite or --skip-existing"
    skipped = {
        t.input.name: t.outputs[0].name
        for t in planned(tmp_path / "in", tmp_path / "out", skip_existing=True).images
        if t.skip
    }
    assert skipped == {"a.jpg": "a.jpg", "b.jpg": "b.png"}
    assert not any(image.skip for image in planned(tmp_path / "in", tmp_path / "out", overwrite=True).images)
    with pytest.raises(UserError, match="exclude"):
        planned(tmp_path / "in", tmp_path / "out", overwrite=True, skip_existing=True)


def test_a_dangling_link_in_the_output_folder_counts_as_an_output(tmp_path):
    touch(tmp_path / "in", "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="exists already"):
        planned(tmp_path / "in", tmp_path / "out")


def test_a_continued_job_gives_each_input_the_name_that_it_had(tmp_path):
    touch(tmp_path / "in", "a.gif", "a.jpg", "a.webp", "b.gif", "b.png")
    before = names(tmp_path / "in", tmp_path / "out")
    touch(tmp_path / "out", before["a.gif"][0], before["b.gif"][0])
    images = planned(tmp_path / "in", tmp_path / "out", skip_existing=True).images
    assert {image.input.name: image.skip for image in images} == {
        "a.gif": True, "a.jpg": False, "a.webp": False, "b.gif": True, "b.png": False
    }  # fmt: skip
    assert names(tmp_path / "in", tmp_path / "out", skip_existing=True) == before


# Frames


def test_each_frame_is_a_task_if_so_asked(tmp_path):
    frames = [Image.new("RGB", (4, 3), (n * 80, 0, 0)) for n in range(3)]
    touch(tmp_path / "in", "broken.gif", "a_0001.png")
    frames[0].save(tmp_path / "in/a.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "in/a.tif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "in/one.gif")
    images = planned(tmp_path / "in", tmp_path / "out", frames="all").images
    got = [(t.input.name, t.frame, [output.name for output in t.outputs]) for t in images]
    assert got == [
        ("a.gif", 0, ["a_0000.png"]),
        ("a.gif", 1, ["a_0001_gif.png"]),
        ("a.gif", 2, ["a_0002.png"]),
        ("a.tif", 0, ["a_0000.tif", "a_0000_tif.png"]),
        ("a.tif", 1, ["a_0001.tif", "a_0001_tif.png"]),
        ("a.tif", 2, ["a_0002.tif", "a_0002_tif.png"]),
        ("a_0001.png", None, ["a_0001.png"]),
        ("broken.gif", None, ["broken.png"]),
        ("one.gif", None, ["one.png"]),
    ]
    assert len(planned(tmp_path / "in", tmp_path / "out").images) == 5


# What is no image


def test_a_folder_named_like_an_image_is_searched_and_told_once(tmp_path):
    touch(tmp_path / "in", "x.png/a.png", "y.png")
    (tmp_path / "in/link.jpg").symlink_to(tmp_path / "in/x.png")
    done = planned([tmp_path / "in", tmp_path / "in/x.png", f"{tmp_path}/in/*.png"], tmp_path / "out")
    assert refused(done.images) == [("link.jpg", NO_IMAGE), ("x.png", NO_IMAGE)]
    assert [image.input.name for image in done.images if not image.refused] == ["a.png", "y.png"]
    assert done.notes == [f"{tmp_path / 'in/link.jpg'}: leads to a folder that is searched already"]


def test_a_folder_that_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path, monkeypatch):
    touch(tmp_path / "in", "a.png", "closed/b.png", "open/c.png")
    scan = os.scandir

    def denied(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", denied)
    images = planned(tmp_path / "in", tmp_path / "out").images
    assert [(image.input.name, image.refused) for image in images] == [
        ("a.png", ""),
        ("closed", "Permission denied"),
        ("c.png", ""),
    ]
    assert all(image.outputs for image in images)
    with pytest.raises(UserError, match=r"no images found in .*closed: Permission denied"):
        planned(tmp_path / "in/closed", tmp_path / "out")


@pytest.mark.skipif(os.name == "nt", reason="longer paths")
def test_a_folder_too_deep_to_open_is_told_and_the_rest_goes_on(tmp_path):
    touch(tmp_path / "in", "a.png")
    handles = [os.open(tmp_path / "in", os.O_RDONLY)]
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=handles[-1])
        handles.append(os.open("d" * 250, os.O_RDONLY, dir_fd=handles[-1]))
    for handle in handles:
        os.close(handle)
    images = planned(tmp_path / "in", tmp_path / "out").images
    assert [image.refused for image in images] == ["", "File name too long"]
    for depth in range(20, 0, -1):  # pytest cannot clear such a folder away
        handles = [os.open(tmp_path / "in", os.O_RDONLY)]
        for _ in range(depth - 1):
            handles.append(os.open("d" * 250, os.O_RDONLY, dir_fd=handles[-1]))
        os.rmdir("d" * 250, dir_fd=handles[-1])
        for handle in handles:
            os.close(handle)


def test_links_that_lead_in_circles_are_told_once(tmp_path):
    touch(tmp_path / "in", "sub/deep/a.png")
    (tmp_path / "in/sub/deep/up").symlink_to(tmp_path / "in")
    (tmp_path / "in/self").symlink_to(tmp_path / "in/self")
    (tmp_path / "in/self.png").symlink_to(tmp_path / "in/self.png")
    done = planned(tmp_path / "in", tmp_path / "out")
    assert sorted(image.input.name for image in done.images) == ["a.png", "self.png"]  # reading it will tell
    assert sorted(done.notes) == [
        f"{tmp_path / 'in/self'}: Too many levels of symbolic links",
        f"{tmp_path / 'in/sub/deep/up'}: leads to a folder that is searched already",
    ]


def test_what_is_left_out_for_its_ending_is_counted(tmp_path):
    touch(tmp_path / "in", "a.png", "b.HEIC", "c.heic", "notes.txt", "Makefile", ".hidden.txt", ".hidden/a.png")
    done = planned(tmp_path / "in", tmp_path / "out")
    assert len(done.images) == 1
    (note,) = done.notes
    assert note.startswith(f"{tmp_path / 'in'}: 4 files with other endings left out (.heic 2")


def test_inputs_that_are_not_there_fail_later_unless_nothing_is(tmp_path):
    touch(tmp_path, "a.png")
    images = planned([tmp_path / "a.png", tmp_path / "missing.png"], tmp_path / "out").images
    assert [(image.input.name, image.refused) for image in images] == [
        ("a.png", ""),
        ("missing.png", "no such file or folder"),
    ]
    with pytest.raises(UserError, match=r"missing\.png: no such file or folder"):
        planned(tmp_path / "missing.png", tmp_path / "elsewhere")
    (tmp_path / "empty").mkdir()
    for inputs in ([tmp_path / "missing.png"] * 2, [tmp_path / "empty"], [f"{tmp_path}/*.gif"], []):
        with pytest.raises(UserError, match="no images found"):
            planned(inputs, tmp_path / "elsewhere")
    with pytest.raises(UserError, match="empty name"):
        planned([""], tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


# Never into the input, never out of the output


def test_the_output_folder_is_never_in_an_input_folder(tmp_path):
    touch(tmp_path / "in", "a.png", "sub/b.png")
    touch(tmp_path / "linked", "c.png")
    (tmp_path / "in/link").symlink_to(tmp_path / "linked")
    (tmp_path / "other").symlink_to(tmp_path / "in")
    for out in ("in", "in/out", "in/sub/x/y", "other", "other/out", "in/sub/../out", "linked/out", "in/.hidden"):
        with pytest.raises(UserError, match="choose another output folder"):
            planned(tmp_path / "in", tmp_path / out, overwrite=True)
    with pytest.raises(UserError, match="choose another output folder"):
        planned(f"{tmp_path}/i*", tmp_path / "in/sub/out", overwrite=True)
    assert sorted(path.name for path in (tmp_path / "in").rglob("*")) == ["a.png", "b.png", "link", "sub"]
    assert sorted(path.name for path in (tmp_path / "linked").rglob("*")) == ["c.png"]


def test_outputs_that_would_land_in_an_input_folder_are_refused(tmp_path):
    touch(tmp_path / "out/in", "a.png", "in/b.png")
    with pytest.raises(UserError, match="choose another output folder"):
        planned(tmp_path / "out/in", tmp_path / "out")
    touch(tmp_path / "out/flat", "a.png")
    assert names(tmp_path / "out/flat", tmp_path / "out") == {"a.png": ["a.png"]}


def test_files_and_globs_may_lie_beside_their_outputs(tmp_path):
    touch(tmp_path, "a.gif", "b.jpg")
    assert names([tmp_path / "a.gif"], tmp_path) == {"a.gif": ["a.png"]}
    for _ in range(2):  # what the first run made is no input of the second
        options = {"overwrite": True}
        assert list(names([f"{tmp_path}/*"], tmp_path / "out", **options)) == ["a.gif", "b.jpg"]
        assert list(names([f"{tmp_path}/**/*.*"], tmp_path / "out", **options)) == ["a.gif", "b.jpg"]
        touch(tmp_path / "out", "a.png")
    with pytest.raises(UserError, match="is an input and would be written over"):
        planned(tmp_path / "b.jpg", tmp_path, overwrite=True)


def test_an_input_behind_a_link_is_not_written_over(tmp_path):
    touch(tmp_path, "real/a.png", "links/x.txt")
    (tmp_path / "links/a.png").symlink_to(tmp_path / "real/a.png")
    with pytest.raises(UserError, match="would be written over"):
        planned(tmp_path / "links/a.png", tmp_path / "real", overwrite=True)


def test_links_out_of_the_output_folder_are_not_followed(tmp_path):
    touch(tmp_path / "in", "a.png", "sub/b.png", "sub/deep/c.png", "other/d.png")
    (tmp_path / "out/real").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out/sub").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "out/other").symlink_to(tmp_path / "out/real")
    images = planned(tmp_path / "in", tmp_path / "out").images
    reason = "leads out of the output folder"
    assert refused(images) == [
        ("b.png", f"{tmp_path / 'out/sub'} {reason}"),
        ("c.png", f"{tmp_path / 'out/sub/deep'} {reason}"),
    ]
    assert not inside(tmp_path / "out", tmp_path / "out/sub/b.png")
    assert not inside(tmp_path / "out", tmp_path / "out/../b.png")
    assert not inside(tmp_path / "out", tmp_path / "outer/b.png")
    assert inside(tmp_path / "out", tmp_path / "out/other/d.png")
    assert inside(tmp_path / "out", tmp_path / "out/new/deep/e.png")
    (tmp_path / "to-out").symlink_to(tmp_path / "out")
    assert inside(tmp_path / "to-out", tmp_path / "to-out/a.png")


def test_two_ways_into_one_output_folder_keep_both_inputs(tmp_path):
    touch(tmp_path / "in", "one/a.png", "two/a.png")
    (tmp_path / "out/one").mkdir(parents=True)
    (tmp_path / "out/two").symlink_to(tmp_path / "out/one")
    outputs = [image.outputs[0] for image in planned(tmp_path / "in", tmp_path / "out").images]
    assert len({os.path.realpath(output) for output in outputs}) == 2


def test_where_letter_case_makes_no_difference_both_are_kept(tmp_path, monkeypatch):
    touch(tmp_path / "in", "A.png", "a.png", "Sub/x.png", "sub/X.png")
    assert names(tmp_path / "in", tmp_path / "out")["a.png"] == ["a.png"]
    monkeypatch.setattr("i2i.translate.folders.planning.plan.make_writable", lambda folder: True)
    images = planned(tmp_path / "in", tmp_path / "out").images
    outputs = [os.path.relpath(image.outputs[0], tmp_path / "out").casefold() for image in images]
    assert len(set(outputs)) == 4


# Many


def test_numbers_in_names_count_by_value(tmp_path):
    touch(tmp_path / "in", "10.png", "2.png", "a10/1.png", "a9/1.png", "01.png", "1.png", "b.png")
    images = planned(tmp_path / "in", tmp_path / "out").images
    order = [image.input.relative_to(tmp_path / "in").as_posix() for image in images]
    assert order == ["01.png", "1.png", "2.png", "10.png", "a9/1.png", "a10/1.png", "b.png"]


def test_many_files_are_planned_fast(tmp_path):
    for n in range(10_000):
        folder = tmp_path / f"in/{n // 500}"
        if n % 500 == 0:
            folder.mkdir(parents=True)
        os.close(os.open(folder / f"{n}.jpg", os.O_CREAT | os.O_WRONLY))
    start = time.process_time()
    assert len(planned(tmp_path / "in", tmp_path / "out").images) == 10_000
    assert time.process_time() - start < 5  # 0.4 s where nothing else runs


def test_relative_folders_give_relative_paths(tmp_path, monkeypatch):
    touch(tmp_path / "in", "a.png", "sub/b.png")
    monkeypatch.chdir(tmp_path / "in")
    images = planned(".", "../out").images
    assert [image.input for image in images] == [Path("a.png"), Path("sub/b.png")]
    assert [image.outputs[0] for image in images] == [Path("../out/a.png"), Path("../out/sub/b.png")]
    monkeypatch.chdir(tmp_path)
    assert [str(image.input) for image in planned("in/", "out").images] == ["in/a.png", "in/sub/b.png"]


def test_a_slice_of_the_tasks_is_tasks(tmp_path):
    touch(tmp_path / "in", "a.png", "b.png", "c.png")
    images = planned(tmp_path / "in", tmp_path / "out").images
    assert [image.input.name for image in images[1:]] == ["b.png", "c.png"]
    assert images[-1] == images[2]


def test_the_search_finds_what_find_images_finds(photos):
    found = [Path(found.folder, found.name) for found in search_folder(photos, READABLE).found]
    assert [path.name for path in found] == ["1.png", "2.png", "10.png", "3.png", "4.png"]
