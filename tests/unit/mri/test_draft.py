"""The draft abstains where it is blind, and says what it covers."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from lmresp.mri import draft
from lmresp.mri.methods import number
from lmresp.mri.scorecard import overall_from_items

BEFORE = draft.Compared(
    scan="sub-01_ses-bl",
    sd_mm3=50.0,
    before_mm3=1000.0,
    products_mm2=0.0,
    ventricles_mm3=20000.0,
    hydrocephalus="ABSENT",
)
QUIET = draft.Facts(
    is_reference=False,
    no_enhancement="",
    no_change="",
    quality=0.85,
    nodules=(),
    film=draft.Film(volume_mm3=100.0),
    products_mm2=0.0,
    evans=0.25,
    ventricles_mm3=20000.0,
    reference=BEFORE,
)
NODULE = draft.Lump(1, 10.0, 9.0, lm_related=True, measurable=True, confidence=0.8)
UNSURE = draft.Lump(2, 9.0, 8.0, lm_related=True, measurable=True, confidence=0.3)


def against(**fields: Any) -> draft.Compared:
    return dataclasses.replace(BEFORE, **fields)


def drafted(item: str, **facts: Any) -> dict[str, Any]:
    return next(row for row in draft.items(dataclasses.replace(QUIET, **facts)) if row["item"] == item)


def test_a_quiet_brain_is_stable_without_the_spine() -> None:
    rule = overall_from_items(draft.items(QUIET))
    assert rule is not None
    assert rule.output == "SD"


@pytest.mark.parametrize("side", ["hidden_up_mm3", "hidden_down_mm3"])
def test_change_among_normal_structures_leaves_no_change_open(side: str) -> None:
    beyond = against(**{side: number("draft.hidden_change_mm3") + 1})
    for item in ("NODULES", "LINEAR"):
        row = drafted(item, reference=beyond)
        assert row["change"] == "NE"
        assert "zone of normal structures changed" in row["reason"]


def test_hidden_change_takes_nothing_from_growth_that_is_seen() -> None:
    row = drafted("NODULES", nodules=(NODULE,), reference=against(new=1, hidden_up_mm3=5000.0))
    assert row["change"] == "WORSE"


def test_film_between_rescan_noise_and_the_limit_is_left_to_the_reader() -> None:
    # The limit is the larger of 2 SD (100 mm3) and 20 % of 1000 mm3.
    changes = [drafted("LINEAR", reference=against(net_mm3=net))["change"] for net in (0.0, 190.0, 300.0, -300.0)]
    assert changes == ["NO CHANGE", "NE", "WORSE", "IMPROVED"]


def test_where_noise_is_larger_than_a_change_that_matters_no_change_is_not_drafted() -> None:
    assert drafted("LINEAR", reference=against(sd_mm3=2000.0))["change"] == "NE"


def test_absent_needs_images_that_would_show_a_nodule() -> None:
    row = drafted("NODULES", quality=0.45)  # slices of 5 mm
    assert (row["presence"], row["change"]) == ("NE", "NE")


@pytest.mark.parametrize("doubt", ["lost", "unsure"])
def test_a_nodule_lost_from_sight_is_no_improvement(doubt: str) -> None:
    before = against(products_mm2=250.0)
    facts: dict[str, Any] = {"nodules": (NODULE,), "products_mm2": 90.0, "reference": before}
    assert drafted("NODULES", **facts)["change"] == "IMPROVED"
    if doubt == "lost":
        facts["reference"] = dataclasses.replace(before, lost=1, lost_unseen=1)
    else:
        facts["nodules"] = (NODULE, UNSURE)
    assert drafted("NODULES", **facts)["change"] == "NE"


def test_change_against_the_nadir_stands_beside_change_against_the_reference() -> None:
    nadir = dataclasses.replace(BEFORE, scan="sub-01_ses-wk06", before_mm3=200.0, net_mm3=700.0)
    row = drafted("LINEAR", reference=against(net_mm3=-300.0), nadir=nadir)
    assert (row["change"], row["nadir_change"]) == ("IMPROVED", "WORSE")
    assert "sub-01_ses-wk06" in row["reason"]


def test_hydrocephalus_needs_no_contrast() -> None:
    row = drafted("HYDROCEPHALUS", no_enhancement="no scan after contrast", evans=0.33, ventricles_mm3=26000.0,
                  reference=against(no_enhancement="no scan after contrast"))  # fmt: skip
    assert (row["presence"], row["change"]) == ("PRESENT", "WORSE")


def test_each_item_names_its_evidence() -> None:
    row = drafted("NODULES", nodules=(NODULE,))
    assert row["evidence"] == {"label": 2, "findings": [1]}


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
    rule = overall_from_items([*draft.items(QUIET), *spine])
    assert rule is not None
    assert rule.output == "NE"
