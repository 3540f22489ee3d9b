"""Checks between tables: dates against death, windows, punctures, baseline; each with the case that must stay quiet."""

import pytest

from lmresp.ingest import spec
from lmresp.ingest.cross_checks import check_study
from lmresp.ingest.study import Study

STUDY = Study(folder=None, study_id="LM-1", data_cut="2024-12-31")  # type: ignore[arg-type]


def row(table: str, number: int = 2, subject_id: str = "S-1", **cells: str) -> dict[str, str]:
    empty = dict.fromkeys(spec.table_spec(table).output_columns, "")
    return {**empty, "subject_id": subject_id, "row_id": f"{table}.csv:{number}", **cells}


def subject(**cells: str) -> dict[str, str]:
    return row("subjects", **{"study_id": "LM-1", "ref_start_dtc": "2024-02-01", **cells})


def csf(number: int = 2, collected_dtc: str = "2024-01-30", **cells: str) -> dict[str, str]:
    given = {"site": "VENTRICULAR", "method": "CYTOLOGY", "result": "POSITIVE", **cells}
    return row("csf", number, collected_dtc=collected_dtc, **given)


def exam(exam_dtc: str = "2024-01-30", **cells: str) -> dict[str, str]:
    return row("neuro", exam_dtc=exam_dtc, **cells)


def read(scan_dtc: str = "2024-01-30", **cells: str) -> dict[str, str]:
    return row("mri_reads", scan_dtc=scan_dtc, **cells)


def ask(code: str, **tables):
    complete = {"subjects": [subject()], "csf": [csf()], "neuro": [exam()], "mri_reads": [read()], **tables}
    return [query for query in check_study(complete, STUDY) if query.code == code]


def test_a_complete_study_is_quiet():
    tables = {"subjects": [subject()], "csf": [csf()], "neuro": [exam()], "mri_reads": [read()]}
    assert check_study(tables, STUDY) == []


def test_another_study_identifier():
    (query,) = ask("IN031", subjects=[subject(study_id="LM-2")])
    assert (query.value, query.allowed, query.sets_aside, query.row) == ("LM-2", "LM-1", "Y", "2")


def test_a_subject_without_a_row_is_asked_for_once_a_table():
    rows = [csf(), csf(3, subject_id="S-9"), csf(4, "2024-03-01", subject_id="S-9")]
    (query,) = ask("IN009", csf=rows)
    assert (query.subject_id, query.file, query.row, query.severity) == ("S-9", "csf.csv", "3", "error")
    assert "2 row(s)" in query.message
    tables = {"subjects": [subject()], "csf": rows[1:]}
    assert [q for q in check_study(tables, STUDY, set_aside={"S-9"}) if q.code == "IN009"] == []


def test_without_a_table_of_subjects_no_subject_is_asked_for():
    assert check_study({"csf": [csf()], "neuro": [exam(), exam()]}, STUDY) == []
    assert check_study({"subjects": [], "csf": [csf(), csf(3, subject_id="S-9")]}, STUDY) == []


@pytest.mark.parametrize(
    ("death", "day", "asked"),
    [
        ("2024-03-10", "2024-03-11", True),
        ("2024-03-10", "2024-03-10", False),
        ("2024-03", "2024-03-31", False),  # the day of death is not known
        ("2024-03", "2024-04-01", True),
        ("", "2024-04-01", False),
    ],
)
def test_a_record_after_death(death, day, asked):
    found = ask("IN005", subjects=[subject(death_dtc=death)], neuro=[exam(), exam(day)])
    assert bool(found) == asked
    assert all(query.sets_aside == "Y" and day in query.message for query in found)


@pytest.mark.parametrize(("day", "asked"), [("2024-03-11", True), ("2024-03-10", False), ("2024-03", False)])
def test_alive_or_leaving_after_death(day, asked):
    dead = subject(death_dtc="2024-03-10", last_alive_dtc=day)
    assert [(q.column, q.sets_aside) for q in ask("IN005", subjects=[dead])] == [("last_alive_dtc", "Y")] * asked
    left = row("disposition", event="COMPLETED", scope="STUDY TREATMENT", dtc=day)
    assert bool(ask("IN005", subjects=[subject(death_dtc="2024-03-10")], disposition=[left])) == asked


@pytest.mark.parametrize(
    ("age", "day", "asked"),
    [
        # 57 years old on 2024-02-01: born between 1966-02-02 and 1967-02-01
        ("57", "1966-02-01", False),
        ("57", "1966-01-31", True),
        ("57.9", "1966-01-31", True),
        ("57", "1966-01", True),
        ("57", "1966-02", False),
        ("57", "1966", False),
        ("57", "2024-01-30", False),
        ("0", "2023-01-31", True),
        ("", "1900-01-01", False),
    ],
)
def test_a_date_before_birth(age, day, asked):
    found = ask("IN039", subjects=[subject(age=age)], procedures=[row("procedures", kind="OMMAYA", start_dtc=day)])
    assert [(q.file, q.row, q.column, q.value) for q in found] == [("procedures.csv", "2", "start_dtc", day)] * asked
    assert all((q.severity, q.sets_aside) == ("error", "Y") for q in found)
    assert all("2024-02-01" in q.message and q.allowed.endswith("or later") for q in found)


def test_every_date_column_of_every_table_is_held_against_birth():
    expected, tables = set(), {}
    for name in spec.TABLES:
        columns = [c.name for c in spec.table_spec(name).columns.values() if c.type in ("dtc", "datetime")]
        columns = [column for column in columns if column != "ref_start_dtc"]
        expected |= {(f"{name}.csv", column) for column in columns}
        tables[name] = [row(name, **dict.fromkeys(columns, "1924-01-01"))]
    tables["subjects"] = [tables["subjects"][0] | {"age": "57", "ref_start_dtc": "2024-02-01"}]
    tables["visits"][0]["visit_num"] = "1"
    assert {(q.file, q.column) for q in check_study(tables, STUDY) if q.code == "IN039"} == expected
    assert len(expected) > 15


def test_a_first_dose_on_29_february_is_57_years_after_28_february():
    dose = subject(age="56", ref_start_dtc="2024-02-29")
    for day, asked in (("1967-02-27", True), ("1967-02-28", False)):
        assert bool(ask("IN039", subjects=[dose], neuro=[exam(), exam(day)])) == asked


@pytest.mark.parametrize(
    ("day", "number", "asked"),
    [
        ("2024-03-14", "2", False),  # day 43: 2024-02-01 + 42 days
        ("2024-03-21", "2", False),
        ("2024-03-22", "2", True),
        ("2024-03-06", "2", True),
        ("2024-03-22", "2.1", False),  # unscheduled
        ("2024-01-25", "2", False),  # day -7 is seven days before the first dose
        ("2024-01-24", "2", True),
    ],
)
def test_visit_windows(day, number, asked):
    planned = {"window_minus": "7", "window_plus": "7", "status": "DONE"}
    visits = [
        row("visits", 2, visit_num="1", planned_day="-7", window_minus="0", window_plus="6"),
        row("visits", 3, visit_num="2", planned_day="43", **planned),
    ]
    found = ask("IN006", visits=visits, csf=[csf(), csf(3, day, visit_num=number)])
    assert bool(found) == asked
    assert all("2024-03-07 to 2024-03-21" in query.allowed for query in found)


def test_visits_without_windows_are_not_judged():
    visits = [row("visits", visit_num="1", planned_day="-7")]
    assert ask("IN006", visits=visits, csf=[csf(collected_dtc="2024-06-01")]) == []


def test_a_visit_number_that_visits_does_not_have():
    visits = [row("visits", visit_num="1"), row("visits", visit_num="2")]
    (query,) = ask("IN034", visits=visits, csf=[csf(visit_num="1"), csf(3, visit_num="3"), csf(4, visit_num="")])
    assert (query.row, query.value, query.allowed) == ("3", "3", "1, 2")
    # the visit may be missing because its row was left out, which has a query already
    tables = {"subjects": [subject()], "visits": visits, "csf": [csf(visit_num="3")]}
    assert [q for q in check_study(tables, STUDY, set_aside={"S-1"}) if q.code == "IN034"] == []


@pytest.mark.parametrize(
    ("one", "other", "result", "method", "asked"),
    [
        ("2024-03-01", "2024-03-04", "NEGATIVE", "CYTOLOGY", True),
        ("2024-03-01", "2024-03-05", "NEGATIVE", "CYTOLOGY", False),
        ("2024-03-01T08:00", "2024-03-04T08:01", "NEGATIVE", "CYTOLOGY", False),
        ("2024-03-01T08:00", "2024-03-04T08:00", "NEGATIVE", "CYTOLOGY", True),
        ("2024-03-01", "2024-03-02", "POSITIVE", "CYTOLOGY", False),
        ("2024-03-01", "2024-03-02", "NOT EVALUABLE", "CYTOLOGY", False),
        ("2024-03-01", "2024-03-02", "NEGATIVE", "FLOW", False),
    ],
)
def test_conflicting_cytology(one, other, result, method, asked):
    found = ask("IN010", csf=[csf(2, one), csf(3, other, result=result, method=method)])
    assert bool(found) == asked


@pytest.mark.parametrize(
    ("puncture", "scan", "asked"),
    [
        ("2024-03-01", "2024-03-15", True),
        ("2024-03-01", "2024-03-16", False),
        ("2024-03-01", "2024-02-28", False),
        ("2024-03-01", "2024-03-01", False),  # same day, order not known
        ("2024-03-01T09:00", "2024-03-01T15:00", True),
        ("2024-03-01T15:00", "2024-03-01T09:00", False),
    ],
)
def test_mri_after_a_lumbar_puncture(puncture, scan, asked):
    done = row("procedures", kind="LUMBAR PUNCTURE", start_dtc=puncture)
    assert bool(ask("IN014", procedures=[done], mri_reads=[read(scan)])) == asked
    assert bool(ask("IN014", csf=[csf(collected_dtc=puncture, site="LUMBAR")], mri_reads=[read(scan)])) == asked
    shunt = done | {"kind": "VP SHUNT"}
    assert ask("IN014", procedures=[shunt], mri_reads=[read(scan)]) == []


def test_a_scan_of_the_index_counts_as_mri():
    tables = {"subjects": [subject()], "csf": [csf(site="LUMBAR")], "neuro": [exam()]}
    assert [q.code for q in check_study(tables, STUDY)] == ["IN018"]
    scan = {"scan": "sub-S1_ses-bl", "subject_id": "S-1", "visit_num": "1", "scan_date": "2024-01-31"}
    (query,) = check_study(tables, STUDY, scans=[scan])
    assert (query.code, query.file, query.row) == ("IN014", "mri", "")


@pytest.mark.parametrize(("event", "asked"), [("DEATH", True), ("LOST TO FOLLOW-UP", False)])
def test_a_death_of_the_table_disposition_is_a_death(event, asked):
    alive = subject(last_alive_dtc="2024-05-04")
    found = ask("IN005", subjects=[alive], disposition=[row("disposition", event=event, dtc="2024-04-20")])
    assert [(q.file, q.column) for q in found] == [("subjects.csv", "last_alive_dtc")] * asked


def test_records_of_a_subject_without_any_visit_are_asked_for_once():
    rows = [csf(visit_num="1"), csf(3, visit_num="2")]
    (query,) = ask("IN034", csf=rows, neuro=[exam(visit_num="1")], visits=[])
    assert (query.file, query.row, query.value, query.allowed) == ("csf.csv", "2", "1", "none")
    assert ask("IN034", csf=[*rows, csf(4, visit_num="1", subject_id="S-9")], visits=[]) == [query]  # IN009 says it


@pytest.mark.parametrize(
    ("end", "start", "drug", "asked"),
    [
        ("2024-02-10", "2024-02-10", "dexamethasone", False),
        ("2024-02-11", "2024-02-10", "Dexamethasone", True),
        ("", "2024-02-10", "dexamethasone", True),
        ("", "2024-02-10", "prednisone", False),
    ],
)
def test_steroid_intervals(end, start, drug, asked):
    first = row("steroids", 2, drug="dexamethasone", start_dtc="2024-02-01", end_dtc=end)
    second = row("steroids", 3, drug=drug, start_dtc=start)
    found = ask("IN017", steroids=[second, first])
    assert [query.value for query in found] == [end] * asked  # of the column that is named


@pytest.mark.parametrize(
    ("day", "cells", "asked"),
    [
        ("2024-01-04", {}, False),  # 28 days before 2024-02-01
        ("2024-01-03", {}, True),
        ("2024-02-02", {}, True),
        ("2024-01-04", {"rand_dtc": "2024-01-31"}, False),
        ("2024-02-01", {"rand_dtc": "2024-01-31"}, True),
    ],
)
def test_baseline(day, cells, asked):
    found = ask("IN018", subjects=[subject(**cells)], neuro=[exam(day)], csf=[csf(collected_dtc="2024-01-30")])
    assert bool(found) == asked
    assert all("neurological examination" in query.message for query in found)


def test_a_sample_not_done_is_no_baseline():
    (query,) = ask("IN018", csf=[csf(result="NOT DONE")])
    assert "CSF sample" in query.message


def test_visits_out_of_order():
    visits = [
        row("visits", 2, visit_num="10", visit="WK12", start_dtc="2024-05-01"),
        row("visits", 3, visit_num="9", visit="WK06", start_dtc="2024-05-02"),
        row("visits", 4, visit_num="11", start_dtc=""),
    ]
    (query,) = ask("IN019", visits=visits)
    assert (query.row, query.value, query.allowed) == ("2", "2024-05-01", "2024-05-02 or later")
    assert (query.visit, query.severity, query.sets_aside) == ("WK12", "error", "Y")
    assert "visit WK12 starts on 2024-05-01, before visit WK06 (2024-05-02)" in query.message


@pytest.mark.parametrize(
    ("first", "second", "asked"),
    [
        ("2024-05-02", "2024-05-02", False),
        ("2024-05-02T16:00", "2024-05-02T08:00", False),  # visits are told apart by day
        ("2024-05-02", "2024-05", False),
        ("2024-05-02", "2024-04", True),
        ("2024-05", "2024-04-30", True),
        ("2024", "2023-12-31", True),
        ("2024-05-02", "--04-01", False),  # the year is not known
    ],
)
def test_partial_dates_of_visits_are_out_of_order_only_for_certain(first, second, asked):
    days = enumerate((first, second), start=2)
    visits = [row("visits", number, visit_num=str(number), start_dtc=day) for number, day in days]
    assert bool(ask("IN019", visits=visits)) == asked
