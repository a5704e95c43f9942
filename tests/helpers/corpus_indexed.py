"""The BMP and GIF files of the corpus."""

import numpy as np

from helpers.corpus_values import levels, picture, random_palette, shows
from helpers.image_writers import bmp, bmp_rows, gif


def indexed_files():
    """name -> (bytes, fields of the case)."""
    return _bmp() | _gif()


def _bmp():
    files, rgb = {}, picture()
    height, width = rgb.shape[:2]
    for bits in (1, 4, 8):
        palette, values = random_palette(2**bits), levels(height, width, 1, bits)
        table = np.pad(palette[:, ::-1], ((0, 0), (0, 1))).tobytes()
        data = bmp(bmp_rows(values[..., 0], bits), width, height, bits, palette=table)
        files[f"bmp-{bits}.bmp"] = (data, shows(palette[values[..., 0]]))
        data = bmp(bmp_rows(values[..., 0], bits), width, height, bits, header=12, palette=palette[:, ::-1].tobytes())
        files[f"bmp-{bits}-os2.bmp"] = (data, shows(palette[values[..., 0]]))
    rows = bmp_rows(rgb[..., ::-1].reshape(height, -1), 8)
    files["bmp-24.bmp"] = (bmp(rows, width, height, 24), shows(rgb))
    files["bmp-24-top.bmp"] = (bmp(rows[::-1], width, height, 24, top_down=True), shows(rgb))
    files["bmp-24-v5.bmp"] = (bmp(rows, width, height, 24, header=124), shows(rgb))
    four = picture(channels=4)
    rows = bmp_rows(four[..., [2, 1, 0, 3]].reshape(height, -1), 8)
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    files["bmp-32.bmp"] = (bmp(rows, width, height, 32), shows(rgb))
    for header in (108, 124):
        data = bmp(rows, width, height, 32, header=header, masks=masks, compression=3)
        files[f"bmp-32-{header}.bmp"] = (data, shows(rgb, four[..., 3]))
    five = rgb.astype(np.uint16)
    for name, (green, at) in {"555": (5, 10), "565": (6, 11)}.items():
        words = five[..., 0] >> 3 << at | five[..., 1] >> 8 - green << 5 | five[..., 2] >> 3
        masks = (31 << at, (2**green - 1) << 5, 31)
        data = bmp(bmp_rows(words, 16), width, height, 16, masks=masks, compression=3)
        files[f"bmp-16-{name}.bmp"] = (data, shows(rgb, tolerance=5 / 255))
    runs = np.repeat(levels(8, 5, 1, 8)[..., 0], 6, axis=1)
    palette = random_palette(256)
    stream = (
        b"".join(bytes(b for at in range(0, 30, 6) for b in (6, row[at])) + b"\0\0" for row in runs[::-1]) + b"\0\1"
    )
    table = np.pad(palette[:, ::-1], ((0, 0), (0, 1))).tobytes()
    files["bmp-rle8.bmp"] = (bmp([stream], 30, 8, 8, palette=table, compression=1), shows(palette[runs]))
    few = runs % 16
    stream = (
        b"".join(bytes(b for at in range(0, 30, 6) for b in (6, row[at] * 17)) + b"\0\0" for row in few[::-1]) + b"\0\1"
    )
    files["bmp-rle4.bmp"] = (bmp([stream], 30, 8, 4, palette=table[:64], compression=2), shows(palette[few]))
    for bits in (4, 8):
        values = levels(height, width, 1, 1)
        data = bytearray(bmp(bmp_rows(values[..., 0], bits), width, height, bits, palette=b"\0\0\0\0\xff\xff\xff\0"))
        data[46] = 2  # colours in the palette
        files[f"bmp-{bits}-two-greys.bmp"] = (bytes(data), shows(values * np.uint8(255)))
    return files


def _gif():
    files, palette = {}, random_palette(256)
    values = levels(20, 24, 1, 8)[..., 0]
    shown = palette[values]
    for woven in (False, True):
        files[f"gif-{woven}.gif"] = (gif([(0, 0, values, None, woven)], (24, 20), palette), shows(shown))
    files["gif-no-trailer.gif"] = (gif([(0, 0, values, None, False)], (24, 20), palette, trailer=b""), shows(shown))
    alpha = np.where(values == 7, 0, 255).astype(np.uint8)
    data = gif([(0, 0, values, (0, 7), False)], (24, 20), palette)
    files["gif-key.gif"] = (data, shows(np.where(alpha[..., None] > 0, shown, 0).astype(np.uint8), alpha))
    part = np.zeros((20, 24, 3), np.uint8)
    part[4:14, 6:18] = palette[values[:10, :12]]
    seen = np.zeros((20, 24), np.uint8)
    seen[4:14, 6:18] = 255
    files["gif-small-first.gif"] = (gif([(6, 4, values[:10, :12], None, False)], (24, 20), palette), shows(part, seen))
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    files["gif-grey.gif"] = (gif([(0, 0, values, None, False)], (24, 20), grey), shows(values[..., None]))
    second = shown.copy()
    second[2:10, 3:15] = palette[values[10:18, 5:17]]
    third = second.copy()
    third[0:5, 0:5] = palette[values[:5, 10:15]]
    frames = [(0, 0, values, (1, None), False), (3, 2, values[10:18, 5:17], (1, None), False)]
    frames.append((0, 0, values[:5, 10:15], (1, None), True))
    files["gif-kept.gif"] = (gif(frames, (24, 20), palette), shows(shown, frames=3, later=(second, third)))
    restored = shown.copy()
    restored[0:5, 0:5] = palette[values[:5, 10:15]]
    frames[1] = (3, 2, values[10:18, 5:17], (3, None), False)
    files["gif-restored.gif"] = (gif(frames, (24, 20), palette), shows(shown, frames=3, later=(second, restored)))
    return files
