"""Diameters on the read form: measurable nodules (2019 card: more than 5 x 5 mm), sums of products and their change."""

from __future__ import annotations

import pandas as pd
import pytest

from lmresp.mri.scorecard import grade_mri
from lmresp.queries import Query
from tests.charters import charter_with

DAYS = ["2024-01-01", "2024-02-12", "2024-03-25", "2024-05-06"]
SUBJECTS = pd.DataFrame([{"subject_id": "S1", "ref_start_dtc": "2024-01-01"}])
VISITS = pd.DataFrame(
    [
        {"subject_id": "S1", "visit_num": str(n), "visit": f"V{n}", "start_dtc": day, "status": "DONE"}
        for n, day in enumerate(DAYS)
    ]
)
Visit = tuple[str, list[tuple[float, float]]]


def rows(visit: int, nodules: str, sizes: list[tuple[float, float]], **more: str) -> list[dict[str, str]]:
    rest = {0: "ABSENT"}.get(visit, "NO CHANGE")
    overall = {"WORSE": "PD", "IMPROVED": "PR", "NE": "NE"}.get(nodules, "SD")
    items = {"NODULES": nodules, "LINEAR": rest, "HYDROCEPHALUS": rest} | ({"OVERALL": overall} if visit else {})
    for n, size in enumerate(sizes, start=1):
        items |= {f"NODULE_{n}_{axis}": f"{mm:g}" for axis, mm in zip("XY", size, strict=True)}
    return [
        {
            "read_id": f"{visit}-{name}-{more.get('compartment', '')}",
            "subject_id": "S1",
            "visit_num": str(visit),
            "scan_dtc": DAYS[visit],
            "reader_id": "RADIOLOGIST 1",
            "role": "INDEPENDENT ASSESSOR",
            "read_dtc": "2024-06-01T10:00Z",
            "locked_dtc": "2024-06-02T10:00Z",
            "compartment": "WHOLE" if name == "OVERALL" else "BRAIN",
            "item": name,
            "value": value,
            "row_id": f"r:{visit}-{name}",
            **({} if name == "OVERALL" else more),
        }
        for name, value in items.items()
    ]


def grade(*reads: list[dict[str, str]], reference: str = "baseline") -> tuple[pd.DataFrame, list[Query]]:
    table = pd.DataFrame([row for read in reads for row in read])
    frame, problems = grade_mri(table, [], SUBJECTS, VISITS, charter_with(reference_imaging=reference))
    return frame.set_index("visit"), problems


def course(*visits: Visit, reference: str = "baseline") -> tuple[pd.DataFrame, list[Query]]:
    return grade(*(rows(n, word, sizes) for n, (word, sizes) in enumerate(visits)), reference=reference)


def test_measurable_means_both_diameters_more_than_five_millimetres() -> None:
    frame, _ = course(("PRESENT", [(5, 12), (5.1, 5.1), (9, 5)]))
    assert frame.loc["V0", ["nodules", "sum_products"]].tolist() == ["5.1x5.1", "26.01"]
    frame, _ = course(("PRESENT", [(5, 5), (12, 4)]))
    assert frame.loc["V0", ["nodules", "sum_products"]].tolist() == ["", "0"]


def test_the_sum_of_products_and_its_change_against_baseline() -> None:
    frame, problems = course(("PRESENT", [(9, 9), (13, 11)]), ("IMPROVED", [(8, 7)]))
    assert frame["nodules"].tolist()[:2] == ["13x11;9x9", "8x7"]
    assert frame["sum_products"].tolist()[:2] == ["224", "56"]  # 143 + 81, 56
    assert frame["sum_products_change"].tolist() == ["", "-75.0", "", ""]
    assert problems == []


@pytest.mark.parametrize(
    ("reference", "changes"),
    # Sums 100, 64, 36, 49: against 100; against the visit before; against the smallest before (64, then 36).
    [
        ("baseline", ["-36.0", "-64.0", "-51.0"]),
        ("previous", ["-36.0", "-43.8", "+36.1"]),
        ("nadir", ["-36.0", "-43.8", "+36.1"]),
    ],
)
def test_the_charter_names_the_reference(reference: str, changes: list[str]) -> None:
    frame, _ = course(
        ("PRESENT", [(10, 10)]),
        ("IMPROVED", [(8, 8)]),
        ("IMPROVED", [(6, 6)]),
        ("IMPROVED", [(7, 7)]),
        reference=reference,
    )
    assert frame["sum_products_change"].tolist() == ["", *changes]


def test_the_nadir_is_the_smallest_so_far_and_not_the_visit_before() -> None:
    frame, _ = course(
        ("PRESENT", [(10, 10)]),
        ("IMPROVED", [(6, 6)]),
        ("IMPROVED", [(9, 9)]),
        ("IMPROVED", [(6, 7)]),
        reference="nadir",
    )
    assert frame["sum_products_change"].tolist() == ["", "-64.0", "+125.0", "+16.7"]


def test_nothing_is_divided_by_zero() -> None:
    frame, problems = course(("ABSENT", []), ("WORSE", [(9, 8)]))
    assert frame["sum_products"].tolist()[:2] == ["0", "72"]
    assert frame.loc["V1", ["sum_products_change", "nodules_new"]].tolist() == ["", "Y"]
    assert problems == []


def test_what_nobody_measured_has_no_sum() -> None:
    frame, _ = course(("PRESENT", [(10, 10)]), ("IMPROVED", []), ("NE", []))
    assert frame["sum_products"].tolist() == ["100", "", "", ""]
    assert frame["sum_products_change"].tolist() == ["", "", "", ""]


def test_absent_then_and_unchanged_now_is_absent() -> None:
    frame, _ = course(("ABSENT", []), ("NO CHANGE", []))
    assert frame.loc["V1", ["sum_products", "sum_products_change", "nodules_new"]].tolist() == ["0", "", "N"]


def test_sums_of_different_compartments_are_not_compared() -> None:
    spine = {"compartment": "SPINE"}
    only_brain = rows(1, "NO CHANGE", [(10, 10)])
    both = [*rows(0, "PRESENT", [(10, 10)]), *rows(0, "PRESENT", [(7, 6)], **spine)]
    frame, _ = grade(both, only_brain)
    assert frame.loc["V0", ["nodules", "sum_products"]].tolist() == ["10x10;7x6 (SPINE)", "142"]
    assert frame.loc["V1", ["sum_products", "sum_products_change"]].tolist() == ["100", ""]


def test_a_full_form_cannot_say_that_nothing_is_new() -> None:
    three = [(9, 9), (8, 8), (7, 7)]
    frame, _ = course(("PRESENT", three), ("NO CHANGE", three), ("NO CHANGE", three[:2]))
    assert frame["nodules_new"].tolist() == ["", "", "N", ""]


def test_improved_nodules_that_grow_are_asked() -> None:
    _, problems = course(("PRESENT", [(8, 8)]), ("IMPROVED", [(9, 9)]))
    assert [(q.code, q.visit, q.value) for q in problems] == [("DV040", "V1", "81")]
    assert "from 64 to 81 mm2" in problems[0].message


def test_growth_is_judged_against_the_scan_that_the_reader_compared_with() -> None:
    third = [row | {"comparator": "PREVIOUS"} for row in rows(2, "IMPROVED", [(9, 9)])]
    _, problems = grade(rows(0, "PRESENT", [(8, 8)]), rows(1, "WORSE", [(10, 10)]), third)
    assert [q.code for q in problems] == ["DV042"]  # 81 is more than baseline's 64, and less than 100 before


def test_one_more_measurable_nodule_without_worse_is_asked() -> None:
    frame, problems = course(("PRESENT", [(9, 9)]), ("NO CHANGE", [(9, 9), (6, 6)]))
    assert frame.loc["V1", "nodules_new"] == "Y"
    assert [q.code for q in problems] == ["DV043"]
    assert course(("PRESENT", [(9, 9)]), ("WORSE", [(9, 9), (6, 6)]))[1] == []


def test_diameters_against_another_readers_baseline_are_flagged() -> None:
    later = [row | {"reader_id": "RADIOLOGIST 2"} for row in rows(1, "IMPROVED", [(6, 6)])]
    frame, _ = grade(rows(0, "PRESENT", [(8, 8)]), later)
    assert "reference_by_other_reader" in frame.loc["V1", "flags"].split(";")


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        (("NE", "NE"), ("", "", "")),  # not measured is not gone
        (("12", "NE"), ("", "", "")),
        (("12", ""), ("", "", "")),  # one diameter only
        (("4", "NE"), ("0", "-100.0", "N")),  # 5 mm or less in one direction: not measurable, whatever the other
    ],
)
def test_a_nodule_that_was_not_measured_is_not_zero(sizes: tuple[str, str], expected: tuple[str, str, str]) -> None:
    later = rows(1, "NO CHANGE", [(10, 10)])
    for row in later:
        if row["item"].startswith("NODULE_"):
            row["value"] = sizes["XY".index(row["item"][-1])]
    frame, _ = grade(rows(0, "PRESENT", [(10, 10)]), [row for row in later if row["value"]])
    found = frame.loc["V1"]
    assert (found["sum_products"], found["sum_products_change"], found["nodules_new"]) == expected
