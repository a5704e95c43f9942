"""Where a TIFF's picture lies, and how large it is, stays with its translation, or a note says that it does not."""

import numpy as np
import pytest
import tifffile

from helpers.small_models import make_model, metadata_of
from i2i.images import write_image
from i2i.translate import load, translate_folder

KEYS = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633)  # projected, areas, UTM 33N
NODATA, GDAL = b"-9999\0", '<GDALMetadata><Item name="unit">\u00b5m</Item></GDALMetadata>\0'.encode()
POINTS = (2.0, 3.0, 0.0, 500_000.0, 5_600_000.0, 0.0)
SCALE = (10.0, 20.0, 0.0)
MATRIX = (10.0, 0.5, 0, 500_000, 0.25, -20, 0, 5_600_000, 0, 0, 0, 0, 0, 0, 0, 1)
BY_POINTS = [(33550, 12, 3, SCALE), (33922, 12, 6, POINTS)]
BY_MATRIX = [(34264, 12, 16, MATRIX)]
SHARED = [(34735, 3, len(KEYS), KEYS), (34737, 2, 4, b"UTM\0"), (42112, 2, len(GDAL), GDAL), (42113, 2, 6, NODATA)]


def picture(path, tags, keys=KEYS, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    shared = [(34735, 3, len(keys), keys), *SHARED[1:]]
    pixels = np.random.default_rng(0).integers(0, 256, (12, 14, 3), np.uint8)
    options = {"metadata": None} | options
    tifffile.imwrite(path, pixels, photometric="rgb", extratags=[(*tag, True) for tag in [*tags, *shared]], **options)
    return path


def tags_of(path):
    with tifffile.TiffFile(path) as file:
        return {tag.code: tag.value for tag in file.pages[0].tags.values()}


def place_of(tags, column, row):
    """Coordinates of a point of the raster, in the convention of the file, by GeoTIFF 1.1, section 7.1."""
    if 34264 in tags:
        return (np.reshape(tags[34264], (4, 4)) @ [column, row, 0, 1])[:2]
    (i, j, _, x, y, _), (across, down, _) = tags[33922], tags[33550]
    return np.array([x + (column - i) * across, y - (row - j) * down])


def translated(model, path, out, **options):
    (result,) = translate_folder(model, path, out, **options)
    assert result.status == "written", result.reason
    return result


@pytest.mark.parametrize("where", [BY_POINTS, BY_MATRIX], ids=["points", "matrix"])
def test_the_place_is_kept_byte_for_byte_where_the_size_is(model, tmp_path, where):
    source = picture(tmp_path / "a.tif", where)
    result = translated(model("invert"), source, tmp_path / "out")
    before, after = tags_of(source), tags_of(result.output)
    for code in (33550, 33922, 34264, 34735, 34737, 42112, 42113):
        assert after.get(code) == before.get(code), code
    assert not result.note


@pytest.mark.parametrize("where", [BY_POINTS, BY_MATRIX], ids=["points", "matrix"])
@pytest.mark.parametrize("is_point", [False, True])
def test_every_pixel_of_an_enlarged_image_lies_where_it_should(model, tmp_path, where, is_point):
    keys = (*KEYS[:11], 2, *KEYS[12:]) if is_point else KEYS
    source = picture(tmp_path / "a.tif", where, keys)
    result = translated(model("double"), source, tmp_path / "out")
    before, after = tags_of(source), tags_of(result.output)
    centre = 0 if is_point else 0.5  # of the first pixel, in the convention of the file
    for column, row in ((0, 0), (5, 2), (13, 11)):
        small = place_of(before, column + centre, row + centre)
        block = [place_of(after, 2 * column + c + centre, 2 * row + r + centre) for c in (0, 1) for r in (0, 1)]
        assert np.allclose(np.mean(block, axis=0), small, rtol=0, atol=1e-6)
    for code in (34735, 34737, 42112, 42113):
        assert after[code] == before[code], code


@pytest.mark.parametrize(("graph", "times"), [("invert", 1), ("double", 2)])
def test_the_resolution_is_kept_and_grows_with_the_image(model, tmp_path, graph, times):
    source = picture(tmp_path / "a.tif", [], resolution=((3000, 7), (250, 1)), resolutionunit="CENTIMETER")
    after = tags_of(translated(model(graph), source, tmp_path / "out").output)
    assert after[282][0] / after[282][1] == pytest.approx(3000 / 7 * times)
    assert after[283][0] / after[283][1] == 250 * times
    assert after[296] == 3


def test_what_another_format_cannot_hold_is_told(model, tmp_path):
    path = tmp_path / "in" / "a.tif"
    picture(path, BY_POINTS)
    path.rename(path.with_suffix(".jpg"))  # the content decides: the output becomes a PNG
    result = translated(model("invert"), path.with_suffix(".jpg"), tmp_path / "out")
    assert result.output.suffix == ".png"
    assert "its GeoTIFF tags cannot be kept in .png" in result.note


def test_a_turned_picture_loses_its_place_with_a_note(model, tmp_path):
    source = picture(tmp_path / "a.tif", [*BY_POINTS, (274, 3, 1, 6)])
    result = translated(model("invert"), source, tmp_path / "out")
    assert "its GeoTIFF tags are not kept, as the picture was turned upright" in result.note
    assert not tags_of(result.output).keys() & {33550, 33922, 34735}


@pytest.mark.parametrize("keep_metadata", [False, True])
def test_a_description_of_the_pixels_is_kept_only_where_it_still_holds(model, tmp_path, keep_metadata):
    source = picture(tmp_path / "a.tif", [], ome=True, metadata={"axes": "YXS"})
    same = translated(model("invert"), source, tmp_path / "same", keep_metadata=keep_metadata)
    assert tags_of(same.output)[270] == tags_of(source)[270]
    with tifffile.TiffFile(same.output) as file:
        assert file.is_ome
        assert file.asarray().shape == (12, 14, 3)
    assert not same.note
    larger = translated(model("double"), source, tmp_path / "larger", keep_metadata=keep_metadata)
    assert 270 not in tags_of(larger.output)
    assert "its OME description is not kept, as it describes other pixels" in larger.note


def test_a_file_without_any_of_it_gets_none(model, tmp_path):
    write_image(tmp_path / "a.tif", np.zeros((4, 5, 3), np.uint8))
    result = translated(model("double"), tmp_path / "a.tif", tmp_path / "out")
    assert not result.note
    assert not tags_of(result.output).keys() & {270, 282, 283, 296, 33550, 33922, 34735}


@pytest.mark.parametrize(
    "tag",
    [(33550, 12, 4, (*SCALE, 1.0)), (33550, 2, 4, b"ten\0"), (33922, 2, 4, b"far\0"), (34264, 12, 3, SCALE)],
    ids=["four numbers", "text", "points as text", "a part of a matrix"],
)
def test_a_place_that_is_none_is_left_out_with_a_note(model, tmp_path, tag):
    source = picture(tmp_path / "a.tif", [tag])
    result = translated(model("double"), source, tmp_path / "out")
    assert tag[0] not in tags_of(result.output)
    assert f"its tag {tag[0]} is not kept, as it has not the numbers of GeoTIFF" in result.note
    assert not translated(model("invert"), source, tmp_path / "same").note  # it is as it was


def test_what_gdal_says_of_values_goes_where_the_result_has_other_units(tmp_path):
    metadata = metadata_of("identity", "float32", []) | {"i2i.source_type": "uint8", "i2i.target_type": "uint16"}
    metadata |= {"i2i.target_range": "[500, 10000]"}
    model = make_model(tmp_path / "m.onnx", "identity", "float32", metadata=metadata)
    source = picture(tmp_path / "a.tif", BY_POINTS)
    result = translated(load(model), source, tmp_path / "out")
    kept = tags_of(result.output)
    assert kept[33550] == SCALE
    assert not {42112, 42113} & kept.keys()
    assert "its GDAL metadata and no-data value are not kept, as the result has other units" in result.note


def test_a_description_of_planes_goes_where_the_result_has_none(model, tmp_path):
    planes = np.random.default_rng(0).integers(0, 256, (3, 12, 14), np.uint8)
    for name, options in (("shaped", {}), ("ome", {"ome": True, "metadata": {"axes": "SYX"}})):
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate", **options)
        result = translated(model("invert"), path, tmp_path / "out")
        assert 270 not in tags_of(result.output)
        assert ("OME description is not kept" in result.note) == (name == "ome")
