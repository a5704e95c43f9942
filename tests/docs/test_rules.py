"""The table of rules in docs/translate.md, line by line: each sentence of it is tried on files.

A sentence that no check begins with, and a check whose sentence is gone, fail: who changes a rule changes its check.
"""

import io
import re

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from helpers import place_rules
from helpers.doc_blocks import read
from helpers.small_models import make_model, metadata_of, noise, tree
from i2i.config import DataConfig
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i.images import write_image
from i2i.plugins import Plugins
from i2i.translate import load

PIXELS = noise(6, 8, 3)
DEEP = noise(6, 8, 3, dtype=np.uint16)
GREY = noise(6, 8, 1)


class Tried:
    """One translation: what became of the input ``in.*``.

    Args:
        folder: empty folder for input, model and output.
    """

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, name, data, *, graph="identity", value_type="uint8", entries=None, **options):
        """Translates an input: an array, an image of Pillow, or bytes; its results are kept."""
        place = self.folder / name
        place.parent.mkdir(exist_ok=True, parents=True)
        if isinstance(data, bytes):
            place.write_bytes(data)
        elif name.endswith(".npy"):
            np.save(place, data)
        elif isinstance(data, np.ndarray) and data.dtype != np.uint8:
            assert cv2.imwrite(str(place), data[..., ::-1] if data.ndim == 3 else data)
        else:
            (Image.fromarray(data) if isinstance(data, np.ndarray) else data).save(place)
        metadata = metadata_of(graph, value_type, ()) | (entries or {})
        path = make_model(self.folder / "model.onnx", graph, value_type, metadata=metadata)
        self.results = list(
            load(path, device="cpu").translate_folder(place, self.folder / "out", overwrite=True, **options)
        )
        return self

    @property
    def result(self):
        (result,) = self.results
        return result

    @property
    def file(self):
        assert self.result.status == "written", self.result.reason
        return self.result.output

    @property
    def pixels(self):
        """The output, read by a library that is not ours."""
        if self.file.suffix == ".npy":
            return np.load(self.file)
        values = cv2.imread(str(self.file), cv2.IMREAD_UNCHANGED)
        if values.dtype != np.uint8:
            return values[..., ::-1] if values.ndim == 3 else values
        with Image.open(self.file) as image:
            return np.asarray(image)


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def levels_are_kept(tried):
    for name, data in (("in.png", PIXELS), ("in.tif", DEEP), ("in.tif", DEEP / np.float32(65535))):
        assert np.array_equal(tried(name, data, value_type="float32").pixels, data)
    ramp = np.linspace(0, 65535, 3072).astype(np.uint16).reshape(48, 64)
    assert np.array_equal(tried("in.tif", ramp, graph="exported").pixels, ramp)
    assert not tried.result.note


def a_graph_of_8_bits_has_a_note(tried):
    tried("in.tif", DEEP, graph="invert")
    assert "went through 8 bits" in tried.result.note
    assert tried.pixels.dtype == np.uint16


def deep_avif_is_spread_over_16_bits(tried):
    for bits in (10, 12):
        ramp = np.linspace(0, 2**bits - 1, 1200).round().astype(np.uint16).reshape(30, 40)
        done, data = cv2.imencode(".avif", ramp, [cv2.IMWRITE_AVIF_QUALITY, 100, cv2.IMWRITE_AVIF_DEPTH, bits])
        assert done
        tried("in.avif", data.tobytes(), graph="identity-1", value_type="float32")
        assert np.array_equal(tried.pixels, np.rint(ramp * (65535 / (2**bits - 1))))


def whole_numbers_of_tiff_fit_into_16_bits_or_are_refused(tried):
    values = np.arange(48).reshape(6, 8) * 1000
    for dtype in (np.int32, np.uint32, np.int16):
        given = (values % 30_000).astype(dtype)
        tried("in.tif", tiff(given), graph="identity-1", value_type="float32")
        assert np.array_equal(tried.pixels, given)
    tried("in.tif", tiff(values.astype(np.uint32) * 1000), graph="identity-1", value_type="float32")
    assert tried.result.status == "failed"


def floats_without_a_range_are_refused(tried):
    tried("in.tif", DEEP.astype(np.float32), value_type="float32")
    assert tried.result.status == "failed"
    assert "float values from" in tried.result.reason


RANGE = {"i2i.source_range": "[0, 1000]", "i2i.target_range": "[0, 1000]", "i2i.target_type": "float32"}


def ranges_take_values_of_any_type(tried):
    values = np.arange(48).reshape(6, 8) * 20
    for dtype in (np.float32, np.uint16):
        tried("in.tif", values.astype(dtype), graph="identity-1", value_type="float32", entries=RANGE)
        assert np.allclose(np.squeeze(tried.pixels), values, atol=0.01)


def values_beyond_a_range_are_clipped_with_a_note(tried):
    values = np.float32([[-5, 0, 500, 1500]] * 4)
    tried("in.tif", values, graph="identity-1", value_type="float32", entries=RANGE)
    assert np.allclose(np.squeeze(tried.pixels), values.clip(0, 1000), atol=0.01)
    assert "50 % of its values lie beyond the model's 0..1000 and were clipped" in tried.result.note


def orientation_is_applied_and_reset(tried):
    exif = Image.Exif()
    exif[0x0112] = 6
    tried("in.png", saved(Image.fromarray(PIXELS), "PNG", exif=exif), keep_metadata=True)
    assert np.array_equal(tried.pixels, np.rot90(PIXELS, -1))
    with Image.open(tried.file) as image:
        assert image.getexif().get(0x0112, 1) == 1


def with_alpha(pixels, alpha):
    return np.dstack([pixels, alpha]).astype(np.uint8)


def alpha_is_put_back_and_enlarged(tried):
    alpha = np.tile(np.uint8([0, 0, 0, 0, 255, 255, 255, 255]), (6, 1))
    result = tried("in.png", with_alpha(PIXELS, alpha), graph="double").pixels
    assert result.shape == (12, 16, 4)
    assert (result[:, :6, 3] == 0).all()
    assert (result[:, -6:, 3] == 255).all()


def hidden_colours_change_nothing_visible(tried):
    alpha = np.full((6, 8), 255)
    alpha[:, :4] = 0
    seen = []
    for hidden in (0, 200):
        pixels = PIXELS.copy()
        pixels[:, :4] = hidden
        seen.append(tried("in.png", with_alpha(pixels, alpha), graph="cubic-4").pixels)
    assert np.array_equal(seen[0][seen[0][..., 3] > 0], seen[1][seen[1][..., 3] > 0])


def hidden_colours_change_nothing_in_training(tried):
    pixels, samples = noise(40, 40, 4), []
    pixels[5:30, 8:31, 3] = 0
    for hidden in (0, 200):
        pixels[5:30, 8:31, :3] = hidden
        for side in "AB":
            (tried.folder / str(hidden) / side).mkdir(parents=True)
            Image.fromarray(pixels).save(tried.folder / str(hidden) / side / "x.png")
        config = DataConfig(root=str(tried.folder / str(hidden)), size=32, load_size=36, val_fraction=0)
        samples.append(open_data(config, Plugins(), Requirements(frozenset({"source", "target"})), seed=1).train[0, 0])
    for key in ("source", "target"):
        assert np.array_equal(samples[0][key], samples[1][key])


def models_with_alpha_get_it(tried):
    given = with_alpha(PIXELS, np.full((6, 8), 128))
    assert np.array_equal(tried("in.png", given, graph="identity-4").pixels, given)
    seen = tried("in.png", given, graph="red-of-4").pixels
    assert seen.ndim == 2  # no alpha is put on it


def alpha_is_dropped_or_put_on_a_colour(tried):
    given = with_alpha(PIXELS, np.full((6, 8), 51))
    assert np.array_equal(tried("in.png", given, alpha="drop").pixels, PIXELS)
    for rule, colour in (("white", 255), ("black", 0)):
        blended = 0.2 * PIXELS + 0.8 * colour
        assert np.abs(tried("in.png", given, alpha=rule).pixels - blended).max() <= 1


def colours_become_rgb(tried):
    for image in (
        Image.fromarray(PIXELS).quantize(16),
        Image.new("CMYK", (8, 6), (0, 128, 255, 0)),
        Image.fromarray(PIXELS).convert("YCbCr"),
    ):
        tried(f"in.{'png' if image.mode == 'P' else 'tif'}", image)
        assert tried.pixels.shape == (6, 8, 3)
        if image.mode != "CMYK":
            assert np.abs(tried.pixels.astype(int) - np.asarray(image.convert("RGB"))).max() <= 2


def grey_stays_until_a_model_asks_for_colour(tried):
    assert np.array_equal(tried("in.png", GREY[..., 0], graph="identity-1").pixels, GREY[..., 0])
    assert np.array_equal(tried("in.png", GREY[..., 0]).pixels, np.repeat(GREY, 3, axis=2))


def tiff(array, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, array, photometric="minisblack", **options)
    return file.getvalue()


BANDS = {"i2i.source_type": "uint16", "i2i.target_type": "uint16", "i2i.bands_of": "5", "i2i.gives_bands": "true"}


def all_bands_are_taken(tried):
    given = noise(6, 8, 5, dtype=np.uint16)
    for order in ("contig", "separate"):
        data = tiff(given if order == "contig" else given.transpose(2, 0, 1), planarconfig=order)
        tried("in.tif", data, graph="identity-5", value_type="float32", entries=BANDS)
        assert np.array_equal(tifffile.imread(tried.file), given)
    tried("in.npy", given, graph="identity-5", value_type="float32", entries=BANDS)
    assert np.array_equal(tried.pixels, given)
    for dtype, kept in ((np.uint8, "uint8"), (np.float32, "float32"), (np.float64, "float32")):
        entries = BANDS | {"i2i.source_type": kept, "i2i.target_type": kept}
        values = noise(6, 8, 5) if kept == "uint8" else (given / 65535).astype(dtype)
        data = tiff(values, planarconfig="contig")
        tried("in.tif", data, graph="identity-5", value_type=kept, entries=entries)
        assert np.array_equal(tifffile.imread(tried.file), values.astype(kept))


def a_fourth_channel_is_alpha_where_the_file_says_so(tried):
    given = noise(6, 8, 4, dtype=np.uint16)
    tried("in.tif", tiff(given, planarconfig="contig"), value_type="float32")
    assert "4 bands; the model takes 3" in tried.result.reason
    tried("in.npy", given, value_type="float32")
    assert np.array_equal(tried.pixels[..., 3], given[..., 3])


def other_bands_are_refused_by_number(tried):
    tried("in.tif", tiff(noise(6, 8, 5, dtype=np.uint16), planarconfig="contig"), value_type="float32")
    assert "5 bands; the model takes 3" in tried.result.reason


def chosen_bands_are_taken_from_files_with_all_of_them(tried):
    given, entries = noise(6, 8, 5, dtype=np.uint16), BANDS | {"i2i.bands": "[3, 2, 1]", "i2i.gives_bands": ""}
    tried("in.tif", tiff(given, planarconfig="contig"), value_type="float32", entries=entries)
    assert np.array_equal(tried.pixels, given[..., [2, 1, 0]])
    three = given[..., :3].copy()
    tried("in.tif", tiff(three, planarconfig="contig"), value_type="float32", entries=entries)
    assert np.array_equal(tried.pixels, three)


def stacked_pages_are_bands(tried):
    pages = noise(5, 6, 8, dtype=np.uint16)
    entries = BANDS | {"i2i.pages": "stack"}
    tried("in.tif", tiff(pages), graph="identity-5", value_type="float32", entries=entries)
    assert np.array_equal(tifffile.imread(tried.file), pages.transpose(1, 2, 0))


LABELS = {"graph": "identity-1", "entries": {"i2i.source_kind": "labels"}}


def label_maps_give_their_numbers(tried):
    numbers = GREY[..., 0] % 7
    indexed = Image.fromarray(numbers)
    indexed.putpalette(bytes(range(255, -1, -1)) * 3)
    assert indexed.mode == "P"
    for image in (indexed, numbers):
        assert np.array_equal(tried("in.png", image, **LABELS).pixels, numbers)


def what_is_no_label_map_is_refused(tried):
    for data in (PIXELS, np.float32(GREY[..., 0]) / 255, np.full((6, 8), 256, np.uint16)):
        tried(f"in.{'png' if data.dtype == np.uint8 else 'tif'}", data, **LABELS)
        assert tried.result.status == "failed", data.dtype


def profile_of(name):
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def images_of_8_bits_become_srgb(tried):
    profile = wide_profile()
    tried("in.png", saved(Image.fromarray(PIXELS), "PNG", icc_profile=profile))
    expected = ImageCms.profileToProfile(
        Image.fromarray(PIXELS),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert np.abs(tried.pixels.astype(int) - np.asarray(expected)).max() <= 2
    assert not np.array_equal(tried.pixels, PIXELS)
    with Image.open(tried.file) as image:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"])))
    assert "srgb" in name.lower()


def wide_profile():
    """A profile whose primaries are not those of sRGB: its red and green exchanged."""
    data = bytearray(profile_of("sRGB"))
    count = int.from_bytes(data[128:132], "big")
    entries = {bytes(data[132 + 12 * n : 136 + 12 * n]): 132 + 12 * n for n in range(count)}
    red, green = entries[b"rXYZ"], entries[b"gXYZ"]
    data[red + 4 : red + 12], data[green + 4 : green + 12] = data[green + 4 : green + 12], data[red + 4 : red + 12]
    return bytes(data)


def deeper_images_keep_values_and_profile(tried):
    profile = wide_profile()
    write_image(tried.folder / "given.png", DEEP, icc=profile)
    tried("in.png", (tried.folder / "given.png").read_bytes(), value_type="float32")
    assert np.array_equal(tried.pixels, DEEP)
    with Image.open(tried.file) as image:
        assert image.info["icc_profile"] == profile


def gamma_of_png_changes_nothing(tried):
    info = PngInfo()
    info.add(b"gAMA", (100_000).to_bytes(4, "big"))
    info.add(
        b"cHRM", b"".join(value.to_bytes(4, "big") for value in (31270, 32900, 30000, 60000, 64000, 33000, 15000, 6000))
    )
    assert np.array_equal(tried("in.png", saved(Image.fromarray(PIXELS), "PNG", pnginfo=info)).pixels, PIXELS)


def frames():
    images = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
    return saved(images[0], "TIFF", save_all=True, append_images=images[1:])


def the_first_frame_has_a_note(tried):
    tried("in.tif", frames())
    assert tuple(tried.pixels[0, 0]) == (255, 0, 0)
    assert "the first of 3 frames" in tried.result.note


def all_frames_are_written_until_one_cannot_be_read(tried):
    tried("in.tif", frames(), frames="all")
    assert tree(tried.folder / "out") == ["in_0000.tif", "in_0001.tif", "in_0002.tif"]
    tried.folder = tried.folder / "again"
    pages = [Image.new("RGB", (8, 6)), Image.fromarray(np.full((6, 8), -5, np.int32)), Image.new("RGB", (8, 6))]
    tried("in.tif", saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]), frames="all")
    assert [result.status for result in tried.results] == ["written", "failed", "failed"]


CHECKS = {
    **place_rules.CHECKS,
    "bits": {
        "8 and 16 bit integers and floats in [0, 1] keep their levels": levels_are_kept,
        "Where its graph cannot, a note says": a_graph_of_8_bits_has_a_note,
        "Floats outside of [0, 1] are refused unless": floats_without_a_range_are_refused,
        "10 and 12 bits of AVIF are spread over 16": deep_avif_is_spread_over_16_bits,
        "integers of a TIFF with a sign or of 32 bits": whole_numbers_of_tiff_fit_into_16_bits_or_are_refused,
    },
    "values, by a model with a range": {
        "taken as they are in the file, whatever its type": ranges_take_values_of_any_type,
        "what lies beyond the range is clipped, with a note": values_beyond_a_range_are_clipped_with_a_note,
    },
    "orientation": {"applied, and reset in the output": orientation_is_applied_and_reset},
    "alpha": {
        "put back on the output, enlarged with it": alpha_is_put_back_and_enlarged,
        "Before that, colours under an alpha of 0 are replaced": hidden_colours_change_nothing_visible,
        "training does the same": hidden_colours_change_nothing_in_training,
        "A model trained with alpha as a channel": models_with_alpha_get_it,
        "`drop` leaves it out, `white` and `black`": alpha_is_dropped_or_put_on_a_colour,
    },
    "palette, CMYK, YCbCr": {
        "becomes RGB": colours_become_rgb,
        "grey stays grey until a model asks for colour": grey_stays_until_a_model_asks_for_colour,
    },
    "label map": {
        "a model trained with `data.source_kind=labels` gets the numbers": label_maps_give_their_numbers,
        "colours, floats and values above 255 are refused": what_is_no_label_map_is_refused,
    },
    "bands of a TIFF or npy": {
        "all of them, 8 to 64 bits, in any order": all_bands_are_taken,
        "a channel is alpha only where the TIFF says so": a_fourth_channel_is_alpha_where_the_file_says_so,
    },
    "other bands than a model takes": {
        "refused by number, never dropped or made up": other_bands_are_refused_by_number,
        "A model that was trained on chosen bands": chosen_bands_are_taken_from_files_with_all_of_them,
        "one trained with `data.pages=stack` takes all pages": stacked_pages_are_bands,
    },
    "profile": {
        "images of 8 bits are converted to sRGB": images_of_8_bits_become_srgb,
        "with more bits, values and profile stay": deeper_images_keep_values_and_profile,
        "The gamma and chromaticity chunks of PNG": gamma_of_png_changes_nothing,
    },
    "several frames or pages": {
        "the first, with a note": the_first_frame_has_a_note,
        "`--frames all` writes each as": all_frames_are_written_until_one_cannot_be_read,
    },
}
"""Row -> beginning of a sentence of its rule -> the check that tries it; a sentence ends before ``;`` or ``. ``."""


def rules():
    """The sentences of the table: pairs of row and sentence."""
    text = read("docs/translate.md")
    table = re.search(r"\| in the input \| rule \|\n\|[-|]+\|\n((?:\|.*\n)+)", text)[1]
    for line in table.splitlines():
        row, rule = (cell.strip() for cell in line.strip("|").split("|"))
        for sentence in re.split(r"(?:; |\. )", rule):
            yield row, sentence


def check_for(row, sentence):
    own = next((checks for name, checks in CHECKS.items() if row.startswith(name)), {})
    return next((check for beginning, check in own.items() if sentence.startswith(beginning)), None)


@pytest.mark.parametrize(("row", "sentence"), list(rules()), ids=lambda text: text[:40])
def test_each_rule_holds(row, sentence, tmp_path):
    check = check_for(row, sentence)
    assert check is not None, f"no check tries this rule of docs/translate.md: {row} | {sentence}"
    check(Tried(tmp_path))


def test_no_check_is_of_a_rule_that_is_gone():
    used = {check_for(row, sentence) for row, sentence in rules()}
    assert used == {check for checks in CHECKS.values() for check in checks.values()}
