"""What stands in the record, and who may open, see and change what (pure).

A read is saved as often as its reader wants, then locked. A lock is never undone: a locked read is replaced only by a
later locked read of the same reader, with a reason. Until that one is locked the earlier stands.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lmresp.criteria.charter import Charter
from lmresp.reads.scans import Place, Scan, place

ROLES = {
    "reader 1": ("RADIOLOGIST 1", "INDEPENDENT ASSESSOR"),
    "reader 2": ("RADIOLOGIST 2", "INDEPENDENT ASSESSOR"),
    "reader 3": ("RADIOLOGIST 3", "INDEPENDENT ASSESSOR"),
    "adjudicator": ("ADJUDICATOR", "ADJUDICATION COMMITTEE"),
    "investigator": ("INVESTIGATOR", "INVESTIGATOR"),
}
"""Role to the pseudonym and the role of the reader as tables name them."""
ADJUDICATOR, COORDINATOR = "adjudicator", "coordinator"
ROOM = ("reader 1", "reader 2", ADJUDICATOR, COORDINATOR)
"""Roles of the reading room; the coordinator sees how far the reads are and never a read."""
DRAFT = "draft"
INDEPENDENT = "INDEPENDENT ASSESSOR"
FINAL = "the reads of this scan are adjudicated: they are final"
TWO = 2
TO_READ, SAVED, LOCKED, WAITING, NO_NEED = "to read", "saved", "locked", "waiting", "no need"


@dataclasses.dataclass(frozen=True, slots=True)
class Read:
    """A read with its lock.

    Attributes
    ----------
    entry : mapping
        Its line of the record.
    lock : mapping or None
        The line that locks it.
    superseded_by : str
        The read that replaced it: of a locked read only a locked one counts.
    """

    entry: Mapping[str, Any]
    lock: Mapping[str, Any] | None = None
    superseded_by: str = ""

    @property
    def read(self) -> str:
        """Identifier."""
        return str(self.entry["read"])

    @property
    def reader(self) -> str:
        """Pseudonym of the reader."""
        return str(self.entry["reader"])

    @property
    def place(self) -> Place:
        """Subject and number of the visit."""
        return place(self.entry["subject_id"], self.entry["visit_num"])

    @property
    def locked(self) -> bool:
        """Whether it was ever locked."""
        return self.lock is not None

    @property
    def read_utc(self) -> str:
        """When it was read: of an imported read what its source says, not the time of the import."""
        return str(self.entry["origin"].get("read_utc") or self.entry["utc"])

    @property
    def locked_utc(self) -> str:
        """When it was locked, as for :attr:`read_utc`; empty for a read that is not."""
        return str(self.entry["origin"].get("locked_utc") or self.lock["utc"]) if self.lock else ""

    @property
    def stands(self) -> bool:
        """Whether it is locked and nothing locked replaced it."""
        return self.locked and not self.superseded_by

    @property
    def answers(self) -> dict[str, str]:
        """Value of each item, by ``COMPARTMENT ITEM``."""
        return {f"{row['compartment']} {row['item']}": row["value"] for row in self.entry["answers"]}


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """One scan in the worklist of a role.

    Attributes
    ----------
    scan : Scan
    state : str
        ``to read``, ``saved`` (not locked), ``locked``, ``waiting`` or ``no need``.
    why : str
        Why it may not be opened; "" where it may.
    own : Read or None
        The role's own newest read of the scan.
    over : tuple of Read
        What an adjudicator compares; empty for everybody else.
    items : tuple of str
        On what those reads differ.
    progress : mapping of str to str
        For the coordinator only: each reader's state.
    """

    scan: Scan
    state: str
    why: str = ""
    own: Read | None = None
    over: tuple[Read, ...] = ()
    items: tuple[str, ...] = ()
    progress: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def may_open(self) -> bool:
        """Whether the role may open it now."""
        return not self.why


def history(entries: Iterable[Mapping[str, Any]]) -> list[Read]:
    """Return every read of the record in order, the replaced ones too."""
    reads: dict[str, Read] = {}
    for entry in entries:
        if entry["kind"] == "read":
            older = reads.get(entry["supersedes"])
            if older is not None and not older.locked:
                reads[older.read] = dataclasses.replace(older, superseded_by=entry["read"])
            reads[entry["read"]] = Read(entry)
            continue
        read = reads[entry["read"]]
        reads[read.read] = dataclasses.replace(read, lock=entry)
        for older in _chain(reads, read):
            if older.locked and not older.superseded_by:
                reads[older.read] = dataclasses.replace(older, superseded_by=read.read)
    return list(reads.values())


def _chain(reads: Mapping[str, Read], read: Read) -> list[Read]:
    """Return what a read replaces, directly and over others."""
    found = []
    while older := reads.get(read.entry["supersedes"]):
        found.append(older)
        read = older
    return found


def current(entries: Iterable[Mapping[str, Any]]) -> list[Read]:
    """Return the reads that nothing replaced yet, in order: those that stand, and saved ones that are not locked."""
    return [read for read in history(entries) if not read.superseded_by]


def standing(entries: Iterable[Mapping[str, Any]]) -> list[Read]:
    """Return the locked reads that stand, in order."""
    return [read for read in history(entries) if read.stands]


def refusal(entries: Sequence[Mapping[str, Any]], entry: Mapping[str, Any]) -> str:
    """Say why an entry cannot follow what stands in the record.

    Parameters
    ----------
    entries : sequence of mapping
        The record so far.
    entry : mapping
        What is to be appended.

    Returns
    -------
    str
        Empty when it can.

    Notes
    -----
    Checked by :meth:`lmresp.reads.record.Record.append` while it holds the lock of the file, so that it also decides
    between two windows that save at once. What needs scans and charter is in :func:`worklist`.
    """
    here = place(entry["subject_id"], entry["visit_num"])
    of_scan = (one for one in entries if place(one["subject_id"], one["visit_num"]) == here)
    reads = {read.read: read for read in history(of_scan)}
    own = [read for read in reads.values() if not read.superseded_by and read.reader == entry["reader"]]
    if entry["kind"] == "lock":
        return _lock_refusal(reads, own, entry)
    if entry["read"]:
        return "a read gets its identifier when it is saved"
    if (entry["reader"], entry["role"]) not in ROLES.values():
        return f"{entry['reader']} under the role {entry['role']} is no reader"
    newest = own[-1].read if own else ""
    if entry["supersedes"] != newest:
        if newest:
            return f"{entry['reader']} has saved {newest} of this scan meanwhile; open it to go on from there"
        return f"{entry['supersedes']} is no current read of this reader and scan"
    about = {reason["about"] for reason in entry["reasons"]}
    if any(read.locked for read in own):
        if "change" not in about:
            return f"{newest} is locked or replaces a locked read: a change needs a reason"
        if entry["role"] != ROLES[ADJUDICATOR][1] and _adjudicated(reads.values(), own):
            return FINAL
    return _over_refusal(reads, entry)


def _lock_refusal(reads: Mapping[str, Read], own: Sequence[Read], entry: Mapping[str, Any]) -> str:
    read = reads.get(entry["read"])
    if read is None:
        return f"there is no read {entry['read']} of this scan"
    if read.locked:
        return f"{read.read} is locked already"
    if read.superseded_by:
        return f"{read.read} was replaced by {read.superseded_by}; lock that one"
    if read.reader != entry["reader"] or read.entry["account"] != entry["account"]:
        return f"{read.read} is a read of {read.reader} by another account"
    if not all(reads[name].stands for name in read.entry["over"]):
        return "a read that is adjudicated was changed meanwhile; read again"
    return FINAL if _adjudicated(reads.values(), own) else ""


def _over_refusal(reads: Mapping[str, Read], entry: Mapping[str, Any]) -> str:
    if entry["role"] != ROLES[ADJUDICATOR][1]:
        return "only an adjudicator reads over other reads" if entry["over"] or entry["chosen"] else ""
    over = [reads.get(name) for name in entry["over"]]
    if len(over) < TWO or not all(read is not None and read.stands for read in over):
        return "an adjudicator reads over two or more locked reads of the scan that stand"
    if entry["chosen"] and entry["chosen"] not in entry["over"]:
        return f"{entry['chosen']} is none of the reads adjudicated"
    return ""


def _adjudicated(reads: Iterable[Read], own: Iterable[Read]) -> bool:
    names = {read.read for read in own}
    return any(read.stands and names & set(read.entry["over"]) for read in reads)


def disagreements(reads: Sequence[Read], charter: Charter) -> tuple[str, ...]:
    """Name what locked reads of one scan differ on, as far as the charter has it adjudicated.

    Parameters
    ----------
    reads : sequence of Read
        Locked reads of independent assessors; others are left aside.
    charter : Charter
        ``adjudicate_on``.

    Returns
    -------
    tuple of str
        ``WHOLE OVERALL``, ``BRAIN LINEAR`` and so on, sorted. Empty at baseline, where nothing is called, and when an
        item was read by one reader only: the same rule by which the workflow leaves a visit open.
    """
    said: dict[str, set[str]] = defaultdict(set)
    for read in reads:
        if read.stands and read.entry["role"] == INDEPENDENT and read.entry["comparator"]:
            for row in read.entry["answers"]:
                if row["item"] in charter.texts("adjudicate_on"):
                    said[f"{row['compartment']} {row['item']}"].add(row["value"])
    return tuple(sorted(key for key, values in said.items() if len(values) > 1))


def worklist(scans: Sequence[Scan], entries: Iterable[Mapping[str, Any]], charter: Charter, who: str) -> list[Task]:
    """List every scan for one role, with what it may open and why not.

    Parameters
    ----------
    scans : sequence of Scan
        The scans of the study.
    entries : iterable of mapping
        The record.
    charter : Charter
        ``sequential_reading``, ``adjudicate_on``.
    who : str
        A key of :data:`ROLES`, or :data:`COORDINATOR`.

    Returns
    -------
    list of Task
        By subject and number of the visit.

    Raises
    ------
    ValueError
        If there is no such role.
    """
    if who != COORDINATOR and who not in ROLES:
        raise ValueError(who)
    of: dict[Place, list[Read]] = defaultdict(list)
    for read in current(entries):
        of[read.place].append(read)
    tasks: list[Task] = []
    before: dict[str, list[Task]] = defaultdict(list)  # earlier scans of the subject
    for scan in sorted(scans, key=lambda one: one.place):
        if who == COORDINATOR:
            progress = {name: _state(_of(of[scan.place], name)) for name in ROLES}
            tasks.append(Task(scan, "", "a coordinator sees how far the reads are, and no read", progress=progress))
            continue
        judge = _adjudication if who == ADJUDICATOR else _reading
        task = judge(scan, of[scan.place], charter, who)
        if charter.on("sequential_reading") and task.own is None and not task.why:
            task = _in_order(task, before[scan.subject_id])
        before[scan.subject_id].append(task)
        tasks.append(task)
    return tasks


def _of(reads: Sequence[Read], who: str) -> Read | None:
    """Return the newest read of a role: one that is not locked comes after the locked one that it is to replace."""
    own = [read for read in reads if read.reader == ROLES[who][0]]
    return own[-1] if own else None


def _state(own: Read | None) -> str:
    return TO_READ if own is None else LOCKED if own.locked else SAVED


def _reading(scan: Scan, reads: Sequence[Read], _charter: Charter, who: str) -> Task:
    own = _of(reads, who)
    final = own is not None and _adjudicated(reads, [read for read in reads if read.reader == own.reader])
    return Task(scan, _state(own), FINAL if final else "", own)


def _adjudication(scan: Scan, reads: Sequence[Read], charter: Charter, who: str) -> Task:
    own = _of(reads, who)
    both = tuple(read for read in reads if read.stands and read.entry["role"] == INDEPENDENT)
    items = disagreements(both, charter)
    if own is not None:
        return Task(scan, _state(own), "", own, both, items)
    if len(both) < TWO:
        return Task(scan, WAITING, "fewer than two reads are locked")
    changing = [read.reader for read in reads if not read.locked and read.entry["role"] == INDEPENDENT]
    if changing:
        return Task(scan, WAITING, f"{changing[0]} is changing a locked read")
    if not items:
        return Task(scan, NO_NEED, "the reads do not differ on what the charter has adjudicated")
    return Task(scan, TO_READ, "", None, both, items)


def _in_order(task: Task, before: Sequence[Task]) -> Task:
    """Keep a scan closed while an earlier one of the subject is not locked by the same role."""
    earlier = [one.scan for one in before if one.state in (TO_READ, SAVED, WAITING)]
    if not earlier:
        return task
    return Task(task.scan, WAITING, f"{earlier[0].visit or earlier[0].visit_num} comes first: it is not settled yet")


def may_see(what: Read | str, who: str, scan: Scan, entries: Iterable[Mapping[str, Any]], charter: Charter) -> bool:
    """Whether a role may see a read, or the automated draft, of a scan.

    Parameters
    ----------
    what : Read or str
        A read of the scan, or :data:`DRAFT`.
    who : str
        A key of :data:`ROLES`, or :data:`COORDINATOR`.
    scan : Scan
    entries : iterable of mapping
        The record.
    charter : Charter
        ``draft_hidden``, ``adjudicate_on``, ``sequential_reading``.

    Returns
    -------
    bool
        A reader sees the own reads and never another's, so that the reads of later visits stay independent too. An
        adjudicator sees what is adjudicated, from the moment it is open. The draft of a scan is seen once the own read
        of that scan is locked, or at once where the charter does not hide it. A coordinator sees neither.
    """
    if who == COORDINATOR:
        return False
    reads = history(entries)
    own = [read for read in reads if read.place == scan.place and read.reader == ROLES[who][0]]
    if what == DRAFT:
        return not charter.on("draft_hidden") or any(read.locked for read in own)
    if isinstance(what, str):
        raise ValueError(what)
    if what.place != scan.place:
        return False
    if what.reader == ROLES[who][0]:
        return True
    if who != ADJUDICATOR:
        return False
    here = [read for read in reads if read.place == scan.place and not read.superseded_by]
    task = _adjudication(scan, here, charter, who)
    shown = {read.read for read in task.over if task.may_open}
    return what.read in shown.union(*(read.entry["over"] for read in own))
