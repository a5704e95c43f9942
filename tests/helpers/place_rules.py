"""Checks of the rules of docs/translate.md about places and descriptions of TIFFs; `test_rules.py` runs them."""

import io

import numpy as np
import tifffile

from helpers.small_models import noise

DEEP = noise(6, 8, 3, dtype=np.uint16)
PLACE = [(33550, 12, 3, (10.0, 20.0, 0.0), True), (33922, 12, 6, (0.0, 0.0, 0.0, 5e5, 5.6e6, 0.0), True)]
PLACE += [(42113, 2, 6, b"-9999\0", True)]


def tiff(**options):
    file = io.BytesIO()
    tifffile.imwrite(file, DEEP, **({"photometric": "rgb", "metadata": None} | options))
    return file.getvalue()


def tags(tried):
    with tifffile.TiffFile(tried.file) as file:
        return {tag.code: tag.value for tag in file.pages[0].tags.values()}


def places_are_kept_and_scaled(tried):
    data = tiff(extratags=PLACE, resolution=(300, 150), resolutionunit="INCH")
    kept = tags(tried("in.tif", data, graph="double", value_type="float32"))
    assert kept[33550] == (5, 10, 0)
    assert kept[33922] == (0, 0, 0, 5e5, 5.6e6, 0)
    assert kept[42113] == "-9999"
    assert (kept[282][0] / kept[282][1], kept[283][0] / kept[283][1]) == (600, 300)
    assert not tried.result.note


def lost_places_are_told(tried):
    tried("in.tif", tiff(extratags=[*PLACE, (274, 3, 1, 6, True)]), value_type="float32")
    assert "GeoTIFF tags are not kept" in tried.result.note
    entries = {"i2i.source_type": "uint8", "i2i.target_type": "uint16", "i2i.target_range": "[500, 10000]"}
    kept = tags(tried("in.tif", tiff(extratags=PLACE), value_type="float32", entries=entries))
    assert "GDAL metadata and no-data value are not kept, as the result has other units" in tried.result.note
    assert 42113 not in kept
    assert 33550 in kept
    tried("in.jpg", tiff(extratags=PLACE), value_type="float32")
    assert "GeoTIFF tags cannot be kept in .png" in tried.result.note


def descriptions_that_hold_are_kept(tried):
    ome = tiff(ome=True, metadata={"axes": "YXS"})
    assert "<OME" in tags(tried("in.tif", ome, value_type="float32"))[270]
    assert not tried.result.note


def descriptions_of_other_pixels_are_told(tried):
    ome = tiff(ome=True, metadata={"axes": "YXS"})
    assert 270 not in tags(tried("in.tif", ome, graph="double", value_type="float32"))
    assert "OME description is not kept" in tried.result.note


CHECKS = {
    "place": {
        "a TIFF keeps them, scaled": places_are_kept_and_scaled,
        "what a turned picture": lost_places_are_told,
    },
    "description": {
        "kept where the output has the same pixels": descriptions_that_hold_are_kept,
        "otherwise left out, with a note": descriptions_of_other_pixels_are_told,
    },
}
"""Row -> beginning of a sentence of its rule -> the check that tries it."""
