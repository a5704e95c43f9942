"""The TIFF files of the corpus."""

import numpy as np
from PIL import Image

from helpers.corpus_values import LOSSY, levels, picture, random_palette, shows, spread
from helpers.image_files import saved
from helpers.image_writers import any_tiff


def tiff_files():
    """name -> (bytes, fields of the case)."""
    return _tiff8() | _tiff_deep()


def _tiff8():
    files, rgb = {}, picture()
    layouts = {
        "strip": {}, "strips": {"rows": 7}, "tiles": {"tile": (16, 16)}, "planar": {"planar": True},
        "planar-strips": {"planar": True, "rows": 7}, "planar-tiles": {"planar": True, "tile": (16, 16)},
    }  # fmt: skip
    for layout, options in layouts.items():
        for order in "<>":
            for big in (False, True):
                for packing in (1, 8, 32773):
                    data = any_tiff([rgb], order=order, big=big, compression=packing, **options)
                    files[f"tiff-{layout}-{'le' if order == '<' else 'be'}-{big}-{packing}.tif"] = (data, shows(rgb))
    for bits in (1, 2, 4, 8):
        for white in (0, 1):
            values = levels(17, 23, 1, bits)
            shown = spread(values, bits) if white else 255 - spread(values, bits)
            data = any_tiff([values], bits=bits, photometric=white)
            files[f"tiff-grey-{bits}-{white}.tif"] = (data, shows(shown))
        palette, values = random_palette(2**bits), levels(17, 23, 1, bits)
        table = palette.T.astype(np.uint16).ravel() * 257
        data = any_tiff([values], bits=bits, photometric=3, colormap=table.tolist())
        files[f"tiff-palette-{bits}.tif"] = (data, shows(palette[values[..., 0]]))
    four, two = picture(channels=4), picture(channels=2)
    files["tiff-alpha.tif"] = (any_tiff([four], extra=2), shows(four[..., :3], four[..., 3]))
    files["tiff-fourth.tif"] = (any_tiff([four], extra=0), shows(four))
    files["tiff-grey-alpha.tif"] = (any_tiff([two], photometric=1, extra=2), shows(two[..., :1], two[..., 1]))
    dark = np.dstack([np.rint(four[..., :3] * (four[..., 3:] / 255.0)).astype(np.uint8), four[..., 3]])
    files["tiff-premultiplied.tif"] = (any_tiff([dark], extra=1), shows(rgb, four[..., 3], tolerance=LOSSY))
    files["tiff-predictor.tif"] = (any_tiff([rgb], compression=8, predictor=2), shows(rgb))
    files["tiff-predictor-tiles.tif"] = (any_tiff([rgb], compression=8, predictor=2, tile=(16, 32)), shows(rgb))
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        files[f"tiff-{compression}.tif"] = (saved(Image.fromarray(rgb), "TIFF", compression=compression), shows(rgb))
    for compression in ("group3", "group4", "tiff_ccitt"):
        dots = rgb[..., 0] > 110
        data = saved(Image.fromarray(dots), "TIFF", compression=compression)
        files[f"tiff-{compression}.tif"] = (data, shows((dots * 255).astype(np.uint8)[..., np.newaxis]))
    data = saved(Image.fromarray(rgb).convert("YCbCr"), "TIFF", compression="tiff_lzw")
    files["tiff-ycbcr.tif"] = (data, shows(rgb, tolerance=2 / 255))
    data = saved(Image.fromarray(rgb), "TIFF", compression="jpeg", quality=95)
    files["tiff-jpeg.tif"] = (data, shows(rgb, tolerance=LOSSY))
    pages = [picture(shift=shift) for shift in range(3)] + [picture(20, 11)]
    files["tiff-pages.tif"] = (any_tiff(pages), shows(pages[0], frames=4, later=tuple(pages[1:])))
    pyramid = [rgb, rgb[::2, ::2], rgb[::4, ::4]]
    files["tiff-pyramid.tif"] = (any_tiff(pyramid, subfile=(0, 1, 1)), shows(rgb))
    return files


def _tiff_deep():
    files = {}
    layouts = {"strip": {}, "strips": {"rows": 7}, "tiles": {"tile": (16, 16)}, "planar": {"planar": True, "rows": 5}}
    for dtype in (np.uint16, np.float16, np.float32, np.float64):
        for channels in (1, 2, 3, 4):
            values = picture(channels=channels, dtype=dtype)
            shown = values if dtype == np.uint16 else values.astype(np.float32)
            alpha = shown[..., -1] if channels in (2, 4) else None
            case = shows(shown[..., : 3 if channels > 2 else 1], alpha)
            extra = 2 if channels in (2, 4) else None
            for layout, options in layouts.items():
                for order, packing in (("<", 1), (">", 8)):
                    data = any_tiff([values], order=order, compression=packing, extra=extra, **options)
                    files[f"tiff-{np.dtype(dtype).name}-{channels}-{layout}-{packing}.tif"] = (data, case)
    for predictor, dtype in ((2, np.uint16), (3, np.float32), (3, np.float16), (2, np.float32)):
        for order in "<>":
            for layout in ("strips", "tiles"):
                values = picture(dtype=dtype)
                options = {"compression": 8, "predictor": predictor, "order": order, **layouts[layout]}
                name = (
                    f"tiff-predictor-{predictor}-{np.dtype(dtype).name}-{'le' if order == '<' else 'be'}-{layout}.tif"
                )
                shown = values if dtype == np.uint16 else values.astype(np.float32)
                files[name] = (any_tiff([values], **options), shows(shown))
    deep = picture(dtype=np.uint16)
    files["tiff-16-white.tif"] = (any_tiff([deep[..., :1]], photometric=0), shows(65535 - deep[..., :1]))
    files["tiff-16-big.tif"] = (any_tiff([deep], big=True, order=">"), shows(deep))
    pages = [picture(dtype=np.uint16, shift=shift) for shift in range(3)]
    files["tiff-16-pages.tif"] = (any_tiff(pages), shows(pages[0], frames=3, later=tuple(pages[1:])))
    mixed = [picture(), picture(dtype=np.uint16), picture(dtype=np.float32)]
    files["tiff-mixed-pages.tif"] = (any_tiff(mixed), shows(mixed[0], frames=3, later=tuple(mixed[1:])))
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        grey = Image.fromarray(deep[..., 0])
        files[f"tiff-16-{compression}.tif"] = (saved(grey, "TIFF", compression=compression), shows(deep[..., :1]))
    return files
