"""One scan in front of a reader: what may be shown, what was typed, and its way into the record."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException

from lmresp.errors import StudyError
from lmresp.reads import desk as entries
from lmresp.reads import form, state
from lmresp.review import scorecard
from lmresp.review.accounts import Role
from lmresp.review.room import Room
from lmresp.review.sessions import Session

UNKNOWN_REFERENCE = ("", "")


@dataclasses.dataclass(frozen=True, slots=True)
class Sheet:
    """One scan as a role may read it now.

    Attributes
    ----------
    task : Task
    asked : list of Field
    result : mapping or None
        The scan result; ``None`` where the scan was not measured yet.
    sees_draft : bool
        Whether the draft may be shown.
    reads : list of Read
        The role's own reads of the scan, the replaced ones too.
    reference : tuple of str
        Visit and date of the reference scan.
    """

    task: state.Task
    asked: list[form.Field]
    result: Mapping[str, Any] | None
    sees_draft: bool
    reads: list[state.Read]
    reference: tuple[str, str]

    @property
    def changes_locked(self) -> bool:
        """Whether a save replaces a locked read."""
        return any(read.stands for read in self.reads)

    @property
    def draft_digest(self) -> str:
        """Digest of the draft, shown or not."""
        return form.draft_digest((self.result or {}).get("scorecard"))

    def draft(self, comparator: str) -> list[dict[str, str]] | None:
        """Return the draft as it is shown; ``None`` where it is hidden."""
        if not self.sees_draft:
            return None
        return form.draft_answers((self.result or {}).get("scorecard"), comparator or "BASELINE")


@dataclasses.dataclass(frozen=True, slots=True)
class Typed:
    """What a form holds: answers, the scan compared with, reasons, the read it goes on from, the draft beside it."""

    answers: list[dict[str, str]]
    comparator: str
    reasons: list[dict[str, str]]
    basis: str
    draft: str


def open_sheet(room: Room, role: Role, name: str) -> Sheet:
    """Open a scan for a role.

    Raises
    ------
    HTTPException
        404 where there is no such scan; 403, with the reason, where it may not be opened yet.
    """
    task = room.task(role, name)
    if task is None:
        raise HTTPException(404)
    if not task.may_open and task.own is None:
        raise HTTPException(403, f"{task.scan.label} cannot be opened: {task.why}.")
    result = room.result(name)
    base = room.scan(str((result or {}).get("reference") or ""))
    mine = [read for read in room.reads(role, task.scan) if read.reader == state.ROLES[role][0]]
    return Sheet(
        task=task,
        asked=form.fields(task.scan, room.own_reads(role)),
        result=result,
        sees_draft=room.sees_draft(role, task.scan),
        reads=mine,
        reference=(base.visit or base.visit_num, base.scan_date) if base else UNKNOWN_REFERENCE,
    )


def typed_in(given: Mapping[str, str], sheet: Sheet) -> Typed:
    """Read what was posted."""
    comparator = "" if sheet.task.scan.is_baseline else given.get("comparator", "")
    answers = scorecard.typed(given, sheet.asked)
    reasons = scorecard.typed_reasons(given)
    return Typed(answers, comparator, reasons, given.get("basis", ""), given.get("draft", ""))


def typed_before(sheet: Sheet, room: Room) -> Typed:
    """Fill the form with the own read, if there is one; nothing is chosen otherwise."""
    own = sheet.task.own
    if own is None:
        usual = "" if sheet.task.scan.is_baseline else room.charter.text("reference_imaging").upper()
        return Typed([], usual, [], "", sheet.draft_digest)
    reasons = [] if own.locked else [dict(reason) for reason in own.entry["reasons"]]
    answers = [dict(row) for row in own.entry["answers"]]
    return Typed(answers, str(own.entry["comparator"]), reasons, own.read, sheet.draft_digest)


def why_closed(task: state.Task, *, asked: bool = True) -> str:
    """Say why a scan may not be opened or changed.

    That a read is final tells that the other reader differed, which is not to colour the reads of later visits. It is
    said only where a reader asked to change that read (``asked``), and without a word about the other one.
    """
    if task.why == state.FINAL:
        return "this read is final" if asked else ""
    return task.why


def must_be_open(sheet: Sheet) -> None:
    """Refuse to save what may not be opened, or cannot be seen.

    Raises
    ------
    HTTPException
        403 with the reason.
    """
    if not sheet.task.may_open or sheet.result is None:
        raise HTTPException(
            403, f"{sheet.task.scan.label} cannot be saved: {why_closed(sheet.task) or 'it is not measured'}."
        )


def append(
    room: Room,
    session: Session,
    sheet: Sheet,
    typed: Typed,
    *,
    lock: bool,
    now: Callable[[], str],
    draft: Sequence[Mapping[str, str]] | None,
    over: Sequence[str] = (),
    chosen: str = "",
) -> tuple[str, list[form.Problem]]:
    """Append a read that nothing blocks to the record, and its lock.

    Parameters
    ----------
    room, session, sheet, typed
        What is saved, by whom, where.
    lock : bool
        Whether it is locked too. A read that was saved before and says the same is locked as it is.
    now : callable
        The time, UTC.
    draft : sequence of mapping or None
        The draft that was shown.
    over, chosen : sequence of str, str
        Reads adjudicated, and the one taken as a whole.

    Returns
    -------
    done : str
        What was done, in words; "" where nothing was.
    problems : list of Problem
        Why the record did not take it: a save in another window, a full disk.
    """
    scan = sheet.task.scan
    unseen = [] if sheet.sees_draft else [state.DRAFT]
    if sheet.sees_draft and typed.draft != sheet.draft_digest:
        return "", [form.Problem("", "The scan was measured anew since this form was opened: look at the draft again.")]
    try:
        read = _kept(sheet, typed, session, over, chosen)
        if read is None:
            entry = entries.read_entry(
                scan,
                session.role,
                typed.answers,
                account=session.account,
                comparator=typed.comparator,
                charter=room.charter.digest,
                reasons=typed.reasons,
                draft=draft,
                draft_digest=sheet.draft_digest,
                supersedes=typed.basis,
                over=over,
                chosen=chosen,
                session=session.label,
                blinded_to=unseen if over else [entries.OTHER_READS, *unseen],
            )
            read = state.Read(room.record.append(entry, utc=now()))
        if lock:
            room.record.append(entries.lock_entry(read, account=session.account, session=session.label), utc=now())
    except StudyError as error:
        return "", [form.Problem("", f"{error.what[:1].upper()}{error.what[1:]}.")]
    except OSError as error:
        return "", [form.Problem("", f"The disk refused it: {error.strerror or error}.")]
    return f"{scan.label}: {read.read} is saved{' and locked' if lock else ', not locked'}.", []


def _kept(sheet: Sheet, typed: Typed, session: Session, over: Sequence[str], chosen: str) -> state.Read | None:
    """Return the own read that was saved before and says the same: it is locked as it is, not saved twice.

    The form of a read that was saved, and could not be locked because the disk was full, still goes on from the read
    before.
    """
    own = sheet.task.own
    if own is None or own.locked or typed.basis not in (own.read, own.entry["supersedes"]):
        return None
    says = {"answers": typed.answers, "comparator": typed.comparator, "reasons": typed.reasons}
    says |= {"account": session.account, "over": list(over), "chosen": chosen}
    return own if all(own.entry[name] == said for name, said in says.items()) else None
