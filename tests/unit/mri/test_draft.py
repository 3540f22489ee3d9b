"""The draft abstains where it is blind, and says what it covers."""

from __future__ import annotations

from typing import Any

import pytest

from lmresp.mri import draft
from lmresp.mri.methods import number
from lmresp.mri.scorecard import overall_from_items

QUIET: dict[str, Any] = {
    "no_enhancement": "",
    "no_change": "",
    "is_reference": False,
    "nodules": [],
    "new": 0,
    "lost": 0,
    "lost_unseen": 0,
    "sum_products": 0.0,
    "reference_products": 0.0,
    "products_uncertainty": 0.0,
    "reference_items": {},
    "linear_mm3": 100.0,
    "linear_sure_mm3": 0.0,
    "linear_confidence": 0.0,
    "crowded": False,
    "up_mm3": 0.0,
    "down_mm3": 0.0,
    "floor_mm3": 80.0,
    "hidden_up_mm3": 0.0,
    "hidden_down_mm3": 0.0,
    "reference_linear_mm3": 100.0,
    "evans": 0.25,
    "ventricles_mm3": 20000.0,
    "reference_ventricles_mm3": 20000.0,
    "quality": 0.85,
}
NODULE = (10.0, 9.0, True, 0.8)


def drafted(item: str, **facts: Any) -> dict[str, Any]:
    return next(row for row in draft.items(draft.Facts(**QUIET | facts)) if row["item"] == item)


def test_a_quiet_brain_is_stable_without_the_spine() -> None:
    rule = overall_from_items(draft.items(draft.Facts(**QUIET)))
    assert rule is not None
    assert rule.output == "SD"


@pytest.mark.parametrize("side", ["hidden_up_mm3", "hidden_down_mm3"])
def test_change_among_normal_structures_leaves_no_change_open(side: str) -> None:
    beyond = {side: number("draft.hidden_change_mm3") + 1}
    for item in ("NODULES", "LINEAR"):
        row = drafted(item, **beyond)
        assert row["change"] == "NE"
        assert "zone of normal structures changed" in row["reason"]


def test_hidden_change_takes_nothing_from_growth_that_is_seen() -> None:
    row = drafted("NODULES", nodules=[NODULE], new=1, hidden_up_mm3=5000.0)
    assert row["change"] == "WORSE"


def test_film_between_rescan_noise_and_the_limit_is_left_to_the_reader() -> None:
    changes = [drafted("LINEAR", up_mm3=up)["change"] for up in (0.0, 200.0, 2000.0)]
    assert changes == ["NO CHANGE", "NE", "WORSE"]


def test_absent_needs_images_that_would_show_a_nodule() -> None:
    row = drafted("NODULES", quality=0.45)  # slices of 5 mm
    assert (row["presence"], row["change"]) == ("NE", "NE")


@pytest.mark.parametrize(
    "doubt", [{"lost": 1, "lost_unseen": 1}, {"nodules": [NODULE, (9.0, 8.0, True, 0.3)]}], ids=["lost", "unsure"]
)
def test_a_nodule_lost_from_sight_is_no_improvement(doubt: dict[str, Any]) -> None:
    facts = {"nodules": [NODULE], "sum_products": 90.0, "reference_products": 250.0} | doubt
    assert drafted("NODULES", nodules=[NODULE], sum_products=90.0, reference_products=250.0)["change"] == "IMPROVED"
    assert drafted("NODULES", **facts)["change"] == "NE"


@pytest.mark.parametrize(
    ("now", "before", "rows", "words"),
    [
        (False, None, 0, "no spine series in this scan"),
        (False, False, 0, "no spine series in this scan"),
        (True, None, 2, "needs a reader"),
        (False, True, 2, "not imaged again"),
    ],
)
def test_spine_items_only_where_a_spine_was_imaged(now: bool, before: bool | None, rows: int, words: str) -> None:
    items, coverage = draft.spine_items(now=now, before=before)
    assert [row["presence"] for row in items] == ["NE"] * rows
    assert coverage.startswith("brain only")
    assert words in coverage


def test_a_spine_that_was_imaged_makes_the_overall_not_evaluable() -> None:
    spine, _ = draft.spine_items(now=True, before=True)
    rule = overall_from_items([*draft.items(draft.Facts(**QUIET)), *spine])
    assert rule is not None
    assert rule.output == "NE"
