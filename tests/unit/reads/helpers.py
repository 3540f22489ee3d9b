"""A small study and its readers, for tests of the record of reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmresp.criteria import Charter
from lmresp.reads import form, state
from lmresp.reads.desk import lock_entry, read_entry
from lmresp.reads.record import NAME, Record
from lmresp.reads.scans import IMAGED, NONE, Scan
from tests.charters import charter_with

UTC = "2026-11-21T20:00:00.000000Z"
CHARTER = charter_with()
BASELINE = Scan("sub-S1_ses-BL", "S1", "BL", "1", "2024-01-02", True, IMAGED)
WEEK6 = Scan("sub-S1_ses-WK06", "S1", "WK06", "2", "2024-02-13", False, IMAGED)
WEEK12 = Scan("sub-S1_ses-WK12", "S1", "WK12", "3", "2024-03-26", False, IMAGED)
BRAIN_ONLY = Scan("sub-S2_ses-BL", "S2", "BL", "1", "2024-01-02", True, NONE)
SCANS = [BASELINE, WEEK6, WEEK12, BRAIN_ONLY]


def complete(scan: Scan, fields: Sequence[form.Field] | None = None, **said: str) -> list[dict[str, str]]:
    """A complete form: everything ABSENT or NO CHANGE and stable, but for what is said (``BRAIN_LINEAR="WORSE"``)."""
    asked = list(fields) if fields is not None else form.fields(scan, [])
    usual = "ABSENT" if scan.is_baseline else "NO CHANGE"
    answers = []
    for field in asked:
        given = said.pop(field.key.replace(" ", "_", 1), None)
        if given is None and field.required:
            given = "SD" if field.item == "OVERALL" else usual
        if given:
            answers.append(form.answer(field.compartment, field.item, given, "MOTION" if given == "NE" else ""))
    assert not said, said
    return form.answered(answers, asked)


def saved(
    scan: Scan, who: str = "reader 1", answers: Sequence[Mapping[str, str]] | None = None, **more: Any
) -> dict[str, Any]:
    """Entry of a read."""
    given = complete(scan) if answers is None else answers
    comparator = "" if scan.is_baseline else "BASELINE"
    usual = {"account": who.replace(" ", "-"), "comparator": comparator, "charter": CHARTER.digest}
    return read_entry(scan, who, given, **{**usual, **more})


class Study:
    """A record with short words for what readers do."""

    def __init__(self, folder: Path, charter: Charter = CHARTER) -> None:
        self.record = Record(folder / NAME)
        self.charter = charter

    def save(self, scan: Scan, who: str = "reader 1", answers: Any = None, **more: Any) -> dict[str, Any]:
        """Save a read."""
        return self.record.append(saved(scan, who, answers, **more), utc=UTC)

    def lock(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Lock a read."""
        return self.record.append(lock_entry(state.Read(entry), account=entry["account"]), utc=UTC)

    def read(self, scan: Scan, who: str = "reader 1", answers: Any = None, **more: Any) -> dict[str, Any]:
        """Save a read and lock it."""
        entry = self.save(scan, who, answers, **more)
        self.lock(entry)
        return entry

    def tasks(self, who: str) -> dict[str, state.Task]:
        """Worklist of a role by scan."""
        tasks = state.worklist(SCANS, self.record.entries(), self.charter, who)
        return {task.scan.label: task for task in tasks}


CHANGE = {"about": "change", "code": "DATA_CORRECTION", "text": ""}
