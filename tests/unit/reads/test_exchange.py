"""Reads out and in again: CSV, workbook, REDCap, the offline form and DICOM SR; and files that are refused."""

from __future__ import annotations

import csv
import dataclasses
import io
import shutil
import sys
import types
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmresp import store
from lmresp.cli import main
from lmresp.reads import form, offline_form, redcap, rows, state
from lmresp.reads.export import csv_bytes, xlsx_bytes
from lmresp.reads.files import Given, read_file
from lmresp.reads.intake import Against, Verdict, groups, judge
from lmresp.reads.record import NAME, Record, verify
from lmresp.reads.scans import IMAGED
from tests.charters import charter_with
from tests.unit.reads.helpers import BASELINE, BRAIN_ONLY, CHANGE, CHARTER, SCANS, UTC, WEEK6, Study, complete, saved

RISKY = ["=1+1", "+49 30", "-x", "@SUM(A1)", "'=1", "''quoted", "-1", "plain", 'say "no", twice; üñ', "'-1"]


def comments(answers: list[dict[str, str]]) -> list[dict[str, str]]:
    return [row | {"comment": RISKY[n % len(RISKY)]} for n, row in enumerate(answers)]


@pytest.fixture
def source(tmp_path: Path) -> Study:
    """A record with two readers, awkward comments, an NE, a contradiction and a superseded read."""
    study = Study(tmp_path / "source")
    first = study.read(
        BASELINE,
        answers=comments(complete(BASELINE, BRAIN_NODULES="PRESENT", BRAIN_NODULE_1_X="12.5", BRAIN_NODULE_1_Y="9")),
    )
    study.read(
        BASELINE, answers=comments(complete(BASELINE, SPINE_LINEAR="NE")), supersedes=first["read"], reasons=[CHANGE]
    )
    study.read(BASELINE, "reader 2", session="=evening")
    worse = complete(WEEK6, BRAIN_LINEAR="WORSE")
    text = "oedema, see =note"
    study.read(WEEK6, answers=worse, reasons=[{"about": "contradiction", "code": "ALTERNATIVE_CAUSE", "text": text}])
    study.read(BRAIN_ONLY, "reader 2", blinded_to=[])
    study.save(WEEK6, "reader 2")  # not locked: not exported
    return study


def take(study: Study, given: Given) -> list[Verdict]:
    found, problems = groups(given.rows)
    assert (given.refused, problems) == ((), [])
    verdicts = []
    for group in found:
        against = Against(SCANS, study.charter, given.source, given.sha256)
        verdict = judge(group, against, study.record.entries())
        verdicts.append(verdict)
        if verdict.entry is not None:
            study.lock(study.record.append(verdict.entry, utc="2026-12-01T00:00:00.000000Z"))
    return verdicts


def said(study: Study) -> list[dict[str, Any]]:
    """What the locked reads that stand say, without what the record adds itself."""
    reads = sorted(state.standing(study.record.entries()), key=lambda read: (read.reader, read.place))
    kept = (
        "scan",
        "subject_id",
        "visit_num",
        "scan_date",
        "reader",
        "role",
        "session",
        "comparator",
        "answers",
        "reasons",
        "implied",
    )
    out = [{name: read.entry[name] for name in kept} | {"blind": bool(read.entry["blinded_to"])} for read in reads]
    times = [
        {name: row[name] for name in ("read_dtc", "locked_dtc")} for row in (rows.read_rows(read)[0] for read in reads)
    ]
    return [one | when for one, when in zip(out, times, strict=True)]


def redcap_bytes(entries: Sequence[Mapping[str, Any]]) -> bytes:
    return store.csv_text(redcap.export_rows(state.standing(entries)), redcap.columns()).encode()


@pytest.mark.parametrize(("write", "name"), [(csv_bytes, "r.csv"), (xlsx_bytes, "r.xlsx"), (redcap_bytes, "cap.csv")])
def test_what_is_exported_comes_back_whole_and_only_once(
    source: Study, tmp_path: Path, write: Callable[[Any], bytes], name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(write(source.record.entries()))
    target = Study(tmp_path / "target")
    verdicts = take(target, read_file(path, "S"))
    assert [verdict.refused for verdict in verdicts if verdict.refused] == []
    wanted = said(source)
    # The change of a read is a change only beside the read that it changes.
    assert said(target) == wanted
    before = target.record.path.read_bytes()
    again = take(target, read_file(path, "S"))
    assert all(verdict.known is not None and verdict.known.locked for verdict in again)
    assert target.record.path.read_bytes() == before
    assert all(verdict.known is not None for verdict in take(source, read_file(path, "S")))  # where it came from
    assert write(source.record.entries()) == path.read_bytes()


@pytest.mark.parametrize("write", [csv_bytes, redcap_bytes])
def test_no_cell_of_an_export_is_a_formula(source: Study, write: Callable[[Any], bytes]) -> None:
    cells = [cell for row in csv.reader(io.StringIO(write(source.record.entries()).decode())) for cell in row]
    assert [cell for cell in cells if cell[:1] in "=@\t\r" and cell] == []
    assert [cell for cell in cells if cell[:1] in "+-" and not cell[1:].replace(".", "").isdigit() and cell] == []


def test_no_cell_of_a_workbook_is_a_formula(source: Study, tmp_path: Path) -> None:
    (tmp_path / "r.xlsx").write_bytes(xlsx_bytes(source.record.entries()))
    book = openpyxl.load_workbook(tmp_path / "r.xlsx")
    assert {cell.data_type for row in book["mri_reads"].iter_rows() for cell in row if cell.value is not None} == {"s"}


@given(st.text(max_size=8) | st.sampled_from(RISKY).map(lambda text: f"'{text}"))
def test_the_guard_against_formulas_can_be_undone_for_any_text(text: str) -> None:
    assert rows.unguarded(rows.guarded(text)) == text
    assert rows.guarded(text)[:1] not in ("=", "@", "\t", "\r")


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "about": st.sampled_from(["draft", "contradiction", "change", "adjudication"]),
                "code": st.sampled_from(["OTHER", "READER_DISAGREES"]),
                "text": st.from_regex(r"(?:[a-zü=.,:;A-Z']+(?: [a-zA-Z0-9]+)*)?", fullmatch=True),
            }
        ),
        max_size=4,
    )
)
def test_reasons_come_back_from_their_cell(reasons: list[dict[str, str]]) -> None:
    assert rows.reasons_of(rows.reasons_text(reasons)) == reasons


# --- what is refused ---
def csv_file(path: Path, lines: Sequence[Mapping[str, str]]) -> Path:
    store.write_csv(path, lines, rows.COLUMNS)
    return path


def good(study: Study) -> list[dict[str, str]]:
    found = rows.rows_of(study.record.entries())
    return [{name: row[name] for name in rows.COLUMNS} for row in found]


@pytest.fixture
def baseline(tmp_path: Path) -> list[dict[str, str]]:
    study = Study(tmp_path / "one")
    study.read(BASELINE)
    return good(study)


@pytest.mark.parametrize(
    ("row", "cells", "parts"),
    [
        (0, {"value": "PRESNT"}, ["row 2", "column value", "PRESENT, ABSENT"]),
        (0, {"value": "IMPROVED"}, ["row 2", "column value", "PRESENT, ABSENT, NE"]),
        (1, {"value": "NE"}, ["row 3", "reason_ne"]),
        (1, {"compartment": "WHOLE"}, ["row 3", "is not asked here", "BRAIN LINEAR"]),
        (0, {"reader_id": "RADIOLOGIST 9"}, ["row 2", "column reader_id", "RADIOLOGIST 1, RADIOLOGIST 2"]),
        (0, {"read_dtc": "yesterday"}, ["row 2", "column read_dtc", "YYYY-MM-DDThh:mm"]),
        (0, {"comment": "Frau Meyer"}, ["row 2", "column comment", "name"]),
        (2, {"locked_dtc": ""}, ["not locked"]),
        (1, {"read_id": "R000001.BRAIN.NODULES"}, ["R000001.BRAIN.NODULES", "rows 2 and 3"]),
        (3, {"reasons": "mood"}, ["column reasons", "the same on every row"]),
    ],
)
def test_a_bad_row_refuses_its_read_with_file_row_column_and_what_is_allowed(
    tmp_path: Path, baseline: list[dict[str, str]], row: int, cells: dict[str, str], parts: list[str]
) -> None:
    baseline[row] |= cells
    study = Study(tmp_path / "target")
    verdicts = take(study, read_file(csv_file(tmp_path / "reads.csv", baseline), "S"))
    assert all(verdict.entry is None and verdict.refused for verdict in verdicts)
    text = " ".join(line for verdict in verdicts for line in verdict.refused)
    assert [part for part in ["reads.csv", *parts] if part not in text] == []
    assert study.record.entries() == []


@pytest.mark.parametrize(
    ("cells", "parts"),
    [
        ({"subject_id": "S9"}, ["column visit_num", "S9 has no visit 1"]),
        ({"visit_num": "7"}, ["S1 has no visit 7", "1 (BL), 2 (WK06), 3 (WK12)"]),
        ({"scan_dtc": "2024-01-03"}, ["column scan_dtc", "2024-01-02"]),
        ({"role": "ADJUDICATION COMMITTEE"}, ["RADIOLOGIST 1 with INDEPENDENT ASSESSOR"]),
        ({"reader_id": "ALGORITHM", "role": "ALGORITHM"}, ["is no reader"]),
        ({"reader_id": "ADJUDICATOR", "role": "ADJUDICATION COMMITTEE"}, ["fewer than two reads are locked"]),
        ({"comparator": "BASELINE"}, ["column comparator", "compared with nothing"]),
        ({"reasons": "mood"}, ["column reasons", "draft, contradiction, change, adjudication"]),
    ],
)
def test_a_read_that_does_not_fit_the_study_is_refused(
    tmp_path: Path, baseline: list[dict[str, str]], cells: dict[str, str], parts: list[str]
) -> None:
    lines = [row | cells for row in baseline]
    [verdict] = take(Study(tmp_path / "target"), read_file(csv_file(tmp_path / "reads.csv", lines), "S"))
    text = " ".join(verdict.refused)
    assert [part for part in parts if part not in text] == []


def test_one_bad_read_does_not_stop_the_others(tmp_path: Path, source: Study) -> None:
    lines = good(source)
    bad = next(n for n, row in enumerate(lines) if row["reader_id"] == "RADIOLOGIST 2" and row["subject_id"] == "S2")
    lines[bad] |= {"value": "MAYBE"}
    verdicts = take(Study(tmp_path / "target"), read_file(csv_file(tmp_path / "reads.csv", lines), "S"))
    assert [bool(verdict.refused) for verdict in verdicts].count(True) == 1
    assert [verdict.entry is not None for verdict in verdicts].count(True) == 3


def test_visits_are_taken_in_order_and_an_earlier_one_is_asked_for(tmp_path: Path, source: Study) -> None:
    lines = [row for row in good(source) if row["subject_id"] == "S1" and row["reader_id"] == "RADIOLOGIST 1"]
    week6 = [row for row in lines if row["visit_num"] == "2"]
    [verdict] = take(Study(tmp_path / "a"), read_file(csv_file(tmp_path / "week6.csv", week6), "S"))
    assert "BL comes first" in verdict.refused[0]
    both = [*week6, *[row for row in lines if row["visit_num"] == "1"]]  # in any order of the file
    verdicts = take(Study(tmp_path / "b"), read_file(csv_file(tmp_path / "both.csv", both), "S"))
    assert [verdict.refused for verdict in verdicts] == [(), ()]


def test_a_changed_read_needs_a_reason_and_replaces_the_locked_one(
    tmp_path: Path, baseline: list[dict[str, str]]
) -> None:
    study = Study(tmp_path / "target")
    take(study, read_file(csv_file(tmp_path / "a.csv", baseline), "S"))
    newer = [row | {"read_dtc": "2026-11-22T08:00:00Z"} for row in baseline]
    newer[0] |= {"value": "PRESENT"}
    [verdict] = take(study, read_file(csv_file(tmp_path / "b.csv", newer), "S"))
    assert "Why a locked read is changed" in verdict.refused[0]
    with_reason = [row | {"reasons": "change DATA_CORRECTION wrong side"} for row in newer]
    [verdict] = take(study, read_file(csv_file(tmp_path / "c.csv", with_reason), "S"))
    assert (verdict.refused, verdict.entry and verdict.entry["supersedes"]) == ((), "R000001")
    [standing] = state.standing(study.record.entries())
    assert standing.answers["BRAIN NODULES"] == "PRESENT"


def test_a_read_begun_in_the_reading_room_is_not_replaced_by_a_file(
    tmp_path: Path, baseline: list[dict[str, str]]
) -> None:
    study = Study(tmp_path / "target")
    study.save(BASELINE)
    for number, when in enumerate(("2026-11-22T08:00:00Z", baseline[0]["read_dtc"])):
        path = csv_file(tmp_path / f"{number}.csv", [row | {"read_dtc": when} for row in baseline])
        [verdict] = take(study, read_file(path, "S"))  # the same answers at the same time do not lock it either
        assert "saved in the reading room and not locked" in verdict.refused[0]


def test_an_import_that_was_killed_before_the_lock_is_finished_by_the_next(
    tmp_path: Path, baseline: list[dict[str, str]]
) -> None:
    study, path = Study(tmp_path / "target"), csv_file(tmp_path / "a.csv", baseline)
    given = read_file(path, "S")
    against = Against(SCANS, study.charter, given.source, given.sha256)
    [group] = groups(given.rows)[0]
    entry = judge(group, against, []).entry
    assert entry is not None
    study.record.append(entry, utc="2026-12-01T00:00:00.000000Z")
    verdict = judge(group, against, study.record.entries())
    assert verdict.known is not None
    assert not verdict.known.locked
    study.lock(verdict.known.entry)
    assert len(state.standing(study.record.entries())) == 1


def test_an_adjudicated_read_comes_in_after_both_reads(tmp_path: Path) -> None:
    study = Study(tmp_path / "source")
    for who in ("reader 1", "reader 2"):
        study.read(BASELINE, who)
    worse = complete(WEEK6, BRAIN_LINEAR="WORSE", WHOLE_OVERALL="PD")
    over = [study.read(WEEK6)["read"], study.read(WEEK6, "reader 2", worse)["read"]]
    reasons = [{"about": "adjudication", "code": "READER_DISAGREES", "text": "new film"}]
    study.read(WEEK6, "adjudicator", worse, over=over, chosen=over[1], reasons=reasons)
    path = tmp_path / "reads.csv"
    path.write_bytes(csv_bytes(study.record.entries()))
    target = Study(tmp_path / "target")
    assert [verdict.refused for verdict in take(target, read_file(path, "S")) if verdict.refused] == []
    *_, last = state.standing(target.record.entries())
    assert (last.reader, len(last.entry["over"])) == ("ADJUDICATOR", 2)
    taken = next(read for read in state.standing(target.record.entries()) if read.read == last.entry["chosen"])
    assert taken.reader == "RADIOLOGIST 2"


def test_an_own_read_of_the_adjudicator_comes_in_where_the_charter_allows_it(tmp_path: Path) -> None:
    study = Study(tmp_path / "target")
    for who in ("reader 1", "reader 2"):
        study.read(BASELINE, who)
    study.read(WEEK6)
    study.read(WEEK6, "reader 2", complete(WEEK6, BRAIN_LINEAR="WORSE", WHOLE_OVERALL="PD"))
    own = complete(WEEK6, BRAIN_NODULES="WORSE", WHOLE_OVERALL="PD")
    lone = Study(tmp_path / "lone")
    entry = lone.save(WEEK6, answers=own, reasons=[{"about": "adjudication", "code": "ADJUDICATION", "text": ""}])
    lone.lock(entry)
    lines = [row | {"reader_id": "ADJUDICATOR", "role": "ADJUDICATION COMMITTEE"} for row in good(lone)]
    path = csv_file(tmp_path / "own.csv", lines)
    [verdict] = take(study, read_file(path, "S"))
    assert "one whole read chosen" in verdict.refused[0]
    study.charter = charter_with(adjudication="either")
    [verdict] = take(study, read_file(path, "S"))
    assert (verdict.refused, verdict.entry and verdict.entry["chosen"]) == ((), "")


def test_a_spine_read_elsewhere_is_taken_where_the_study_has_no_spine_series(tmp_path: Path) -> None:
    study = Study(tmp_path / "a")
    study.read(BASELINE)
    lines = [row | {"subject_id": "S2"} for row in good(study)]
    [verdict] = take(Study(tmp_path / "b"), read_file(csv_file(tmp_path / "s.csv", lines), "S"))
    assert verdict.refused == ()


HOSTILE: dict[str, bytes] = {
    "empty.csv": b"",
    "nul.csv": b"read_id,subject_id\x00\n",
    "utf16.csv": "read_id,subject_id\n".encode("utf-16"),
    "header.csv": b"read_id,subject_id\n1,S1\n",
    "other.csv": b"a,b\n1,2\n",
    "quote.csv": b'read_id,subject_id\n"1,S1\n',
    "wide.csv": b"read_id" + b",x" * 2000 + b"\n" + b"1" + b",1" * 2000 + b"\n",
    "redcap.csv": b"record_id,redcap_event_name\nS1,bl\n",
    "text.xlsx": b"not a workbook",
    "text.dcm": b"not DICOM",
    "program.exe": b"MZ",
    "table.pdf": b"%PDF-1.4",
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_file_that_is_no_file_of_reads_is_refused_in_words(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(HOSTILE[name])
    given = read_file(path, "S")
    problems = [*given.refused, *([] if given.refused else groups(given.rows)[1])]
    assert problems
    assert all(name in problem for problem in problems)


CELLS = st.text(max_size=12) | st.sampled_from(
    [
        *RISKY,
        "1",
        "S1",
        "NE",
        "inf",
        "nan",
        "1e999",
        "-0",
        "2024-01-02",
        "2024-02-30T25:61Z",
        "RADIOLOGIST 1",
        "WHOLE",
        "#REF!",
    ]
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(rows.COLUMNS), CELLS), min_size=1, max_size=6))
def test_whatever_stands_in_the_cells_an_import_never_raises_and_takes_only_what_the_form_would(
    tmp_path: Path, changes: list[tuple[int, str, str]]
) -> None:
    answers = complete(BASELINE)
    entry = saved(BASELINE, "reader 1", answers) | {"seq": 1, "utc": UTC, "read": "R000001"}
    lines = [dict(row) for row in rows.read_rows(state.Read(entry, entry))]
    for number, column, cell in changes:
        lines[number % len(lines)][column] = cell
    path = tmp_path / "reads.csv"
    text = io.StringIO()
    writer = csv.DictWriter(text, rows.COLUMNS, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(lines)
    path.write_bytes(text.getvalue().encode("utf-8", "surrogatepass"))
    given = read_file(path, "S")
    if given.refused:
        return
    for group in groups(given.rows)[0]:
        verdict = judge(group, Against(SCANS, CHARTER, "csv", ""), [])
        assert bool(verdict.entry) != bool(verdict.refused)
        if verdict.entry is not None:
            scan = next(
                scan for scan in SCANS if scan.place == (verdict.entry["subject_id"], float(verdict.entry["visit_num"]))
            )
            asked = form.fields(dataclasses.replace(scan, spine=IMAGED), [])
            assert form.problems(verdict.entry["answers"], asked, comparator=verdict.entry["comparator"]) == []


def test_folders_pipes_and_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    import os

    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("folder.csv", "pipe.csv", "nothing.csv"):
        assert name in read_file(tmp_path / name, "S").refused[0]


# --- the offline form ---
def offline(tmp_path: Path, study: Study, who: str = "reader 1", study_id: str = "S") -> Path:
    entries = study.record.entries()
    tasks = [t for t in state.worklist(SCANS, entries, study.charter, who) if t.may_open and t.state == state.TO_READ]
    path = tmp_path / "form.xlsx"
    book = offline_form.workbook(tasks, state.current(entries), study.charter, who, study_id)
    path.write_bytes(store.workbook_bytes(book))
    return path


def fill(path: Path, answers: Mapping[str, str], subject: str = "S1", *, lock: bool = True) -> None:
    """Fill the yellow cells of one subject as a reader does."""
    book = openpyxl.load_workbook(path)
    sheet = book["form"]
    marks = {"READ AT": "2026-11-21T20:00Z", "LOCK": "LOCK" if lock else None}
    for row in sheet.iter_rows(min_row=offline_form.HEAD_ROW + 1):
        if row[0].value == subject:
            key = f"{row[4].value} {row[5].value}" if row[4].value else row[5].value
            value = answers.get(key, marks.get(key))
            if value:
                assert not row[7].protection.locked
                row[7].value = float(value) if value.replace(".", "").isdigit() else value
    book.save(path)


def test_the_form_lets_a_reader_fill_only_the_answers_from_closed_lists(tmp_path: Path) -> None:
    path = offline(tmp_path, Study(tmp_path / "s"))
    book = openpyxl.load_workbook(path)
    sheet = book["form"]
    assert (book["lists"].sheet_state, book["about"].sheet_state, sheet.protection.sheet) == ("hidden", "hidden", True)
    unlocked = {cell.column for row in sheet.iter_rows() for cell in row if not cell.protection.locked}
    assert unlocked == {8, 9, 10}
    assert {row[0].value for row in sheet.iter_rows(min_row=5)} == {"S1", "S2"}
    assert {row[1].value for row in sheet.iter_rows(min_row=5)} == {"BL"}  # week 6 waits for the baseline
    for row in sheet.iter_rows(min_row=5):
        if row[5].value == "LINEAR":
            [rule] = [r for r in sheet.data_validations.dataValidation if row[7].coordinate in r.sqref]
            letter, count = rule.formula1.split("$")[1], int(rule.formula1.split("$")[-1])
            assert [book["lists"][f"{letter}{n}"].value for n in range(1, count + 1)] == ["PRESENT", "ABSENT", "NE"]


def test_a_filled_form_becomes_a_locked_read_once(tmp_path: Path) -> None:
    study = Study(tmp_path / "s")
    path = offline(tmp_path, study)
    answers = complete(BASELINE, BRAIN_NODULES="PRESENT", BRAIN_NODULE_1_X="12.5", BRAIN_NODULE_1_Y="9")
    fill(path, {f"{row['compartment']} {row['item']}": row["value"] for row in answers})
    [verdict] = take(study, read_file(path, "S"))
    assert verdict.refused == ()
    [read] = state.standing(study.record.entries())
    assert (read.reader, read.entry["source"], read.entry["answers"]) == ("RADIOLOGIST 1", "xlsx", answers)
    assert rows.read_rows(read)[0]["read_dtc"] == "2026-11-21T20:00Z"
    [again] = take(study, read_file(path, "S"))
    assert again.known is not None


def test_an_unfinished_form_is_left_aside_and_an_incomplete_one_refused(tmp_path: Path) -> None:
    study = Study(tmp_path / "s")
    path = offline(tmp_path, study)
    fill(path, {"BRAIN NODULES": "ABSENT"}, lock=False)
    given = read_file(path, "S")
    assert given.rows == []
    assert "S1 BL is begun and not marked LOCK" in given.notes[0]
    fill(path, {"BRAIN NODULES": "ABSENT"})
    [verdict] = take(study, read_file(path, "S"))
    assert any("Linear enhancement of the brain: not answered" in line for line in verdict.refused)
    assert any("form.xlsx sheet form row" in line for line in verdict.refused)


def test_a_contradiction_in_the_form_needs_its_reason(tmp_path: Path) -> None:
    study = Study(tmp_path / "s")
    study.read(BASELINE)
    path = offline(tmp_path, study)
    answers = {f"{row['compartment']} {row['item']}": row["value"] for row in complete(WEEK6, BRAIN_LINEAR="WORSE")}
    fill(path, {**answers, "COMPARATOR": "BASELINE"})
    [verdict] = take(study, read_file(path, "S"))
    assert "does not follow from the items" in verdict.refused[0]
    fill(path, {**answers, "COMPARATOR": "BASELINE", "REASON contradiction": "ALTERNATIVE_CAUSE"})
    [verdict] = take(study, read_file(path, "S"))
    assert verdict.refused == ()


@pytest.mark.parametrize(
    ("sheet", "cell", "value", "part"),
    [
        ("about", "B2", "OTHER", "is of the study"),
        ("about", "B1", "x", "no form of reads"),
        ("about", "B3", "adjudicator", "no form of reads"),
        ("form", "E4", "x", "header was changed"),
    ],
)
def test_a_form_of_another_study_or_with_a_changed_head_is_refused(
    tmp_path: Path, sheet: str, cell: str, value: str, part: str
) -> None:
    path = offline(tmp_path, Study(tmp_path / "s"))
    book = openpyxl.load_workbook(path)
    book[sheet][cell] = value
    book.save(path)
    assert part in read_file(path, "S").refused[0]


def test_a_locked_cell_that_was_changed_anyway_is_found(tmp_path: Path) -> None:
    study = Study(tmp_path / "s")
    path = offline(tmp_path, study)
    fill(path, {f"{row['compartment']} {row['item']}": row["value"] for row in complete(BASELINE)})
    book = openpyxl.load_workbook(path)
    book["form"]["F5"] = "OVERALL"
    book.save(path)
    [verdict] = take(study, read_file(path, "S"))
    assert any("row 5" in line for line in verdict.refused)


def test_the_same_study_gives_the_same_form_byte_by_byte(tmp_path: Path) -> None:
    study = Study(tmp_path / "s")
    assert offline(tmp_path, study).read_bytes() == offline(tmp_path, study).read_bytes()


def test_a_workbook_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 501_000_000)
    assert "unpacks to more than" in read_file(path, "S").refused[0]


# --- REDCap ---
def test_the_data_dictionary_has_every_column_of_the_export_but_redcaps_own() -> None:
    names = [row["Variable / Field Name"] for row in redcap.dictionary_rows()]
    own = {*redcap.STRUCTURE[1:], redcap.COMPLETE}
    assert names == [name for name in redcap.columns() if name not in own]
    assert len(set(names)) == len(names)
    assert [name for name in names if len(name) > 26 or not name.isidentifier() or name != name.lower()] == []


def test_choices_are_codes_that_redcap_takes() -> None:
    for row in redcap.dictionary_rows():
        for choice in filter(None, row["Choices, Calculations, OR Slider Labels"].split(" | ")):
            code, _, label = choice.partition(", ")
            assert code.replace("_", "").isalnum(), choice
            assert label


def test_two_reads_of_one_visit_are_two_instances(source: Study) -> None:
    found = redcap.export_rows(state.standing(source.record.entries()))
    keys = [(row["record_id"], row["redcap_event_name"], row["redcap_repeat_instance"]) for row in found]
    assert len(set(keys)) == len(keys) == 4
    assert ("S1", "visit_bl_arm_1", "2") in keys


# --- DICOM SR ---
def report(study: Study, **more: Any) -> dict[str, Any]:
    """What :func:`lmresp.dicom.scorecard_sr.read` gives for the first read of a record."""
    read, lock, *_ = study.record.entries()
    return {**read, "locked_utc": lock["utc"], "locked": True, "problems": [], "unknown": [], **more}


@pytest.mark.parametrize(
    ("more", "part"),
    [({"problems": ["it holds no answer of a scorecard"]}, "no answer"), ({"locked": False}, "not locked")],
)
def test_a_report_that_is_no_locked_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], part: str
) -> None:
    study = Study(tmp_path / "s")
    study.read(BASELINE)
    fake = types.SimpleNamespace(read=lambda _: report(study, **more))
    monkeypatch.setitem(sys.modules, "lmresp.dicom.scorecard_sr", fake)
    (tmp_path / "a.dcm").write_bytes(b"")
    assert part in read_file(tmp_path / "a.dcm", "S").refused[0]


def test_a_report_becomes_a_read_once_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(tmp_path / "s")
    study.read(BASELINE)
    fake = types.SimpleNamespace(read=lambda _: report(study, unknown=["a group of another template"]))
    monkeypatch.setitem(sys.modules, "lmresp.dicom.scorecard_sr", fake)
    (tmp_path / "IM0001").write_bytes(b"\0" * 128 + b"DICM")
    given = read_file(tmp_path / "IM0001", "S")
    assert "another template" in given.notes[0]
    target = Study(tmp_path / "t")
    take(target, given)
    assert said(target) == said(study)
    [again] = take(study, given)
    assert again.known is not None


def test_the_command_line_takes_exports_and_verifies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], repository: Path
) -> None:
    study = tmp_path / "study"
    shutil.copytree(repository / "test_data" / "tables_only", study, ignore=shutil.ignore_patterns("derivatives"))
    source = Study(tmp_path / "s")
    source.read(BASELINE)
    lines = [row | {"subject_id": "TO-001", "scan_dtc": "2024-01-08"} for row in good(source)]
    bad = [row | {"subject_id": "TO-009"} for row in lines]
    first, second = csv_file(tmp_path / "a.csv", lines), csv_file(tmp_path / "b.csv", bad)
    assert main(["reads", "import", str(study), str(first), str(second)]) == 2
    out = capsys.readouterr().out
    assert "a.csv: 1 reads taken, 0 there already, 0 refused." in out
    assert "b.csv row 2" in out
    assert main(["reads", "import", str(study), str(first)]) == 0
    assert "a.csv: 0 reads taken, 1 there already" in capsys.readouterr().out
    record = Record(study / NAME)
    assert main(["reads", "verify", str(study), "--head", record.head().digest]) == 0
    assert record.head().digest in capsys.readouterr().out
    assert main(["reads", "verify", str(study), "--head", "0" * 64]) == 2
    assert main(["reads", "verify", str(study), "--head", "abc"]) == 2
    for options in (["--to", "x.csv"], ["--to", "x.xlsx"], ["--redcap", "--to", "cap.csv"]):
        target = str(tmp_path / options[-1])
        assert main(["reads", "export", str(study), *options[:-1], target]) == 0
        assert main(["reads", "export", str(study), *options[:-1], target]) == 2  # nothing is overwritten
    assert (tmp_path / "cap_dictionary.csv").is_file()
    assert main(["reads", "export", str(study), "--to", str(tmp_path / "x.pdf")]) == 2
    assert main(["reads", "form", str(study), "--reader", "reader 1", "--to", str(tmp_path / "f.xlsx")]) == 2
    assert "no scan is open" in capsys.readouterr().err
    record.path.write_bytes(record.path.read_bytes().replace(b"ABSENT", b"PRESENT", 1))
    assert [problem.line for problem in verify(record.path)] == [1]
    for command in ("verify", "export", "import"):
        more = {"verify": [], "export": ["--to", str(tmp_path / "y.csv")], "import": [str(first)]}[command]
        assert main(["reads", command, str(study), *more]) == 2
