"""Who may open, see and change what."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmresp.errors import StudyError
from lmresp.reads import state
from lmresp.reads.desk import lock_entry
from lmresp.reads.entry import CHAIN
from lmresp.reads.state import COORDINATOR, DRAFT, ROLES, ROOM
from tests.charters import charter_with
from tests.unit.reads.helpers import BASELINE, BRAIN_ONLY, CHANGE, CHARTER, SCANS, WEEK6, WEEK12, Study, complete, saved

WORSE = complete(WEEK6, BRAIN_LINEAR="WORSE", WHOLE_OVERALL="PD")
ADJUDICATED = [{"about": "adjudication", "code": "READER_DISAGREES", "text": ""}]
READERS = ("reader 1", "reader 2")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


def differing(study: Study) -> list[str]:
    """Both readers read the baseline alike and differ at week 6; returns the reads of week 6."""
    for who in READERS:
        study.read(BASELINE, who)
    return [study.read(WEEK6)["read"], study.read(WEEK6, "reader 2", WORSE)["read"]]


def adjudicate(study: Study, over: list[str], **more: Any) -> dict[str, Any]:
    usual = {"chosen": over[-1] if over else "", "reasons": ADJUDICATED}
    return study.save(WEEK6, "adjudicator", WORSE, over=over, **{**usual, **more})


# --- locks ---
def test_a_lock_is_superseded_only_by_a_lock_and_only_with_a_reason(study: Study) -> None:
    first = study.read(BASELINE)["read"]
    with pytest.raises(StudyError, match="needs a reason"):
        study.save(BASELINE, supersedes=first)
    second = study.save(BASELINE, supersedes=first, reasons=[CHANGE])
    assert [read.read for read in state.standing(study.record.entries())] == [first]
    study.lock(second)
    assert [read.read for read in state.standing(study.record.entries())] == [second["read"]]
    [old, new] = state.history(study.record.entries())
    assert (old.locked, old.superseded_by, new.superseded_by) == (True, second["read"], "")


def test_a_saved_change_of_a_locked_read_may_be_saved_again(study: Study) -> None:
    first = study.read(BASELINE)["read"]
    second = study.save(BASELINE, supersedes=first, reasons=[CHANGE])["read"]
    with pytest.raises(StudyError, match="needs a reason"):
        study.save(BASELINE, supersedes=second)  # it still replaces a locked one
    third = study.save(BASELINE, supersedes=second, reasons=[CHANGE])
    study.lock(third)
    assert [read.read for read in state.current(study.record.entries())] == [third["read"]]


def test_nothing_is_locked_twice_nor_by_somebody_else(study: Study) -> None:
    entry = study.read(BASELINE)
    with pytest.raises(StudyError, match="locked already"):
        study.lock(entry)
    other = study.save(BRAIN_ONLY)
    with pytest.raises(StudyError, match="another account"):
        study.lock(other | {"account": "somebody"})
    with pytest.raises(StudyError, match="another account"):
        study.lock(other | {"reader": "RADIOLOGIST 2"})
    newer = study.save(BRAIN_ONLY, supersedes=other["read"])
    with pytest.raises(StudyError, match="was replaced by"):
        study.lock(other)
    with pytest.raises(StudyError, match="there is no read"):
        study.lock(newer | {"read": "R000099"})


def test_two_windows_of_one_reader_do_not_overwrite_each_other(study: Study) -> None:
    first = study.save(BASELINE)["read"]
    study.save(BASELINE, supersedes=first)
    for stale in ("", first):
        with pytest.raises(StudyError, match="meanwhile"):
            study.save(BASELINE, supersedes=stale)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"supersedes": "R000002"}, "no current read"),
        ({"over": ["R000001", "R000003"]}, "only an adjudicator"),
        ({"chosen": "R000001"}, "only an adjudicator"),
    ],
)
def test_a_reader_cannot_replace_or_adjudicate_what_is_not_the_readers(
    study: Study, more: dict[str, Any], why: str
) -> None:
    study.read(BASELINE, "reader 2")
    with pytest.raises(StudyError, match=why):
        study.save(BASELINE, **more)


def test_software_is_no_reader(study: Study) -> None:
    entry = saved(BASELINE) | {"reader": "ALGORITHM", "role": "ALGORITHM"}
    with pytest.raises(StudyError, match="no reader"):
        study.record.append(entry, utc="2026-11-21T20:00:00.000000Z")


# --- order of visits ---
def test_visits_open_in_order_for_each_reader_by_themselves(study: Study) -> None:
    assert [task.may_open for task in study.tasks("reader 1").values()] == [True, False, False, True]
    assert study.tasks("reader 1")["S1 WK06"].why == "BL comes first: it is not settled yet"
    entry = study.save(BASELINE)
    assert not study.tasks("reader 1")["S1 WK06"].may_open  # saved is not locked
    study.lock(entry)
    tasks = study.tasks("reader 1")
    assert (tasks["S1 WK06"].may_open, tasks["S1 WK12"].may_open) == (True, False)
    assert not study.tasks("reader 2")["S1 WK06"].may_open


def test_without_sequential_reading_every_visit_is_open(tmp_path: Path) -> None:
    study = Study(tmp_path, charter_with(sequential_reading=False))
    assert all(task.may_open for task in study.tasks("reader 1").values())


# --- adjudication ---
def test_adjudication_opens_only_on_a_disagreement_of_two_locked_reads(study: Study) -> None:
    for who in READERS:
        study.read(BASELINE, who)
    assert study.tasks("adjudicator")["S1 BL"].state == state.NO_NEED
    study.read(WEEK6)
    assert study.tasks("adjudicator")["S1 WK06"].why == "fewer than two reads are locked"
    second = study.save(WEEK6, "reader 2", WORSE)
    assert not study.tasks("adjudicator")["S1 WK06"].may_open
    study.lock(second)
    task = study.tasks("adjudicator")["S1 WK06"]
    assert (task.may_open, task.items) == (True, ("WHOLE OVERALL",))
    assert [read.reader for read in task.over] == ["RADIOLOGIST 1", "RADIOLOGIST 2"]


def test_the_charter_names_what_is_adjudicated(study: Study) -> None:
    for who in READERS:
        study.read(BASELINE, who)
    study.read(WEEK6)
    study.read(WEEK6, "reader 2", complete(WEEK6, BRAIN_LINEAR="WORSE"), reasons=[])  # the same overall value
    assert study.tasks("adjudicator")["S1 WK06"].state == state.NO_NEED
    study.charter = charter_with(adjudicate_on=["OVERALL", "LINEAR"])
    assert study.tasks("adjudicator")["S1 WK06"].items == ("BRAIN LINEAR",)


def test_a_baseline_is_never_adjudicated(study: Study) -> None:
    study.charter = charter_with(adjudicate_on=["LINEAR"])
    study.read(BASELINE)
    study.read(BASELINE, "reader 2", complete(BASELINE, BRAIN_LINEAR="PRESENT"))
    assert study.tasks("adjudicator")["S1 BL"].state == state.NO_NEED


def test_adjudication_waits_while_a_reader_changes_a_locked_read(study: Study) -> None:
    first, _ = differing(study)
    study.save(WEEK6, supersedes=first, reasons=[CHANGE])
    assert study.tasks("adjudicator")["S1 WK06"].why == "RADIOLOGIST 1 is changing a locked read"


def test_adjudicated_reads_are_final_for_the_readers_and_not_for_the_adjudicator(study: Study) -> None:
    over = differing(study)
    pending = study.save(WEEK6, supersedes=over[0], reasons=[CHANGE])  # saved before the adjudicator locks
    entry = adjudicate(study, over)
    study.lock(entry)
    with pytest.raises(StudyError, match="final"):
        study.lock(pending)
    with pytest.raises(StudyError, match="final"):
        study.save(WEEK6, supersedes=pending["read"], reasons=[CHANGE])
    assert "final" in study.tasks("reader 2")["S1 WK06"].why
    again = adjudicate(study, over, supersedes=entry["read"], reasons=[*ADJUDICATED, CHANGE], chosen=over[0])
    study.lock(again)
    standing = [read.read for read in state.standing(study.record.entries()) if read.reader == "ADJUDICATOR"]
    assert standing == [again["read"]]


def test_an_adjudicated_read_cannot_be_locked_over_reads_that_changed_meanwhile(study: Study) -> None:
    over = differing(study)
    entry = adjudicate(study, over)
    study.read(WEEK6, "reader 2", WORSE, supersedes=over[1], reasons=[CHANGE])
    with pytest.raises(StudyError, match="changed meanwhile"):
        study.lock(entry)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"over": []}, "two or more locked reads"),
        ({"over": ["R000005"], "chosen": ""}, "two or more"),
        ({"over": ["R000001", "R000003"], "chosen": ""}, "of the scan"),
        ({"chosen": "R000001"}, "none of the reads adjudicated"),
    ],
)
def test_an_adjudicator_reads_over_the_locked_reads_of_the_scan(study: Study, more: dict[str, Any], why: str) -> None:
    over = differing(study)
    with pytest.raises(StudyError, match=why):
        adjudicate(study, **{"over": over, "chosen": over[1], **more})


# --- who sees what ---
def test_no_role_sees_another_read_nor_the_draft_before_the_own_lock(study: Study) -> None:
    """Every role, every read, at every moment of a study from the first save to the adjudication."""
    over = differing(study)
    entry = adjudicate(study, over)
    study.lock(entry)
    study.save(WEEK12, "reader 1")
    entries = study.record.entries()
    for moment, who, hidden in itertools.product(range(len(entries) + 1), ROOM, (True, False)):
        so_far, charter = entries[:moment], charter_with(draft_hidden=hidden)
        reads = state.history(so_far)
        for scan in SCANS:
            of_scan = [read for read in reads if read.place == scan.place]
            own_lock = any(read.locked for read in of_scan if read.reader == ROLES.get(who, ("",))[0])
            sees_draft = state.may_see(DRAFT, who, scan, so_far, charter)
            assert sees_draft == (who != COORDINATOR and (not hidden or own_lock)), (moment, who, scan)
            both_locked = {read.reader for read in of_scan if read.stands} >= {"RADIOLOGIST 1", "RADIOLOGIST 2"}
            for read in reads:
                sees = state.may_see(read, who, scan, so_far, charter)
                own = who != COORDINATOR and read.reader == ROLES[who][0]
                opened = who == "adjudicator" and both_locked and scan == WEEK6 and read.read in over
                assert sees == (read.place == scan.place and (own or opened)), (moment, who, scan, read.read)


def test_only_an_adjudicators_open_task_carries_reads_of_others(study: Study) -> None:
    differing(study)
    for who in ROOM:
        for label, task in study.tasks(who).items():
            others = [
                read
                for read in (*task.over, *([task.own] if task.own else []))
                if read.reader != ROLES.get(who, ("",))[0]
            ]
            assert bool(others) == (who == "adjudicator" and label == "S1 WK06"), (who, label)


def test_a_coordinator_sees_how_far_the_reads_are_and_opens_nothing(study: Study) -> None:
    differing(study)
    tasks = study.tasks(COORDINATOR)
    assert not any(task.may_open or task.own or task.over or task.items for task in tasks.values())
    progress = tasks["S1 WK06"].progress
    assert (progress["reader 1"], progress["reader 2"], progress["adjudicator"]) == ("locked", "locked", "to read")
    assert tasks["S1 WK12"].progress["reader 1"] == "to read"


def test_an_unknown_role_is_a_broken_promise(study: Study) -> None:
    with pytest.raises(ValueError, match="anna"):
        study.tasks("anna")


# --- any sequence of saves and locks ---
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(range(3)), st.sampled_from(READERS), st.sampled_from(["save", "lock", "stale"])))
)
def test_a_lock_never_vanishes_and_one_read_stands(steps: list[tuple[int, str, str]]) -> None:
    entries: list[dict[str, Any]] = []

    def append(entry: dict[str, Any]) -> bool:
        if state.refusal(entries, entry):
            return False
        seq = len(entries) + 1
        line = {**entry, **dict.fromkeys(CHAIN, ""), "seq": seq}
        entries.append(line | ({"read": f"R{seq:06d}"} if entry["kind"] == "read" else {}))
        return True

    locked: set[str] = set()
    for place, who, action in steps:
        scan = [BASELINE, WEEK6, BRAIN_ONLY][place]
        reader = ROLES[who][0]
        mine = [r for r in state.current(entries) if r.place == scan.place and r.reader == reader]
        if action == "lock" and mine:
            taken = append(lock_entry(mine[-1], account=mine[-1].entry["account"]))
            assert taken == (not mine[-1].locked)
            locked |= {mine[-1].read} if taken else set()
        elif action != "lock":
            stale = action == "stale" and bool(mine)
            name = "" if stale or not mine else mine[-1].read
            taken = append(saved(scan, who, [], supersedes=name, reasons=[CHANGE]))
            assert taken != stale
        now = {read.read: read for read in state.history(entries)}
        assert {name for name, read in now.items() if read.locked} == locked
        for where, each in itertools.product({one.place for one in SCANS}, READERS):
            those = [r for r in now.values() if r.place == where and r.reader == ROLES[each][0]]
            assert sum(r.stands for r in those) == (1 if any(r.locked for r in those) else 0)
            assert sum(not r.superseded_by for r in those) <= 2  # one that stands, one that is to replace it


def test_the_record_has_a_disagreement_where_the_workflow_leaves_the_visit_open(study: Study) -> None:
    import pandas as pd

    from lmresp.mri.scorecard import grade_mri
    from lmresp.reads.rows import rows_of

    differing(study)
    rows = pd.DataFrame([{**row, "row_id": row["_row"]} for row in rows_of(study.record.entries())])
    subjects = pd.DataFrame([{"subject_id": "S1", "ref_start_dtc": "2024-01-05"}])
    visits = pd.DataFrame(
        [
            {"subject_id": "S1", "visit_num": s.visit_num, "visit": s.visit, "start_dtc": s.scan_date, "status": "DONE"}
            for s in (BASELINE, WEEK6)
        ]
    )
    for items, open_case in ((["OVERALL"], True), (["HYDROCEPHALUS"], False), (["LINEAR", "NODULES"], True)):
        charter = charter_with(adjudicate_on=items)
        _, problems = grade_mri(rows, [], subjects, visits, charter)
        reads = [read for read in state.standing(study.record.entries()) if read.place == WEEK6.place]
        assert ("DV009" in [query.code for query in problems]) == open_case
        assert bool(state.disagreements(reads, charter)) == open_case
    # A read that the form took is complete and blinded for the workflow too.
    _, problems = grade_mri(rows, [], subjects, visits, CHARTER)
    assert [query.code for query in problems] == ["DV009"]
