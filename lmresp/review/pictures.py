"""The scan page inside the room: in a frame without any right but to run its own script."""

from __future__ import annotations

import contextlib
import html
import re

import anyio
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from lmresp.review.accounts import Role
from lmresp.review.desk import Desk, signed_in
from lmresp.review.room import BRAIN, SPINE, Room, next_task
from lmresp.review.sessions import Session

READING = (Role.READER_1, Role.READER_2, Role.ADJUDICATOR)
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">')


@signed_in(*READING)
async def brain(desk: Desk, request: Request, session: Session) -> Response:
    """Send the scan page: without anything that was measured while the draft is hidden from the role."""
    return await _send(desk, request, session, BRAIN)


@signed_in(*READING)
async def spine(desk: Desk, request: Request, session: Session) -> Response:
    """Send the page of the spine; as :func:`brain`."""
    return await _send(desk, request, session, SPINE)


async def _send(desk: Desk, request: Request, session: Session, kind: str) -> Response:
    name = request.path_params["scan"]
    try:
        text = await anyio.to_thread.run_sync(_page, desk.room, session.role, name, kind)
    except FileNotFoundError:
        raise HTTPException(404) from None
    # What may run and load is what the page itself says; the sandbox takes its origin away, so that nothing in it,
    # were it ever to hold a script of a stranger, reaches the room.
    answer = HTMLResponse(text, background=BackgroundTask(prepare, desk.room, session.role, name))
    answer.headers["content-security-policy"] = frame_policy(text)
    return answer


def frame_policy(page: str) -> str:
    """Return the policy of a framed page: its own, a sandbox, and no frame but the room's.

    Raises
    ------
    ValueError
        If the page brings no policy of its own.
    """
    own = _POLICY.search(page)
    if own is None:
        raise ValueError("a page of pictures without a content security policy")
    return f"sandbox allow-scripts; frame-ancestors 'self'; {html.unescape(own[1])}"


def _page(room: Room, role: Role, name: str, kind: str) -> str:
    task = room.task(role, name)
    if task is None or (not task.may_open and task.own is None):
        raise HTTPException(404)
    return room.page(name, kind, blinded=not room.sees_draft(role, task.scan))


def prepare(room: Room, role: Role, name: str = "") -> None:
    """Make the pictures that will be asked for next, while others are read: at 1 mm they take some seconds."""
    following = next_task(room.tasks(role), name)
    if following and following.scan.scan != name and not room.sees_draft(role, following.scan):
        with contextlib.suppress(FileNotFoundError):
            room.page(following.scan.scan, BRAIN, blinded=True)
