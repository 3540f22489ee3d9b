"""What each role sees and may do: readers apart, adjudication on a disagreement, a coordinator without reads."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lmresp import store
from lmresp.review import accounts
from tests.reading_rooms import BASELINE, DRAFT_MARK, STABLE, WORSE, entries, summary

BL, WK06 = "sub-S01_ses-BL", "sub-S01_ses-WK06"


def test_readers_see_neither_the_draft_nor_one_another(people: Any) -> None:
    anna, bert = people["anna"].sign_in(), people["bert"].sign_in()
    anna.read(BL, *BASELINE, **{"BRAIN.NODULES.comment": "PLANTED-READ"})
    anna.read(WK06, *WORSE, **{"BRAIN.NODULES.comment": "PLANTED-READ"})
    for path in ("/", f"/scan/{BL}", f"/scan/{BL}/pictures", f"/scan/{BL}/spine", f"/scan/{BL}/change"):
        bert.get(path)
    for path in (
        f"/scan/{WK06}",
        f"/scan/{WK06}/pictures",
        f"/adjudicate/{WK06}",
        "/reads.jsonl",
        "/reads/reads.jsonl",
    ):
        bert.get(path)
    bert.read(BL, "PRESENT", deed="lock")  # blocked
    assert not any(mark in answer for answer in bert.seen for mark in (b"PLANTED-READ", DRAFT_MARK.encode(), b"anna"))
    bert.read(BL, *BASELINE)
    bert.get(f"/scan/{BL}")
    assert any(DRAFT_MARK.encode() in answer for answer in bert.seen)
    assert not any(b"PLANTED-READ" in answer or b"anna" in answer for answer in bert.seen)


def test_the_coordinator_sees_states_and_never_a_read(people: Any) -> None:
    anna, bert, dora = (people[name].sign_in() for name in ("anna", "bert", "dora"))
    for person, values in ((anna, WORSE), (bert, STABLE)):
        person.read(BL, *BASELINE, **{"BRAIN.NODULES.comment": "PLANTED-READ"})
        person.read(WK06, *values, **{"BRAIN.NODULES.comment": "PLANTED-READ"})
    page = dora.get("/").text
    assert "to decide" in page
    assert "2 / 4" in page
    for scan in (BL, WK06):
        for path in (f"/scan/{scan}", f"/scan/{scan}/pictures", f"/scan/{scan}/change", f"/adjudicate/{scan}"):
            assert dora.get(path).status_code == 404
        assert dora.post(f"/scan/{scan}", {"deed": "save"}).status_code == 404
    marks = (b"PLANTED-READ", DRAFT_MARK.encode(), b"PRESENT", b"Worse", b">PD<", b">SD<")
    assert not any(mark in answer for answer in dora.seen for mark in marks)


def test_the_coordinator_reads_off_the_head_of_the_record(people: Any, tmp_path: Path) -> None:
    people["anna"].sign_in().read(BL, *BASELINE)
    assert entries(tmp_path)[-1]["digest"] in people["dora"].sign_in().get("/").text


def test_calls_are_stale_after_a_lock_until_the_study_is_run(people: Any, tmp_path: Path) -> None:
    anna, dora = people["anna"].sign_in(), people["dora"].sign_in()
    anna.read(BL, *BASELINE, deed="save")
    assert "lmresp run" not in dora.get("/").text
    anna.read(BL, *BASELINE)
    assert '1 locked read not yet in the calls: run <span class="code">lmresp run STUDY</span>' in dora.get("/").text
    raw = tmp_path / "derivatives" / "lmresp" / "work" / "raw" / "mri_reads.csv"
    store.write_csv(raw, [{"_file": "reads/reads.jsonl", "_row": "1"}], ["_file", "_sheet", "_row"])
    assert "lmresp run" not in dora.get("/").text


def disagree(people: Any) -> Any:
    """Let both readers lock both scans of a subject with another overall result; returns the adjudicator."""
    anna, bert = people["anna"].sign_in(), people["bert"].sign_in()
    for person, values in ((anna, WORSE), (bert, STABLE)):
        person.read(BL, *BASELINE)
        person.read(WK06, *values, **{"BRAIN.NODULES.comment": f"said {person.name}"})
    return people["cleo"].sign_in()


def test_adjudication_opens_on_a_disagreement_only(people: Any) -> None:
    cleo = people["cleo"].sign_in()
    assert cleo.get(f"/adjudicate/{WK06}").status_code == 403
    cleo = disagree(people)
    assert cleo.get(f"/adjudicate/{BL}").status_code == 403  # nothing is called at baseline
    page = cleo.get(f"/adjudicate/{WK06}").text
    assert re.search(
        r'class="differs"><th scope="row">Overall leptomeningeal result.*?<td>PD</td><td>SD</td>', page, re.S
    )
    assert re.search(r'<tr><th scope="row">Hydrocephalus</th><td>No change</td><td>No change</td>', page)
    assert "said anna" in page
    assert "said bert" in page
    assert DRAFT_MARK not in page
    assert " checked" not in page


def decide(cleo: Any, **fields: str) -> Any:
    return cleo.post(f"/adjudicate/{WK06}", cleo.hidden(f"/adjudicate/{WK06}") | fields)


def test_an_adjudicator_takes_one_whole_read_with_a_reason(people: Any, tmp_path: Path) -> None:
    cleo = disagree(people)
    assert summary(decide(cleo))[0] == "Decision: not answered."
    (line,) = summary(decide(cleo, chosen="R000003"))
    assert line == "Why this read was chosen or given (adjudication): no reason is given."
    blocked = summary(decide(cleo, chosen="own", **{"reason.adjudication.code": "ADJUDICATION"}))
    assert blocked[0] == "The charter has one whole read chosen."
    answer = decide(
        cleo, chosen="R000003", **{"reason.adjudication.code": "ADJUDICATION", "reason.adjudication.text": "larger"}
    )
    assert answer.status_code == 303
    read, lock = entries(tmp_path)[-2:]
    assert (read["reader"], read["role"], read["chosen"], read["over"]) == (
        *("ADJUDICATOR", "ADJUDICATION COMMITTEE", "R000003"),
        ["R000003", "R000007"],
    )
    taken = next(entry for entry in entries(tmp_path) if entry["read"] == "R000003")
    assert read["answers"] == taken["answers"]
    assert (lock["kind"], lock["read"]) == ("lock", read["read"])
    assert (read["draft"]["shown"], read["blinded_to"]) == (False, ["draft"])
    assert "decided" in people["dora"].sign_in().get("/").text


def test_a_whole_read_taken_beside_the_draft_says_that_it_was_shown(
    open_room: Callable[..., Any], tmp_path: Path
) -> None:
    people = open_room(draft_hidden=False)
    departs = {"reason.draft.code": "READER_DISAGREES"}  # the code is enough
    anna, bert = people["anna"].sign_in(), people["bert"].sign_in()
    for person, values in ((anna, WORSE), (bert, STABLE)):
        assert person.read(BL, *BASELINE, **departs).status_code == 303
        assert person.read(WK06, *values, **departs).status_code == 303
    decide(people["cleo"].sign_in(), chosen="R000003", **{"reason.adjudication.code": "ADJUDICATION"})
    read = entries(tmp_path)[-2]
    assert (read["draft"]["shown"], read["departs"], read["blinded_to"]) == (True, [], [])


def test_an_adjudicator_gives_an_own_read_where_the_charter_says_so(
    open_room: Callable[..., Any], tmp_path: Path
) -> None:
    people = open_room(adjudication="own")
    cleo = disagree(people)
    reason = {"reason.adjudication.code": "OTHER", "reason.adjudication.text": "both missed it"}
    blocked = summary(decide(cleo, chosen="R000003", **reason))
    assert blocked == ["The charter has the adjudicator give an own read."]
    assert len(summary(decide(cleo, chosen="own", **reason))) == 7  # five items, the overall result, the comparator
    names = ("BRAIN.NODULES", "BRAIN.LINEAR", "BRAIN.HYDROCEPHALUS", "BRAIN.CRANIAL_NERVE", "BRAIN.PARENCHYMAL")
    values = dict(zip([*names, "WHOLE.OVERALL"], WORSE, strict=True)) | {"comparator": "BASELINE"}
    assert decide(cleo, chosen="own", **reason, **values).status_code == 303
    read = entries(tmp_path)[-2]
    assert (read["chosen"], read["implied"], [row["value"] for row in read["answers"]]) == ("", "PD", list(WORSE))


def test_after_adjudication_the_reads_are_final(people: Any) -> None:
    cleo, anna = disagree(people), people["anna"]
    pages = ("/", f"/scan/{WK06}", f"/scan/{BL}")
    anna.get("/")  # takes the messages of what was saved
    before = [anna.get(path).text for path in pages]
    forms = anna.hidden(f"/scan/{WK06}/change")
    decide(cleo, chosen="R000003", **{"reason.adjudication.code": "ADJUDICATION"})
    assert [anna.get(path).text for path in pages] == before  # nothing tells that the readers differed ...
    answers = [anna.get(f"/scan/{WK06}/change"), anna.post(f"/scan/{WK06}", forms | {"deed": "lock"})]
    for answer in answers:  # ... until one asks to change such a read, and then without a word about the other reader
        assert answer.status_code == 403
        assert "this read is final" in answer.text
        assert "adjudicat" not in answer.text.lower()


def test_a_reader_who_takes_over_goes_on_from_the_reads_of_the_role(people: Any, tmp_path: Path) -> None:
    people["anna"].sign_in().read(BL, *BASELINE)
    secret = accounts.add(tmp_path, "emil", accounts.Role.READER_1, utc="2026-03-01T00:00:00.000000Z")
    emil = type(people["anna"])(people["anna"].client.app, "emil", secret).sign_in()
    assert emil.read(WK06, *WORSE).status_code == 303
    assert [entry["account"] for entry in entries(tmp_path)] == ["anna", "anna", "emil", "emil"]
    assert {entry["reader"] for entry in entries(tmp_path)} == {"RADIOLOGIST 1"}
