"""What reading and writing image files promises."""

import io
import os
import socket
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin

from i2i.data import image_writing
from i2i.data.images import (
    can_hold,
    find_images,
    from_pillow,
    image_info,
    read_image,
    to_channels,
    to_dtype,
    write_image,
)
from i2i.errors import DataError

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("I2I_DATA", ROOT / ".." / "shared" / "data"))


def noise(*shape, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.random(shape, dtype=np.float32)
    return rng.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def smooth(height=60, width=80):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 3, y * 4, (x + y) * 1.5], axis=-1).clip(0, 255).astype(np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(pixels, colour_type, extra=b"", tail=b""):
    """A PNG written by hand: what Pillow and OpenCV cannot write, such as 16 bits with grey and alpha."""
    height, width = pixels.shape[:2]
    wide = pixels.dtype == np.uint16
    rows = b"".join(b"\0" + row.astype(">u2" if wide else "u1").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16 if wide else 8, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(rows)) + tail
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def tiff(pixels, orientation=1, photometric=None, extra=2, planar=1):
    """An uncompressed TIFF of any type."""
    height, width, channels = pixels.shape
    tags = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    tags[256], tags[257], tags[259], tags[273] = width, height, 1, (0,)
    tags[258] = (pixels.dtype.itemsize * 8,) * channels
    tags[262] = photometric if photometric is not None else (1 if channels == 1 else 2)
    tags[274], tags[277], tags[278], tags[279], tags[284] = orientation, channels, height, (pixels.nbytes,), planar
    tags[339] = ({"u": 1, "i": 2, "f": 3}[pixels.dtype.kind],) * channels
    if channels == 4:
        tags[338] = extra
    buffer = io.BytesIO()
    tags.save(buffer)
    return buffer.getvalue() + pixels.tobytes()


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def stored(tmp_path):
    """Writes bytes to a file and gives its path."""
    counter = iter(range(10_000))

    def store(data, name="image"):
        path = tmp_path / f"{next(counter)}-{name}"
        path.write_bytes(data)
        return path

    return store


def refusal(path, **options):
    with pytest.raises(DataError) as caught:
        read_image(path, **options)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    assert len(text) < len(str(path)) + 200
    return text.removeprefix(f"{path}: ")


FILES = {
    "png": ("PNG", {}),
    "jpg": ("JPEG", {"quality": 95}),
    "progressive.jpg": ("JPEG", {"quality": 95, "progressive": True}),
    "webp": ("WEBP", {}),
    "lossless.webp": ("WEBP", {"lossless": True}),
    "tif": ("TIFF", {}),
    "lzw.tif": ("TIFF", {"compression": "tiff_lzw"}),
    "jpeg.tif": ("TIFF", {"compression": "jpeg"}),
    "bmp": ("BMP", {}),
    "gif": ("GIF", {}),
    "ppm": ("PPM", {}),
    "avif": ("AVIF", {}),
}


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
    assert read_image(stored(tiff(pixels, extra=0))).alpha is None
    pixels[..., :3] = pixels[..., :3].astype(np.uint32) * pixels[..., 3:] // 65535
    picture = read_image(stored(tiff(pixels, extra=1)))
    again = picture.pixels.astype(np.float64) * picture.alpha[..., None] / 65535
    assert np.abs(again - pixels[..., :3]).max() <= 0.5


def test_what_has_no_range_is_refused(stored):
    assert "not read" in refusal(stored(tiff(noise(4, 4, 1).astype(np.int32))))
    assert "not read" in refusal(stored(tiff(noise(4, 4, 4, dtype=np.uint16), photometric=5)))
    assert "plane" in refusal(stored(tiff(noise(4, 4, 3, dtype=np.uint16), planar=2)))
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


def swapped_profile():
    """An RGB profile whose red is sRGB's green and the other way round: what it does cannot be overlooked."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for at in range(132, 132 + 12 * struct.unpack(">I", data[128:132])[0], 12):
        if data[at : at + 4] in (b"rXYZ", b"gXYZ"):
            data[at : at + 4] = b"gXYZ" if data[at : at + 4] == b"rXYZ" else b"rXYZ"
    return bytes(data).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


def test_a_profile_is_applied_to_8_bits_and_handed_out_with_16(stored, tmp_path):
    profile = swapped_profile()
    pixels = smooth()
    for kind in ("PNG", "TIFF"):
        picture = read_image(stored(saved(Image.fromarray(pixels), kind, icc_profile=profile)))
        assert np.abs(picture.pixels[..., [1, 0, 2]].astype(int) - pixels).max() <= 2
        assert picture.icc is None
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
        for shape in ((5, 6), (5, 6, 1), (5, 6, 3), (5, 6, 4)):
            pixels = noise(*shape, dtype=dtype)
            np.save(tmp_path / "a.npy", np.asfortranarray(pixels))
            picture = read_image(tmp_path / "a.npy", channels=(*shape, 1)[2])
            assert np.array_equal(picture.pixels, np.atleast_3d(pixels))
            assert picture.pixels.dtype == dtype
            assert image_info(tmp_path / "a.npy").channels == (*shape, 1)[2]
    np.save(tmp_path / "a.npy", noise(5, 6, 3, dtype=np.float32).astype(np.float64))
    assert read_image(tmp_path / "a.npy").pixels.dtype == np.float32


@pytest.mark.parametrize(
    "array",
    [np.array([{}], dtype=object), np.zeros((2, 2, 5)), np.zeros(3), np.zeros((0, 3)), np.zeros((2, 2), complex)],
    ids=["object", "five", "flat", "none", "complex"],
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


def test_bit_depths_convert_exactly_there_and_back():
    every = np.arange(256, dtype=np.uint8)
    wide = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(to_dtype(every, np.uint16), every.astype(int) * 257)
    for dtype in (np.uint16, np.float32):
        assert np.array_equal(to_dtype(to_dtype(every, dtype), np.uint8), every)
    assert np.array_equal(to_dtype(to_dtype(wide, np.float32), np.uint16), wide)
    assert np.array_equal(to_dtype(wide, np.uint8), np.rint(wide / 257))
    assert np.array_equal(to_dtype(np.array([-1, 0, 0.5, 1, 7], np.float32), np.uint8), [0, 0, 128, 255, 255])
    assert to_dtype(every, np.uint8) is every
    with pytest.raises(ValueError, match="finite"):
        to_dtype(np.array([np.nan], np.float32), np.uint8)
    with pytest.raises(ValueError, match="int64"):
        to_dtype(np.array([1]), np.uint8)


@pytest.mark.parametrize("have", [1, 3, 4])
@pytest.mark.parametrize("want", [1, 3, 4])
def test_channels_convert_between_grey_rgb_and_rgba(have, want):
    pixels = np.full((3, 4, have), 77, np.uint8)
    got = to_channels(pixels, want)
    assert got.shape == (3, 4, want)
    assert (got[..., :3] == 77).all()


ENDINGS = ["a.png", "a.PNG", "a.tif", "a.tiff", "a.bmp", "a.npy"]


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_lossless_formats_round_trip(tmp_path, name, channels):
    for dtype in (np.uint8, np.uint16, np.float32):
        if not can_hold(name, channels, dtype) or (dtype == np.float32 and "png" in name.lower()):
            continue
        pixels = noise(33, 47, channels, dtype=dtype)
        write_image(tmp_path / name, pixels)
        got = read_image(tmp_path / name, channels=channels).pixels
        assert got.dtype == dtype
        assert np.array_equal(got, pixels)
        assert [path.name for path in tmp_path.iterdir()] == [name]


def test_other_readers_agree_with_what_is_written(tmp_path):
    pixels = noise(300, 500, 3, dtype=np.uint16)  # several strips
    for name in ("a.tif", "a.png"):
        write_image(tmp_path / name, pixels)
        assert np.array_equal(cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED)[..., ::-1], pixels)
    write_image(tmp_path / "a.tif", pixels.astype(np.uint8))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.tif")), pixels.astype(np.uint8))
    write_image(tmp_path / "a.png", noise(5, 6, 4), icc=swapped_profile())
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["icc_profile"] == swapped_profile()
        assert np.array_equal(np.asarray(image), noise(5, 6, 4))


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg", "a.webp"])
def test_lossy_formats_come_close_from_any_type(tmp_path, name):
    for dtype in (np.uint8, np.uint16, np.float32):
        for channels in (1, 3):
            write_image(tmp_path / name, to_dtype(smooth(), dtype)[..., :channels], icc=swapped_profile())
            with Image.open(tmp_path / name) as image:
                got = np.asarray(image.convert("RGB"))[..., :channels]
            assert np.abs(got.astype(int) - smooth()[..., :channels]).mean() < 4


def test_a_float_in_a_png_gets_16_bits(tmp_path):
    pixels = noise(9, 8, 3, dtype=np.float32)
    write_image(tmp_path / "a.png", pixels)
    assert np.array_equal(read_image(tmp_path / "a.png").pixels, np.rint(pixels * 65535))


@pytest.mark.parametrize(
    ("name", "pixels", "reason"),
    [
        ("a.jpg", noise(4, 4, 4), "JPEG cannot hold 4 channels"),
        ("a.png", noise(4, 4, 2), "PNG cannot hold 2 channels"),
        ("a.gif", noise(4, 4, 3), "unknown ending"),
        ("a", noise(4, 4, 3), "unknown ending"),
        ("a.png", noise(4), "no image"),
        ("a.png", noise(0, 4, 3), "no image"),
        ("a.tif", np.full((2, 2, 3), np.nan, np.float32), "not finite"),
        ("missing/a.png", noise(4, 4, 3), "No such file"),
        ("folder.png", noise(4, 4, 3), "a folder is in the way"),
        ("a.webp", noise(1, 17_000, 3), "damaged or not supported"),
    ],
)
def test_what_cannot_be_written_is_told_and_leaves_nothing(tmp_path, name, pixels, reason):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(DataError, match=reason):
        write_image(tmp_path / name, pixels)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", noise(4, 4, 3))
    before = (tmp_path / "a.png").read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(image_writing.Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_image(tmp_path / "a.png", noise(4, 4, 3, seed=1))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="permission bits")
def test_a_written_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "plain").touch()
    write_image(tmp_path / "a.png", noise(4, 4, 3))
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_images_are_found_in_an_order_that_people_expect(tmp_path):
    names = ["10.png", "2.png", "b/1.JPG", "b/c/x.tiff", "a.npy", ".hidden.png", ".hidden/a.png", "notes.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in find_images(tmp_path)]
    assert found == ["2.png", "10.png", "a.npy", str(Path("b/1.JPG")), str(Path("b/c/x.tiff"))]


def test_links_are_followed_but_never_in_circles(tmp_path):
    (tmp_path / "real/deep").mkdir(parents=True)
    (tmp_path / "real/deep/x.png").touch()
    (tmp_path / "real/deep/up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "real")
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "y.png").touch()
    (tmp_path / "linked").symlink_to(outside)
    found = [str(path.relative_to(tmp_path)) for path in find_images(tmp_path)]
    assert found == [str(Path("linked/y.png")), str(Path("real/deep/x.png"))]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        find_images(tmp_path / "nowhere")


def test_reading_in_threads_gives_what_one_thread_gives(stored):
    paths = [stored(saved(Image.fromarray(noise(40, 40, 3, seed=n)), "PNG")) for n in range(12)]
    got = {}
    threads = [threading.Thread(target=lambda p=p: got.update({p: read_image(p).pixels})) for p in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(got[path], noise(40, 40, 3, seed=n)) for n, path in enumerate(paths))


def test_importing_the_reader_imports_no_torch():
    code = "import sys, i2i.data.images; sys.exit(bool({'torch', 'onnx', 'typer', 'torchvision'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})


@pytest.mark.realdata
@pytest.mark.skipif(not DATA.is_dir(), reason="I2I_DATA names no folder")
def test_real_images_decode_as_pillow_does():
    for path in find_images(DATA)[::97]:
        with Image.open(path) as image:
            expected = np.asarray(image.convert("RGBA"))
        picture = read_image(path, channels=4)
        if picture.icc is None and "icc_profile" not in image.info:
            assert np.array_equal(picture.pixels, expected), path
        assert image_info(path).width == picture.pixels.shape[1]


def test_a_link_to_itself_hides_no_other_image(tmp_path):
    write_image(tmp_path / "good.png", np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    assert tmp_path / "good.png" in find_images(tmp_path)
