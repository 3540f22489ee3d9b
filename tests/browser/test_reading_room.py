"""The reading room in real browsers, over a real server: from signing in to the lock, and everything that blocks."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.firefox import Firefox
from tests.reading_rooms import (
    BASELINE,
    DRAFT_MARK,
    STABLE,
    WORSE,
    add_readers,
    entries,
    lock_read,
    make_study,
    scan_name,
    served,
)

SUBJECTS = tuple(f"S-0{number}" for number in range(1, 10))
"""One for each test, so that none leans on another."""
ITEMS = ("BRAIN.NODULES", "BRAIN.LINEAR", "BRAIN.HYDROCEPHALUS", "BRAIN.CRANIAL_NERVE", "BRAIN.PARENCHYMAL")
READ, DECIDE = "Save and lock", "Save, lock and next"


@dataclasses.dataclass
class Room:
    """A room that is being served."""

    folder: Path
    secrets: dict[str, str]
    url: str

    def entries(self, subject: str, visit: str) -> list[dict[str, Any]]:
        """Entries of the record about one scan; the whole record is verified."""
        return [entry for entry in entries(self.folder) if entry["scan"] == scan_name(subject, visit)]


def _served(folder: Path, **settings: Any) -> Iterator[Room]:
    make_study(folder, images=True, subjects=SUBJECTS, **settings)
    secrets = add_readers(folder)
    with served(folder) as (_, url):
        yield Room(folder, secrets, url)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """A double read with the draft hidden."""
    yield from _served(tmp_path_factory.mktemp("room") / "study", adjudication="either")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """A read beside the draft."""
    yield from _served(tmp_path_factory.mktemp("shown") / "study", draft_hidden=False, read_model="single")


@pytest.fixture
def enter(chromium: Browser) -> Iterator[Any]:
    """Sign people in, each in a context of their own; afterwards nothing of a page may have failed."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def sign_in(room: Room, name: str, *, watched: bool = True) -> Page:
        context = chromium.new_context(viewport={"width": 1440, "height": 900})
        contexts.append(context)
        page = context.new_page()
        if watched:
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("console", lambda line: faults.append(line.text) if "Content Security" in line.text else None)
        page.goto(room.url)
        page.fill("#name", name)
        page.fill("#secret", room.secrets[name])
        page.keyboard.press("Enter")
        page.wait_for_url(room.url)
        return page

    yield sign_in
    for context in contexts:
        context.close()
    assert faults == []


def opened(page: Page, room: Room, subject: str, visit: str, *, kind: str = "scan") -> Page:
    page.goto(f"{room.url}{kind}/{scan_name(subject, visit)}")
    page.frame_locator("#brain").locator("html[data-ready]").wait_for(state="attached")
    return page


def fill(page: Page, *values: str) -> None:
    for name, value in zip([*ITEMS, "WHOLE.OVERALL"], values, strict=False):
        page.locator(f'label:has(input[name="{name}"][value="{value}"])').click()


def press(page: Page, button: str) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name=button, exact=True).click()


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.className"))


def violations(page: Page) -> list[Any]:
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
    found = Axe().run(page, options=options).response
    assert len(found["passes"]) > 8
    return [(one["id"], [node["html"][:160] for node in one["nodes"]]) for one in found["violations"]]


def test_a_read_from_signing_in_to_the_lock(room: Room, enter: Any) -> None:
    page = enter(room, "anna")
    page.get_by_role("link", name="Read next: S-01 BL").click()
    pictures = page.frame_locator("#brain")
    pictures.locator("html[data-ready]").wait_for(state="attached")
    assert page.locator("input:checked").count() == 0
    assert DRAFT_MARK not in page.content() + pictures.locator("html").inner_html()
    fill(page, *BASELINE)
    page.fill('[id="f-BRAIN.NODULE_1_X"]', "12,5")  # the list opened itself
    page.fill('[id="f-BRAIN.NODULE_1_Y"]', "9")
    press(page, READ)
    expect(page.get_by_role("status")).to_contain_text("is saved and locked")
    expect(page.locator("tr.differs")).to_have_count(1)  # the draft says that linear enhancement is present
    read, lock = room.entries("S-01", "BL")
    values = [row["value"] for row in read["answers"]]
    assert values == ["PRESENT", "12.5", "9", *BASELINE[1:]]
    assert (lock["kind"], lock["read"], lock["account"]) == ("lock", read["read"], "anna")
    # The draft is shown now, and a button leads to the finding that it rests on: R 30, A 10, S 10 mm.
    page.frame_locator("#brain").locator("html[data-ready]").wait_for(state="attached")
    page.get_by_role("button", name="Show finding 1").first.click()
    expect(page.frame_locator("#brain").locator("#where")).to_contain_text("R 30 A 10 S 10 mm")
    expect(page.get_by_role("status")).to_contain_text("Finding 1 is shown")


def test_an_incomplete_form_is_blocked(room: Room, enter: Any) -> None:
    page = opened(enter(room, "anna"), room, "S-02", "BL")
    fill(page, "PRESENT", "NE", "ABSENT")
    page.get_by_role("button", name="Note on Hydrocephalus").click()
    page.keyboard.type("wide since birth")
    page.keyboard.press("Enter")  # inside a field this saves nothing
    assert page.locator(".blocked").count() == 0
    press(page, READ)
    assert focused(page) == "blocked"
    assert violations(page) == []
    lines = page.locator(".blocked li").all_inner_texts()
    assert lines[0] == "Linear enhancement of the brain: NE needs a reason."
    assert len(lines) == 3
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert focused(page) == "f-BRAIN.LINEAR.ne"
    page.get_by_role("link", name="Enhancement of cranial nerves: not answered.").click()
    assert focused(page) == "f-BRAIN.CRANIAL_NERVE"
    # What was typed is still there.
    assert page.locator('input[name="BRAIN.NODULES"]:checked').get_attribute("value") == "PRESENT"
    assert page.input_value('[id="f-BRAIN.HYDROCEPHALUS.comment"]') == "wide since birth"
    assert room.entries("S-02", "BL") == []
    page.select_option('[id="f-BRAIN.LINEAR.ne"]', "MOTION")
    fill(page, "PRESENT", "NE", "ABSENT", "ABSENT", "ABSENT")
    press(page, "Save")
    expect(page.get_by_role("status")).to_contain_text("is saved, not locked")
    (read,) = room.entries("S-02", "BL")
    assert [row["reason_ne"] for row in read["answers"]] == ["", "MOTION", "", "", ""]


def test_a_contradiction_is_saved_with_a_reason_only(room: Room, enter: Any) -> None:
    lock_read(room.folder, "reader 1", scan_name("S-03", "BL"), BASELINE)
    page = opened(enter(room, "anna"), room, "S-03", "WK06")
    assert page.locator("#why-contradiction").count() == 0
    fill(page, *WORSE[:5], "SD")
    press(page, READ)
    assert focused(page) == "blocked"
    expect(page.locator("#why-contradiction")).to_contain_text("The items give PD.")
    page.locator(".blocked a").click()
    assert focused(page) == "f-reason.contradiction"
    page.select_option('[id="f-reason.contradiction"]', "ALTERNATIVE_CAUSE")
    page.fill("#t-contradiction", "an abscess")
    press(page, READ)
    read, _ = room.entries("S-03", "WK06")
    assert read["reasons"] == [{"about": "contradiction", "code": "ALTERNATIVE_CAUSE", "text": "an abscess"}]


def test_two_readers_at_once_lose_nothing_and_see_nothing_of_one_another(room: Room, enter: Any) -> None:
    anna, bert = (opened(enter(room, name), room, "S-04", "BL") for name in ("anna", "bert"))
    fill(anna, *BASELINE)
    fill(bert, "ABSENT", *BASELINE[1:])
    for page in (anna, bert):  # both forms are on their way before either answer is read
        page.evaluate("document.querySelector('form.read').requestSubmit(document.querySelector('[value=lock]'))")
    for page, other in ((anna, "bert"), (bert, "anna")):
        expect(page.get_by_role("status")).to_contain_text("is saved and locked")
        assert other not in page.content()
    found = {(entry["reader"], entry["kind"]): entry for entry in room.entries("S-04", "BL")}
    assert len(found) == 4
    assert found["RADIOLOGIST 1", "read"]["answers"][0]["value"] == "PRESENT"
    assert found["RADIOLOGIST 2", "read"]["answers"][0]["value"] == "ABSENT"


def test_adjudication_by_keyboard(room: Room, enter: Any) -> None:
    for who, values in (("reader 1", WORSE), ("reader 2", STABLE)):
        lock_read(room.folder, who, scan_name("S-05", "BL"), BASELINE)
        lock_read(room.folder, who, scan_name("S-05", "WK06"), values)
    page = enter(room, "cleo")
    expect(page.get_by_role("link", name="Decide next: S-05 WK06")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/adjudicate/**")
    page.frame_locator("#brain").locator("html[data-ready]").wait_for(state="attached")
    expect(page.locator("tr.differs")).to_have_count(2)  # nodules and the overall result
    assert violations(page) == []
    page.locator("#f-chosen").focus()
    page.keyboard.press("2")
    page.locator('[id="f-reason.adjudication"]').focus()
    page.keyboard.type("adj")
    page.keyboard.press("Tab")
    page.keyboard.type("the nodule is a vessel")
    with page.expect_navigation():
        page.keyboard.press("Control+Enter")
    page.wait_for_url(room.url)
    read, lock = room.entries("S-05", "WK06")[-2:]
    both = [entry["read"] for entry in room.entries("S-05", "WK06")[:4] if entry["kind"] == "read"]
    assert (read["reader"], read["over"], read["chosen"]) == ("ADJUDICATOR", both, both[1])
    assert [row["value"] for row in read["answers"]] == list(STABLE)
    assert lock["kind"] == "lock"


def test_a_read_without_a_mouse_takes_one_key_an_item(room: Room, chromium: Browser) -> None:
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(room.url)
    keys: list[str] = []

    def hit(*names: str) -> None:
        for name in names:
            keys.append(name)
            page.keyboard.press(name)

    page.keyboard.type("bert")
    hit("Tab")
    page.keyboard.type(room.secrets["bert"])
    hit("Enter")
    page.wait_for_url(room.url)
    page.goto(f"{room.url}scan/{scan_name('S-06', 'BL')}")
    page.frame_locator("#brain").locator("html[data-ready]").wait_for(state="attached")
    assert focused(page) == "f-BRAIN.NODULES"
    keys.clear()
    hit("a", "a", "e")
    assert focused(page) == "f-BRAIN.HYDROCEPHALUS.ne"  # NE asks for its reason at once
    page.keyboard.type("mov")
    hit("Tab", "a", "p")
    with page.expect_navigation():
        hit("Control+Enter")
    read, lock = room.entries("S-06", "BL")
    assert [row["value"] for row in read["answers"]] == ["ABSENT", "ABSENT", "NE", "ABSENT", "PRESENT"]
    assert read["answers"][2]["reason_ne"] == "MOTION"
    assert lock["kind"] == "lock"
    assert page.url.endswith(scan_name("S-06", "WK06"))  # the next scan is open
    assert len(keys) == 7
    context.close()


def test_every_page_is_accessible(room: Room, enter: Any, page: Page) -> None:
    page.goto(f"{room.url}login")
    assert violations(page) == []
    page.fill("#name", "nobody")
    page.fill("#secret", "x")
    page.keyboard.press("Enter")
    expect(page.locator(".blocked")).to_be_focused()
    assert violations(page) == []
    lock_read(room.folder, "reader 1", scan_name("S-07", "BL"), BASELINE)
    anna = enter(room, "anna")
    assert violations(anna) == []
    for subject, visit in (("S-07", "BL"), ("S-07", "WK06")):  # locked, and to be read
        assert violations(opened(anna, room, subject, visit)) == []
    anna.goto(f"{room.url}scan/{scan_name('S-07', 'BL')}/change")
    assert violations(anna) == []
    anna.goto(f"{room.url}scan/nothing")
    assert violations(anna) == []
    assert violations(enter(room, "dora")) == []


def test_controls_of_the_form_are_large_and_its_width_moves_by_keys(room: Room, enter: Any) -> None:
    page = opened(enter(room, "anna"), room, "S-02", "BL")
    small = page.evaluate(
        """[...document.querySelectorAll('.panel button, .panel select, .choices label, .panel input[type=text]')]
        .filter(one => one.offsetParent).map(one => one.getBoundingClientRect())
        .filter(box => box.height < 44 || box.width < 44).length"""
    )
    assert small == 0
    assert page.evaluate("document.scrollingElement.scrollHeight <= innerHeight")  # only the form scrolls
    divider = page.get_by_role("separator")
    before = int(divider.get_attribute("aria-valuenow") or 0)
    divider.focus()
    page.keyboard.press("ArrowLeft")
    wider = int(divider.get_attribute("aria-valuenow") or 0)
    assert wider > before
    box = page.locator(".panel").bounding_box()
    assert box
    assert round(box["width"]) == wider
    frame = page.locator("#brain").bounding_box()
    assert frame
    assert frame["x"] + frame["width"] <= box["x"]  # beside the pictures, not over them
    page.set_viewport_size({"width": 700, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_frame_reaches_nothing_of_the_room(room: Room, enter: Any) -> None:
    page = opened(enter(room, "anna", watched=False), room, "S-02", "BL")
    frame = next(one for one in page.frames if one.url.endswith("/pictures"))
    attempt = "() => {{ try {{ return String({}) }} catch (error) {{ return error.name }} }}"
    for reach in ("parent.document.title", "document.cookie", "localStorage.length"):
        assert frame.evaluate(attempt.format(reach)) == "SecurityError"
    fetched = frame.evaluate("() => fetch('/').then(() => 'reached', () => 'refused')")
    assert fetched == "refused"
    assert page.evaluate("document.cookie") == ""


def test_before_the_session_ends_one_press_stays(room: Room, enter: Any) -> None:
    page = enter(room, "anna")
    page.clock.install()
    opened(page, room, "S-02", "BL")
    expect(page.locator("#timeout")).to_be_hidden()
    page.clock.fast_forward("42:30")
    expect(page.get_by_role("button", name="Stay signed in")).to_be_focused()
    assert violations(page) == []
    page.keyboard.press("Enter")
    expect(page.locator("#timeout")).to_be_hidden()
    expect(page.get_by_role("status")).to_contain_text("You stay signed in.")


def test_what_was_typed_stays_when_the_room_does_not_answer(room: Room, enter: Any) -> None:
    page = opened(enter(room, "anna"), room, "S-02", "BL")
    fill(page, *BASELINE)
    page.context.set_offline(True)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("does not answer, and nothing was saved")
    assert page.locator("input:checked").count() == len(BASELINE)
    page.context.set_offline(False)
    page.context.clear_cookies()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("no longer signed in, and nothing was saved")
    assert page.locator("input:checked").count() == len(BASELINE)


def test_pictures_of_the_spine_have_a_tab(room: Room, enter: Any) -> None:
    scan = scan_name("S-09", "WK06")
    for visit, values in (("BL", BASELINE), ("WK06", STABLE)):
        lock_read(room.folder, "reader 1", scan_name("S-09", visit), values)
    place = room.folder / "derivatives" / "lmresp" / "sub-S09" / "ses-WK06"
    page_file = place / f"{scan}_page.html"
    (place / f"{scan}_spine.html").write_text(page_file.read_text(encoding="utf-8"), encoding="utf-8")
    page = opened(enter(room, "anna"), room, "S-09", "WK06")
    expect(page.locator("#spine")).to_be_hidden()
    page.get_by_role("tab", name="Brain").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Spine")).to_be_focused()
    expect(page.locator("#brain")).to_be_hidden()
    page.frame_locator("#spine").locator("html[data-ready]").wait_for(state="attached")
    assert violations(page) == []


def test_copying_the_draft_is_one_deliberate_deed(shown: Room, enter: Any) -> None:
    page = opened(enter(shown, "anna"), shown, "S-01", "BL")
    assert page.locator("input:checked").count() == 0
    page.locator('label:has(input[name="BRAIN.HYDROCEPHALUS"][value="PRESENT"])').click()
    expect(page.locator("#why-draft")).to_be_visible()  # the draft says absent
    page.get_by_role("button", name="Copy the draft to what is empty").click()
    expect(page.get_by_role("status")).to_contain_text("Draft copied to 4 fields")  # 2 items, 2 diameters
    assert page.locator('input[name="BRAIN.HYDROCEPHALUS"]:checked').get_attribute("value") == "PRESENT"
    assert page.locator('input[name="BRAIN.CRANIAL_NERVE"]:checked').count() == 0  # the draft leaves it to the reader
    fill(page, *("PRESENT", "PRESENT", "PRESENT", "ABSENT", "ABSENT"))
    press(page, READ)
    assert page.locator(".blocked li").all_inner_texts() == [
        "Why the read departs from the draft (BRAIN HYDROCEPHALUS): no reason is given."
    ]
    assert violations(page) == []
    page.select_option('[id="f-reason.draft"]', "READER_DISAGREES")
    press(page, READ)
    read, _ = shown.entries("S-01", "BL")
    assert (read["departs"], read["draft"]["shown"]) == (["BRAIN HYDROCEPHALUS"], True)
    assert [row["value"] for row in read["answers"][:3]] == ["PRESENT", "11.8", "10.6"]


def test_firefox_signs_in_and_saves(room: Room, firefox: Firefox) -> None:
    firefox.open(room.url)
    firefox.wait("return document.getElementById('name') !== null")
    firefox.run(
        """document.getElementById('name').value = arguments[0];
        document.getElementById('secret').value = arguments[1];
        document.querySelector('main button').click();""",
        *("bert", room.secrets["bert"]),
    )
    firefox.wait("return location.pathname === '/' && document.querySelector('h1')?.textContent === 'Your reads'")
    scan = scan_name("S-08", "BL")
    firefox.open(f"{room.url}scan/{scan}")
    for name, value in zip(ITEMS, BASELINE, strict=True):
        firefox.run("document.querySelector(arguments[0]).click()", f'input[name="{name}"][value="{value}"]')
    firefox.run("document.querySelector('button[value=lock]').click()")
    text = firefox.wait("return document.querySelector('.still [role=status]')?.textContent")
    assert re.search(r"S-08 BL: R\d{6} is saved and locked", text)
    assert [entry["kind"] for entry in room.entries("S-08", "BL")] == ["read", "lock"]
