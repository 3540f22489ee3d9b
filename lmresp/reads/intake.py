"""Reads that were made elsewhere: checked like the form, then entries of the record (pure).

Whatever the file (CSV, workbook, REDCap, DICOM SR), it comes here as rows of the table ``mri_reads``. They pass the
checks of that table first, so that every message names file, row, column and what is allowed.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lmresp.criteria.charter import Charter
from lmresp.ingest.identifiers import plain_cell
from lmresp.ingest.spec import META, match_headers
from lmresp.ingest.tables import check_table
from lmresp.queries import Query
from lmresp.reads import form, rows, state
from lmresp.reads.desk import OTHER_READS, read_entry
from lmresp.reads.scans import IMAGED, Scan, place
from lmresp.reads.state import ADJUDICATOR, DRAFT, ROLES, Read, Task

ACCOUNT = "import"
"""Account of reads that were taken from a file."""
ROOM = "reading room"
_SAME = ("scan_dtc", "role", "locked_dtc", "session_id", "blinded", "comparator", "reasons")
"""What is said once of a read, and so the same on all its rows."""


@dataclasses.dataclass(frozen=True)
class Group:
    """The rows of one read in one file.

    Attributes
    ----------
    rows : tuple of mapping
        Checked rows with ``_place`` (file and row in words), in the order of the file.
    faults : tuple of str
        What the checks of the table found; such a read is not taken.
    """

    name: str
    rows: tuple[Mapping[str, str], ...]
    faults: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Against:
    """What the reads of a file are judged against.

    Attributes
    ----------
    scans : sequence of Scan
        The scans of the study, visits without images too.
    charter : Charter
    source : str
        ``csv``, ``xlsx``, ``redcap`` or ``sr``.
    sha256 : str
        Digest of the file.
    draft_digests : mapping of str to str
        Scan to the digest of its draft.
    """

    scans: Sequence[Scan]
    charter: Charter
    source: str
    sha256: str
    draft_digests: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What becomes of a group.

    Attributes
    ----------
    entry : dict or None
        The entry to append and to lock.
    known : Read or None
        The read that the record has already; only to be locked where it is not.
    refused : tuple of str
        Why it is not taken, each with file, row, column and what is allowed.
    """

    entry: dict[str, Any] | None = None
    known: Read | None = None
    refused: tuple[str, ...] = ()


def groups(raw: Sequence[Mapping[str, str]]) -> tuple[list[Group], list[str]]:
    """Check rows and sort them into reads.

    Parameters
    ----------
    raw : sequence of mapping
        ``_file``, ``_sheet``, ``_row`` and columns of ``mri_reads``, as text.

    Returns
    -------
    groups : list of Group
        Readers' reads before adjudicated ones, each in order of visit and of time, so that what a later one builds on
        is there.
    problems : list of str
        What concerns the whole file; then there are no groups.
    """
    if not raw:
        return [], ["the file holds no row of a read"]
    names = match_headers("mri_reads", [name for name in raw[0] if name not in META])
    plain = [{"_row": row["_row"], **{names[n]: plain_cell(row.get(n) or "") for n in names}} for row in raw]
    checked, queries = check_table("mri_reads", raw)
    broken = [_text(query) for query in queries if query.severity == "error" and not query.row]
    broken += [_text(query) for query in queries if query.code == "IN001"]
    if broken:
        return [], broken
    faults: dict[str, list[str]] = defaultdict(list)
    for query in queries:
        faults[str(query.row)].append(_text(query))
    good = {row["row_id"].rpartition(":")[2]: row for row in checked}
    parts: dict[tuple[str, ...], list[Mapping[str, str]]] = defaultdict(list)
    for row in plain:
        parts[tuple(row.get(n, "").upper() for n in ("subject_id", "visit_num", "reader_id", "read_dtc"))].append(row)
    found = []
    for key, members in parts.items():
        numbers = [row["_row"] for row in members]
        said = [text for number in numbers for text in faults.get(number, ())]
        dropped = [number for number in numbers if number not in good]
        if dropped and not said:
            said = [f"{raw[0]['_file']} row {dropped[0]}: the row cannot be used"]
        kept = tuple({**good[n], "_place": _place(raw[0], n)} for n in numbers if n in good)
        name = f"{key[0]} visit {key[1]}, {key[2]}"
        found.append(Group(name, kept, tuple(dict.fromkeys(said))))
    return sorted(found, key=_order), []


def _text(query: Query) -> str:
    return f"{query.code} {query.message} {query.action}"


def _place(raw: Mapping[str, str], number: str) -> str:
    return f"{raw['_file']}{' sheet ' + raw['_sheet'] if raw['_sheet'] else ''} row {number}"


def _order(group: Group) -> tuple[bool, bool, tuple[str, float], str]:
    if not group.rows:
        return True, True, ("", 0.0), ""
    first = group.rows[0]
    return False, first["reader_id"] == "ADJUDICATOR", place(first["subject_id"], first["visit_num"]), first["read_dtc"]


def judge(group: Group, against: Against, entries: Iterable[Mapping[str, Any]]) -> Verdict:
    """Decide on one read of a file.

    Parameters
    ----------
    group : Group
    against : Against
    entries : iterable of mapping
        The record as it stands.
    """
    if group.faults or not group.rows:
        return Verdict(refused=group.faults)
    first = group.rows[0]
    for name in _SAME:
        for row in group.rows:
            if row[name] != first[name]:
                what = f"{row[name]!r} here and {first[name]!r} before"
                return _refuse(row, name, what, "the same on every row of a read")
    who = next((who for who, pair in ROLES.items() if pair == (first["reader_id"], first["role"])), "")
    if not who:
        allowed = "; ".join(f"{reader} with {role}" for reader, role in ROLES.values())
        return _refuse(first, "reader_id", f"{first['reader_id']} with the role {first['role']} is no reader", allowed)
    own = [scan for scan in against.scans if scan.subject_id == first["subject_id"]]
    scan = next((one for one in own if one.place == place(first["subject_id"], first["visit_num"])), None)
    if scan is None:
        allowed = ", ".join(f"{one.visit_num} ({one.visit})" for one in own) or "a subject of the study"
        return _refuse(first, "visit_num", f"{first['subject_id']} has no visit {first['visit_num']}", allowed)
    if scan.scan and scan.scan_date and first["scan_dtc"][:10] != scan.scan_date:
        what = f"{first['scan_dtc']}: the scan of this visit is of another day"
        return _refuse(first, "scan_dtc", what, scan.scan_date)
    here = [entry for entry in entries if entry["subject_id"] == first["subject_id"]]
    return _judged(group, _as_read(scan, group.rows), who, dataclasses.replace(against, scans=own), here)


def _judged(group: Group, scan: Scan, who: str, against: Against, entries: Sequence[Mapping[str, Any]]) -> Verdict:
    """Decide on a read whose reader and scan are known; ``against`` and ``entries`` are those of the subject."""
    first, charter = group.rows[0], against.charter
    mine = [read for read in state.history(entries) if read.reader == first["reader_id"]]
    own = [read for read in mine if read.place == scan.place]
    asked = form.fields(scan, mine)
    comparator = first["comparator"] or ("" if scan.is_baseline else charter.text("reference_imaging").upper())
    answers = form.answered([_answer(row) for row in group.rows], asked)
    known = _known(own, answers, comparator, first["read_dtc"])
    if known is not None and (known.locked or not (known.superseded_by or known.entry["source"] == ROOM)):
        return Verdict(known=known)
    task = next(one for one in state.worklist(against.scans, entries, charter, who) if one.scan.place == scan.place)
    why = _closed(task)
    if why:
        return _refuse(first, "visit_num", f"{scan.label}, {first['reader_id']}: {why}", "a read that may be made now")
    reasons = rows.reasons_of(rows.unguarded(first["reasons"]))
    over = task.over if who == ADJUDICATOR else ()
    chosen = next((read.read for read in over if list(read.entry["answers"]) == answers), "")
    changes = any(read.stands for read in own)
    found = form.adjudication_problems(chosen, answers, over, charter, reasons) if who == ADJUDICATOR else []
    if chosen:
        found += form.reason_problems(reasons, {"change": ["a locked read"] if changes else []})
    else:
        found += form.problems(
            answers,
            asked,
            comparator=comparator,
            reasons=reasons,
            changes_locked=changes,
            adjudicates=who == ADJUDICATOR,
        )
    if found:
        return Verdict(refused=tuple(_located(problem, group.rows) for problem in dict.fromkeys(found)))
    entry = read_entry(
        scan,
        who,
        answers,
        account=ACCOUNT,
        comparator=comparator,
        charter=charter.digest,
        reasons=reasons,
        draft_digest=against.draft_digests.get(scan.scan, ""),
        supersedes=task.own.read if task.own else "",
        over=[read.read for read in over],
        chosen=chosen,
        session=rows.unguarded(first["session_id"]),
        blinded_to=(DRAFT, OTHER_READS) if first["blinded"] == "Y" and who != ADJUDICATOR else (),
        source=against.source,
        origin={"sha256": against.sha256, "read_utc": first["read_dtc"], "locked_utc": first["locked_dtc"]},
    )
    return Verdict(entry=entry)


def _as_read(scan: Scan, given: Sequence[Mapping[str, str]]) -> Scan:
    """Ask for the spine too where the reader could judge one, and take the date of a scan that the study has not."""
    spine = [row["value"] for row in given if row["compartment"] == "SPINE"]
    if any(value != "NE" for value in spine) or (spine and not scan.scan):
        scan = dataclasses.replace(scan, spine=IMAGED)
    return scan if scan.scan and scan.scan_date else dataclasses.replace(scan, scan_date=given[0]["scan_dtc"][:10])


def _answer(row: Mapping[str, str]) -> dict[str, str]:
    comment = rows.unguarded(row["comment"])
    return form.answer(row["compartment"], row["item"], row["value"], row["reason_ne"], comment)


def _known(reads: Sequence[Read], answers: Sequence[Mapping[str, str]], comparator: str, read_dtc: str) -> Read | None:
    """Find the read of the record that says the same at the same time."""
    for read in reads:
        times = (read.entry["origin"].get("read_utc"), rows.seconds(read.entry["utc"]))
        same = (list(read.entry["answers"]), read.entry["comparator"]) == (list(answers), comparator)
        if same and read_dtc in times:
            return read
    return None


def _closed(task: Task) -> str:
    own = task.own
    if own is not None and not own.locked and own.entry["source"] == ROOM:
        return f"{own.read} is saved in the reading room and not locked yet"
    return task.why


def _located(problem: form.Problem, given: Sequence[Mapping[str, str]]) -> str:
    column = (
        "comparator" if problem.field == "comparator" else "reasons" if problem.field.startswith("reason") else "value"
    )
    row = next((row for row in given if f"{row['compartment']} {row['item']}" == problem.field), given[0])
    return f"{row['_place']}, column {column}: {problem.message}"


def _refuse(row: Mapping[str, str], column: str, what: str, allowed: str) -> Verdict:
    return Verdict(refused=(f"{row['_place']}, column {column}: {what}. Allowed: {allowed}.",))
