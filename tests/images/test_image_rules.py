"""What reading image files promises beyond pixels: EXIF, alpha, completeness of JPEG, range of floats."""

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from helpers.image_files import FILES, noise, png, refusal, saved, smooth, tiff
from i2i.errors import DataError
from i2i.images import apply_alpha, read_image


def test_exif_is_handed_out_fit_for_an_upright_image(stored):
    image = Image.fromarray(noise(40, 50, 3))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    exif.get_ifd(0x8769).update({0xA002: 50, 0xA003: 40, 0x9003: "2020:01:02 03:04:05"})
    exif.get_ifd(0x8825).update({1: "N", 2: (1.0, 2.0, 3.0)})
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[0x010F], tags[0x8769], tags[0x8825] = "Maker", exif.get_ifd(0x8769), exif.get_ifd(0x8825)
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF"):
        options = {"tiffinfo": tags} if kind == "TIFF" else {"exif": exif}
        path = stored(saved(image, kind, **options))
        assert read_image(path).exif is None
        kept = Image.Exif()
        kept.load(read_image(path, exif=True).exif)
        assert kept[0x010F] == "Maker"
        assert 0x0112 not in kept
        assert kept.get_ifd(0x8769) == {0x9003: "2020:01:02 03:04:05"}
        assert kept.get_ifd(0x8825)[1] == "N"
        assert not kept.get_ifd(1)
    assert read_image(stored(saved(image, "PNG")), exif=True).exif is None


def test_exif_that_is_broken_costs_nothing_but_itself(stored):
    for block in (b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"):
        path = stored(saved(Image.fromarray(smooth()), "JPEG", exif=block))
        assert read_image(path, exif=True).pixels.shape == (60, 80, 3)


def test_alpha_is_kept_dropped_or_blended():
    for dtype, full in ((np.uint8, 255), (np.uint16, 65535), (np.float32, 1.0)):
        pixels, alpha = noise(4, 5, 3, dtype=dtype), noise(4, 5, dtype=dtype, seed=1)
        assert apply_alpha(pixels, alpha, "keep") == (pixels, alpha)
        assert apply_alpha(pixels, alpha, "drop") == (pixels, None)
        assert apply_alpha(pixels, None, "white") == (pixels, None)
        share = alpha[..., None] / np.float64(full)
        for rule, background in (("white", full), ("black", 0)):
            blended, rest = apply_alpha(pixels, alpha, rule)
            assert rest is None
            assert blended.dtype == dtype
            tolerance = 1e-6 if dtype == np.float32 else 0.51
            assert np.abs(blended - (share * pixels + (1 - share) * background)).max() <= tolerance


def test_a_jpeg_is_refused_when_data_are_missing_before_an_end_marker(stored):
    for options in ({}, {"progressive": True}, {"restart_marker_blocks": 2}):
        data = saved(Image.fromarray(noise(40, 50, 3)), "JPEG", **options)
        for share in (0.5, 0.7, 0.9, 0.98):
            start = data[: int(len(data) * share)].rstrip(b"\xff")
            assert "cut off" in refusal(stored(start + b"\xff\xd9"))


def test_a_jpeg_whose_last_blocks_are_of_one_colour_is_whole(stored):
    pixels = noise(64, 64, 3)
    pixels[20:] = 255
    for options in ({}, {"progressive": True}, {"optimize": True}, {"restart_marker_blocks": 1}):
        assert read_image(stored(saved(Image.fromarray(pixels), "JPEG", **options))).pixels.shape == (64, 64, 3)


def test_floats_beyond_their_range_are_refused_with_the_range(stored):
    near = np.array([[-0.0005, 1.0005]], np.float32)[..., None]
    assert np.array_equal(read_image(stored(tiff(near))).pixels, near)
    assert "from 0 to 255" in refusal(stored(tiff(np.array([[0, 255]], np.float32)[..., None])))


def deep_png(pixels):
    return png(pixels, 2)


ENDS = {"png": b"\0\0\0\0IEND\xaeB`\x82", "gif": b"\0;", "jpg": b"\xff\xd9", "jpeg": b"\xff\xd9"}
WHOLE = {name: saved(Image.fromarray(noise(40, 50, 3)), kind, **options) for name, (kind, options) in FILES.items()}
WHOLE |= {
    f"16.{name}": encode(noise(20, 30, 3, dtype=np.uint16)) for name, encode in (("png", deep_png), ("tif", tiff))
}
WHOLE["float.tif"] = tiff(noise(20, 30, 3, dtype=np.float32))


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_accepted_of_a_cut_file_is_the_whole_image(stored, tmp_path, name):
    data = WHOLE[name]
    whole, path = read_image(stored(data)).pixels, tmp_path / "cut"
    refused = 0
    for at in np.linspace(1, len(data) - 1, 40).astype(int):
        for end in {b"", ENDS.get(name.rpartition(".")[2], b"")}:
            path.write_bytes(data[:at].rstrip(b"\xff") + end)
            try:
                assert np.array_equal(read_image(path).pixels, whole)
            except DataError:
                refused += 1
    assert refused >= 38
