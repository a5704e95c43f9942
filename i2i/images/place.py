"""What a TIFF says of its picture beside the pixels: where it lies on the earth, how large it is, how it was taken.

The tags are those of GeoTIFF 1.1 (OGC 19-008r4), of GDAL, the resolution of TIFF 6.0, and texts of OME or ImageJ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

RESOLUTION = (282, 283, 296)
"""Numbers of the tags of the resolution: pixels across and down a unit, and which unit."""
PIXEL_SCALE, TIE_POINTS, TRANSFORMATION, KEYS, RPC = 33550, 33922, 34264, 34735, 50844
"""Numbers of the tags that say which pixel lies where, of the GeoTIFF keys, and of rational polynomials."""
VALUES = (42112, 42113)
"""Numbers of GDAL's tags about what the values mean: its metadata, such as scale and unit, and the no-data value."""
GEO = (PIXEL_SCALE, TIE_POINTS, TRANSFORMATION, KEYS, 34736, 34737, *VALUES, RPC)
"""Numbers of the tags about the place on the earth, and of GDAL's."""
_COUNTS = {PIXEL_SCALE: 3, TIE_POINTS: 6, TRANSFORMATION: 16}
"""How many numbers such a tag has; of tie points a multiple."""
_RASTER_TYPE, _IS_POINT = 1025, 2  # GeoTIFF's key and its value where places are those of pixel centres

Values = tuple[int | float, ...] | bytes


@dataclass(frozen=True)
class StoredTag:
    """A tag of a TIFF.

    Attributes:
        kind: number of its type in TIFF 6.0.
        values: numbers, a rational as two of them; text and bytes as they are stored.
    """

    kind: int
    values: Values


@dataclass(frozen=True)
class Place:
    """The tags of a picture.

    Attributes:
        tags: by number: those of `GEO` and `RESOLUTION`.
        description: text that describes the stored pixels, such as OME's XML; None where there is none of that kind.
        described_by: who writes such a description: ``OME``, ``ImageJ`` or ``tifffile``; empty without.
        orientation: number of EXIF's orientation tag, by which pixels were turned upright.
    """

    tags: Mapping[int, StoredTag]
    description: StoredTag | None = None
    described_by: str = ""
    orientation: int = 1

    @property
    def turned(self) -> bool:
        """Whether pixels were turned or mirrored, so that places no longer hold."""
        return self.orientation != 1

    @property
    def has_resolution(self) -> bool:
        """Whether the resolution has a unit, and so says how large the picture is."""
        unit = self.tags.get(296)
        return 282 in self.tags and (unit is None or unit.values[0] != 1)

    def of_larger(self, scale: int) -> dict[int, StoredTag]:
        """The tags for an image that is that many times as large, and shows the same.

        Tags that do not hold for it are left out: of a turned picture those about places, of a larger one rational
        polynomials, and places that are not the numbers that GeoTIFF asks for.
        """
        kept = {number: tag for number, tag in self.tags.items() if not (self.turned and number in GEO)}
        if self.orientation > 4 and 282 in kept and 283 in kept:
            kept[282], kept[283] = kept[283], kept[282]
        if scale == 1:
            return kept
        kept.pop(RPC, None)
        changes = {PIXEL_SCALE: _smaller_pixels, TIE_POINTS: _moved_points, TRANSFORMATION: _composed}
        for number, change in changes.items():
            values = kept[number].values if number in kept else b""
            if not isinstance(values, bytes) and len(values) >= _COUNTS[number] and len(values) % _COUNTS[number] == 0:
                changed = change(np.asarray(values, np.float64), scale, self._is_point)
                kept[number] = StoredTag(12, tuple(changed.ravel().tolist()))
            else:
                kept.pop(number, None)
        for number in (282, 283):
            if number in kept and len(kept[number].values) == 2:
                above, below = kept[number].values
                kept[number] = StoredTag(5, (int(above) * scale, int(below)))
        return kept

    @property
    def _is_point(self) -> bool:
        """Whether places are those of pixel centres, not of their upper left corners."""
        keys = self.tags.get(KEYS)
        numbers = keys.values if keys else ()
        entries = [tuple(numbers[at : at + 4]) for at in range(4, len(numbers) - 3, 4)]
        return any(entry[0] == _RASTER_TYPE and entry[3] == _IS_POINT for entry in entries)


def _smaller_pixels(values: np.ndarray, scale: int, is_point: bool) -> np.ndarray:
    return values[:3] / np.array([scale, scale, 1])


def _moved_points(values: np.ndarray, scale: int, is_point: bool) -> np.ndarray:
    """Tie points (column, row, layer, x, y, z): corner (c, r) becomes (s c, s r); a centre lies (s - 1) / 2 further."""
    points = values.reshape(-1, 6).copy()
    points[:, :2] = points[:, :2] * scale + _shift(scale, is_point)
    return points


def _composed(values: np.ndarray, scale: int, is_point: bool) -> np.ndarray:
    """The matrix from columns and rows of the larger image to places: first to those of the smaller one."""
    smaller = np.diag([1 / scale, 1 / scale, 1, 1])
    smaller[:2, 3] = -_shift(scale, is_point) / scale
    return values.reshape(4, 4) @ smaller


def _shift(scale: int, is_point: bool) -> float:
    return (scale - 1) / 2 if is_point else 0.0
