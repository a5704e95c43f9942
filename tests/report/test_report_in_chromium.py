"""The report of a real training in a real browser: by mouse, by keyboard, on a phone; it reaches for nothing."""

import shutil

import pytest

from helpers.recipes import TINY, train_only
from i2i.report import write_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def pages(pairs_root, tmp_path_factory):
    """The reports of one run, and of two."""
    folder = tmp_path_factory.mktemp("reports")
    sets = [*TINY, "train.sample_every=1"]
    runs = [train_only("pix2pix", data=pairs_root, out=folder / f"run {n}", sets=sets, steps=n).run for n in (3, 2)]
    return {
        "one": write_report(runs[:1], folder / "one.html"),
        "two": write_report(runs, folder / "two.html"),
    }


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def show(chromium):
    """Opens a page; at the end nothing may have been requested but the page, and the console must be empty."""
    said, contexts = [], []

    def open_page(path, size="desktop", **options):
        width, height = SIZES[size]
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: said.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("request", lambda request: said.append(request.url))
        page.goto(path.as_uri())
        said[:] = [line for line in said if line != path.as_uri() and not line.startswith("data:")]
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["one", "two"])
def test_every_image_loads_and_nothing_is_wider_than_the_screen(show, pages, name, size, scheme):
    page = show(pages[name], size, color_scheme=scheme)
    assert page.evaluate("document.images.length") > 4
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]


def test_the_slider_shows_each_step_by_keyboard(show, pages):
    page = show(pages["one"])
    slider = page.get_by_label("Step", exact=True)
    assert slider.get_attribute("aria-valuetext").startswith("step 3")
    slider.focus()
    for step in (2, 1, 0):
        page.keyboard.press("ArrowLeft")
        assert slider.get_attribute("aria-valuetext").startswith(f"step {step}, {step + 1} of 4")
        assert page.locator(".viewer .sheet:visible").get_attribute("data-step") == str(step)
    page.keyboard.press("End")
    assert page.locator(".viewer .sheet:visible").get_attribute("data-step").startswith("3")


@pytest.mark.parametrize("size", SIZES)
def test_the_slider_shows_a_step_by_mouse(show, pages, size):
    page = show(pages["one"], size)
    slider = page.get_by_label("Step", exact=True)
    slider.click(position={"x": 1, "y": slider.bounding_box()["height"] / 2})
    assert page.locator(".viewer .sheet:visible").get_attribute("data-step") == "0"


def test_the_steps_play_to_the_end(show, pages):
    page = show(pages["one"])
    page.get_by_role("button", name="Play through the steps").click()
    assert page.locator(".viewer .sheet:visible").get_attribute("data-step") == "0"
    page.locator(".viewer .sheet[data-step^='3']").wait_for(state="visible")


@pytest.mark.parametrize("size", SIZES)
def test_the_line_between_before_and_after_moves_by_mouse_and_keyboard(show, pages, size):
    page = show(pages["one"], size)
    slider = page.get_by_label("Source against output, image 1")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    middle, height = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(middle, height)
    page.mouse.down()
    page.mouse.move(middle + box["width"] / 4, height)
    page.mouse.up()
    dragged = int(slider.input_value())
    assert dragged > 60
    page.keyboard.press("ArrowRight")
    assert slider.input_value() == str(dragged + 1)
    assert slider.get_attribute("aria-valuetext") == f"{dragged + 1} % source, {99 - dragged} % output"
    shown = page.evaluate("getComputedStyle(document.querySelector('.pairs .before')).clipPath")
    assert f"{99 - dragged}%" in shown


def test_two_runs_have_a_slider_each_and_their_outputs_side_by_side(show, pages):
    page = show(pages["two"])
    assert page.get_by_label("Step", exact=True).count() == 2
    page.get_by_label("Step", exact=True).nth(1).press("Home")
    steps = [sheet.get_attribute("data-step") for sheet in page.locator(".viewer .sheet:visible").all()]
    assert (steps[0][0], steps[1]) == ("3", "0")
    captions = page.locator(".inputs .row").first.locator("figcaption").all_inner_texts()
    assert captions == ["source", "run 3", "run 2", "target"]


def test_without_script_the_last_step_and_both_images_of_a_pair_are_shown(show, pages):
    page = show(pages["one"], java_script_enabled=False)
    [shown] = page.locator(".viewer .sheet:visible").all()
    assert shown.get_attribute("data-step").startswith("3")
    assert page.locator(".bar:visible").count() == 0
    before, after = (page.locator(f".pairs .{name}").first.bounding_box() for name in ("before", "after"))
    assert before["x"] != after["x"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_what_is_behind_them(show, pages, scheme):
    """WCAG 2.1, success criterion 1.4.3: a contrast of 4.5 between the luminance of text and background."""
    page = show(pages["two"], color_scheme=scheme)
    colours = page.evaluate(TEXT_COLOURS)
    assert len(colours) > 100
    found = [(contrast(text, behind), words) for text, behind, words in colours]
    assert min(found)[0] >= 4.5, min(found)


TEXT_COLOURS = """() => [...document.querySelectorAll('main *')]
  .filter(one => one.checkVisibility() && !one.closest('svg') && !one.classList.contains('tag'))
  .filter(one => [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()))
  .map(one => {
    let behind = one;
    while (behind.parentElement && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)')
      behind = behind.parentElement;
    return [getComputedStyle(one).color, getComputedStyle(behind).backgroundColor, one.textContent.slice(0, 40)];
  })"""


def contrast(*colours):
    lighter, darker = sorted(map(luminance, colours), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    """Relative luminance of ``rgb(r, g, b)``, as WCAG 2.1 defines it."""
    shares = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
