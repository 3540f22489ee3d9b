"""The scan page in real browsers, from a file, without a network: sides, keys, messages, pictures without scripts."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator

import nibabel as nib
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Frame, Page

from lmresp.report.scan_page import scan_page
from tests.browser.firefox import Firefox
from tests.browser.small_scan import AFFINE, SHAPE, block, finding, head, result

PINK, ORANGE, BLUE = (204, 121, 167), (230, 159, 0), (86, 180, 233)
PLANES = ("axial", "coronal", "sagittal")
READY = "document.documentElement.dataset.ready"
PRESSED = "document.querySelector('[data-command={}]').getAttribute('aria-pressed')"


RIGHT_FRONT_TOP = (30.0, 22.0, 26.0)
LEFT_BACK_LOW = (-34.0, -38.0, -22.0)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Addresses of the open and the blinded page of one scan: nodules right-front-top and left-back-low."""
    post, labels, change = head(), np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.float32)
    for place in (RIGHT_FRONT_TOP, LEFT_BACK_LOW):
        block(post, place, 560)
        block(labels, place, 2)
        block(change, place, 1.0)
    arrays = {"t1": post, "pre": head(), "flair": head(), "labels": labels, "change": change, "brain": head() > 0}
    arrays |= {"reference": head(), "reference_labels": labels * 0, "reference_brain": head() > 0}
    arrays |= {"reference_pre": head(), "reference_flair": head()}
    images = {name: nib.Nifti1Image(array.astype(np.float32), AFFINE) for name, array in arrays.items()}
    now = result("sub-01_ses-wk06", "WK06", [finding(1, RIGHT_FRONT_TOP), finding(2, LEFT_BACK_LOW)], "sub-01_ses-bl")
    before = result("sub-01_ses-bl", "BL", [], None)
    folder = tmp_path_factory.mktemp("page")
    made = {}
    for name, blinded in (("open", False), ("blinded", True)):
        (folder / f"{name}.html").write_text(scan_page(now, images, before, blinded=blinded), encoding="utf-8")
        made[name] = (folder / f"{name}.html").as_uri()
    frame = '<iframe sandbox="allow-scripts" src="open.html" width="1400" height="880"></iframe>'
    (folder / "frame.html").write_text(f"<!DOCTYPE html><title>f</title>{frame}", encoding="utf-8")
    made["frame"] = (folder / "frame.html").as_uri()
    return made


def until(page: Page | Frame, condition: str, seconds: float = 20) -> None:
    """Wait for a condition; the browser's own waiting needs eval, which the policy of the page forbids."""
    for _ in range(int(seconds / 0.03)):
        if page.evaluate(condition):
            return
        time.sleep(0.03)
    raise AssertionError(f"not within {seconds} s: {condition}")


def opened(page: Page, address: str) -> Page:
    page.goto(address)
    until(page, f"{READY} || document.documentElement.dataset.failed")
    assert page.evaluate(READY), page.evaluate("document.documentElement.dataset.failed")
    return page


@pytest.fixture
def view(page: Page, pages: dict[str, str]) -> Iterator[Page]:
    """The open page, ready; nothing may have been asked of a network and no script may have failed."""
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    yield opened(page, pages["open"])
    assert asked == [pages["open"]]
    assert wrong == []


# Pixels of a colour on a pane: how many, and their mean place as parts of the pane (0 left or top).
SEEN = """([row, plane, colour]) => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {
  const canvas = document.querySelector(`canvas[data-row="${row}"][data-plane="${plane}"]`);
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0, x = 0, y = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (colour.every((c, n) => Math.abs(data[at + n] - c) < 12)) {
      count += 1; x += (at / 4) % canvas.width; y += Math.floor(at / 4 / canvas.width);
    }
  }
  done([count, x / count / canvas.width, y / count / canvas.height]);
})))"""


def seen(view: Page, row: int, plane: str, colour: tuple[int, int, int]) -> tuple[float, float, float]:
    count, x, y = view.evaluate(SEEN, [row, plane, list(colour)])
    return count, x, y


def said(view: Page) -> str:
    return view.inner_text("#said")


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize(("number", "side"), [(1, -1), (2, 1)])
def test_nodule_has_its_colour_on_its_side(view: Page, plane: str, number: int, side: int) -> None:
    # Radiological: right and top are left and up on the picture; so is the front on axial (up) and sagittal (left).
    view.click(f"[data-target=finding-{number}]")
    for key in "hs":  # no crosshair; fill
        view.keyboard.press(key)
    view.fill("#opacity", "100")
    count, x, y = seen(view, 0, plane, PINK)
    assert count > 30
    assert (x - 0.5) * side > 0.05
    assert (y - 0.5) * side > 0.05
    assert seen(view, 1, plane, PINK)[0] == 0  # the reference visit has no nodule


@pytest.mark.parametrize(("plane", "letters"), [("axial", "RLAP"), ("coronal", "RLSI"), ("sagittal", "APSI")])
def test_letters_name_the_sides(view: Page, plane: str, letters: str) -> None:
    view.keyboard.press("h")
    read = view.evaluate(
        """plane => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {
          const canvas = document.querySelector(`canvas[data-row="0"][data-plane="${plane}"]`);
          const context = canvas.getContext("2d", {willReadFrequently: true});
          const {width, height} = canvas;
          const cut = (c, x, y) => c.getImageData(x - 8, y - 8, 16, 16).data.filter((_, n) => n % 4 === 0);
          const drawn = letter => {
            const small = new OffscreenCanvas(16, 16).getContext("2d");
            Object.assign(small, {font: context.font, textAlign: "center", textBaseline: "middle", fillStyle: "#fff"});
            small.font = '14px system-ui, "Liberation Sans", sans-serif';
            small.fillText(letter, 8, 8);
            return small.getImageData(0, 0, 16, 16).data.filter((_, n) => n % 4 === 0);
          };
          const places = [[11, height / 2], [width - 11, height / 2], [width / 2, 11], [width / 2, height - 11]];
          done(places.map(([x, y]) => {
            const here = cut(context, Math.round(x), Math.round(y));
            const apart = letter => drawn(letter).reduce((sum, v, n) => sum + Math.abs(v - here[n]), 0);
            return [..."RLAPSI"].sort((a, b) => apart(a) - apart(b))[0];
          }).join(""));
        })))""",
        plane,
    )
    assert read == letters


def test_everything_by_keyboard(view: Page) -> None:
    def where() -> str:
        view.wait_for_timeout(80)
        return view.inner_text("#where")

    # The first view is the finding that the worse item rests on.
    assert said(view) == "At finding 1, nodule (both visits)."
    assert "R 30 A 22 S 26 mm" in where()
    assert seen(view, 0, "axial", PINK)[0] > 30
    view.keyboard.press("n")
    assert said(view) == "At finding 2, nodule (both visits)."
    view.keyboard.press("0")
    assert "R 30 A 22 S 26 mm" in where()
    view.keyboard.press("p")
    assert said(view) == "At finding 1, nodule (both visits)."
    view.keyboard.press("ArrowUp")
    assert "S 30 mm" in where()
    view.keyboard.press("PageDown")
    assert "I 10 mm" in where()
    view.keyboard.press("ArrowRight")  # the coronal plane
    view.keyboard.press("ArrowDown")
    assert "A 18" in where()
    view.keyboard.press("Shift+ArrowLeft")  # to the left of the picture: to the subject's right
    assert "R 34" in where()
    view.keyboard.press("p")
    assert "where the nodule of track 9 was" in said(view)  # before the first comes the last
    view.keyboard.press("n")
    assert seen(view, 0, "axial", PINK)[0] > 30
    view.keyboard.press("x")
    assert view.evaluate(PRESSED.format("off")) == "true"
    assert seen(view, 0, "axial", PINK)[0] == 0
    view.keyboard.press("x")
    view.keyboard.press("o")
    assert view.evaluate(PRESSED.format("outline")) == "false"
    assert seen(view, 0, "axial", PINK)[0] == 0


def test_flicker_swap_and_window_by_keyboard(view: Page) -> None:
    title = "#visit-0"
    assert "Current" in view.inner_text(title)
    view.keyboard.press("b")
    until(view, "document.querySelector('#visit-0').textContent.startsWith('Reference')")
    view.keyboard.press("b")
    view.keyboard.press("f")
    for name in ("Reference", "Current", "Reference"):
        until(view, f"document.querySelector('#visit-0').textContent.startsWith('{name}')", 3)
    view.keyboard.press("f")
    until(view, "document.querySelector('#visit-0').textContent.startsWith('Current')")
    assert view.evaluate(PRESSED.format("flicker")) == "false"
    assert float(view.input_value("#window-width")) == pytest.approx(575, abs=1)  # 1.15 times 500, both visits
    brain = seen(view, 0, "axial", (222, 222, 222))  # 500 of 575 is 222 of 255
    assert brain[0] > 1000
    view.keyboard.press("u")
    view.wait_for_timeout(80)
    assert float(view.input_value("#window-width")) == pytest.approx(575 * 0.9, abs=1)
    view.fill("#window-width", "1000")
    view.fill("#window-level", "500")
    assert seen(view, 0, "axial", (128, 128, 128))[0] > 1000
    assert seen(view, 1, "axial", (128, 128, 128))[0] > 1000
    view.evaluate("document.activeElement.blur()")
    view.keyboard.press("0")
    assert seen(view, 0, "axial", (222, 222, 222))[0] == brain[0]


def test_ruler_measures_two_perpendicular_diameters_by_keyboard(view: Page) -> None:
    view.keyboard.press("r")
    view.keyboard.press("Enter")
    for _ in range(5):  # voxels of 4 mm
        view.keyboard.press("Shift+ArrowRight")
    view.keyboard.press("Enter")
    assert "20.0 mm" in said(view)
    view.keyboard.press("Enter")
    for _ in range(3):
        view.keyboard.press("Shift+ArrowUp")
    view.keyboard.press("Shift+ArrowLeft")  # not perpendicular: the point is set onto the perpendicular
    view.keyboard.press("Enter")
    assert "20.0 × 12.0 mm, product 240 mm²" in said(view)
    assert "20.0 × 12.0 mm" in view.inner_text("#measured")
    assert seen(view, 0, "axial", (124, 252, 138))[0] > 20
    assert seen(view, 1, "axial", (124, 252, 138))[0] == 0
    view.click("[data-command=ruler-clear]")
    assert view.inner_text("#measured") == ""


def test_series_change_map_and_enlarged_plane(view: Page) -> None:
    view.keyboard.press("h")
    view.keyboard.press("o")
    view.click("[data-target=finding-1]")
    view.keyboard.press("c")
    view.wait_for_timeout(150)
    hot = seen(view, 0, "axial", (253, 235, 69))  # 95 % of the colour of full change on a white voxel
    assert hot[0] > 30
    assert hot[1] < 0.5
    view.keyboard.press("c")
    view.keyboard.press("5")  # subtraction: nothing but the two nodules is left
    view.wait_for_timeout(200)
    assert view.evaluate(PRESSED.format("series-5")) == "true"
    assert seen(view, 0, "axial", (222, 222, 222))[0] < 200  # letters only
    assert seen(view, 0, "axial", (31, 31, 31))[1] < 0.5  # 560 - 500 is 12 % of 500: 31 of 255
    view.keyboard.press("e")
    assert view.locator("canvas:visible").count() == 2
    view.keyboard.press("e")
    assert view.locator("canvas:visible").count() == 6


def test_mouse_moves_crosshair_slices_and_window(view: Page) -> None:
    canvas = view.locator("canvas[data-row='0'][data-plane=axial]")
    box = canvas.bounding_box()
    assert box is not None
    view.mouse.click(box["x"] + box["width"] * 0.35, box["y"] + box["height"] * 0.4)
    view.wait_for_timeout(80)
    place = view.inner_text("#where")
    assert place.startswith("R ")
    assert " A " in place
    view.mouse.wheel(0, -100)
    view.wait_for_timeout(80)
    assert view.inner_text("#where") != place
    view.mouse.down(button="right")
    view.mouse.move(box["x"] + box["width"] * 0.35 + 60, box["y"] + box["height"] * 0.4, steps=4)
    view.mouse.up(button="right")
    view.wait_for_timeout(80)
    assert float(view.input_value("#window-width")) > 600


def test_shortcuts_can_be_switched_off(view: Page) -> None:
    view.keyboard.press("?")
    assert view.locator("#help").is_visible()
    assert view.locator("#help-keys tr").count() > 20
    view.click("[data-command=keys]")
    view.keyboard.press("Escape")
    view.keyboard.press("o")
    assert view.evaluate(PRESSED.format("outline")) == "true"


def test_holder_of_the_page_may_go_to_a_finding_and_nobody_else(page: Page, pages: dict[str, str]) -> None:
    page.goto(pages["frame"])
    frame = page.frames[1]
    until(frame, READY)
    message = json.dumps({"type": "lmresp-goto", "finding": 2})
    frame.evaluate(f"window.postMessage({message}, '*')")
    page.wait_for_timeout(200)
    assert frame.inner_text("#said").startswith("At finding 1")
    page.evaluate(f"document.querySelector('iframe').contentWindow.postMessage({message}, '*')")
    until(frame, "document.getElementById('said').textContent.startsWith('At finding 2')")
    page.evaluate(
        "document.querySelector('iframe').contentWindow.postMessage({type: 'lmresp-goto', finding: '<b>'}, '*')"
    )
    page.evaluate("document.querySelector('iframe').contentWindow.postMessage(null, '*')")
    page.wait_for_timeout(100)
    assert frame.inner_text("#said").startswith("At finding 2")


def test_in_a_frame_no_link_leads_out_and_the_frame_names_the_scan(page: Page, pages: dict[str, str]) -> None:
    page.goto(pages["frame"])
    frame = page.frames[1]
    until(frame, READY)
    assert frame.locator("a:visible").count() == 0
    assert frame.evaluate("document.querySelector('header.bar').getBoundingClientRect().height") <= 1
    assert frame.locator(".banner").is_visible()
    page.goto(pages["open"])
    assert page.locator(".report-link a").count() == 1
    assert page.locator(".report-link a").is_visible()


def test_blinded_page_shows_images_and_ignores_messages(page: Page, pages: dict[str, str]) -> None:
    opened(page, pages["blinded"])
    assert page.locator("canvas:visible").count() == 6
    assert page.inner_text("#where").startswith("R 2 A")  # the middle of the head, not a finding
    assert said(page) == ""
    stage = page.locator("#stage").bounding_box()
    assert stage is not None
    assert stage["width"] > 0.95 * page.evaluate("innerWidth")  # nothing but pictures
    assert page.locator("[data-target], [data-command=outline]").count() == 0
    for row in (0, 1):
        for colour in (PINK, ORANGE, BLUE):
            assert seen(page, row, "axial", colour)[0] == 0
    page.keyboard.press("5")
    page.keyboard.press("o")
    page.wait_for_timeout(150)
    assert page.evaluate(PRESSED.format("series-5")) == "true"


def test_without_scripts_and_in_print_there_are_pictures(chromium: Browser, pages: dict[str, str], view: Page) -> None:
    context = chromium.new_context(java_script_enabled=False)
    still = context.new_page()
    still.goto(pages["open"])
    assert still.locator(".viewer").is_hidden()
    assert still.locator(".pictures img").first.is_visible()
    place = still.locator(".pictures img").first.bounding_box()
    assert place is not None
    assert place["y"] < 720  # in sight without scrolling
    context.close()
    assert view.locator(".pictures").is_hidden()
    view.emulate_media(media="print")
    assert view.locator(".viewer").is_hidden()
    assert view.locator(".pictures img").first.is_visible()


def test_works_without_3d(chromium: Browser, pages: dict[str, str]) -> None:
    # Hospital desktops often have no GPU, and browsers no longer draw WebGL in software.
    browser = chromium.browser_type.launch(
        executable_path=_program(),
        args=["--no-sandbox", "--disable-gpu", "--disable-3d-apis"],
    )
    page = opened(browser.new_page(), pages["open"])
    assert page.evaluate("document.createElement('canvas').getContext('webgl2')") is None
    page.keyboard.press("n")
    assert seen(page, 0, "axial", PINK)[0] > 15
    browser.close()


def _program() -> str:
    return str(shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome"))


@pytest.mark.parametrize("name", ["open", "blinded"])
def test_no_violation_of_wcag_a_or_aa(page: Page, pages: dict[str, str], name: str) -> None:
    opened(page, pages[name])
    page.keyboard.press("n")
    levels = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    options = {"runOnly": {"type": "tag", "values": levels}}
    for keys in ((), ("?",)):
        for key in keys:
            page.keyboard.press(key)
        found = Axe().run(page, options=options).response
        assert [(v["id"], [n["html"][:120] for n in v["nodes"]]) for v in found["violations"]] == []
        assert len(found["passes"]) > 10


def test_narrow_window_has_no_sideways_scrolling(page: Page, pages: dict[str, str]) -> None:
    page.set_viewport_size({"width": 760, "height": 800})
    opened(page, pages["open"])
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.locator("canvas:visible").count() == 6
    # The panel below the pictures shows all that it holds.
    held, shown = page.evaluate("(s => [s.scrollHeight, s.clientHeight])(document.querySelector('.side'))")
    assert 200 < held <= shown


def test_firefox_shows_the_nodule_on_its_side_and_takes_keys(firefox: Firefox, pages: dict[str, str]) -> None:
    firefox.open(pages["open"])
    firefox.wait(f"return {READY}")
    for key in "hs":
        firefox.press(key)
    firefox.run("const s = document.getElementById('opacity'); s.value = 100; s.dispatchEvent(new Event('input'))")
    count = """
      const canvas = document.querySelector('canvas[data-row="0"][data-plane="axial"]');
      const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      let left = 0, right = 0;
      for (let at = 0; at < data.length; at += 4) {
        if ([204, 121, 167].every((c, n) => Math.abs(data[at + n] - c) < 12)) {
          if ((at / 4) % canvas.width < canvas.width / 2) left += 1; else right += 1;
        }
      }
      return left + right > 30 ? [left, right] : null;"""
    left, right = firefox.wait(count)
    assert left > 30
    assert right == 0
    firefox.press("ArrowUp")
    firefox.wait("return document.getElementById('where').textContent.includes('S 30 mm')")
    assert firefox.run("return performance.getEntriesByType('resource').length") == 0
