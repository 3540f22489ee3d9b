"""The chain: every way of tampering shows, and no save is lost, whoever writes and whoever is killed."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lmresp.errors import StudyError
from lmresp.reads import state
from lmresp.reads.entry import canonical, digest_of
from lmresp.reads.record import Head, Record, torn_files, verify
from tests.unit.reads.helpers import BASELINE, BRAIN_ONLY, CHANGE, UTC, WEEK6, Study, saved


@pytest.fixture
def study(tmp_path: Path) -> Study:
    study = Study(tmp_path)
    study.read(BASELINE)
    study.read(WEEK6)
    study.read(BRAIN_ONLY, "reader 2")
    return study


def lines(study: Study) -> list[bytes]:
    return study.record.path.read_bytes().splitlines(keepends=True)


def rewrite(study: Study, new: list[bytes]) -> list[tuple[int, str]]:
    study.record.path.write_bytes(b"".join(new))
    return [(problem.line, problem.kind) for problem in verify(study.record.path)]


def test_each_line_is_canonical_json_chained_by_sha256(study: Study) -> None:
    previous = ""
    for number, line in enumerate(lines(study), start=1):
        entry = json.loads(line)
        # By the words of the contract, without our own functions.
        text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert line == text.encode() + b"\n"
        rest = {key: value for key, value in entry.items() if key != "digest"}
        own = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        assert entry["digest"] == hashlib.sha256(own).hexdigest()
        assert (entry["seq"], entry["previous"], entry["format"]) == (number, previous, "lmresp-read/1")
        previous = entry["digest"]
    assert study.record.head() == Head(6, previous)
    assert verify(study.record.path, previous) == []


def test_reads_are_named_and_a_lock_names_the_read(study: Study) -> None:
    assert [(e["kind"], e["read"]) for e in study.record.entries()] == [
        *(("read", "R000001"), ("lock", "R000001"), ("read", "R000003")),
        *(("lock", "R000003"), ("read", "R000005"), ("lock", "R000005")),
    ]


def test_an_edited_line_shows_at_its_line(study: Study) -> None:
    old = lines(study)
    old[2] = old[2].replace(b'"NO CHANGE"', b'"WORSE"', 1)
    assert rewrite(study, old) == [(3, "edited")]
    with pytest.raises(StudyError, match=r"reads/reads\.jsonl: line 3: entry 3 was edited"):
        study.record.entries()


def test_a_line_edited_with_a_new_digest_shows_at_the_next(study: Study) -> None:
    old = lines(study)
    entry = json.loads(old[2])
    entry["answers"][0]["value"] = "WORSE"
    old[2] = canonical(entry | {"digest": digest_of(entry)}) + b"\n"
    assert rewrite(study, old) == [(4, "out of place")]


@pytest.mark.parametrize("gone", [0, 2, 4])
def test_a_deleted_line_shows(study: Study, gone: int) -> None:
    old = lines(study)
    del old[gone]
    assert rewrite(study, old) == [(gone + 1, "missing")]


def test_an_inserted_line_shows(study: Study) -> None:
    old = lines(study)
    forged = json.loads(old[2]) | {"previous": json.loads(old[2])["digest"]}
    old.insert(3, canonical(forged | {"digest": digest_of(forged)}) + b"\n")
    assert (4, "out of place") in rewrite(study, old)


def test_a_repeated_line_shows(study: Study) -> None:
    old = lines(study)
    assert (4, "out of place") in rewrite(study, [*old[:3], old[2], *old[3:]])


def test_lines_that_changed_places_show(study: Study) -> None:
    old = lines(study)
    old[2], old[3] = old[3], old[2]
    found = rewrite(study, old)
    assert found[0] == (3, "missing")
    assert (4, "out of place") in found


def test_garbage_between_the_lines_shows(study: Study) -> None:
    old = lines(study)
    assert (3, "unreadable") in rewrite(study, [*old[:2], b"{}\n", *old[3:]])
    assert (3, "unreadable") in rewrite(study, [*old[:2], b"\n", *old[2:]])
    assert (3, "edited") in rewrite(study, [*old[:2], old[2].replace(b"\n", b"\r\n"), *old[3:]])
    assert (3, "unreadable") in rewrite(study, [*old[:2], b"[" * 100_000 + b"\n", *old[3:]])


@pytest.mark.parametrize("kept", [0, 3, 5])
def test_a_cut_end_shows_by_the_head_digest_and_only_by_it(study: Study, kept: int) -> None:
    head = study.record.head().digest
    assert rewrite(study, lines(study)[:kept]) == []
    assert [problem.kind for problem in verify(study.record.path, head)] == ["cut"]


def test_a_head_printed_earlier_still_holds_when_the_record_grew(study: Study) -> None:
    head = study.record.head().digest
    study.read(BRAIN_ONLY)
    assert verify(study.record.path, head.upper()) == []


def test_nothing_is_appended_to_a_broken_chain(study: Study) -> None:
    old = lines(study)
    rewrite(study, [*old[:2], *old[3:]])
    before = study.record.path.read_bytes()
    with pytest.raises(StudyError, match="deleted or moved"):
        study.save(BRAIN_ONLY)
    assert study.record.path.read_bytes() == before


def test_a_broken_chain_is_seen_after_the_record_was_read_whole(study: Study) -> None:
    study.record.entries()
    old = lines(study)
    rewrite(study, [old[0].replace(b'"ABSENT"', b'"PRESENT"', 1), *old[1:]])
    with pytest.raises(StudyError, match="line 1"):
        study.record.head()


# --- killed saves ---
def test_half_a_line_is_set_apart_and_the_next_save_goes_on(study: Study) -> None:
    half = lines(study)[-1][:100]
    with open(study.record.path, "ab") as handle:
        handle.write(half)
    [problem] = verify(study.record.path)
    assert (problem.line, problem.kind, problem.breaks) == (7, "torn", False)
    assert len(study.record.entries()) == 6
    study.read(BRAIN_ONLY)
    assert verify(study.record.path) == []
    [torn] = torn_files(study.record.path)
    assert (torn.name, torn.read_bytes()) == ("torn-7.txt", half)


def test_a_second_torn_line_at_the_same_place_does_not_replace_the_first(study: Study) -> None:
    (study.record.path.parent / "torn-7.txt").write_bytes(b"first")
    with open(study.record.path, "ab") as handle:
        handle.write(b"second")
    study.save(BRAIN_ONLY)
    found = {path.name: path.read_bytes() for path in torn_files(study.record.path)}
    assert found == {"torn-7.txt": b"first", "torn-7-2.txt": b"second"}


def test_a_last_line_without_its_end_is_kept(study: Study) -> None:
    study.record.path.write_bytes(study.record.path.read_bytes()[:-1])
    assert verify(study.record.path) == []
    assert len(study.record.entries()) == 6
    study.save(BRAIN_ONLY)
    assert [entry["seq"] for entry in study.record.entries()] == [1, 2, 3, 4, 5, 6, 7]
    assert torn_files(study.record.path) == []


WRITER = """
import pathlib, sys
from tests.unit.reads.helpers import Study, BASELINE, saved, CHANGE, UTC
study = Study(pathlib.Path(sys.argv[1]))
last = ""
for number in range(100000):
    last = study.save(BASELINE, supersedes=last, session=str(number) * 50)["read"]
    print(number, flush=True)
"""


@pytest.mark.slow
def test_kill_9_during_saves_loses_no_save_that_was_acknowledged(tmp_path: Path, repository: Path) -> None:
    for pause in (0.0, 0.003, 0.011):
        folder = tmp_path / str(pause)
        command = [sys.executable, "-c", WRITER, str(folder)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=repository, text=True)
        assert process.stdout is not None
        for _ in range(20):
            process.stdout.readline()
        time.sleep(pause)
        os.kill(process.pid, signal.SIGKILL)
        acknowledged = 20 + len(process.stdout.read().split())
        process.wait()
        study = Study(folder)
        assert [problem for problem in verify(study.record.path) if problem.breaks] == []
        entries = study.record.entries()
        assert len(entries) in (acknowledged, acknowledged + 1)  # killed between the disk and the word of it
        study.save(BASELINE, supersedes=entries[-1]["read"])
        assert verify(study.record.path) == []


def _append(folder: Path, who: str, number: int) -> None:
    study = Study(folder)
    last = ""
    for _ in range(number):
        last = study.save(BASELINE, who, supersedes=last)["read"]


def test_two_processes_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_append, args=(tmp_path, who, 25)) for who in ("reader 1", "reader 2")]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    record = Study(tmp_path).record
    assert verify(record.path) == []
    readers = [entry["reader"] for entry in record.entries()]
    assert (readers.count("RADIOLOGIST 1"), readers.count("RADIOLOGIST 2")) == (25, 25)


def test_a_full_disk_takes_the_half_line_back(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    before = study.record.path.read_bytes()
    write, calls = os.write, []

    def full(handle: int, text: bytes) -> int:
        calls.append(len(text))
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return write(handle, text[:50])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        study.save(BRAIN_ONLY)
    monkeypatch.undo()
    assert study.record.path.read_bytes() == before
    study.save(BRAIN_ONLY)
    assert verify(study.record.path) == []


def test_a_full_disk_leaves_no_stray_file_beside_a_torn_line(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    torn = study.record.path.read_bytes() + b'{"half'
    study.record.path.write_bytes(torn)

    def full(handle: int, text: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        study.save(BRAIN_ONLY)
    monkeypatch.undo()
    assert study.record.path.read_bytes() == torn
    assert torn_files(study.record.path) == []


def test_a_clock_that_goes_backwards_changes_no_order(study: Study) -> None:
    entry = study.record.append(saved(BRAIN_ONLY), utc="2001-01-01T00:00:00.000000Z")
    assert (entry["seq"], entry["read"]) == (7, "R000007")
    assert verify(study.record.path) == []
    assert [read.read for read in state.current(study.record.entries())][-1] == "R000007"


# --- what does not fit ---
def chained_anew(study: Study, at: int, **changed: object) -> None:
    """Forge one line and make the chain anew from there, as anybody can who may write the file."""
    entries = [json.loads(line) for line in lines(study)]
    entries[at].update(changed)
    previous = ""
    for entry in entries:
        entry["previous"] = previous
        previous = entry["digest"] = digest_of(entry)
    study.record.path.write_bytes(b"".join(canonical(entry) + b"\n" for entry in entries))


@pytest.mark.parametrize(
    "forged",
    [
        {"read": "R000099"},  # a lock of what was never saved
        {"kind": "read", "read": "R000001"},
        {"kind": "read", "supersedes": "R000003", "read": "R000002"},  # no read before it
        {"answers": "PRESENT"},
        {"answers": [{"item": "LINEAR"}]},
        {"over": [["R000001"]]},
        {"draft": None},
        {"visit_num": "first"},
        {"utc": "yesterday"},
        {"account": None},
    ],
)
def test_a_forged_line_in_a_chain_made_anew_is_named_and_breaks_nothing(
    study: Study, forged: dict[str, object]
) -> None:
    chained_anew(study, 1, **forged)
    assert next(problem.line for problem in verify(study.record.path) if problem.breaks) == 2
    with pytest.raises(StudyError, match="line 2"):
        Record(study.record.path).entries()


@pytest.mark.parametrize("kept", [5, 4, 0])
def test_who_has_the_record_open_sees_its_end_cut_off(study: Study, kept: int) -> None:
    study.record.entries()
    study.record.path.write_bytes(b"".join(lines(study)[:kept]))
    with pytest.raises(StudyError, match="the record was cut"):
        study.record.entries()
    with pytest.raises(StudyError, match="the record was cut"):
        study.save(BRAIN_ONLY)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"account": "../etc"}, "account"),
        ({"account": ""}, "account"),
        ({"session": "two\nlines"}, "session"),
        ({"session": "\ud800"}, "session"),
        ({"session": "x" * 1001}, "session"),
        ({"source": "telephone"}, "source"),
        ({"reasons": [{"about": "change"}]}, "reasons"),
    ],
)
def test_an_entry_that_does_not_fit_is_refused(study: Study, more: dict[str, object], why: str) -> None:
    before = study.record.path.read_bytes()
    with pytest.raises(StudyError, match=why):
        study.save(BRAIN_ONLY, **more)
    assert study.record.path.read_bytes() == before


def test_keys_and_times_are_checked(study: Study) -> None:
    with pytest.raises(StudyError, match="unknown"):
        study.record.append({**saved(BRAIN_ONLY), "extra": ""}, utc=UTC)
    with pytest.raises(StudyError, match="UTC"):
        study.record.append(saved(BRAIN_ONLY), utc="2026-11-21T20:00:00+01:00")


def test_text_of_any_script_survives(study: Study) -> None:
    session = "Übung 二 'quoted\" \\ </script> \u00a0"
    assert study.save(BRAIN_ONLY, session=session)["session"] == session
    assert study.record.entries()[-1]["session"] == session
    assert re.search("Übung 二".encode(), study.record.path.read_bytes())


def test_a_record_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    record = Record(tmp_path / "reads" / "reads.jsonl")
    assert (record.entries(), record.head(), verify(record.path)) == ([], Head(0, ""), [])
    assert not record.path.parent.exists()


def test_a_locked_read_is_never_changed_in_place(study: Study) -> None:
    before = lines(study)
    [first, *_] = study.record.entries()
    study.read(BASELINE, supersedes=first["read"], reasons=[CHANGE])
    assert lines(study)[: len(before)] == before
