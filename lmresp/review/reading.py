"""Reading a scan: the form beside the pictures, the save that blocks, the lock, the read after it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lmresp.reads import form
from lmresp.review import scorecard
from lmresp.review.accounts import Role
from lmresp.review.desk import AGAIN, Desk, check_csrf, claim, form_of, signed_in
from lmresp.review.listing import address_of
from lmresp.review.room import next_task
from lmresp.review.sessions import Session
from lmresp.review.sheets import Sheet, Typed, append, must_be_open, open_sheet, typed_before, typed_in, why_closed

READERS = (Role.READER_1, Role.READER_2)
DEEDS = ("save", "lock", "next")


@signed_in(*READERS)
async def show(desk: Desk, request: Request, session: Session) -> Response:
    """Show the form, or the locked read."""
    sheet = await anyio.to_thread.run_sync(open_sheet, desk.room, session.role, request.path_params["scan"])
    if sheet.result is None:
        return not_measured(desk, session, sheet)
    if sheet.task.own is not None and (sheet.task.own.locked or not sheet.task.may_open):
        return _still(desk, session, sheet)
    return _form(desk, session, sheet, typed_before(sheet, desk.room))


@signed_in(*READERS)
async def change(desk: Desk, request: Request, session: Session) -> Response:
    """Show the form filled with the locked read, to replace it."""
    sheet = await anyio.to_thread.run_sync(open_sheet, desk.room, session.role, request.path_params["scan"])
    if sheet.task.own is None or sheet.result is None:
        raise HTTPException(404)
    if not sheet.task.may_open:
        raise HTTPException(403, f"{sheet.task.scan.label} cannot be changed: {why_closed(sheet.task)}.")
    return _form(desk, session, sheet, typed_before(sheet, desk.room))


@signed_in(*READERS)
async def save(desk: Desk, request: Request, session: Session) -> Response:
    """Save a read, and lock it when asked; or say what blocks, with everything that was typed."""
    given = await form_of(request)
    check_csrf(given, session.csrf)
    name, deed = request.path_params["scan"], given.get("deed", "")
    if deed not in DEEDS:
        raise HTTPException(400, "The form does not say what to do.")
    mark = claim(session, given, name)
    if not mark:
        return desk.message(session, 200, "Already saved", AGAIN)
    try:
        async with desk.saving:
            sheet, typed, problems, done = await anyio.to_thread.run_sync(_judge, desk, session, name, given)
    finally:
        session.busy.discard(mark)
    if problems:
        return _form(desk, session, sheet, typed, problems, mark)
    session.done(mark, done)
    session.notes.append(done)
    following = next_task(await anyio.to_thread.run_sync(desk.room.tasks, session.role), name)
    if deed == "next":
        return RedirectResponse(address_of(session.role, following.scan.scan) if following else "/", 303)
    return RedirectResponse(f"/scan/{name}", 303)


def not_measured(desk: Desk, session: Session, sheet: Sheet) -> Response:
    """Say that the scan has no pictures yet, and who can make them."""
    text = "On the machine of the study, run: lmresp run STUDY. The coordinator can do it; then open the scan again."
    return desk.message(session, 200, f"{sheet.task.scan.label} has no pictures yet", text)


def _judge(
    desk: Desk, session: Session, name: str, given: Mapping[str, str]
) -> tuple[Sheet, Typed, list[form.Problem], str]:
    """Judge a form and, where nothing blocks, append it to the record; runs in a thread, one at a time."""
    sheet = open_sheet(desk.room, session.role, name)
    must_be_open(sheet)
    typed = typed_in(given, sheet)
    draft = sheet.draft(typed.comparator)
    problems = form.problems(
        typed.answers,
        sheet.asked,
        comparator=typed.comparator,
        reasons=typed.reasons,
        draft=draft,
        changes_locked=sheet.changes_locked,
    )
    done = ""
    if not problems:
        lock = given["deed"] != "save"
        done, problems = append(desk.room, session, sheet, typed, lock=lock, now=desk.now, draft=draft)
    return sheet, typed, problems, done


def _form(
    desk: Desk,
    session: Session,
    sheet: Sheet,
    typed: Typed,
    problems: Sequence[form.Problem] = (),
    mark: str = "",
) -> Response:
    draft = scorecard.beside(sheet.result, typed.comparator) if sheet.sees_draft else {}
    implied = form.implied(typed.answers, is_baseline=sheet.task.scan.is_baseline) if problems else ""
    return desk.page(
        session,
        "read.html.j2",
        status=422 if problems else 200,
        sheet=sheet,
        scan=sheet.task.scan,
        typed=typed,
        groups=scorecard.groups(sheet.asked, typed.answers, draft, problems),
        faults=scorecard.faults(problems, sheet.asked, typed.answers),
        copies=any(one.copied for one in draft.values()),
        blocks=reason_blocks(typed.reasons, problems, changes=sheet.changes_locked, draft=bool(draft), implied=implied),
        comparators=[scorecard.option(code) for code in form.comparators()],
        usual=desk.room.charter.text("reference_imaging").upper(),
        mark=mark or session.new_form(sheet.task.scan.scan),
        spine=desk.room.has_spine_page(sheet.task.scan.scan),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class ReasonBlock:
    """A reason that the form asks for; ``hint`` says what makes it necessary."""

    about: str
    title: str
    hint: str
    code: str
    text: str
    codes: tuple[scorecard.Option, ...]
    faults: tuple[str, ...]
    shown: bool


def reason_blocks(
    reasons: Sequence[Mapping[str, str]],
    problems: Sequence[form.Problem],
    *,
    changes: bool = False,
    draft: bool = False,
    adjudicates: bool = False,
    implied: str = "",
) -> list[ReasonBlock]:
    """Return the reasons to ask for: those that are always needed here, those that block, those that were given."""
    words = form.form_words()
    codes = tuple(scorecard.option(code) for code in words["reason_codes"])
    always = {"change": changes, "adjudication": adjudicates}
    hints = {"contradiction": f"The items give {implied}." if implied else ""}
    found = []
    for about in form.ABOUT:
        mine = next((reason for reason in reasons if reason["about"] == about), {"code": "", "text": ""})
        messages = tuple(scorecard.short(problem.message) for problem in problems if problem.field == f"reason {about}")
        shown = always.get(about, False) or bool(messages) or bool(mine["code"] or mine["text"])
        if shown or (about == "draft" and draft):
            title = words["reasons"][about]
            found.append(
                ReasonBlock(about, title, hints.get(about, ""), mine["code"], mine["text"], codes, messages, shown)
            )
    return found


def _still(desk: Desk, session: Session, sheet: Sheet) -> Response:
    own = sheet.task.own
    if own is None:
        raise HTTPException(404)
    draft = scorecard.beside(sheet.result, str(own.entry["comparator"])) if sheet.sees_draft else {}
    labels = scorecard.labels_of(sheet.asked, [own])
    return desk.page(
        session,
        "still.html.j2",
        sheet=sheet,
        scan=sheet.task.scan,
        own=own,
        closed=why_closed(sheet.task, asked=False),
        rows=scorecard.against_draft(own.answers, draft, labels),
        heads=["Your read", *(["Draft"] if draft else [])],
        draft=draft,
        labels=labels,
        words=scorecard.words,
        following=next_task(desk.room.tasks(session.role), sheet.task.scan.scan),
        spine=desk.room.has_spine_page(sheet.task.scan.scan),
    )
