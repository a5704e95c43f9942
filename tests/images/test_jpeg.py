"""JPEG is decoded once, as Pillow decodes it, and nothing that is missing is filled up."""

import io
import itertools
import re

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageCms

from helpers.image_files import noise, refusal, saved, smooth, swapped_profile
from i2i.errors import DataError, ErrorKind
from i2i.images import image_info, read_image

END = b"\xff\xd9"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def by_pillow(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.atleast_3d(np.asarray(image.convert("RGB") if image.mode == "CMYK" else image))


def segments(data):
    """Marker and position of each segment before the first scan, and the position of the scan."""
    found, at = [], 2
    while data[at + 1] != 0xDA:
        found.append((data[at + 1], at))
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return found, at


def scans(data):
    """Where the scans of a progressive file begin, and the end marker."""
    return [found.start() for found in re.finditer(b"\xff[\xda\xd9]", data)]


def kind_of(path):
    with pytest.raises(DataError) as caught:
        read_image(path)
    return caught.value.kind


@pytest.fixture
def never_twice(monkeypatch):
    """Fails where Pillow decodes."""
    monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.load", lambda *_: pytest.fail("decoded by Pillow"))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"subsampling": 0}, {"subsampling": 1}, {"restart_marker_blocks": 1}, {"quality": 5}],
    ids=str,
)
@pytest.mark.parametrize("shape", [(1, 1), (9, 17), (60, 80)])
def test_pixels_are_those_of_pillow(stored, mode, options, shape):
    pixels = noise(*shape, len(Image.new(mode, (1, 1)).getbands()))
    image = Image.frombytes(mode, shape[::-1], pixels.tobytes())
    data = saved(image, "JPEG", **(options if mode == "RGB" else options | {"subsampling": -1}))
    assert np.array_equal(read_image(stored(data)).pixels, by_pillow(data))


@pytest.mark.parametrize("profile", [None, SRGB], ids=["plain", "sRGB"])
def test_a_whole_file_is_decoded_once(stored, never_twice, profile):
    data = saved(Image.fromarray(smooth()), "JPEG", icc_profile=profile)
    picture = read_image(stored(data), exif=True)
    assert np.array_equal(picture.pixels, simplejpeg.decode_jpeg(data))
    assert picture.icc == profile


def test_a_profile_is_applied_to_what_is_decoded_once(stored, never_twice):
    plain, swapped = (saved(Image.fromarray(smooth()), "JPEG", icc_profile=icc) for icc in (None, swapped_profile()))
    difference = read_image(stored(swapped)).pixels[..., [1, 0, 2]].astype(int) - read_image(stored(plain)).pixels
    assert np.abs(difference).max() <= 2


def test_what_does_no_harm_is_accepted_with_the_same_pixels(stored):
    data = saved(Image.fromarray(noise(60, 80, 3)), "JPEG", quality=90)
    whole, (found, scan) = read_image(stored(data)).pixels, segments(data)
    last = found[-1][1]
    for changed in (
        data[:last] + b"\x12\x34" + data[last:],  # bytes between segments, as some cameras leave
        data[:last] + b"\xff\xff\xff" + data[last:],  # fill bytes
        data[:scan] + b"\xff\xfe\0\7hello" + data[scan:],  # a comment
        data[:scan] + b"\xff\xe2\0\x18ICC_PROFILE\0\1\2nonsense" + data[scan:],  # one of two parts of a profile
        data[:2] + data[found[1][1] :],  # no APP0
        data[:-2] + b"\0" * 8 + END,
        data[:-2] + b"\xff\xff\xff" + END,
        data + b"anything",
        data + data,
    ):
        assert np.array_equal(read_image(stored(changed)).pixels, whole)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}], ids=str)
def test_a_cut_is_found_in_the_last_bytes_too(stored, options):
    data = saved(Image.fromarray(noise(60, 80, 3)), "JPEG", **options)
    whole = read_image(stored(data)).pixels
    for cut in range(3, 12):
        for end in (b"", END):
            try:  # the last bits of a file may say nothing
                assert np.array_equal(read_image(stored(data[:-cut].rstrip(b"\xff") + end)).pixels, whole)
            except DataError as error:
                assert error.kind is ErrorKind.CUT_OFF


def test_any_scan_that_a_progressive_file_lacks_is_missed(stored):
    for mode in ("L", "RGB", "CMYK"):
        image = Image.fromarray(noise(40, 50, 4)).convert("RGB").convert(mode)
        data = saved(image, "JPEG", progressive=True)
        starts = scans(data)
        assert len(starts) > 5
        for start, following in itertools.pairwise(starts):
            assert kind_of(stored(data[:start] + data[following:])) is ErrorKind.CUT_OFF


def test_a_sampling_that_simplejpeg_does_not_know_is_read(stored):
    data = bytearray(saved(Image.fromarray(noise(48, 48, 3)), "JPEG", subsampling=2))
    [frame] = [at for marker, at in segments(data)[0] if marker == 0xC0]
    data[frame + 11] = 0x13  # one across, three down: fewer blocks than the data hold, but none is missing
    with pytest.raises(ValueError, match="subsampling"):
        simplejpeg.decode_jpeg(bytes(data))
    assert np.array_equal(read_image(stored(bytes(data))).pixels, by_pillow(bytes(data)))


def test_a_cut_in_the_header_is_a_cut(stored):
    data = saved(Image.fromarray(noise(16, 16, 3)), "JPEG")
    for at in (4, 30, 200, segments(data)[1]):
        assert kind_of(stored(data[:at])) is ErrorKind.CUT_OFF
    assert image_info(stored(data)).width == 16
    assert "cut off" in refusal(stored(data[:200]))
