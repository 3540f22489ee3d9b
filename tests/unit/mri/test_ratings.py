"""Who said what of which visit: from the table of reads and the scan results to rows that can be compared."""

from __future__ import annotations

import itertools
from typing import Any

import pandas as pd
import pytest

from lmresp.mri.rated_numbers import rated_numbers
from lmresp.mri.ratings import COLUMNS, ratings
from tests.charters import charter_with

DAYS = ["2024-01-01", "2024-02-12", "2024-03-25"]
SUBJECTS = pd.DataFrame([{"subject_id": "S1", "ref_start_dtc": "2024-01-01"}])
VISITS = pd.DataFrame(
    [
        {"subject_id": "S1", "visit_num": str(n), "visit": f"V{n}", "start_dtc": day, "status": "DONE"}
        for n, day in enumerate(DAYS)
    ]
)
ROLES = {"INVESTIGATOR": "INVESTIGATOR", "ADJUDICATOR": "ADJUDICATION COMMITTEE"}
MEASURED = pd.DataFrame(columns=["subject_id"])
Rows = list[dict[str, str]]


def form(visit: int, reader: str = "RADIOLOGIST 1", extra: dict[str, str] | None = None, **items: str) -> Rows:
    """Rows of one read of the brain; the overall value is that of the whole."""
    return [
        {
            "read_id": f"{reader}-{visit}-{name}",
            "subject_id": "S1",
            "visit_num": str(visit),
            "scan_dtc": DAYS[visit],
            "reader_id": reader,
            "role": ROLES.get(reader, "INDEPENDENT ASSESSOR"),
            "read_dtc": "2024-06-01T10:00:00Z",
            "locked_dtc": "2024-06-02T10:00:00Z",
            "blinded": "Y",
            "compartment": "WHOLE" if name == "OVERALL" else "BRAIN",
            "item": name,
            "value": value,
            "row_id": f"mri_reads:{reader}-{visit}-{name}",
        }
        | (extra or {})
        for name, value in items.items()
    ]


def scan(visit: int, **changed: Any) -> dict[str, Any]:
    item = {"item": "LINEAR", "compartment": "BRAIN", "presence": "PRESENT", "reason": ""}
    nodule = {"long_mm": 8.0, "perp_mm": 6.0, "product_mm2": 48.0}
    return {
        "scan": f"sub-S1_ses-V{visit}",
        "subject_id": "S1",
        "visit_num": str(visit),
        "scan_date": DAYS[visit],
        "status": "measured",
        "reason": "",
        "measures": [
            {"measure": "VENT_VOL", "compartment": "BRAIN", "region": "", "value": 9.5, "unit": "mm3", "qc": "PASS"},
            {"measure": "LINEAR_VOL", "compartment": "BRAIN", "region": "", "value": 1.5, "unit": "mm3", "qc": "FAIL"},
            {
                "measure": "LINEAR_VOL",
                "compartment": "BRAIN",
                "region": "folia",
                "value": 1.0,
                "unit": "mm3",
                "qc": "PASS",
            },
        ],
        "scorecard": {
            "items": [item | {"change": "WORSE" if visit else None}],
            "nodules": [nodule, nodule | {"long_mm": 11.0, "product_mm2": 66.0}],
        },
    } | changed


def rated(*reads: Rows, scans: list[dict[str, Any]] | None = None, **settings: Any) -> pd.DataFrame:
    table = pd.DataFrame(list(itertools.chain(*reads)))
    return ratings(table, scans or [], SUBJECTS, VISITS, charter_with(**settings))


def said(found: pd.DataFrame, rater: str, column: str = "value") -> dict[tuple[str, str, str], str]:
    rows = found[found["rater"] == rater]
    return dict(zip(zip(rows["visit"], rows["item"], rows["compartment"], strict=True), rows[column], strict=True))


def test_reads_and_draft_side_by_side() -> None:
    found = rated(
        form(0, LINEAR="PRESENT", HYDROCEPHALUS="ABSENT"),
        form(1, LINEAR="WORSE", OVERALL="PD"),
        scans=[scan(0), scan(1)],
    )
    assert list(found.columns) == list(COLUMNS)
    assert said(found, "RADIOLOGIST 1") == {
        ("V0", "LINEAR", "BRAIN"): "PRESENT",
        ("V0", "HYDROCEPHALUS", "BRAIN"): "ABSENT",
        ("V1", "LINEAR", "BRAIN"): "WORSE",
        ("V1", "OVERALL", "WHOLE"): "PD",
    }
    assert said(found, "draft") == {
        ("V0", "LINEAR", "BRAIN"): "PRESENT",
        ("V1", "LINEAR", "BRAIN"): "WORSE",
        ("V1", "OVERALL", "WHOLE"): "PD",
    }
    assert said(found, "accepted read") == said(found, "RADIOLOGIST 1")
    assert set(found.loc[found["visit"] == "V0", "phase"]) == {"baseline"}
    assert said(found, "draft", "source")["V1", "LINEAR", "BRAIN"] == "sub-S1_ses-V1"
    assert set(said(found, "draft", "date").values()) == {DAYS[0], DAYS[1]}


def test_an_unlocked_read_never_counts() -> None:
    assert rated(form(1, extra={"locked_dtc": ""}, LINEAR="WORSE", OVERALL="PD")).empty


def test_only_the_last_of_a_changed_read_stands_and_it_says_so() -> None:
    later = form(1, extra={"read_dtc": "2024-06-05T10:00:00Z"}, OVERALL="PD")
    later[0] |= {"read_id": "new", "supersedes": "RADIOLOGIST 1-1-OVERALL"}
    found = rated(form(1, OVERALL="SD"), later)
    assert said(found, "RADIOLOGIST 1") == {("V1", "OVERALL", "WHOLE"): "PD"}
    assert said(found, "RADIOLOGIST 1", "changed") == {("V1", "OVERALL", "WHOLE"): "Y"}
    assert said(found, "RADIOLOGIST 1", "saw_draft") == {("V1", "OVERALL", "WHOLE"): "Y"}


@pytest.mark.parametrize(
    ("reasons", "changed", "saw"),
    [
        ("change DATA_CORRECTION the wrong slice", "Y", "Y"),
        ("contradiction OTHER x | change OTHER y", "Y", "Y"),
        ("draft READER_DISAGREES a vessel", "", "Y"),
        ("contradiction OTHER no change to the draft", "", ""),
    ],
)
def test_what_the_reasons_of_a_read_tell(reasons: str, changed: str, saw: str) -> None:
    found = rated(form(1, extra={"reasons": reasons}, OVERALL="SD"))
    assert set(said(found, "RADIOLOGIST 1", "changed").values()) == {changed}
    assert set(said(found, "RADIOLOGIST 1", "saw_draft").values()) == {saw}


def test_a_draft_that_the_charter_shows_was_seen() -> None:
    found = rated(form(1, OVERALL="SD"), draft_hidden=False)
    assert set(said(found, "RADIOLOGIST 1", "saw_draft").values()) == {"Y"}


def test_an_adjudicator_does_not_take_away_what_a_reader_said() -> None:
    judge = form(1, "ADJUDICATOR", extra={"supersedes": "RADIOLOGIST 2-1-OVERALL", "blinded": "N"}, OVERALL="PD")
    found = rated(form(1, OVERALL="PD"), form(1, "RADIOLOGIST 2", OVERALL="SD"), judge)
    assert set(said(found, "RADIOLOGIST 2").values()) == {"SD"}
    final = found[found["kind"] == "accepted"]
    assert final[["value", "blinded"]].to_numpy().tolist() == [["PD", "Y"]]
    assert set(found.loc[found["kind"] == "adjudicator", "blinded"]) == {"N"}


def test_nothing_stands_while_readers_disagree() -> None:
    found = rated(form(1, OVERALL="PD"), form(1, "RADIOLOGIST 2", OVERALL="SD"))
    assert "accepted" not in set(found["kind"])


@pytest.mark.parametrize(("flags", "expected"), [(["Y", "Y"], "Y"), (["Y", ""], ""), (["Y", "N"], "N")])
def test_blinding_is_that_of_the_whole_read(flags: list[str], expected: str) -> None:
    read = form(1, LINEAR="WORSE", OVERALL="PD")
    for row, flag in zip(read, flags, strict=True):
        row["blinded"] = flag
    assert set(rated(read)["blinded"]) == {expected}


def test_two_drafts_of_a_visit_that_differ_are_no_answer() -> None:
    other = scan(1, scan="sub-S1_ses-V1b")
    other["scorecard"] = {"items": [scan(1)["scorecard"]["items"][0] | {"change": "NO CHANGE"}], "nodules": []}
    found = rated(form(1, OVERALL="PD"), scans=[scan(0), scan(1), other])
    assert ("V1", "LINEAR", "BRAIN") not in said(found, "draft")


def measured(**changed: str) -> dict[str, str]:
    row = {"subject_id": "S1", "visit_num": "1", "scan_dtc": DAYS[1], "compartment": "BRAIN", "measure": "VENT_VOL"}
    return row | {"value": "10", "unit": "mm3", "method": "by hand", "version": "1", "qc": "PASS"} | changed


def numbers(reads: Rows, scans: list[dict[str, Any]], given: list[dict[str, str]]) -> dict[tuple[str, str], float]:
    table = pd.DataFrame(given) if given else MEASURED
    found = rated_numbers(pd.DataFrame(reads), table, scans, SUBJECTS, VISITS, charter_with())
    found = found[found["number"] == 1]
    return dict(zip(zip(found["rater"], found["item"], strict=True), found["value"], strict=True))


def test_diameters_by_hand() -> None:
    read = form(1, NODULE_1_X="5", NODULE_1_Y="9", NODULE_2_X="8", NODULE_2_Y="7", NODULE_3_X="30", OVERALL="SD")
    assert numbers(read, [scan(1)], []) == {
        ("RADIOLOGIST 1", "LONGEST_DIAMETER"): 9.0,  # the third nodule has one diameter only
        ("RADIOLOGIST 1", "SUM_PRODUCTS"): 5 * 9 + 8 * 7,
        ("draft", "LONGEST_DIAMETER"): 11.0,
        ("draft", "SUM_PRODUCTS"): 48.0 + 66.0,
        ("draft", "VENT_VOL"): 9.5,  # not of a region, not failed
    }


def test_measures_of_the_study() -> None:
    given = [measured(), measured(reader_id="RADIOLOGIST 2", value="11"), measured(measure="ENH_VOL", qc="FAIL")]
    found = numbers(form(1, OVERALL="SD"), [], given)
    assert found == {("by hand 1", "VENT_VOL"): 10.0, ("RADIOLOGIST 2 (measured)", "VENT_VOL"): 11.0}


def test_a_number_given_twice_with_different_values_is_none() -> None:
    assert numbers(form(1, OVERALL="SD"), [], [measured(), measured(value="12")]) == {}


def test_empty_tables() -> None:
    nothing = pd.DataFrame(form(1, OVERALL="SD")).iloc[:0]
    assert ratings(nothing, [], SUBJECTS, VISITS, charter_with()).empty
    assert rated_numbers(nothing, MEASURED, [], SUBJECTS, VISITS, charter_with()).empty
