"""How many images the threads that translate a folder hold and work on at once."""

import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

import i2i.translate.folders.decoding as decoding
import i2i.translate.folders.pipeline as pipeline
import i2i.translate.folders.writing as writing
import i2i.translate.tiles.tiling as tiling
from helpers.small_models import noise, tree
from i2i.errors import ModelError
from i2i.images import read_frames, read_image, write_image, write_pixels
from i2i.runtime.network import ExportedNetwork
from i2i.translate import translate_folder
from i2i.translate.folders.memory_budget import MemoryBudget


def draw(folder, sizes):
    folder.mkdir()
    for number, side in enumerate(sizes):
        write_image(folder / f"{number}.png", noise(side, side, 3, seed=number))


class Alive:
    """Bytes of images that were read and are not yet written, and how many stages are at work, counted from outside."""

    def __init__(self, monkeypatch, seconds=0.0):
        self.lock, self.seconds = threading.Lock(), seconds
        self.bytes = self.most = self.stages = self.most_stages = self.reads = 0
        monkeypatch.setattr(decoding, "read_image", self.read)
        monkeypatch.setattr(decoding, "read_frames", self.frames)
        monkeypatch.setattr(writing, "write_pixels", self.write)

    @contextmanager
    def stage(self):
        with self.lock:
            self.stages += 1
            self.most_stages = max(self.most_stages, self.stages)
        time.sleep(self.seconds)
        yield
        with self.lock:
            self.stages -= 1

    def add(self, size):
        with self.lock:
            self.reads += size > 0
            self.bytes += size
            self.most = max(self.most, self.bytes)

    def read(self, path, **options):
        picture = read_image(path, **options)  # which waits for memory
        with self.stage():
            self.add(picture.pixels.nbytes)
            return picture

    def frames(self, path, **options):
        for picture in read_frames(path, **options):
            self.add(picture.pixels.nbytes)
            yield picture

    def write(self, path, pixels, extras, **options):
        with self.stage():
            write_pixels(path, pixels, extras, **options)
            self.add(-pixels.nbytes)


@pytest.fixture
def image_bytes(monkeypatch):
    """Memory for 6 images of 20x20, of which a batch takes 5: each counts as stored, as input and as output."""
    image = 3 * 20 * 20 * 3
    monkeypatch.setattr(pipeline, "_MAX_BYTES", 6 * image)
    monkeypatch.setattr(pipeline, "_MAX_BATCH_BYTES", 5 * image)
    return image // 3


@pytest.mark.parametrize("batch", [1, 16, 64])
@pytest.mark.parametrize("first", [0, 200])
def test_bytes_do_not_grow_with_the_number_of_files(model, tmp_path, monkeypatch, image_bytes, batch, first):
    draw(tmp_path / "in", [2] * first + [20] * 100)
    alive = Alive(monkeypatch, seconds=0.001)
    results = translate_folder(model(), tmp_path / "in", tmp_path / "out", workers=12, batch=batch)
    assert [result.status for result in results] == ["written"] * (first + 100)
    assert alive.bytes == 0
    # who holds images already may go beyond, until its batch is full
    assert alive.most <= (6 if batch == 1 else 6 + 12 * 6) * image_bytes


@pytest.mark.parametrize("batch", [1, 64])
def test_bytes_do_not_grow_with_the_number_of_frames(model, tmp_path, monkeypatch, image_bytes, batch):
    (tmp_path / "in").mkdir()
    pages = [Image.fromarray(noise(20, 20, 3, seed=number)) for number in range(150)]
    pages[0].save(tmp_path / "in" / "a.tif", save_all=True, append_images=pages[1:])
    alive = Alive(monkeypatch)
    options = {"workers": 12, "batch": batch, "frames": "all"}
    results = list(translate_folder(model(), tmp_path / "in", tmp_path / "out", **options))
    assert [result.frame for result in results] == list(range(150))
    for number in (0, 1, 77, 149):
        assert np.array_equal(read_image(results[number].output).pixels, 255 - np.asarray(pages[number]))
    assert (
        alive.most <= (6 if batch == 1 else 6 + 12 * 6) * image_bytes + image_bytes
    )  # a frame is counted when it is decoded


def test_frames_that_exist_are_decoded_for_those_behind_them_and_left(model, tmp_path):
    (tmp_path / "in").mkdir()
    pages = [Image.fromarray(noise(20, 20, 3, seed=number)) for number in range(30)]
    pages[0].save(tmp_path / "in" / "a.tif", save_all=True, append_images=pages[1:])
    options = {"frames": "all", "skip_existing": True, "batch": 4}
    first = list(translate_folder(model(), tmp_path / "in", tmp_path / "out", **options))
    for number in (3, 17, 29):
        first[number].output.unlink()
    again = list(translate_folder(model(), tmp_path / "in", tmp_path / "out", **options))
    assert [result.frame for result in again if result.status == "written"] == [3, 17, 29]
    assert [result.frame for result in again] == list(range(30))
    for number in (3, 17, 29):
        assert np.array_equal(read_image(again[number].output).pixels, 255 - np.asarray(pages[number]))


def test_images_larger_than_the_budget_still_overlap(model, tmp_path, monkeypatch):
    draw(tmp_path / "in", [20] * 12)
    monkeypatch.setattr(pipeline, "_MAX_BYTES", 1)
    alive = Alive(monkeypatch, seconds=0.02)
    assert len(list(translate_folder(model(), tmp_path / "in", tmp_path / "out", workers=8))) == 12
    assert alive.most_stages == 3


def test_a_slow_first_image_does_not_let_results_pile_up(model, tmp_path, monkeypatch):
    draw(tmp_path / "in", [3] * 100)
    alive, blocked = Alive(monkeypatch), threading.Event()
    slow = threading.Timer(1, blocked.set)

    def write(path, pixels, extras, **options):
        if path.name == "0.png":
            slow.start()
            blocked.wait()
            begun.append(alive.reads)
        alive.write(path, pixels, extras, **options)

    begun = []
    monkeypatch.setattr(writing, "write_pixels", write)
    assert len(list(translate_folder(model(), tmp_path / "in", tmp_path / "out", workers=2))) == 100
    assert 2 < begun[0] <= 7


def test_a_batch_is_as_large_as_was_asked_for(model, tmp_path):
    draw(tmp_path / "in", [2] * 300)
    invert, sizes = model(), []
    run = invert.network.translate
    invert.network.translate = lambda images, **options: sizes.append(len(images)) or run(images, **options)
    assert len(list(translate_folder(invert, tmp_path / "in", tmp_path / "out", batch=300))) == 300
    assert sizes == [300]


@pytest.mark.parametrize("batch", [1, 2])
def test_small_images_that_run_out_of_memory_are_cut(model, tmp_path, monkeypatch, batch):
    draw(tmp_path / "in", [40] * 4)
    invert = model()
    real = ExportedNetwork.run

    def scarce(self, feeds, *promised):
        if feeds["image"].shape[1] > 20:
            raise ModelError("the model failed") from RuntimeError("std::bad_alloc")
        return real(self, feeds, *promised)

    monkeypatch.setattr(ExportedNetwork, "run", scarce)
    results = translate_folder(invert, tmp_path / "in", tmp_path / "out", workers=2, batch=batch)
    for result in results:
        assert np.array_equal(read_image(result.output).pixels, 255 - read_image(result.input).pixels)
    assert "tiles of 20 from then on" in results.notes[0]


@pytest.mark.parametrize(("small", "most"), [(tiling.MAX_PARALLEL_BYTES, 3), (0, 1)], ids=["small", "large"])
def test_only_small_images_go_through_the_network_several_at_once(model, tmp_path, monkeypatch, small, most):
    (tmp_path / "in").mkdir()
    for n in range(12):
        write_image(tmp_path / f"in/{n}.png", noise(5, 5, 3, seed=n))
    invert, lock, running, seen, reached = model(), threading.Lock(), 0, [], threading.Event()
    run = invert.network.translate

    def slowly(images, **options):
        nonlocal running
        with lock:
            running += 1
            seen.append(running)
            if running == most:
                reached.set()
        reached.wait(300)  # for as many at once as are expected; then for one too many
        time.sleep(0.03)
        with lock:
            running -= 1
        return run(images, **options)

    invert.network.translate = slowly
    monkeypatch.setattr(tiling, "MAX_PARALLEL_BYTES", small)
    results = list(translate_folder(invert, tmp_path / "in", tmp_path / "out", workers=3))
    assert [result.input.name for result in results] == [f"{n}.png" for n in range(12)]
    assert max(seen) == most


def test_an_interrupt_begins_nothing_new_of_a_batch(model, tmp_path, monkeypatch):
    draw(tmp_path / "in", [5] * 60)
    begun, stopped = threading.Event(), threading.Event()

    def write(path, pixels, extras, **options):
        if int(path.stem) >= 10:
            begun.set()
            stopped.wait(300)
        elif path.stem == "9":
            begun.wait(300)  # so that the next batch has been handed out
        write_pixels(path, pixels, extras, **options)

    monkeypatch.setattr(writing, "write_pixels", write)
    monkeypatch.setattr(ExportedNetwork, "interrupt", lambda self: stopped.set())
    results = translate_folder(model(), tmp_path / "in", tmp_path / "out", workers=2, batch=10)
    for _ in range(10):
        next(results)
    results.close()
    assert 10 < len(tree(tmp_path / "out")) <= 12  # those that were being written


@pytest.mark.parametrize("batch", [1, 20])
def test_work_that_has_not_begun_is_not_waited_for(model, tmp_path, batch):
    draw(tmp_path / "in", [5] * 200)
    with translate_folder(model(), tmp_path / "in", tmp_path / "out", workers=2, batch=batch) as results:
        next(results)
    assert len(tree(tmp_path / "out")) < 200


def test_results_of_a_batch_come_as_they_are_made(model, tmp_path, monkeypatch):
    draw(tmp_path / "in", [5] * 10)
    held = threading.Event()

    def write(path, pixels, extras, **options):
        assert path.name != "9.png" or held.wait(300)
        write_pixels(path, pixels, extras, **options)

    monkeypatch.setattr(writing, "write_pixels", write)
    results = translate_folder(model(), tmp_path / "in", tmp_path / "out", batch=10)
    assert [next(results).output.name for _ in range(9)] == [f"{n}.png" for n in range(9)]
    held.set()
    assert next(results).status == "written"


@pytest.mark.parametrize("tile", ["auto", "none", 512])
def test_a_batch_takes_no_more_memory_than_a_large_image_may(model, monkeypatch, tile):
    tiles = tiling.Tiling(model().network, tile)
    monkeypatch.setattr(tiling.memory, "available", lambda: 8 * tiles._bytes(100, 100))  # of which half may be taken
    assert [tiles.takes_batch(100, 100, count) for count in (2, 4, 5)] == [True, True, False]
    assert not tiles.takes_batch(1000, 1000, 2)


def test_memory_is_waited_for_only_by_those_who_hold_nothing():
    budget, entered = MemoryBudget(10, 2), []
    for size in (100, 3):
        budget.acquire(size, wait=True)  # two may be there at any size

    def wait():
        budget.acquire(4, wait=True)
        entered.append(4)

    thread = threading.Thread(target=wait)
    thread.start()
    budget.acquire(1, wait=False)
    thread.join(0.1)
    assert thread.is_alive() and not entered
    budget.release(3)
    thread.join(0.1)
    assert thread.is_alive()  # two others are there, of 101 bytes
    budget.release(100)
    thread.join()
    assert entered == [4]
