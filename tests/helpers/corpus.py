"""A corpus of image files made by code, each with what a viewer would show; nothing here comes from our reader.

`make_corpus(folder)` writes the files and returns a `Case` for each.
"""

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from helpers.corpus_broken import broken_files
from helpers.corpus_indexed import indexed_files
from helpers.corpus_tiff import tiff_files
from helpers.corpus_values import LOSSY, levels, picture, random_palette, shows, spread
from helpers.image_files import chunk, saved, swapped_profile
from helpers.image_writers import any_png, any_tiff


@dataclass(frozen=True)
class Case:
    """A file and what should become of it.

    Attributes:
        name: of the file in the folder.
        refused: a regular expression that the reason of the refusal matches; None = it is read.
        pixels: ``(H, W, 1 or 3)``, uint8, uint16 or float32, upright; grey where the file is grey. In sRGB for 8 bits.
        alpha: ``(H, W)`` of the same type, or None.
        frames: frames or pages in the file.
        later: the pixels of the frames after the first.
        tolerance: of the mean of each quadrant, as a share of the range; 0 = every value is exact.
        profile: whether the file holds a profile that can be understood.
    """

    name: str
    refused: str | None = None
    pixels: np.ndarray | None = None
    alpha: np.ndarray | None = None
    frames: int = 1
    later: tuple[np.ndarray, ...] = ()
    tolerance: float = 0.0
    profile: bool = False

    @property
    def size(self):
        """Width and height, upright."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def quadrants(self):
        """Mean of each quadrant, ``(4, C)`` in [0, 1]: top left, top right, bottom left, bottom right."""
        return quadrants(self.pixels)


def quadrants(pixels):
    """Mean of each quadrant of ``(H, W, C)``, as shares of the type's range; a side of 1 counts for both halves."""
    full = {"u1": 255.0, "u2": 65535.0, "f4": 1.0}[pixels.dtype.str[1:]]
    height, width = pixels.shape[:2]
    rows, columns = ((slice(0, max(1, n // 2)), slice(n // 2, None)) for n in (height, width))
    return np.array([pixels[r, c].mean(axis=(0, 1)) / full for r in rows for c in columns])


def make_corpus(folder):
    """Writes all files into `folder`; returns their cases, sorted by name."""
    folder = Path(folder)
    cases = []
    for name, (data, case) in sorted(corpus().items()):
        (folder / name).write_bytes(data)
        cases.append(Case(name, **case))
    return cases


def corpus():
    """All files: name -> (bytes, fields of the case)."""
    files = {}
    for group in (_png, _png_keys, tiff_files, indexed_files, _pnm, _npy, _by_pillow, _animated, _colours):
        files |= group()
    return files | {name: (data, {"refused": reason}) for name, (data, reason) in broken_files().items()}


def _png():
    files = {}
    for colour, channels, depths in ((0, 1, (1, 2, 4, 8, 16)), (2, 3, (8, 16)), (4, 2, (8, 16)), (6, 4, (8, 16))):
        for bits in depths:
            for woven in (False, True):
                values = levels(21, 19, channels, bits)
                shown = spread(values, bits)
                alpha = shown[..., -1] if channels in (2, 4) else None
                colours = shown[..., : 3 if channels > 2 else 1]
                data = any_png(values, colour, bits, interlaced=woven)
                files[f"png-{colour}-{bits}-{'woven' if woven else 'plain'}.png"] = (data, shows(colours, alpha))
    for bits in (1, 2, 4, 8):
        for woven in (False, True):
            palette, values = random_palette(2**bits), levels(13, 18, 1, bits)
            data = any_png(values, 3, bits, interlaced=woven, extra=chunk(b"PLTE", palette.tobytes()))
            files[f"png-3-{bits}-{woven}.png"] = (data, shows(palette[values[..., 0]]))
    for side in (1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33):
        for woven in (False, True):
            values = levels(side, side, 3, 8, side)
            files[f"png-side-{side}-{woven}.png"] = (any_png(values, 2, 8, interlaced=woven), shows(values))
    values = levels(21, 19, 3, 8)
    for bits in (8, 16):
        deep = levels(21, 19, 3, bits)
        files[f"png-filters-{bits}.png"] = (any_png(deep, 2, bits, filters=True), shows(deep))
    extras = {
        "gama": chunk(b"gAMA", struct.pack(">I", 100_000)),
        "sbit": chunk(b"sBIT", b"\5\6\5"),
        "phys": chunk(b"pHYs", struct.pack(">IIB", 1, 4, 0)),
        "bkgd": chunk(b"bKGD", b"\0\1\0\2\0\3"),
        "ztxt": chunk(b"zTXt", b"Title\0\0" + zlib.compress(b"text" * 100)),
        "empty": chunk(b"IDAT", b""),
        "unknown": chunk(b"abCd", b"what"),
    }
    for name, extra in extras.items():
        files[f"png-with-{name}.png"] = (any_png(values, 2, 8, extra=extra), shows(values))
    files["png-tiny-idats.png"] = (any_png(values, 2, 8, split=1), shows(values))
    files["png-tiny-idats-16.png"] = (any_png(levels(9, 9, 3, 16), 2, 16, split=1), shows(levels(9, 9, 3, 16)))
    files["png-trailing.png"] = (any_png(values, 2, 8) + b"more", shows(values))
    files["png-named-jpg.jpg"] = (any_png(values, 2, 8), shows(values))
    return files


def _png_keys():
    """Colours that stand for transparent."""
    files = {}
    for bits in (1, 2, 4, 8, 16):
        values, key = levels(14, 15, 1, bits), 2**bits // 3
        values[0, 0] = key
        shown = spread(values, bits)
        alpha = np.where(values[..., 0] == key, 0, np.iinfo(shown.dtype).max).astype(shown.dtype)
        data = any_png(values, 0, bits, extra=chunk(b"tRNS", struct.pack(">H", key)))
        files[f"png-key-0-{bits}.png"] = (data, shows(shown, alpha))
    for bits in (8, 16):
        values = levels(14, 15, 3, bits)
        values[3:6, 2:9] = values[0, 0]
        alpha = np.where((values == values[0, 0]).all(axis=2), 0, np.iinfo(values.dtype).max).astype(values.dtype)
        data = any_png(values, 2, bits, extra=chunk(b"tRNS", struct.pack(">3H", *values[0, 0].tolist())))
        files[f"png-key-2-{bits}.png"] = (data, shows(values, alpha))
    for bits in (1, 2, 4, 8):
        palette, values = random_palette(2**bits), levels(14, 15, 1, bits)
        clear = np.linspace(0, 255, 2**bits).astype(np.uint8)
        extra = chunk(b"PLTE", palette.tobytes()) + chunk(b"tRNS", clear.tobytes())
        case = shows(palette[values[..., 0]], clear[values[..., 0]])
        files[f"png-key-3-{bits}.png"] = (any_png(values, 3, bits, extra=extra), case)
    return files


def _pnm():
    files = {}
    bits = levels(9, 13, 1, 1)
    files["p1.pbm"] = (
        b"P1 # dots\n13 9\n" + b"".join(b"%d" % b for b in bits.ravel()),
        shows((1 - bits) * np.uint8(255)),
    )
    packed = np.packbits(bits[..., 0], axis=1).tobytes()
    files["p4.pbm"] = (b"P4\n13 9\n" + packed, shows((1 - bits) * np.uint8(255)))
    for channels, (plain, raw) in {1: (2, 5), 3: (3, 6)}.items():
        for top in (255, 65535, 31, 1023):
            values = np.random.default_rng(1).integers(0, top + 1, (9, 13, channels))
            full = 65535 if top > 255 else 255
            shown = np.rint(values * full / top).astype(np.uint16 if top > 255 else np.uint8)
            tolerance = 0 if top in (255, 65535) else 1 / full
            head = b"# a comment\n13 9\n%d\n" % top
            text = b" ".join(b"%d" % value for value in values.ravel())
            files[f"p{plain}-{top}.pnm"] = (b"P%d\n" % plain + head + text + b"\n", shows(shown, tolerance=tolerance))
            body = values.astype(">u2" if top > 255 else "u1").tobytes()
            files[f"p{raw}-{top}.pnm"] = (b"P%d\n" % raw + head + body, shows(shown, tolerance=tolerance))
    for kind, channels in ((b"Pf", 1), (b"PF", 3)):
        for scale, order in ((b"-1.0", "<"), (b"1.0", ">")):
            values = picture(9, 13, channels, np.float32)
            data = kind + b"\n13 9\n" + scale + b"\n" + values[::-1].astype(order + "f4").tobytes()
            files[f"{kind.decode()}{scale.decode()[:1]}.pfm".replace("-", "n")] = (data, shows(values))
    return files


def _npy():
    files = {}
    for dtype in ("u1", "<u2", ">u2", "<f2", "<f4", ">f4", "<f8"):
        for channels in (0, 1, 3, 4):
            kind = np.dtype(dtype).newbyteorder("=")
            values = picture(channels=max(1, channels), dtype=kind)
            stored = values[..., 0] if channels == 0 else values
            buffer = io.BytesIO()
            np.save(buffer, stored.astype(dtype))
            shown = values.astype(np.float32) if kind.kind == "f" else values
            alpha = shown[..., 3] if channels == 4 else None
            files[f"npy-{dtype.strip('<>')}-{'be' if dtype[0] == '>' else 'le'}-{channels}.npy"] = (
                buffer.getvalue(), shows(shown[..., :3], alpha),
            )  # fmt: skip
    return files


def _by_pillow():
    files, rgb = {}, picture(45, 61)
    image, grey = Image.fromarray(rgb), Image.fromarray(rgb[..., 0])
    four = picture(45, 61, 4)
    turns = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
    for orientation, turn in turns.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        upright = rgb if turn is None else np.asarray(image.transpose(Image.Transpose(turn)))
        data = saved(image, "JPEG", quality=95, exif=exif)
        files[f"jpeg-turned-{orientation}.jpg"] = (data, shows(upright, tolerance=LOSSY))
        files[f"png-turned-{orientation}.png"] = (saved(image, "PNG", exif=exif), shows(upright))
        files[f"tiff-turned-{orientation}.tif"] = (any_tiff([rgb], orientation=orientation), shows(upright))
        deep = rgb.astype(np.uint16) * 257
        case = shows(upright.astype(np.uint16) * 257)
        files[f"tiff-turned-16-{orientation}.tif"] = (any_tiff([deep], orientation=orientation), case)
    for name, options in {
        "baseline": {}, "progressive": {"progressive": True}, "420": {"subsampling": 2}, "422": {"subsampling": 1},
        "444": {"subsampling": 0}, "restart": {"restart_marker_blocks": 3}, "optimised": {"optimize": True},
    }.items():  # fmt: skip
        data = saved(image, "JPEG", quality=95, **options)
        files[f"jpeg-{name}.jpg"] = (data, shows(rgb, tolerance=LOSSY))
        data = saved(grey, "JPEG", quality=95, **{k: v for k, v in options.items() if k != "subsampling"})
        files[f"jpeg-grey-{name}.jpg"] = (data, shows(rgb[..., :1], tolerance=LOSSY))
    files["jpeg-named-png.png"] = files["jpeg-baseline.jpg"]
    files["jpeg-trailing.jpg"] = (saved(image, "JPEG", quality=95) + b"\0" * 99, shows(rgb, tolerance=LOSSY))
    files["webp-lossy.webp"] = (saved(image, "WEBP", quality=95), shows(rgb, tolerance=LOSSY))
    files["webp-lossless.webp"] = (saved(image, "WEBP", lossless=True), shows(rgb))
    rgba = Image.fromarray(four)
    case = shows(four[..., :3], four[..., 3])
    files["webp-alpha.webp"] = (saved(rgba, "WEBP", lossless=True, exact=True), case)
    files["webp-lossy-alpha.webp"] = (saved(rgba, "WEBP", quality=95, exact=True), case | {"tolerance": LOSSY})
    files["avif.avif"] = (saved(image, "AVIF", quality=95), shows(rgb, tolerance=LOSSY))
    files["avif-alpha.avif"] = (saved(rgba, "AVIF", quality=95), case | {"tolerance": LOSSY})
    return files


def _animated():
    files = {}
    shots = [picture(40, 48, shift=shift) for shift in range(3)]
    images = [Image.fromarray(shot) for shot in shots]
    for name, options in {
        "png": {}, "webp": {"lossless": True}, "avif": {"quality": 95}, "tif": {}
    }.items():  # fmt: skip
        kind = {"tif": "TIFF"}.get(name, name.upper())
        data = saved(images[0], kind, save_all=True, append_images=images[1:], **options)
        case = shows(shots[0], frames=3, later=tuple(shots[1:]), tolerance=LOSSY if name == "avif" else 0)
        files[f"animated.{name}"] = (data, case)
    return files


def _colours():
    """Profiles and inks; the expected colours follow from what the profile does and from the naive conversion."""
    files, rgb = {}, picture()
    swap, image = swapped_profile(), Image.fromarray(rgb)
    for kind in ("PNG", "TIFF", "WEBP", "JPEG", "AVIF"):
        options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind in ("JPEG", "AVIF") else {}
        tolerance = 2 / 255 if kind in ("PNG", "TIFF", "WEBP") else LOSSY
        data = saved(image, kind, icc_profile=swap, **options)
        case = shows(rgb[..., [1, 0, 2]], tolerance=tolerance, profile=True)
        files[f"profile.{kind.lower()}"] = (data, case)
    files["profile-broken.png"] = (saved(image, "PNG", icc_profile=b"nonsense" * 30), shows(rgb))
    four = picture(channels=4)
    inks = np.dstack([four[..., :3] // 2, four[..., 3] // 4])
    mixed = 255 - np.minimum(255, inks[..., :3].astype(float) * (1 - inks[..., 3:] / 255) + inks[..., 3:])
    shown = np.rint(mixed).astype(np.uint8)
    cmyk = Image.fromarray(inks, "CMYK")
    files["cmyk.tif"] = (saved(cmyk, "TIFF"), shows(shown, tolerance=2 / 255))
    files["cmyk.jpg"] = (saved(cmyk, "JPEG", quality=97), shows(shown, tolerance=LOSSY))
    return files
