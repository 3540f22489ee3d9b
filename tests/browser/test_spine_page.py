"""The spine page in a real browser: sagittal first, regions to switch, jumps across regions, no violation of WCAG."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from lmresp.report.slices import Volume
from lmresp.report.spine_page import spine_page
from lmresp.report.spine_view import images_of

AFFINE = np.diag([3.0, 1.5, 1.5, 1.0])
AFFINE[:3, 3] = [-12, -20, -40]
PLACES = {"CERVICAL": (6.0, 16.0, 26.0), "LUMBAR": (-6.0, -11.0, -25.0)}  # right-front-top, left-back-low
ORANGE = (230, 159, 0)


def volumes(center_mm: tuple[float, float, float]) -> tuple[Volume, dict[str, Volume]]:
    post = np.full((9, 40, 60), 300, np.float32)
    canal = np.zeros(post.shape, np.uint8)
    canal[1:8, 4:36] = 1
    candidates = np.zeros_like(canal)
    i, j, k = np.rint(np.linalg.solve(AFFINE, [*center_mm, 1])[:3]).astype(int)
    candidates[i, j - 2 : j + 3, k - 2 : k + 3] = 1
    return Volume(post, AFFINE), {"canal": Volume(canal, AFFINE), "candidates": Volume(candidates, AFFINE)}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    rows, regions = [], {}
    for name, place in PLACES.items():
        row: dict[str, Any] = {"region": name, "why": [], "checks": [], "matrices": {"reference": np.eye(4).tolist()}}
        one = {"number": 1, "world_mm": list(place), "level_mm": 40, "length_mm": 7.5, "long_mm": 7.5, "perp_mm": 7.5}
        row["candidates"] = [one | {"peak": 0.5, "note": "for the reader", "voxel": [0, 0, 0]}]
        post, found = volumes(place)
        regions[name] = images_of(row, {"post": post}, found, row, {"post": post})
        rows.append(row)
    known = {"subject_id": "S-01", "scan_date": "2024-01-01", "software": "lmresp 0.1.0"}
    before = known | {"scan": "sub-01_ses-bl", "visit": "BL", "reference": None, "spine": rows}
    now = known | {"scan": "sub-01_ses-wk", "visit": "WK", "reference": "sub-01_ses-bl", "spine": rows}
    page = tmp_path_factory.mktemp("spine") / "spine.html"
    page.write_text(spine_page(now, regions, before), encoding="utf-8")
    return page.as_uri()


def until(page: Page, condition: str) -> None:
    for _ in range(500):
        if page.evaluate(condition):
            return
        time.sleep(0.03)
    raise AssertionError(f"never true: {condition}")


def coloured(page: Page, plane: str) -> list[float]:
    """Count and mean place (parts of the pane) of the candidate's colour on the pane of this visit."""
    seen: list[float] = page.evaluate(
        """([plane, colour]) => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {
          const canvas = document.querySelector(`canvas[data-row="0"][data-plane="${plane}"]`);
          const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          let count = 0, x = 0, y = 0;
          for (let at = 0; at < data.length; at += 4) {
            if (colour.every((c, n) => Math.abs(data[at + n] - c) < 12)) {
              count += 1; x += (at / 4) % canvas.width; y += Math.floor(at / 4 / canvas.width);
            }
          }
          done([count, x / count / canvas.width, y / count / canvas.height]);
        })))""",
        [plane, list(ORANGE)],
    )
    return seen


def test_candidates_of_both_regions_stand_at_their_sides(page: Page, address: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    until(page, "document.documentElement.dataset.ready")
    assert page.locator("canvas").first.get_attribute("data-plane") == "sagittal"
    for region, side in (("cervical", -1), ("lumbar", 1)):
        page.click(f"[data-target=candidate-{region}-1]")
        until(page, f"document.getElementById('said').textContent.includes('{region}')")
        page.keyboard.press("h")
        page.evaluate(
            "const s = document.getElementById('opacity'); s.value = 100; s.dispatchEvent(new Event('input'))"
        )
        for plane in ("sagittal", "coronal", "axial"):
            count, x, y = coloured(page, plane)
            assert count > 10
            assert (x - 0.5) * side > 0.05
            assert (y - 0.5) * side > 0.05
        page.keyboard.press("h")
    pressed = "[data-command=part-1]"
    assert page.get_attribute(pressed, "aria-pressed") == "true"
    page.keyboard.press("g")
    until(page, "document.querySelector('[data-command=part-0]').getAttribute('aria-pressed') === 'true'")
    assert asked == [address]


def test_no_violation_of_wcag_a_or_aa(page: Page, address: str) -> None:
    page.goto(address)
    until(page, "document.documentElement.dataset.ready")
    levels = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": levels}}).response
    assert [(v["id"], [n["html"][:120] for n in v["nodes"]]) for v in found["violations"]] == []
