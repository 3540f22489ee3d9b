"""Which reads count, whether their forms are complete, what they dispute and what they compare with."""

from __future__ import annotations

import itertools
from typing import Any

import pandas as pd
import pytest

from lmresp.mri.scorecard import grade_mri
from lmresp.queries import Query
from tests.charters import charter_with

DAYS = ["2024-01-01", "2024-02-12", "2024-03-25"]
SUBJECTS = pd.DataFrame([{"subject_id": "S1", "ref_start_dtc": "2024-01-01"}])
VISITS = pd.DataFrame(
    [
        {"subject_id": "S1", "visit_num": str(n), "visit": f"V{n}", "start_dtc": day, "status": "DONE"}
        for n, day in enumerate(DAYS)
    ]
)
NO_CHANGE = {"NODULES": "NO CHANGE", "LINEAR": "NO CHANGE", "HYDROCEPHALUS": "NO CHANGE"}
ROLES = {"INVESTIGATOR": "INVESTIGATOR", "ADJUDICATOR": "ADJUDICATION COMMITTEE"}


def form(visit: int, reader: str = "RADIOLOGIST 1", compartment: str = "BRAIN", **items: str) -> list[dict[str, str]]:
    """All rows of one read; the overall value is that of the whole."""
    return [
        {
            "read_id": f"{reader}-{visit}-{compartment}-{name}",
            "subject_id": "S1",
            "visit_num": str(visit),
            "scan_dtc": DAYS[visit],
            "reader_id": reader,
            "role": ROLES.get(reader, "INDEPENDENT ASSESSOR"),
            "read_dtc": "2024-06-01T10:00Z",
            "locked_dtc": "2024-06-02T10:00Z",
            "compartment": "WHOLE" if name == "OVERALL" else compartment,
            "item": name,
            "value": value,
            "row_id": f"mri_reads:{reader}-{visit}-{compartment}-{name}",
        }
        for name, value in items.items()
    ]


def grade(*reads: list[dict[str, str]], **settings: Any) -> tuple[pd.DataFrame, list[Query]]:
    rows = pd.DataFrame(list(itertools.chain(*reads)))
    frame, problems = grade_mri(rows, [], SUBJECTS, VISITS, charter_with(**settings))
    return frame.set_index("visit"), problems


def codes(problems: list[Query]) -> list[str]:
    return [problem.code for problem in problems]


def flags(frame: pd.DataFrame, visit: str = "V1") -> list[str]:
    return str(frame.loc[visit, "flags"]).split(";")


# --- complete forms (2019 card: nodules and linear enhancement in brain and spine, hydrocephalus in the brain) ---
def test_a_complete_form_of_the_brain_is_asked_nothing() -> None:
    frame, problems = grade(form(1, **NO_CHANGE, OVERALL="SD"))
    assert problems == []
    assert "read_incomplete" not in flags(frame)


@pytest.mark.parametrize(
    ("reads", "missing"),
    [
        ([form(1, NODULES="NO CHANGE", LINEAR="NO CHANGE", OVERALL="SD")], "no HYDROCEPHALUS BRAIN"),
        ([form(1, **NO_CHANGE)], "no OVERALL"),
        ([form(1, **NO_CHANGE, OVERALL="SD"), form(1, compartment="SPINE", LINEAR="NO CHANGE")], "no NODULES SPINE"),
        ([form(1, compartment="WHOLE", NODULES="NO CHANGE", HYDROCEPHALUS="NO CHANGE", OVERALL="SD")], "no LINEAR"),
        ([form(1, **NO_CHANGE, OVERALL="SD", NODULE_1_X="8")], "one diameter only of NODULE_1 BRAIN"),
        (
            [form(0, NODULES="ABSENT", LINEAR="ABSENT", HYDROCEPHALUS="ABSENT", NODULE_1_X="8", NODULE_1_Y="8")],
            "absent",
        ),
        ([form(1, OVERALL="SD")], "no LINEAR BRAIN; no LINEAR SPINE"),
    ],
)
def test_an_incomplete_form_stands_flagged_and_is_asked_for(reads: list[list[dict[str, str]]], missing: str) -> None:
    frame, problems = grade(*reads)
    [query] = problems
    assert (query.code, query.severity, query.sets_aside) == ("IN012", "error", "N")
    assert missing.lower() in query.value.lower()
    visit = "V0" if reads[0][0]["visit_num"] == "0" else "V1"
    assert "read_incomplete" in flags(frame, visit)
    assert frame.loc[visit, ["source", "status"]].tolist() == ["read", "stable"]


def test_whole_stands_for_brain_and_spine_and_ventricles_lie_in_the_brain_only() -> None:
    spine = form(1, compartment="SPINE", NODULES="NO CHANGE", LINEAR="NO CHANGE")
    assert grade(form(1, compartment="WHOLE", **NO_CHANGE, OVERALL="SD"))[1] == []
    assert grade(form(1, **NO_CHANGE, OVERALL="SD"), spine)[1] == []


def test_items_of_rano_bm_and_cranial_nerves_are_no_part_of_the_form() -> None:
    items = {**NO_CHANGE, "CRANIAL_NERVE": "NO CHANGE", "PARENCHYMAL": "WORSE", "BM_NEW": "PRESENT", "OVERALL": "SD"}
    frame, problems = grade(form(1, **items))
    assert problems == []
    assert frame.loc["V1", ["status", "parenchymal", "bm_target", "bm_new"]].tolist() == [
        *("stable", "WORSE", "", "PRESENT"),
    ]


# --- who may replace, who counts ---
def test_only_the_same_reader_or_an_adjudicator_replaces_a_row() -> None:
    first = form(1, **NO_CHANGE, OVERALL="SD")
    named = first[-1]["read_id"]

    def replacing(reader: str) -> list[dict[str, str]]:
        return [
            row | {"supersedes": named if row["item"] == "OVERALL" else "", "read_id": row["read_id"] + "b"}
            for row in form(1, reader, **NO_CHANGE, OVERALL="PD")
        ]

    other, problems = grade(first, replacing("RADIOLOGIST 2"))
    assert "DV044" in codes(problems)
    assert other.loc["V1", "status"] == "not_evaluable"  # both stand, and disagree
    own, problems = grade(first, replacing("RADIOLOGIST 1"))
    assert "DV044" not in codes(problems)
    assert own.loc["V1", "overall"] == "PD"
    adjudicated, problems = grade(first, replacing("ADJUDICATOR"))
    assert "DV044" not in codes(problems)
    assert adjudicated.loc["V1", "overall"] == "PD"


@pytest.mark.parametrize("named", ["no such row", "itself", "each other"])
def test_a_row_that_supersedes_nothing_is_asked_for_and_no_read_vanishes(named: str) -> None:
    first, later = form(1, **NO_CHANGE, OVERALL="SD"), form(1, OVERALL="PD")
    later = [row | {"read_id": "later", "read_dtc": "2024-06-01T12:00Z"} for row in later]
    later[0]["supersedes"] = {"itself": "later", "each other": first[-1]["read_id"]}.get(named, named)
    if named == "each other":
        first[-1]["supersedes"] = "later"
    frame, problems = grade(first, later)
    asked = [query.value for query in problems if query.code == "DV048"]
    assert sorted(asked) == sorted({"each other": [first[-1]["read_id"], "later"]}.get(named, ["later"]))
    assert frame.loc["V1", "overall"] == "PD"  # the latest, as without the column


def test_two_values_of_one_item_without_supersedes_are_asked() -> None:
    again = [row | {"read_id": "later", "read_dtc": "2024-06-01T12:00Z"} for row in form(1, LINEAR="WORSE")]
    frame, problems = grade(form(1, **NO_CHANGE, OVERALL="SD"), again)
    assert codes(problems) == ["DV045", "IN013"]  # the later WORSE counts, and SD does not follow from it
    assert frame.loc["V1", "disputed"] == "progressive"


@pytest.mark.parametrize("role", ["ALGORITHM", "INDEPENDENT ASSESSOR"])
def test_software_is_never_a_reader(role: str) -> None:
    rows = [row | {"role": role} for row in form(1, "ALGORITHM", **NO_CHANGE, OVERALL="PD")]
    frame, problems = grade(rows)
    assert frame.loc["V1", ["source", "status", "readers"]].tolist() == ["", "not_evaluable", ""]
    assert set(codes(problems)) == ({"DV047"} if role == "INDEPENDENT ASSESSOR" else set())


# --- two readers ---
def test_readers_who_disagree_are_named_with_what_each_would_give() -> None:
    worse = NO_CHANGE | {"LINEAR": "WORSE"}
    frame, problems = grade(form(1, **NO_CHANGE, OVERALL="SD"), form(1, "RADIOLOGIST 2", **worse, OVERALL="PD"))
    assert frame.loc["V1", ["status", "disputed", "readers"]].tolist() == [
        *("not_evaluable", "progressive;stable", "RADIOLOGIST 1;RADIOLOGIST 2"),
    ]
    [query] = problems
    assert (query.code, query.value) == ("DV009", "RADIOLOGIST 1: SD, RADIOLOGIST 2: PD")
    assert "RADIOLOGIST 2-1-BRAIN-LINEAR" in frame.loc["V1", "row_ids"]


def test_an_adjudicated_read_ends_the_dispute() -> None:
    worse = NO_CHANGE | {"LINEAR": "WORSE"}
    frame, problems = grade(
        form(1, **NO_CHANGE, OVERALL="SD"),
        form(1, "RADIOLOGIST 2", **worse, OVERALL="PD"),
        form(1, "ADJUDICATOR", **worse, OVERALL="PD"),
    )
    assert problems == []
    assert frame.loc["V1", ["status", "disputed"]].tolist() == ["progressive", ""]


def test_the_charter_says_which_disagreements_need_an_adjudicator() -> None:
    better, same = NO_CHANGE | {"NODULES": "IMPROVED"}, NO_CHANGE | {"LINEAR": "IMPROVED"}
    pair = [form(1, **better, OVERALL="PR"), form(1, "RADIOLOGIST 2", **same, OVERALL="PR")]
    assert grade(*pair)[0].loc["V1", "status"] == "improved"
    frame, problems = grade(*pair, adjudicate_on=["OVERALL", "NODULES"])
    assert frame.loc["V1", ["status", "disputed"]].tolist() == ["not_evaluable", "improved"]
    assert codes(problems) == ["DV009"]


def test_an_overall_value_against_its_items_is_disputed() -> None:
    frame, problems = grade(form(1, **(NO_CHANGE | {"LINEAR": "WORSE"}), OVERALL="SD"))
    assert codes(problems) == ["IN013"]
    assert frame.loc["V1", ["status", "disputed"]].tolist() == ["stable", "progressive"]


@pytest.mark.parametrize(
    ("readers", "missing"),
    [
        (["RADIOLOGIST 1"], True),
        (["RADIOLOGIST 1", "INVESTIGATOR"], True),
        (["INVESTIGATOR"], True),
        (["RADIOLOGIST 1", "RADIOLOGIST 2"], False),
        (["RADIOLOGIST 1", "ADJUDICATOR"], False),
    ],
)
def test_double_reading_asks_for_two_independent_reads_or_an_adjudicated_one(readers: list[str], missing: bool) -> None:
    reads = [form(1, reader, **NO_CHANGE, OVERALL="SD") for reader in readers]
    frame, problems = grade(*reads, read_model="double")
    assert ("second_read_missing" in flags(frame)) == missing
    assert codes(problems) == ["DV046"] * missing
    assert frame.loc["V1", "status"] == "stable"  # a lone read counts
    assert "second_read_missing" not in flags(grade(*reads)[0])


@pytest.mark.parametrize(
    ("site", "central", "asked"), [("PD", "SD", True), ("SD", "PD", True), ("PD", "PD", False), ("PR", "SD", False)]
)
def test_progression_seen_by_only_one_of_site_and_central_read_is_asked(site: str, central: str, asked: bool) -> None:
    items = {"PD": "WORSE", "SD": "NO CHANGE", "PR": "IMPROVED"}
    frame, problems = grade(
        form(1, **(NO_CHANGE | {"LINEAR": items[central]}), OVERALL=central),
        form(1, "INVESTIGATOR", **(NO_CHANGE | {"LINEAR": items[site]}), OVERALL=site),
    )
    assert codes(problems) == ["DV008"] * asked
    assert frame.loc["V1", ["overall", "readers"]].tolist() == [central, "INVESTIGATOR;RADIOLOGIST 1"]


# --- what is compared ---
def test_the_comparator_is_the_reads_own_or_the_charters_in_brackets() -> None:
    frame, problems = grade(form(1, **NO_CHANGE, OVERALL="SD"))
    assert (frame.loc["V1", "comparator"], problems) == ("(BASELINE)", [])
    previous = [row | {"comparator": "PREVIOUS"} for row in form(2, **NO_CHANGE, OVERALL="SD")]
    frame, problems = grade(previous)
    assert frame.loc["V2", "comparator"] == "PREVIOUS"
    assert "comparator_differs" in flags(frame, "V2")
    assert [(query.code, query.value) for query in problems] == [("DV042", "PREVIOUS")]
    frame, problems = grade(previous, reference_imaging="previous")
    assert problems == []
    assert "comparator_differs" not in flags(frame, "V2")


@pytest.mark.parametrize(
    ("linear", "nodules", "hydrocephalus", "pattern"),
    [
        # EANO-ESMO 2023, Table 1: A linear, B nodular, C both, D hydrocephalus only or equivocal or normal.
        ("PRESENT", "ABSENT", "PRESENT", "A"),
        ("ABSENT", "PRESENT", "ABSENT", "B"),
        ("PRESENT", "PRESENT", "NE", "C"),
        ("ABSENT", "ABSENT", "PRESENT", "D_hydrocephalus"),
        ("ABSENT", "ABSENT", "ABSENT", "D_normal"),
        ("PRESENT", "NE", "ABSENT", ""),
        ("ABSENT", "ABSENT", "NE", ""),
    ],
)
def test_the_pattern_at_baseline(linear: str, nodules: str, hydrocephalus: str, pattern: str) -> None:
    frame, _ = grade(
        form(0, LINEAR=linear, NODULES=nodules, HYDROCEPHALUS=hydrocephalus), form(1, **NO_CHANGE, OVERALL="SD")
    )
    assert frame["mri_pattern"].tolist() == [pattern, "", ""]


def test_the_spine_counts_for_the_pattern() -> None:
    spine = form(0, compartment="SPINE", NODULES="PRESENT", LINEAR="ABSENT")
    brain = form(0, LINEAR="PRESENT", NODULES="ABSENT", HYDROCEPHALUS="ABSENT")
    assert grade(brain, spine)[0].loc["V0", "mri_pattern"] == "C"


def test_a_blinded_session_is_one_readers() -> None:
    reads = [
        [{**row, "session_id": session, "blinded": blinded} for row in form(1, reader, **NO_CHANGE, OVERALL="SD")]
        for reader, session, blinded in (
            ("RADIOLOGIST 1", "A", "Y"),
            ("RADIOLOGIST 2", "A", "Y"),
            ("RADIOLOGIST 3", "B", "Y"),
        )
    ]
    [query] = [problem for problem in grade(*reads)[1] if problem.code == "IN016"]
    assert (query.severity, query.value, query.visit) == ("error", "A", "V1")
    assert "RADIOLOGIST 1, RADIOLOGIST 2" in query.message
    apart = [[{**row, "session_id": row["reader_id"]} for row in rows] for rows in reads]
    assert not [problem for problem in grade(*apart)[1] if problem.code == "IN016"]


def test_a_row_replaces_only_what_was_said_of_the_same_item() -> None:
    first = form(1, **NO_CHANGE, OVERALL="PD")
    slip = form(2, **NO_CHANGE, OVERALL="SD")
    slip[0]["supersedes"] = first[-1]["read_id"]  # an item of week 12 names the overall value of week 6
    frame, problems = grade(first, slip)
    assert frame.loc["V1", "overall"] == "PD"
    assert "DV044" in [problem.code for problem in problems]


def test_a_read_before_its_scan_is_asked() -> None:
    early = [{**row, "read_dtc": "2023-12-31T10:00Z"} for row in form(1, **NO_CHANGE, OVERALL="SD")]
    frame, problems = grade(early)
    assert [problem.code for problem in problems].count("DV049") == 1
    assert frame.loc["V1", "overall"] == "SD"


@pytest.mark.parametrize(("order", "whole"), [(None, "NE"), (["PD", "SD", "PR", "CR", "NE"], "SD")])
def test_how_the_values_of_brain_and_spine_combine_is_the_charters(order: list[str] | None, whole: str) -> None:
    parts = {"BRAIN": form(1, **NO_CHANGE, OVERALL="SD"), "SPINE": form(1, compartment="SPINE", OVERALL="NE")}
    reads = [[{**row, "compartment": part} for row in rows] for part, rows in parts.items()]
    frame, _ = grade(*reads, **({"overall_worst_first": order} if order else {}))
    assert frame.loc["V1", "overall"] == whole
