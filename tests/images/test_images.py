"""What reading image files promises."""

import io
import os
import socket
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from helpers.image_files import FILES, chunk, noise, png, refusal, saved, smooth, swapped_profile, tiff
from i2i.errors import DataError
from i2i.images import (
    from_pillow,
    image_info,
    read_image,
    write_image,
)


@pytest.mark.parametrize("name", FILES)
def test_every_format_is_read_and_measured(stored, name):
    kind, options = FILES[name]
    path = stored(saved(Image.fromarray(smooth()), kind, **options), name)
    picture = read_image(path)
    assert picture.pixels.shape == (60, 80, 3)
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.flags.writeable
    assert picture.pixels.flags.c_contiguous
    assert picture.alpha is None
    assert picture.format == kind
    assert np.abs(picture.pixels.astype(int) - smooth()).mean() < 6
    info = image_info(path)
    assert (info.width, info.height, info.channels, info.bits) == (80, 60, 3, 8)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_cut_off_data_is_refused_never_padded(stored, name, share, capfd):
    kind, options = FILES[name]
    data = saved(Image.fromarray(noise(60, 80, 3)), kind, **options)
    refusal(stored(data[: int(len(data) * share)], name))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("cut", [1, 4, 8, 12, 13, 40])
def test_a_png_without_its_last_bytes_is_refused(stored, cut):
    assert "cut off" in refusal(stored(saved(Image.fromarray(smooth()), "PNG")[:-cut]))


@pytest.mark.parametrize("encode", [lambda p: png(p, 2), tiff], ids=["png", "tiff"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.97])
def test_cut_off_16_bit_colour_is_refused(stored, encode, share, capfd):
    data = encode(noise(30, 40, 3, dtype=np.uint16))
    refusal(stored(data[: int(len(data) * share)]))
    assert capfd.readouterr() == ("", "")


def test_cut_off_float_colour_and_npy_are_refused(stored, tmp_path):
    refusal(stored(tiff(noise(30, 40, 3, dtype=np.float32))[:-500]))
    write_image(tmp_path / "a.npy", noise(30, 40, 3))
    refusal(stored((tmp_path / "a.npy").read_bytes()[:-1]))


def test_damaged_data_is_refused_and_nothing_printed(stored, capfd):
    for name, (kind, options) in FILES.items():
        if kind in ("PNG", "TIFF") and name != "tif":
            data = bytearray(saved(Image.fromarray(noise(60, 80, 3)), kind, **options))
            data[600:900] = b"\xff" * 300
            if name != "jpeg.tif":  # JPEG data have no redundancy that would show it
                refusal(stored(bytes(data), name))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied(stored, orientation, kind):
    image = Image.fromarray(smooth())
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"PNG": {}, "JPEG": {"quality": 98}, "TIFF": {}, "WEBP": {"lossless": True}}[kind]
    data = saved(image, kind, exif=exif, **options)
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # Image.Transpose: flips, rotations, transpose, transverse
    upright = np.asarray(image.transpose(Image.Transpose(turn[orientation])) if orientation > 1 else image)
    path = stored(data)
    pixels = read_image(path).pixels
    assert pixels.shape == upright.shape
    assert np.abs(pixels.astype(int) - upright).mean() < 3
    assert (image_info(path).height, image_info(path).width) == upright.shape[:2]
    assert np.array_equal(from_pillow(Image.open(path)).pixels, pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_orientation_of_a_deep_tiff_is_applied_once(stored, orientation, dtype):
    pixels = noise(5, 7, 3, dtype=dtype)
    turns = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: np.rot90(pixels, -1),
        7: pixels[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(pixels),
    }
    path = stored(tiff(pixels, orientation))
    assert np.array_equal(read_image(path).pixels, turns[orientation])
    assert (image_info(path).height, image_info(path).width) == turns[orientation].shape[:2]


def test_orientation_behind_the_data_of_a_png_is_found_without_decoding(stored):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = noise(4, 9, 3)
    path = stored(png(pixels, 2, tail=chunk(b"eXIf", exif.tobytes()[6:])))
    assert (image_info(path).width, image_info(path).height) == (4, 9)
    assert np.array_equal(read_image(path).pixels, np.rot90(pixels, -1))


@pytest.mark.parametrize("value", [0, 9, 77])
def test_an_orientation_that_does_not_exist_is_ignored(stored, value):
    exif = Image.Exif()
    exif[0x0112] = value
    assert read_image(stored(saved(Image.fromarray(smooth()), "PNG", exif=exif))).pixels.shape == (60, 80, 3)


@pytest.mark.parametrize(("channels", "colour_type"), [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_16_bit_png_keeps_every_value(stored, channels, colour_type):
    pixels = noise(20, 30, channels, dtype=np.uint16)
    path = stored(png(pixels, colour_type))
    picture = read_image(path)
    colours = channels - (channels in (2, 4))
    assert np.array_equal(picture.pixels, pixels[..., :colours])
    assert (picture.alpha is None) == (channels in (1, 3))
    if picture.alpha is not None:
        assert np.array_equal(picture.alpha, pixels[..., -1])
    assert image_info(path).bits == 16
    assert image_info(path).channels == {1: 1, 2: 1, 3: 3, 4: 4}[channels]


def test_a_16_bit_png_with_a_transparent_colour(stored):
    pixels = noise(6, 6, 3, dtype=np.uint16)
    path = stored(png(pixels, 2, extra=chunk(b"tRNS", pixels[2, 3].astype(">u2").tobytes())))
    picture = read_image(path)
    assert np.array_equal(picture.pixels, pixels)
    assert picture.alpha[2, 3] == 0
    assert (picture.alpha == 65535).sum() == 35


def test_chunks_that_libraries_warn_about_do_not_show(stored, capfd):
    extra = chunk(b"iCCP", b"broken\0\0" + zlib.compress(b"nonsense")) + chunk(b"tEXt", b"Comment\0" + b"x" * 100)
    pixels = noise(6, 6, 3, dtype=np.uint16)
    assert np.array_equal(read_image(stored(png(pixels, 2, extra=extra))).pixels, pixels)
    assert read_image(stored(png(noise(6, 6, 3), 2, extra=extra))).icc is None
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_deep_tiff_keeps_every_value(stored, dtype, channels):
    pixels = noise(20, 30, channels, dtype=dtype)
    path = stored(tiff(pixels))
    picture = read_image(path, channels=channels)
    assert np.array_equal(picture.pixels, pixels)
    assert image_info(path).bits == (16 if dtype == np.uint16 else 32)
    assert image_info(path).channels == channels


def test_a_tiff_whose_zero_is_white_is_inverted(stored):
    for dtype in (np.uint8, np.uint16):
        pixels = noise(8, 9, 1, dtype=dtype)
        assert np.array_equal(read_image(stored(tiff(pixels, photometric=0))).pixels, np.iinfo(dtype).max - pixels)


def test_the_fourth_channel_of_a_tiff_is_alpha_only_where_it_says_so(stored):
    pixels = noise(8, 9, 4, dtype=np.uint16)
    picture = read_image(stored(tiff(pixels, extra=0)))
    assert picture.alpha is None
    assert np.array_equal(picture.pixels, pixels)
    pixels[..., :3] = pixels[..., :3].astype(np.uint32) * pixels[..., 3:] // 65535
    picture = read_image(stored(tiff(pixels, extra=1)))
    again = picture.pixels.astype(np.float64) * picture.alpha[..., None] / 65535
    assert np.abs(again - pixels[..., :3]).max() <= 0.5


def test_what_has_no_range_is_refused(stored):
    assert "32 bits" in refusal(stored(tiff(noise(4, 4, 1).astype(np.int32) + 65_500)))
    assert "not read" in refusal(stored(tiff(noise(4, 4, 4, dtype=np.uint16), photometric=5)))
    floats = noise(4, 4, 3, dtype=np.float32)
    floats[1, 1] = np.nan
    assert "finite" in refusal(stored(tiff(floats)))


@pytest.mark.parametrize("maximum", [1023, 65535])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_ppm_fills_the_range(stored, maximum, channels):
    values = np.random.default_rng(0).integers(0, maximum + 1, (5, 7, channels))
    header = b"P%d\n7 5\n%d\n" % (5 if channels == 1 else 6, maximum)
    path = stored(header + values.astype(">u2").tobytes())
    pixels = read_image(path).pixels
    assert pixels.dtype == np.uint16
    assert np.abs(pixels - values * 65535 / maximum).max() <= 1
    assert image_info(path).bits == 16


def test_grey_stays_one_channel_and_alpha_is_apart(stored):
    grey, alpha = noise(6, 7), noise(6, 7, seed=1)
    grey_alpha = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)])
    path = stored(saved(grey_alpha, "PNG"))
    picture = read_image(path)
    assert np.array_equal(picture.pixels[..., 0], grey)
    assert np.array_equal(picture.alpha, alpha)
    assert image_info(path).channels == 1
    four = read_image(path, channels=4).pixels
    assert np.array_equal(four, np.dstack([grey, grey, grey, alpha]))


def test_a_palette_becomes_rgb_and_its_transparency_alpha(stored):
    image = Image.fromarray(smooth()).quantize(16)
    assert np.array_equal(read_image(stored(saved(image, "PNG"))).pixels, np.asarray(image.convert("RGB")))
    path = stored(saved(image, "PNG", transparency=3))
    picture = read_image(path)
    assert picture.pixels.shape == (60, 80, 3)
    assert np.array_equal(picture.alpha == 0, np.asarray(image) == 3)
    assert image_info(path).channels == 4


def test_bilevel_and_transparent_grey(stored):
    image = Image.fromarray(noise(6, 7) > 127)
    assert set(np.unique(read_image(stored(saved(image, "PNG"))).pixels)) == {0, 255}
    picture = read_image(stored(saved(Image.fromarray(noise(6, 7)), "PNG", transparency=int(noise(6, 7)[0, 0]))))
    assert picture.pixels.shape == (6, 7, 1)
    assert picture.alpha[0, 0] == 0


def test_rgba_is_split_and_put_together(stored):
    pixels = noise(6, 7, 4)
    path = stored(saved(Image.fromarray(pixels), "PNG"))
    picture = read_image(path)
    assert np.array_equal(np.dstack([picture.pixels, picture.alpha]), pixels)
    assert np.array_equal(read_image(path, channels=4).pixels, pixels)
    opaque = read_image(stored(saved(Image.fromarray(pixels[..., :3]), "PNG")), channels=4).pixels
    assert (opaque[..., 3] == 255).all()


def test_luma_is_that_of_rec_601(stored):
    for dtype, encode in ((np.uint8, lambda p: png(p, 2)), (np.uint16, lambda p: png(p, 2)), (np.float32, tiff)):
        pixels = noise(16, 16, 3, dtype=dtype)
        luma = pixels.astype(np.float64) @ [0.299, 0.587, 0.114]
        got = read_image(stored(encode(pixels)), channels=1).pixels[..., 0]
        assert got.dtype == dtype
        assert np.abs(got - luma).max() <= {np.uint8: 1, np.uint16: 2, np.float32: 1e-6}[dtype]


def test_cmyk_becomes_rgb(stored):
    image = Image.new("CMYK", (4, 3), (255, 0, 0, 0))
    for kind in ("JPEG", "TIFF"):
        pixels = read_image(stored(saved(image, kind))).pixels
        assert pixels.shape == (3, 4, 3)
        assert np.abs(pixels.astype(int) - (0, 255, 255)).max() <= 2


def test_a_profile_is_applied_to_8_bits_and_handed_out_with_16(stored, tmp_path):
    profile = swapped_profile()
    pixels = smooth()
    for kind in ("PNG", "TIFF"):
        picture = read_image(stored(saved(Image.fromarray(pixels), kind, icc_profile=profile)))
        assert np.abs(picture.pixels[..., [1, 0, 2]].astype(int) - pixels).max() <= 2
        assert picture.icc == read_image(stored(saved(Image.fromarray(pixels), "WEBP", icc_profile=profile))).icc
        twice = read_image(stored(saved(Image.fromarray(pixels), kind, icc_profile=picture.icc)))
        assert np.array_equal(twice.pixels, pixels)  # what is handed out is sRGB
        assert twice.icc == picture.icc
    for name in ("deep.png", "deep.tif"):
        write_image(tmp_path / name, noise(5, 6, 3, dtype=np.uint16), icc=profile)
        picture = read_image(tmp_path / name)
        assert picture.icc == profile
        assert np.array_equal(picture.pixels, noise(5, 6, 3, dtype=np.uint16))


def test_an_srgb_profile_changes_nothing_and_a_broken_one_is_ignored(stored):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"nonsense", swapped_profile()[:200], swapped_profile().replace(b"RGB ", b"CMYK")):
        path = stored(saved(Image.fromarray(smooth()), "PNG", icc_profile=profile))
        assert np.array_equal(read_image(path).pixels, smooth())


def test_too_many_pixels_are_refused_by_the_header(stored):
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    bomb += chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    assert "pixels" in refusal(stored(bomb))
    path = stored(saved(Image.fromarray(smooth()), "PNG"))
    assert refusal(path, max_pixels=4799) == "80 x 60 pixels are more than the limit of 4799"
    assert read_image(path, max_pixels=4800).pixels.shape == (60, 80, 3)
    claim = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        claim, {"shape": (10**6, 10**6, 3), "fortran_order": False, "descr": np.dtype(np.float64).str}
    )
    assert "pixels" in refusal(stored(claim.getvalue() + b"\0" * 100))


def test_what_is_no_image_file_is_refused_at_once(tmp_path):
    (tmp_path / "text.jpg").write_text("this is no image\n" * 100)
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    assert refusal(tmp_path / "text.jpg") == "not an image in a known format"
    assert refusal(tmp_path / "empty.png") == "the file is empty"
    assert refusal(tmp_path / "folder.png") == "a folder, not an image"
    assert refusal(tmp_path / "missing.png") == "No such file or directory"
    refusal(tmp_path / "loop.png")
    with pytest.raises(DataError, match="not an image"):
        image_info(tmp_path / "text.jpg")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_socket_or_device_does_not_block(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.png")
    assert refusal(tmp_path / "pipe.png") == "not a regular file"
    monkeypatch.chdir(tmp_path)  # socket names have a short limit
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.png")
        assert refusal(Path("socket.png")) == "not a regular file"
    assert refusal(Path("/dev/null")) == "not a regular file"


def test_a_name_that_cannot_be_printed_stays_on_one_line(tmp_path):
    with pytest.raises(DataError) as caught:
        read_image(tmp_path / "two\nlines\x1b[31m\udcff.png")
    assert "two\\nlines\\x1b[31m\\udcff.png" in str(caught.value)
    str(caught.value).encode("utf-8")


def test_npy_keeps_type_and_shape(tmp_path):
    for dtype in (np.uint8, np.uint16, np.float32):
        for shape in ((5, 6), (5, 6, 1), (5, 6, 3), (5, 6, 4), (5, 6, 2), (5, 6, 5)):
            pixels = noise(*shape, dtype=dtype)
            np.save(tmp_path / "a.npy", np.asfortranarray(pixels))
            picture = read_image(tmp_path / "a.npy", channels=(*shape, 1)[2])
            assert (picture.alpha is not None) == (shape[2:] == (4,))
            assert np.array_equal(picture.pixels, np.atleast_3d(pixels))
            assert picture.pixels.dtype == dtype
            assert image_info(tmp_path / "a.npy").channels == (*shape, 1)[2]
    np.save(tmp_path / "a.npy", noise(5, 6, 3, dtype=np.float32).astype(np.float64))
    assert read_image(tmp_path / "a.npy").pixels.dtype == np.float32


@pytest.mark.parametrize(
    "array",
    [
        np.array([{}], dtype=object),
        np.zeros((3, 8, 9)),
        np.zeros((4, 64, 64)),
        np.zeros(3),
        np.zeros((0, 3)),
        np.zeros((2, 2), complex),
    ],
    ids=["object", "channels-first", "four channels first", "flat", "none", "complex"],
)
def test_an_npy_that_is_no_image_is_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    refusal(tmp_path / "a.npy")


def test_a_pillow_image_follows_the_same_rules():
    assert np.array_equal(
        from_pillow(Image.fromarray(noise(4, 5, dtype=np.uint16))).pixels[..., 0], noise(4, 5, dtype=np.uint16)
    )
    assert from_pillow(Image.new("1", (5, 4), 1)).pixels.max() == 255
    assert from_pillow(Image.new("RGBA", (5, 4)), channels=3).pixels.shape == (4, 5, 3)
    assert from_pillow(Image.new("F", (5, 4), 0.5)).pixels.dtype == np.float32
    with pytest.raises(DataError, match="32 bits"):
        from_pillow(Image.new("I", (5, 4), 70_000))
