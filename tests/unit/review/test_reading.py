"""A read from the form to the record, and what each role never sees."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmresp import store
from lmresp.ingest.study import open_study
from lmresp.reads.record import Record
from lmresp.review.room import Room
from tests.reading_rooms import BASELINE, DRAFT_MARK, WORSE, entries, put, scan_result, summary, targets

BL, WK06 = "sub-S01_ses-BL", "sub-S01_ses-WK06"


def test_nothing_is_chosen_beforehand_and_the_draft_is_hidden(people: Any) -> None:
    page = people["anna"].sign_in().get(f"/scan/{BL}").text
    assert page.count('type="radio"') > 10
    assert " checked" not in page
    assert DRAFT_MARK not in page
    assert "copy-draft" not in page


def test_a_complete_form_is_saved_as_it_was_typed(people: Any, tmp_path: Path) -> None:
    anna = people["anna"].sign_in()
    answer = anna.read(BL, *BASELINE, deed="save", **{"BRAIN.NODULES.comment": "left  side\r\nof the cord"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/scan/{BL}")
    (entry,) = entries(tmp_path)
    assert [row["value"] for row in entry["answers"]] == list(BASELINE)
    assert entry["answers"][0]["comment"] == "left side of the cord"
    assert (entry["kind"], entry["read"], entry["reader"], entry["account"]) == (
        "read",
        "R000001",
        "RADIOLOGIST 1",
        "anna",
    )
    assert (entry["role"], entry["source"], entry["comparator"]) == ("INDEPENDENT ASSESSOR", "reading room", "")
    assert entry["blinded_to"] == ["draft", "other reads"]
    assert entry["draft"]["shown"] is False
    assert len(entry["draft"]["digest"]) == 64
    assert entry["session"].startswith("anna-")
    assert len(entry["session"]) <= 40


def test_an_incomplete_form_is_blocked_and_what_was_typed_stays(people: Any, tmp_path: Path) -> None:
    anna = people["anna"].sign_in()
    answer = anna.read(BL, "PRESENT", **{"BRAIN.NODULE_1_X": "11,5", "BRAIN.LINEAR.comment": "a <b>note</b>"})
    assert summary(answer) == [
        "Linear enhancement of the brain: not answered.",
        "Hydrocephalus: not answered.",
        "Enhancement of cranial nerves: not answered.",
        "Metastases inside the brain: not answered.",
        "Nodule of the brain 1, diameter 2 (mm): the other diameter of this nodule is given.",
    ]
    assert targets(answer)[0] == "f-BRAIN.LINEAR"
    assert re.search(r'name="BRAIN.NODULES" value="PRESENT"[^>]* checked', answer.text)
    assert 'value="11.5"' in answer.text
    assert "a &lt;b&gt;note&lt;/b&gt;" in answer.text
    assert entries(tmp_path) == []


def test_a_blocked_form_can_be_mended_and_sent_again(people: Any, tmp_path: Path) -> None:
    anna = people["anna"].sign_in()
    mark = anna.hidden(f"/scan/{BL}")["mark"]
    answer = anna.read(BL, "PRESENT", mark=mark)
    assert f'name="mark" value="{mark}"' in answer.text
    assert anna.read(BL, *BASELINE, mark=mark).status_code == 303
    assert len(entries(tmp_path)) == 2


@pytest.mark.parametrize(
    ("more", "line", "target"),
    [
        ({}, "Linear enhancement of the brain: NE needs a reason.", "f-BRAIN.LINEAR.ne"),
        ({"BRAIN.LINEAR.ne": "BORED"}, "Linear enhancement of the brain: NE needs a reason.", "f-BRAIN.LINEAR.ne"),
        (
            {"BRAIN.LINEAR.ne": "OTHER"},
            "Linear enhancement of the brain: the reason OTHER needs a comment.",
            "f-BRAIN.LINEAR.comment",
        ),
    ],
)
def test_not_evaluable_needs_a_reason(
    people: Any, tmp_path: Path, more: dict[str, str], line: str, target: str
) -> None:
    anna = people["anna"].sign_in()
    answer = anna.read(BL, "PRESENT", "NE", "ABSENT", "ABSENT", "ABSENT", **more)
    assert summary(answer) == [line]
    assert targets(answer) == [target]
    assert entries(tmp_path) == []
    mended = more | {"BRAIN.LINEAR.ne": more.get("BRAIN.LINEAR.ne", "").replace("BORED", "") or "MOTION"}
    mended |= {"BRAIN.LINEAR.comment": "he coughed"}
    assert anna.read(BL, "PRESENT", "NE", "ABSENT", "ABSENT", "ABSENT", **mended).status_code == 303


def test_an_overall_result_that_contradicts_its_items_needs_a_reason(people: Any, tmp_path: Path) -> None:
    anna = people["anna"].sign_in()
    anna.read(BL, *BASELINE)
    answer = anna.read(WK06, *WORSE[:5], "SD")
    assert [line.split(":")[0] for line in summary(answer)] == [
        "Why the overall result does not follow from the items (WHOLE OVERALL)"
    ]
    assert "The items give PD." in answer.text
    reason = {"reason.contradiction.code": "ALTERNATIVE_CAUSE", "reason.contradiction.text": "an abscess"}
    assert anna.read(WK06, *WORSE[:5], "SD", **reason).status_code == 303
    entry = entries(tmp_path)[2]
    assert entry["implied"] == "PD"
    assert entry["reasons"] == [{"about": "contradiction", "code": "ALTERNATIVE_CAUSE", "text": "an abscess"}]


def test_saving_and_locking_are_two_entries_and_a_saved_read_is_locked_as_it_is(people: Any, tmp_path: Path) -> None:
    anna = people["anna"].sign_in()
    anna.read(BL, *BASELINE, deed="save")
    assert "R000001 is saved and not locked" in anna.get(f"/scan/{BL}").text
    anna.read(BL, *BASELINE, deed="lock")
    assert [(entry["kind"], entry["read"]) for entry in entries(tmp_path)] == [("read", "R000001"), ("lock", "R000001")]


def test_visits_of_a_subject_open_in_order(people: Any) -> None:
    anna = people["anna"].sign_in()
    for path in (f"/scan/{WK06}", f"/scan/{WK06}/pictures"):
        assert anna.get(path).status_code in (403, 404)
    anna.read(BL, *BASELINE, deed="save")
    assert anna.get(f"/scan/{WK06}").status_code == 403
    answer = anna.read(BL, *BASELINE, deed="next")
    assert answer.headers["location"] == f"/scan/{WK06}"
    for path in (f"/scan/{WK06}", f"/scan/{WK06}/pictures"):  # the draft of the visit before is no draft of this one
        answer = anna.get(path)
        assert answer.status_code == 200
        assert DRAFT_MARK not in answer.text


def test_a_locked_read_is_changed_only_by_another_with_a_reason(people: Any, tmp_path: Path) -> None:
    anna = people["anna"].sign_in()
    anna.read(BL, *BASELINE)
    still = anna.get(f"/scan/{BL}").text
    assert "R000001 · locked" in still
    assert '<form class="read"' not in still
    form = anna.hidden(f"/scan/{BL}/change")
    assert form["basis"] == "R000001"
    changed = ("ABSENT", *BASELINE[1:])
    more = dict(form)
    # With the draft now seen, departing from it needs a reason too: it says that nodules are present.
    blocked = summary(anna.read(BL, *changed, **more))
    assert [line.split(" (")[0] for line in blocked] == [
        "Why the read departs from the draft",
        "Why a locked read is changed",
    ]
    more |= {"reason.change.code": "DATA_CORRECTION", "reason.draft.code": "READER_DISAGREES"}
    assert anna.read(BL, *changed, **more).status_code == 303
    first, _, second, lock = entries(tmp_path)
    assert (second["supersedes"], second["read"], lock["read"]) == ("R000001", "R000003", "R000003")
    assert second["draft"]["shown"] is True
    assert first["answers"][0]["value"] == "PRESENT"
    page = anna.get(f"/scan/{BL}").text
    assert "replaced by R000003" in page


def test_what_another_window_saved_meanwhile_is_not_lost(people: Any, tmp_path: Path) -> None:
    anna = people["anna"].sign_in()
    old = anna.hidden(f"/scan/{BL}")
    anna.read(BL, *BASELINE, deed="save")
    answer = anna.read(BL, "ABSENT", *BASELINE[1:], **{key: old[key] for key in ("mark", "basis")})
    assert summary(answer) == ["RADIOLOGIST 1 has saved R000001 of this scan meanwhile; open it to go on from there."]
    assert len(entries(tmp_path)) == 1


def test_the_draft_is_shown_after_the_lock_with_the_difference(people: Any) -> None:
    anna = people["anna"].sign_in()
    anna.read(BL, "ABSENT", *BASELINE[1:], deed="save")
    assert DRAFT_MARK not in anna.get(f"/scan/{BL}").text
    assert DRAFT_MARK not in anna.get(f"/scan/{BL}/pictures").text
    anna.read(BL, "ABSENT", *BASELINE[1:])
    page = anna.get(f"/scan/{BL}").text
    assert DRAFT_MARK in page
    assert re.search(
        r'<tr class="differs"><th scope="row">Nodules of the brain.*?<td>Absent</td><td>Present</td>', page, re.S
    )
    assert not re.search(r'<tr class="differs"><th scope="row">Hydrocephalus', page)
    assert DRAFT_MARK in anna.get(f"/scan/{BL}/pictures").text


def test_with_the_draft_shown_departing_from_it_needs_a_reason(open_room: Callable[..., Any], tmp_path: Path) -> None:
    anna = open_room(draft_hidden=False)["anna"].sign_in()
    page = anna.get(f"/scan/{BL}").text
    assert " checked" not in page  # the draft stands beside, it is not taken over
    assert 'data-value="PRESENT"' in page
    assert "confidence 0.84" in page
    assert '<button type="button" data-finding="1">Show finding 1</button>' in page
    assert 'id="copy-draft"' in page
    blocked = anna.read(BL, "ABSENT", "PRESENT", *BASELINE[2:])
    assert summary(blocked) == ["Why the read departs from the draft (BRAIN NODULES): no reason is given."]
    assert targets(blocked) == ["f-reason.draft"]
    reason = {"reason.draft.code": "TECHNICAL_IMAGE", "reason.draft.text": "a vessel"}
    assert anna.read(BL, "ABSENT", "PRESENT", *BASELINE[2:], **reason).status_code == 303
    entry = entries(tmp_path)[0]
    assert (entry["departs"], entry["draft"]["shown"], entry["blinded_to"]) == (
        ["BRAIN NODULES"],
        True,
        ["other reads"],
    )


def test_a_draft_that_changed_under_an_open_form_is_not_taken_for_the_one_shown(
    open_room: Callable[..., Any], tmp_path: Path
) -> None:
    anna = open_room(draft_hidden=False)["anna"].sign_in()
    old = anna.hidden(f"/scan/{BL}")["draft"]
    result = scan_result("S-01", "1", "BL", "2024-01-01")
    result["scorecard"]["items"][1]["presence"] = "ABSENT"
    put(tmp_path, result)
    assert "measured anew" in summary(anna.read(BL, *BASELINE, draft=old))[0]
    assert entries(tmp_path) == []
    assert anna.read(BL, *BASELINE).status_code == 303


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def test_text_of_headers_and_tables_is_shown_as_text(open_room: Callable[..., Any], tmp_path: Path) -> None:
    people = open_room(draft_hidden=False)
    result = scan_result("S-01", "1", "BL", "2024-01-01")
    result["scorecard"]["items"][0]["reason"] = HOSTILE
    result["findings"][0]["note"] = HOSTILE
    result["series"] = [{"series": HOSTILE, "sequence": "T1_POST", "role": "post", "note": HOSTILE, "shape": [1, 1, 1]}]
    put(tmp_path, result)
    index = tmp_path / "derivatives" / "lmresp" / "work" / "index.json"
    content = store.read_json(index)
    content["scans"][0]["visit"] = HOSTILE
    store.write_json(index, content)
    anna, dora = people["anna"].sign_in(), people["dora"].sign_in()
    for person, path in ((anna, "/"), (anna, f"/scan/{BL}"), (dora, "/")):
        page = person.get(path).text
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    anna.read(BL, *BASELINE, **{"BRAIN.LINEAR.comment": HOSTILE[:100], "reason.draft.code": "READER_DISAGREES"})
    assert "<script>alert" not in anna.get(f"/scan/{BL}").text


def test_a_study_that_was_never_run_says_what_to_run(open_room: Callable[..., Any], tmp_path: Path) -> None:
    people = open_room()
    (tmp_path / "derivatives" / "lmresp" / "sub-S01" / "ses-BL" / f"{BL}_scan.json").unlink()
    anna = people["anna"].sign_in()
    assert "not measured yet" in anna.get("/").text
    assert "lmresp run STUDY" in anna.get(f"/scan/{BL}").text
    missing = anna.get(f"/scan/{BL}/pictures")
    assert missing.status_code == 404
    assert "frame-ancestors 'self'" in missing.headers["content-security-policy"]
    (tmp_path / "derivatives" / "lmresp" / "work" / "index.json").unlink()
    for name in ("anna", "dora"):
        assert "lmresp run STUDY" in people[name].sign_in().get("/").text


def test_a_record_that_was_edited_stops_the_room(people: Any, tmp_path: Path) -> None:
    anna = people["anna"].sign_in()
    anna.read(BL, *BASELINE)
    path = tmp_path / "reads" / "reads.jsonl"
    path.write_text(path.read_text().replace('"PRESENT"', '"ABSENT"'))
    answer = anna.get("/")
    assert answer.status_code == 503
    assert "lmresp reads verify" in answer.text


def test_accounts_that_were_edited_stop_the_room_and_are_not_repeated(people: Any, tmp_path: Path) -> None:
    anna = people["anna"].sign_in()
    path = tmp_path / "reads" / "readers.json"
    path.write_text(path.read_text().replace("coordinator", "PLANTED"))
    for url in ("/", "/login", f"/scan/{BL}", f"/scan/{BL}/pictures"):
        answer = anna.get(url)
        assert (answer.status_code, "reads/readers.json" in answer.text) == (503, True)
        assert "PLANTED" not in answer.text


def test_a_full_disk_is_told_and_what_was_typed_stays(
    people: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = people["anna"].sign_in()
    anna.get(f"/scan/{BL}")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lmresp.reads.record.Record.append", full)
    answer = anna.read(BL, *BASELINE)
    assert summary(answer) == ["The disk refused it: No space left on device."]
    assert re.search(r'name="BRAIN.NODULES" value="PRESENT"[^>]* checked', answer.text)


def test_a_disk_that_is_full_between_save_and_lock_costs_no_second_read(
    people: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = people["anna"].sign_in()
    form = anna.hidden(f"/scan/{BL}")
    append = Record.append

    def full(self: Record, entry: Any, *, utc: str) -> dict[str, Any]:
        if entry["kind"] == "lock":
            raise OSError(28, "No space left on device")
        return append(self, entry, utc=utc)

    monkeypatch.setattr(Record, "append", full)
    assert summary(anna.read(BL, *BASELINE, **form)) == ["The disk refused it: No space left on device."]
    monkeypatch.undo()
    assert anna.read(BL, *BASELINE, **form).status_code == 303  # the same form, sent again
    assert [(entry["kind"], entry["read"]) for entry in entries(tmp_path)] == [("read", "R000001"), ("lock", "R000001")]


def test_what_the_charter_compares_with_is_said_once(people: Any) -> None:
    anna = people["anna"].sign_in()
    anna.read(BL, *BASELINE)
    page = anna.get(f"/scan/{WK06}").text
    assert page.count("as the charter says") == 1
    assert "The charter compares with" not in page


def test_the_charter_of_the_room_stands_in_every_read(people: Any, tmp_path: Path) -> None:
    people["anna"].sign_in().read(BL, *BASELINE)
    assert {entry["charter"] for entry in entries(tmp_path)} == {Room(open_study(tmp_path)).charter.digest}
