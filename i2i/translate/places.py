"""What a TIFF says of its place and size, for the file of its translation; and notes on what cannot be kept."""

from __future__ import annotations

from i2i.images.place import GEO, RPC, VALUES, Place, StoredTag

_DESCRIPTION = 270


def kept_tags(
    place: Place | None, ending: str, scale: int, *, same_pixels: bool, same_units: bool
) -> tuple[dict[int, StoredTag], list[str]]:
    """The tags to write with a translation.

    Args:
        place: what the input says; None: nothing.
        ending: of the output, in lower case with its dot.
        scale: how many times larger the output is.
        same_pixels: whether the output has the size, channels and type of the input, which was of one page.
        same_units: whether the values of the output mean the same as those of the input.

    Returns:
        The tags by number, and a note, without the input's name, on each sort of them that is lost.
    """
    if place is None:
        return {}, []
    geo = any(number in GEO for number in place.tags)
    author = place.described_by if place.described_by != "tifffile" else ""  # which only repeats the array's shape
    if ending not in (".tif", ".tiff"):
        sorts = ["GeoTIFF tags"] * geo + ["resolution"] * place.has_resolution
        sorts += [f"{author} description"] * bool(author)
        return {}, [f"its {' and '.join(sorts)} cannot be kept in {ending}"] if sorts else []
    tags, notes = place.of_larger(scale), list[str]()
    if not same_units and any(number in place.tags for number in VALUES):
        tags = {number: tag for number, tag in tags.items() if number not in VALUES}
        notes.append("its GDAL metadata and no-data value are not kept, as the result has other units")
    if geo and place.turned:
        notes.append("its GeoTIFF tags are not kept, as the picture was turned upright")
    else:
        lost = [number for number in place.tags if number in GEO and number not in (*tags, *VALUES)]
        if RPC in lost:
            notes.append("its rational polynomials (tag 50844) are not kept, as the result is larger")
        notes += [f"its tag {one} is not kept, as it has not the numbers of GeoTIFF" for one in lost if one != RPC]
    if place.description is not None and same_pixels and not place.turned:
        tags[_DESCRIPTION] = place.description
    elif author:
        notes.append(f"its {author} description is not kept, as it describes other pixels")
    return tags, notes
