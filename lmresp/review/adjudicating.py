"""Adjudication: both reads side by side, one of them taken as a whole or an own read, always with a reason."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import anyio
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lmresp.reads import form, state
from lmresp.review import scorecard
from lmresp.review.accounts import Role
from lmresp.review.desk import AGAIN, Desk, check_csrf, claim, form_of, signed_in
from lmresp.review.reading import not_measured, reason_blocks
from lmresp.review.room import next_task
from lmresp.review.sessions import Session
from lmresp.review.sheets import Sheet, Typed, append, must_be_open, open_sheet, typed_before, typed_in

OWN = "own"
"""Word of the form for an own read, where another holds the read that is taken."""


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What an adjudicator posted."""

    chosen: str
    typed: Typed


@signed_in(Role.ADJUDICATOR)
async def show(desk: Desk, request: Request, session: Session) -> Response:
    """Show both reads; a scan on which they agree cannot be opened."""
    sheet = await anyio.to_thread.run_sync(open_sheet, desk.room, session.role, request.path_params["scan"])
    if sheet.result is None:
        return not_measured(desk, session, sheet)
    return _page(desk, session, sheet, _before(desk, sheet))


@signed_in(Role.ADJUDICATOR)
async def save(desk: Desk, request: Request, session: Session) -> Response:
    """Save and lock the decision; or say what blocks, with everything that was typed."""
    given = await form_of(request)
    check_csrf(given, session.csrf)
    name = request.path_params["scan"]
    mark = claim(session, given, name)
    if not mark:
        return desk.message(session, 200, "Already saved", AGAIN)
    try:
        async with desk.saving:
            sheet, decision, problems, done = await anyio.to_thread.run_sync(_judge, desk, session, name, given)
    finally:
        session.busy.discard(mark)
    if problems:
        return _page(desk, session, sheet, decision, problems, mark)
    session.done(mark, done)
    session.notes.append(done)
    following = next_task(await anyio.to_thread.run_sync(desk.room.tasks, session.role), name)
    return RedirectResponse(f"/adjudicate/{following.scan.scan}" if following else "/", 303)


def _before(desk: Desk, sheet: Sheet) -> Decision:
    own = sheet.task.own
    if own is None:
        return Decision("", typed_before(sheet, desk.room))
    return Decision(own.entry["chosen"] or OWN, typed_before(sheet, desk.room))


def _judge(
    desk: Desk, session: Session, name: str, given: Mapping[str, str]
) -> tuple[Sheet, Decision, list[form.Problem], str]:
    """Judge a decision and, where nothing blocks, append it and its lock; runs in a thread, one at a time."""
    sheet = open_sheet(desk.room, session.role, name)
    must_be_open(sheet)
    over, chosen = sheet.task.over, given.get("chosen", "")
    taken = next((read for read in over if read.read == chosen), None)
    typed = typed_in(given, sheet)
    decision = Decision(chosen, typed)
    if taken is None and chosen != OWN:
        open_question = form.Problem("chosen", f"Decision: not answered. Allowed: {_allowed(desk, over)}.")
        return sheet, decision, [open_question], ""
    draft = sheet.draft(typed.comparator)
    if taken:
        draft = None if draft is None else []  # it was seen, but a read that is taken as a whole departs from nothing
        # The read is taken with everything that its reader gave reasons for.
        whole = [dict(row) for row in taken.entry["answers"]]
        typed = dataclasses.replace(typed, answers=whole, comparator=str(taken.entry["comparator"]))
        needed = {"change": ["a locked read"] if sheet.changes_locked else []}
        found = form.reason_problems(typed.reasons, needed)
    else:
        found = form.problems(
            typed.answers,
            sheet.asked,
            comparator=typed.comparator,
            reasons=typed.reasons,
            draft=draft,
            changes_locked=sheet.changes_locked,
            adjudicates=True,
        )
    name_taken = taken.read if taken else ""
    problems = form.adjudication_problems(name_taken, typed.answers, over, desk.room.charter, typed.reasons)
    problems += [problem for problem in found if problem not in problems]
    done = ""
    if not problems:
        names = [read.read for read in over]
        kept = functools.partial(append, desk.room, session, sheet, typed, lock=True, now=desk.now, draft=draft)
        done, problems = kept(over=names, chosen=name_taken)
    return sheet, decision, problems, done


def _allowed(desk: Desk, over: Sequence[state.Read]) -> str:
    how = desk.room.charter.text("adjudication")
    names = [f"take {read.read}" for read in over] if how != "own" else []
    return ", ".join([*names, *(["give an own read"] if how != "choose" else [])])


def _page(
    desk: Desk,
    session: Session,
    sheet: Sheet,
    decision: Decision,
    problems: Sequence[form.Problem] = (),
    mark: str = "",
) -> Response:
    over, typed = sheet.task.over, decision.typed
    draft = scorecard.beside(sheet.result, typed.comparator) if sheet.sees_draft else {}
    columns = {read.reader.capitalize(): read.answers for read in over}
    if sheet.task.own is not None:
        columns["Decision"] = sheet.task.own.answers
    if draft:
        columns["Draft"] = {key: one.code for key, one in draft.items()}
    how = desk.room.charter.text("adjudication")
    return desk.page(
        session,
        "adjudicate.html.j2",
        status=422 if problems else 200,
        sheet=sheet,
        scan=sheet.task.scan,
        typed=typed,
        over=over,
        heads=list(columns),
        rows=scorecard.comparison(list(columns.values()), scorecard.labels_of(sheet.asked, over), among=len(over)),
        remarks=[_remarks(read) for read in over],
        words=scorecard.words,
        chosen=decision.chosen,
        takes=how in ("choose", "either"),
        gives=how in ("own", "either"),
        own_word=OWN,
        groups=scorecard.groups(sheet.asked, typed.answers, draft, problems) if how != "choose" else [],
        faults=scorecard.faults(problems, sheet.asked, typed.answers),
        blocks=reason_blocks(
            typed.reasons,
            problems,
            changes=sheet.changes_locked,
            draft=bool(draft) and how != "choose",
            adjudicates=True,
            implied=form.implied(typed.answers, is_baseline=sheet.task.scan.is_baseline) if problems else "",
        ),
        comparators=[scorecard.option(code) for code in form.comparators()],
        usual=desk.room.charter.text("reference_imaging").upper(),
        mark=mark or session.new_form(sheet.task.scan.scan),
        spine=desk.room.has_spine_page(sheet.task.scan.scan),
    )


def _remarks(read: state.Read) -> list[tuple[str, str]]:
    """Return what a reader wrote beside the values: reasons for NE, comments, reasons."""
    found = []
    for row in read.entry["answers"]:
        parts = [scorecard.words(row["reason_ne"]) if row["reason_ne"] else "", row["comment"]]
        if any(parts):
            found.append((f"{row['compartment']} {row['item']}".capitalize(), ": ".join(filter(None, parts))))
    found += [
        (reason["about"].capitalize(), f"{scorecard.words(reason['code'])} {reason['text']}".strip())
        for reason in read.entry["reasons"]
    ]
    return found
