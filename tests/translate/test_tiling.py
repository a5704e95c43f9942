"""Tiles: what is cut gives what the whole gives, at any size, with any number of tiles."""

import sys

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from helpers.paths import DATA
from helpers.small_models import make_model, noise
from i2i import memory
from i2i.api import Translator
from i2i.components import resnet, unet
from i2i.components.inference import for_inference
from i2i.errors import ModelError, UserError
from i2i.export.footprint import bytes_per_pixel
from i2i.export.onnx_file import write_onnx
from i2i.export.receptive import receptive_field
from i2i.runtime.network import ExportedNetwork
from i2i.translate import load
from i2i.translate.tiles.changed_graph import Moments
from i2i.translate.tiles.tiling import SAFETY_FACTOR, Tiling
from i2i.translate.tiles.windows import sample_boxes, spans
from i2i_samples.facades import draw_facade
from i2i_srgan.networks import rrdb, srresnet


class Grouped(nn.Module):
    """Group normalisation with fewer groups than channels, between convolutions."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1)
        )

    def forward(self, x):
        return self.layers(x).tanh()


def super_resolution(scale):
    config = srresnet.SRResNetConfig(filters=4, blocks=1, scale=scale, kernel=3)
    return srresnet.build(config, in_channels=3, out_channels=3, size=(24, 24))


def small_unet(statistics):
    config = unet.UNetConfig(filters=4, depth=3)
    return for_inference(unet.build(config, in_channels=3, out_channels=3, size=(32, 32)), image_statistics=statistics)


def contrasty(network):
    """With weights that neither flatten nor saturate what passes, as trained ones."""
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter.data)
    return network


def small_resnet():
    config = resnet.ResNetConfig(filters=4, blocks=3)
    return resnet.build(config, in_channels=3, out_channels=3, size=(32, 32))


NETWORKS = {
    "x2": lambda: super_resolution(2),
    "x4": lambda: super_resolution(4),
    "unet": lambda: small_unet(False),
    "resnet": small_resnet,
    "unet-of-one-image": lambda: small_unet(True),
    "grouped": Grouped,
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Loads a network, exported once."""
    folder, done = tmp_path_factory.mktemp("exported"), {}

    def get(name, value_type="uint8"):
        path = folder / f"{name}-{value_type}.onnx"
        if path not in done:
            torch.manual_seed(3)
            network = contrasty(NETWORKS[name]().eval())
            write_onnx(path, Translator(network, {"image": torch.rand(1, 3, 32, 32) * 2 - 1}), value_type, {})
            done[path] = load(path, device="cpu")
        return done[path]

    return get


def photo(height, width, seed=0):
    """A drawn house front, cut to that size."""
    return np.ascontiguousarray(draw_facade(seed, size=max(height, width))[1][:height, :width])


def difference(model, image, tile, **options):
    """Largest difference between tiled and whole, in 1/255."""
    whole = model.translate_batch(image[np.newaxis], **options)[0].astype(float)
    tiled = Tiling(model.network, tile).translate(image, **options)["image_out"].astype(float)
    assert tiled.shape == whole.shape
    assert min(image.shape[:2]) < 10 or whole.std() > 0.05 * whole.max()  # something that could differ
    return np.abs(tiled - whole).max() * (1 if model.dtype == np.uint8 else 255)


@pytest.mark.parametrize("name", ["x2", "x4", "unet"])
@pytest.mark.parametrize(("height", "width", "tile"), [(61, 83, 16), (1, 90, 20), (90, 3, 1), (40, 41, 40)])
def test_tiled_is_whole(exported, name, height, width, tile):
    assert difference(exported(name), photo(height, width), tile) <= 1


def test_tiled_is_whole_in_float32(exported):
    assert difference(exported("unet", "float32"), noise(61, 45, 3, dtype=np.float32), 16) < 0.05


def test_deep_images_go_through_the_same_weights_in_floats(exported):
    """A model of 8 bits gives what the same network exported for floats gives, whole and in tiles."""
    image = noise(61, 45, 3, dtype=np.uint16)
    deep, floats = (exported("unet", kind).translate(image, tile="none") for kind in ("uint8", "float32"))
    assert deep.dtype == np.uint16
    assert np.abs(deep / 65535 - floats).max() < 2e-5
    tiled = Tiling(exported("unet").network, 16).translate(np.float32(image) / 65535)["image_out"]
    assert np.abs(tiled - floats).max() < 2e-4


def test_tiles_of_deep_images_share_statistics(exported):
    image = noise(96, 64, 3, dtype=np.float32)
    model = exported("resnet")
    whole = model.translate(image, tile="none")
    tiled = Tiling(model.network, 32).translate(image)["image_out"]
    assert tiled.dtype == np.float32
    assert np.abs(tiled - whole).max() < 0.05


def test_an_overlap_that_is_too_small_shows(exported):
    """The test above would notice: with half of the overlap the result differs."""
    model, image = exported("unet"), photo(96, 96)
    tiling = Tiling(model.network, 8)
    tiling._overlap = 2
    assert (
        np.abs(tiling.translate(image)["image_out"].astype(int) - model.translate_batch(image[np.newaxis])[0]).max() > 1
    )


@pytest.mark.parametrize("name", ["resnet", "unet-of-one-image", "grouped"])
@pytest.mark.parametrize(("height", "width"), [(125, 163), (64, 97)])
def test_statistics_of_the_whole_image_are_used_in_every_tile(exported, name, height, width):
    assert difference(exported(name), photo(height, width), 32) <= 3


def test_tiles_by_themselves_would_differ(exported):
    """What the statistics are for: without them the same tiles are far off."""
    model, image = exported("resnet"), photo(125, 163)
    whole = model.translate_batch(image[np.newaxis])[0].astype(int)
    corner = model.translate_batch(image[np.newaxis, :64, :64])[0]
    assert np.abs(corner[:16, :16] - whole[:16, :16]).max() > 15


def test_no_seam_where_tiles_meet(exported):
    """A flat image stays flat inside: nothing tells where one tile ends."""
    model, image = exported("resnet"), np.full((150, 150, 3), 90, np.uint8)
    image[:4] = 200  # statistics of a tile would differ from those of its neighbour
    middle = Tiling(model.network, 24).translate(image)["image_out"][70:100, 40:110].astype(int)
    period = model.info.multiple  # a transposed convolution may leave a pattern
    assert np.abs(middle[:, period:] - middle[:, :-period]).max() <= 1


def test_noise_is_that_of_the_whole_image(model):
    assert difference(model("noisy", "float32"), noise(20, 23, 3, dtype=np.float32), 7) == 0


def test_label_reaches_every_tile(model):
    assert difference(model("labelled", labels=("a", "b", "c")), noise(20, 23, 3) // 2, 7, label="c") == 0


def test_one_tile_for_what_is_not_larger(model):
    assert Tiling(model("invert").network, 20).side(20, 20) is None
    assert Tiling(model("invert").network, 20).side(20, 21) == 20
    assert Tiling(model("invert").network, "none").side(10**5, 10**5) is None


def test_auto_takes_the_largest_tile_that_memory_allows(exported, monkeypatch):
    model = exported("unet")
    monkeypatch.setattr(memory, "available", lambda: 8 << 20)
    side = Tiling(model.network).side(2000, 2000)
    window = side + 2 * model.info.receptive_field
    assert side % model.info.multiple == 0
    assert 2 << 20 < window**2 * model.info.bytes_per_pixel * SAFETY_FACTOR < 8 << 20
    assert Tiling(model.network).side(32, 32) is None
    monkeypatch.setattr(memory, "available", lambda: 64 << 30)
    assert Tiling(model.network).side(500, 500) is None


def test_least_memory_gives_small_tiles_not_none(exported, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 0)
    assert Tiling(exported("unet").network).side(2000, 2000) == 16


@pytest.mark.parametrize("tile", ["auto", 96])
def test_a_tile_that_does_not_fit_is_retried_smaller(exported, monkeypatch, tile):
    model, image = exported("x2"), photo(150, 170)
    want, runs = model.translate_batch(image[np.newaxis])[0], []
    real = ExportedNetwork.run

    def scarce(self, feeds, *promised):
        runs.append(feeds["image"].shape[1:3])
        if max(runs[-1]) > 90:
            raise ModelError("the model failed") from RuntimeError("std::bad_alloc")
        return real(self, feeds, *promised)

    monkeypatch.setattr(ExportedNetwork, "run", scarce)
    tiling = Tiling(model.network, tile)
    assert np.abs(tiling.translate(image)["image_out"].astype(int) - want).max() <= 1
    assert "out of memory" in tiling.notes[0]
    failed = len(tiling.notes)
    runs.clear()
    tiling.translate(image)
    assert max(max(run) for run in runs) <= 90  # it is remembered
    assert len(tiling.notes) == failed


def test_memory_that_is_never_enough_is_an_error(exported, monkeypatch):
    model = exported("x2")

    def never(self, feeds, *promised):
        raise ModelError("the model failed") from MemoryError()

    monkeypatch.setattr(ExportedNetwork, "run", never)
    with pytest.raises(ModelError, match="the model failed"):
        Tiling(model.network).translate(photo(40, 40))


def test_other_failures_are_not_retried(exported, monkeypatch):
    model, calls = exported("x2"), []

    def broken(self, feeds, *promised):
        calls.append(1)
        raise ModelError("the model failed: something else")

    monkeypatch.setattr(ExportedNetwork, "run", broken)
    with pytest.raises(ModelError):
        Tiling(model.network).translate(photo(40, 40))
    assert len(calls) == 1


def with_metadata(path, **changes):
    model = make_model(path, "identity")
    proto = onnx.load(model)
    entries = {entry.key: entry.value for entry in proto.metadata_props} | {f"i2i.{k}": v for k, v in changes.items()}
    del proto.metadata_props[:]
    onnx.helper.set_model_props(proto, entries)
    onnx.save(proto, model)
    return load(model, device="cpu")


def test_a_network_that_sees_everything_is_not_cut(tmp_path, monkeypatch):
    model = with_metadata(tmp_path / "m.onnx", receptive_field="global", bytes_per_pixel="1000")
    monkeypatch.setattr(memory, "available", lambda: 4 << 20)
    assert Tiling(model.network).side(40, 40) is None
    with pytest.raises(ModelError, match=r"^\S*m\.onnx: its result depends on the whole image.*--tile none$"):
        Tiling(model.network).translate(noise(100, 100, 3))
    assert Tiling(model.network, "none").translate(noise(100, 100, 3))["image_out"].shape == (100, 100, 3)
    with pytest.raises(ModelError, match="cannot be cut into tiles"):
        Tiling(model.network, 50).translate(noise(100, 100, 3))


def test_statistics_that_cannot_be_shared_are_an_error(tmp_path):
    model = with_metadata(tmp_path / "m.onnx", global_statistics="true")
    with pytest.raises(ModelError, match=r"m\.onnx: .*cannot be tiled; use --tile none"):
        Tiling(model.network, 5).translate(noise(9, 9, 3))


@pytest.mark.parametrize("tile", [0, -1, True, 1.5, "all"])
def test_a_tile_is_a_number_of_pixels(model, tile):
    with pytest.raises(UserError, match="the tile is"):
        Tiling(model("invert").network, tile)


@pytest.mark.parametrize("length", [1, 5, 64, 100, 257])
@pytest.mark.parametrize("multiple", [1, 4, 32])
@pytest.mark.parametrize("overlap", [0, 3, 50])
def test_cores_cover_each_pixel_once_with_the_overlap_around(length, multiple, overlap):
    cut = spans(length, 32, overlap, multiple)
    assert [span.first for span in cut] == [0, *(span.last for span in cut[:-1])]
    assert cut[-1].last == length
    for span in cut:
        assert span.start % multiple == 0
        assert span.stop == length or (span.stop - span.start) % multiple == 0
        assert span.start == 0 or span.first - span.start >= overlap
        assert span.stop == length or span.stop - span.last >= overlap


def test_the_sample_lies_within_the_image_and_spreads():
    boxes = sample_boxes(1000, 300, 128, 12, 4)
    assert {(box[0].stop - box[0].start, box[1].stop - box[1].start) for box in boxes} == {(128, 128)}
    assert 8 <= len(boxes) <= 16
    assert max(box[0].stop for box in boxes) > 990
    assert len(sample_boxes(1, 1, 128, 5, 1)) == 1


def test_moments_of_parts_join_to_those_of_the_whole():
    values = np.random.default_rng(0).normal(1000, 0.1, (6, 4000))
    parts = [values[:, :1500], values[:, 1500:]]
    first, second = (Moments(part.shape[1], part.mean(1), part.var(1)) for part in parts)
    joined = first.joined(second)
    np.testing.assert_allclose(joined.variance, values.var(1), rtol=1e-9)
    grouped = joined.grouped(2)
    np.testing.assert_allclose(grouped.variance, values.reshape(2, -1).var(1), rtol=1e-9)
    np.testing.assert_allclose(grouped.mean, values.reshape(2, -1).mean(1), rtol=1e-12)


def test_receptive_field_of_a_deep_unet_is_measured():
    config = unet.UNetConfig(filters=1, depth=8, norm="none")
    network = unet.build(config, in_channels=1, out_channels=1, size=(256, 256))
    assert receptive_field(Translator(network.eval(), {"image": torch.zeros(1, 1, 32, 32)})) == 1363


def test_bytes_per_pixel_are_those_of_the_activations():
    """Input of 4 bytes a pixel does not count; 8 channels, then 8 more beside them, do."""
    network = nn.Sequential(nn.Conv2d(1, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 1, 1))
    image = torch.rand(1, 1, 32, 32)
    assert bytes_per_pixel(Translator(network, {"image": image}), image) == 2 * 8 * 4


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize("name", ["srresnet", "rrdb", "unet", "resnet"])
def test_full_networks_at_1024(tmp_path, name):
    """Tiled and whole differ by at most 1/255; with instance norm, whose statistics are settled in rounds, by 4/255."""
    networks = {
        "srresnet": lambda: srresnet.build(srresnet.SRResNetConfig(), in_channels=3, out_channels=3, size=(24, 24)),
        "rrdb": lambda: rrdb.build(rrdb.RRDBConfig(), in_channels=3, out_channels=3, size=(24, 24)),
        "unet": lambda: unet.build(unet.UNetConfig(), in_channels=3, out_channels=3, size=(256, 256)),
        "resnet": lambda: resnet.build(resnet.ResNetConfig(), in_channels=3, out_channels=3, size=(256, 256)),
    }
    torch.manual_seed(0)
    side = 256 if name in ("unet", "resnet") else 48
    path = tmp_path / "m.onnx"
    write_onnx(path, Translator(networks[name]().eval(), {"image": torch.rand(1, 3, side, side) * 2 - 1}), "uint8", {})
    cv2 = pytest.importorskip("cv2")
    photos = sorted((DATA / "photos").glob("*.jpg"))
    if not photos:
        pytest.skip("no photos")
    image = cv2.resize(cv2.imread(str(photos[0])), (1024, 1024), interpolation=cv2.INTER_AREA)
    assert difference(load(path, device="cpu"), image, 256) <= (4 if name == "resnet" else 1)


def test_translating_needs_no_onnx_until_statistics_do():
    code = "import sys, i2i.translate.tiles.tiling; assert 'onnx' not in sys.modules, 'onnx is loaded'"
    import subprocess

    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)
