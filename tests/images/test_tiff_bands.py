"""All bands of a TIFF are read, whatever wrote it: compared with tifffile, and with the array that was written."""

import itertools

import numpy as np
import pytest
import tifffile

from helpers.image_files import refusal
from helpers.image_writers import any_tiff
from i2i.errors import DataError, ErrorKind
from i2i.images import image_info, read_frames, read_image

BANDS = (1, 2, 3, 4, 5, 13)
SHAPE = (21, 34)


def values(bands, dtype, seed=0):
    """An array ``(H, W, bands)`` of that type in the range that is read."""
    random = np.random.default_rng((seed, bands)).random((*SHAPE, bands))
    if np.dtype(dtype).kind == "f":
        return random.astype(dtype)
    return (random * min(np.iinfo(dtype).max, 65535)).astype(dtype)


def read_type(dtype):
    kind = np.dtype(dtype)
    return np.dtype(np.float32 if kind.kind == "f" else np.uint8 if kind.itemsize == 1 else np.uint16)


def by_tifffile(path, bands):
    """The first series of the file as ``(H, W, bands)``, in the type that i2i reads."""
    array = tifffile.imread(path)
    array = array.reshape(bands, *SHAPE).transpose(1, 2, 0) if array.shape[0] == bands != SHAPE[0] else array
    return array.reshape(*SHAPE, bands).astype(read_type(array.dtype))


def check(path, bands, expected):
    picture = read_image(path)
    assert picture.pixels.dtype == expected.dtype
    assert np.array_equal(picture.pixels, expected)
    assert picture.alpha is None
    info = image_info(path)
    assert (info.height, info.width, info.channels, info.bits) == (*SHAPE, bands, expected.dtype.itemsize * 8)


WRITTEN = {
    f"{bands}-{np.dtype(dtype).name}-{layout}": (bands, dtype, options)
    for bands, dtype, (layout, options) in itertools.product(
        BANDS,
        (np.uint8, np.uint16, np.float16, np.float32),
        {
            "interleaved": {},
            "planar": {"planarconfig": "separate"},
            "planar-tiles": {"planarconfig": "separate", "tile": (16, 16)},
            "tiles-big-endian": {"tile": (16, 32), "byteorder": ">"},
            "strips-deflate": {"rowsperstrip": 5, "compression": "zlib"},
            "big-deflate-planar": {"bigtiff": True, "compression": "zlib", "planarconfig": "separate"},
        }.items(),
    )
    if bands > 1 or "planarconfig" not in options
}


@pytest.mark.parametrize("name", WRITTEN)
def test_bands_that_tifffile_writes_are_read(tmp_path, name):
    bands, dtype, options = WRITTEN[name]
    array, path = values(bands, dtype), tmp_path / "a.tif"
    if options.get("planarconfig") and bands > 1:
        array = array.transpose(2, 0, 1)
    tifffile.imwrite(path, array if bands > 1 else array[..., 0], photometric="minisblack", **{
        "planarconfig": "contig" if bands > 1 else None, **options,
    })  # fmt: skip
    check(path, bands, by_tifffile(path, bands))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("bands", [3, 4, 5, 7])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_rgb_with_further_bands_keeps_them(tmp_path, dtype, bands, planar):
    array, path = values(bands, dtype), tmp_path / "a.tif"
    stored = array if planar == "contig" else array.transpose(2, 0, 1)
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planar, extrasamples=[0] * (bands - 3))
    check(path, bands, by_tifffile(path, bands))


PACKED = {
    f"{bands}-{np.dtype(dtype).name}-{packing}-predictor-{predictor}-{order}-{layout}": (
        bands,
        dtype,
        {"compression": packing, "predictor": predictor, "order": order} | options,
    )
    for bands, dtype, (packing, predictor), order, (layout, options) in itertools.product(
        (5,),
        (np.uint8, np.uint16, np.float32, np.uint32),
        ((1, 1), (8, 2), (32946, 1), (32773, 1), (8, 3)),
        "<>",
        {"strips": {"rows": 5}, "tiles": {"tile": (16, 16)}, "planar": {"planar": True, "rows": 7}}.items(),
    )
    if predictor < 3 or dtype == np.float32
}


@pytest.mark.parametrize("name", PACKED)
def test_bands_are_read_in_every_packing(tmp_path, name):
    bands, dtype, options = PACKED[name]
    array, path = values(bands, dtype), tmp_path / "a.tif"
    path.write_bytes(any_tiff([array], photometric=1, **options))
    check(path, bands, array.astype(read_type(dtype)))


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint32, np.int64, np.float64])
@pytest.mark.parametrize("bands", [1, 3, 5])
def test_values_of_other_types_are_read_where_they_fit(tmp_path, dtype, bands):
    array, path = values(bands, dtype), tmp_path / "a.tif"
    path.write_bytes(any_tiff([array], photometric=1))
    check(path, bands, array.astype(read_type(dtype)))


@pytest.mark.parametrize(("dtype", "value"), [(np.int16, -9999), (np.int32, 70_000), (np.uint32, 2**31), (np.int8, -1)])
def test_integers_that_do_not_fit_are_refused_with_their_range(tmp_path, dtype, value):
    array, path = values(2, dtype), tmp_path / "a.tif"
    array[3, 4, 1] = value
    path.write_bytes(any_tiff([array], photometric=1))
    with pytest.raises(DataError, match=str(value)) as caught:
        read_image(path)
    assert caught.value.kind is ErrorKind.OUT_OF_RANGE


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("extra", [(2,), (0, 2), (2, 0), (0, 0, 2)])
def test_alpha_is_the_channel_that_the_file_says_is_alpha(tmp_path, dtype, colours, extra):
    array, path = values(colours + len(extra), dtype), tmp_path / "a.tif"
    photometric = "rgb" if colours == 3 else "minisblack"
    tifffile.imwrite(path, array, photometric=photometric, planarconfig="contig", extrasamples=extra)
    picture, place = read_image(path), colours + extra.index(2)
    assert np.array_equal(picture.alpha, array[..., place])
    assert np.array_equal(picture.pixels, np.delete(array, place, axis=2))


@pytest.mark.parametrize("orientation", [3, 6])
def test_bands_are_turned_upright(tmp_path, orientation):
    array, path = values(5, np.uint16), tmp_path / "a.tif"
    path.write_bytes(any_tiff([array], photometric=1, orientation=orientation))
    assert np.array_equal(read_image(path).pixels, np.rot90(array, {3: 2, 6: -1}[orientation]))
    info = image_info(path)
    assert (info.height, info.width) == ((21, 34) if orientation == 3 else (34, 21))


@pytest.mark.parametrize("kind", ["imagej", "ome", "plain"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_pages_are_frames_one_for_each_channel(tmp_path, kind, dtype):
    array, path = values(5, dtype).transpose(2, 0, 1), tmp_path / "a.tif"
    options = {
        "imagej": {"imagej": True, "metadata": {"axes": "CYX"}},
        "ome": {"ome": True, "metadata": {"axes": "CYX"}},
    }
    tifffile.imwrite(path, array, photometric="minisblack", **options.get(kind, {}))
    frames = list(read_frames(path))
    assert [frame.frames for frame in frames] == [5] * 5
    assert np.array_equal(np.stack([frame.pixels[..., 0] for frame in frames]), tifffile.imread(path))


@pytest.mark.parametrize("packing", [7, 34712, 50001])
def test_bands_in_a_packing_that_is_not_read_are_refused_in_our_words(tmp_path, packing):
    path = tmp_path / "a.tif"
    data = bytearray(any_tiff([values(5, np.uint8)], photometric=1))
    entry = (259).to_bytes(2, "little") + b"\3\0\1\0\0\0"
    at = data.index(entry) + len(entry)
    data[at : at + 2] = packing.to_bytes(2, "little")
    path.write_bytes(bytes(data))
    assert "5 channels of 8 bits" in refusal(path)
    assert "not read" in refusal(path)


@pytest.mark.parametrize(("bands", "bits", "photometric"), [(2, 4, 1), (3, 1, 2), (5, 2, 1), (2, 8, 3), (6, 8, 5)])
def test_bands_of_a_kind_that_is_not_read_are_refused_in_our_words(tmp_path, bands, bits, photometric):
    path = tmp_path / "a.tif"
    path.write_bytes(any_tiff([values(bands, np.uint8) >> (8 - bits)], bits=bits, photometric=photometric))
    reason = refusal(path)
    assert f"{bands} channels of {bits} bits" in reason
    assert "not read" in reason


def test_more_values_than_the_limit_are_refused_before_they_are_decoded(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(any_tiff([values(40, np.uint8)], photometric=1))
    with pytest.raises(DataError, match="limit") as caught:
        read_image(path, max_pixels=SHAPE[0] * SHAPE[1])
    assert caught.value.kind is ErrorKind.TOO_LARGE
    assert read_image(path, max_pixels=3 * SHAPE[0] * SHAPE[1]).pixels.shape == (*SHAPE, 40)


@pytest.mark.parametrize(("bands", "asked"), [(4, 3), (4, 1), (2, 3), (5, 4), (3, 5)])
def test_bands_are_not_converted_to_other_numbers_of_channels(tmp_path, bands, asked):
    path = tmp_path / "a.tif"
    path.write_bytes(any_tiff([values(bands, np.uint16)], photometric=1))
    with pytest.raises(DataError, match=f"{bands} bands, and {asked} are needed") as caught:
        read_image(path, channels=asked)
    assert caught.value.kind is ErrorKind.CHANNELS
    assert read_image(path, channels=bands).pixels.shape == (*SHAPE, bands)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("extra", [(2,), (0,), (0, 2)])
def test_only_colours_are_inverted_where_white_is_zero(tmp_path, dtype, extra):
    array, path = values(1 + len(extra), dtype), tmp_path / "a.tif"
    tifffile.imwrite(path, array, photometric="miniswhite", planarconfig="contig", extrasamples=extra)
    picture = read_image(path)
    expected = np.dstack([np.iinfo(dtype).max - array[..., :1], array[..., 1:]])
    if 2 in extra:
        assert np.array_equal(picture.alpha, expected[..., -1])
        expected = expected[..., :-1]
    assert np.array_equal(picture.pixels, expected)


def test_a_spot_colour_beside_cmyk_is_refused(tmp_path):
    array, path = values(5, np.uint8), tmp_path / "a.tif"
    tifffile.imwrite(path, array, photometric="separated", planarconfig="contig", extrasamples=(0,))
    with pytest.raises(DataError, match="TIFF with 5 channels of 8 bits") as caught:
        read_image(path)
    assert caught.value.kind is ErrorKind.UNSUPPORTED


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_grey_and_alpha_in_planes_of_their_own_are_read(tmp_path, dtype):
    array, path = values(2, dtype), tmp_path / "a.tif"
    planes = array.transpose(2, 0, 1)
    tifffile.imwrite(path, planes, photometric="minisblack", planarconfig="separate", extrasamples=[2])
    picture = read_image(path)
    assert np.array_equal(picture.pixels, array[..., :1])
    assert np.array_equal(picture.alpha, array[..., 1])
