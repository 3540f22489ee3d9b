"""The first page: the worklist of a reader, the progress of the study for the coordinator."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import anyio
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from lmresp.reads import state
from lmresp.review.accounts import Role, load
from lmresp.review.desk import Desk, signed_in
from lmresp.review.door import EVERYBODY
from lmresp.review.pictures import READING, prepare
from lmresp.review.room import Room, next_task
from lmresp.review.sessions import Session
from lmresp.review.sheets import why_closed

BADGES = {
    state.TO_READ: "open",
    state.SAVED: "saved",
    state.LOCKED: "locked",
    state.WAITING: "waiting",
    state.NO_NEED: "waiting",
}
"""State of a task to the look of its badge; the badge always holds the word too."""


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One scan of the worklist."""

    task: state.Task
    address: str
    badge: str
    measured: bool
    why: str


@signed_in(*EVERYBODY)
async def home(desk: Desk, _request: Request, session: Session) -> Response:
    """Show what there is to do, or how far the study is."""
    make = _progress if session.role is Role.COORDINATOR else _worklist
    template, context = await anyio.to_thread.run_sync(make, desk.room, session)
    answer = desk.page(session, template, **context)
    if session.role in READING:
        answer.background = BackgroundTask(prepare, desk.room, session.role)
    return answer


def address_of(role: Role, scan: str) -> str:
    """Address of the page on which a role reads a scan."""
    return f"/{'adjudicate' if role is Role.ADJUDICATOR else 'scan'}/{scan}"


def _worklist(room: Room, session: Session) -> tuple[str, dict[str, Any]]:
    tasks = room.tasks(session.role)
    lines = [
        Line(
            task,
            address_of(session.role, task.scan.scan),
            BADGES[task.state],
            room.is_measured(task.scan.scan),
            why_closed(task, asked=False),
        )
        for task in tasks
    ]
    following = next_task([line.task for line in lines if line.measured])
    return "worklist.html.j2", {
        "lines": lines,
        "done": sum(task.state == state.LOCKED for task in tasks),
        "total": sum(task.state != state.NO_NEED for task in tasks),
        "following": following,
        "address": address_of(session.role, following.scan.scan) if following else "",
        "stale": room.stale(),
        "adjudicates": session.role is Role.ADJUDICATOR,
    }


def _progress(room: Room, _session: Session) -> tuple[str, dict[str, Any]]:
    """Collect states only: nothing that a reader answered reaches this page."""
    decided = {task.scan.place: task for task in room.tasks(Role.ADJUDICATOR)}
    readers = readers_of(room)
    rows = [
        (task.scan, [(who, task.progress[who]) for who in readers], decided[task.scan.place])
        for task in room.tasks(Role.COORDINATOR)
    ]
    return "progress.html.j2", {
        "rows": rows,
        "badges": BADGES,
        "readers": readers,
        "counts": [(who, _count([dict(states)[who] for _, states, _ in rows])) for who in readers],
        "adjudications": sum(task.state in (state.TO_READ, state.SAVED) for task in decided.values()),
        "adjudicated": sum(task.state == state.LOCKED for task in decided.values()),
        "head": room.head(),
        "stale": room.stale(),
    }


def _count(states: Sequence[str]) -> tuple[int, int]:
    found = Counter(states)
    return found[state.LOCKED], found[state.SAVED]


def readers_of(room: Room) -> list[Role]:
    """Return the reading roles of the study: those that the charter asks for, and those that somebody has."""
    asked = {Role.READER_1, *([Role.READER_2] if room.charter.text("read_model") == "double" else [])}
    given = {account.role for account in load(room.folder).values() if account.active}
    return sorted((asked | given) & {Role.READER_1, Role.READER_2})
