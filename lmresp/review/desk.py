"""What every page of the room shares: who is signed in, forms that count once, answers."""

from __future__ import annotations

import dataclasses
import functools
import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from lmresp.review.accounts import Account, Role, load
from lmresp.review.documents import document
from lmresp.review.room import Room
from lmresp.review.sessions import WARN_SECONDS, Clock, Session, Sessions, Throttle

FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FIELDS = 300
AGAIN = "This form was saved before. It counts once; nothing was added."
Form = Mapping[str, str]
Handler = Callable[[Request], Awaitable[Response]]
SignedIn = Callable[["Desk", Request, Session], Awaitable[Response]]


@dataclasses.dataclass(slots=True)
class Desk:
    """The services behind the pages.

    Attributes
    ----------
    room : Room
        The study, its record and its pictures.
    sessions : Sessions
        Who is signed in.
    cookie : str
        Name of the session's cookie; it holds the port, because cookies of one host are shared by its ports.
    secure : bool
        Whether cookies are for TLS only.
    now : callable
        The time, UTC, as the record writes it.
    by_name, overall : Throttle
        Limits on attempts to sign in.
    hashing : anyio.CapacityLimiter
        Secrets that are hashed at once: each takes 32 MB and a core.
    saving : anyio.Lock
        One save at a time, so that what was judged is what is saved.
    """

    room: Room
    sessions: Sessions
    cookie: str
    secure: bool
    now: Callable[[], str]
    by_name: Throttle
    overall: Throttle
    hashing: anyio.CapacityLimiter
    saving: anyio.Lock

    @classmethod
    def of(cls, room: Room, *, port: int, secure: bool, clock: Clock, now: Callable[[], str]) -> Desk:
        """Set up the services; the limits on signing in are 5 and then 2 a minute a name, 30 and then 1 a second."""
        return cls(
            room=room,
            sessions=Sessions(clock),
            cookie="__Host-lmresp" if secure else f"lmresp-{port}",
            secure=secure,
            now=now,
            by_name=Throttle(clock, 5, 30.0),
            overall=Throttle(clock, 30, 1.0),
            hashing=anyio.CapacityLimiter(2),
            saving=anyio.Lock(),
        )

    def accounts(self) -> dict[str, Account]:
        """Read the accounts as they are now: one added or disabled while the room is open counts at once."""
        return load(self.room.folder)

    def session_of(self, request: Request) -> Session | None:
        """Return the session of a request, ``None`` for a visitor or a reader who was disabled meanwhile."""
        token = request.cookies.get(self.cookie, "")
        session = self.sessions.find(token)
        if session is None:
            return None
        account = self.accounts().get(session.account)
        if account is None or not account.active or account.role is not session.role:
            self.sessions.end(token)
            return None
        return session

    def set_cookie(self, answer: Response, name: str, value: str) -> None:
        """Set a cookie that no script and no other site can use; it ends with the browser."""
        answer.set_cookie(name, value, path="/", httponly=True, samesite="strict", secure=self.secure)

    def page(self, session: Session | None, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """Answer with a page; the messages that wait for the session are shown on it."""
        text = document(
            template,
            session=session,
            left=int(self.sessions.seconds_left(session)) if session else 0,
            warn=WARN_SECONDS,
            notes=session.take_notes() if session else [],
            study=self.room.study_id,
            **context,
        )
        return HTMLResponse(text, status)

    def message(
        self, session: Session | None, status: int, title: str, text: str, *, way_back: bool = True
    ) -> HTMLResponse:
        """Answer with one message and the way back."""
        return self.page(session, "message.html.j2", status=status, title=title, text=text, way_back=way_back)


def desk_of(request: Request) -> Desk:
    """Return the desk of the application that a request came to."""
    desk: Desk = request.app.state.desk
    return desk


def signed_in(*roles: Role) -> Callable[[SignedIn], Handler]:
    """Let only people of some roles in; visitors are led to the door, others find nothing."""

    def wrap(handler: SignedIn) -> Handler:
        @functools.wraps(handler)
        async def wrapped(request: Request) -> Response:
            desk = desk_of(request)
            session = await anyio.to_thread.run_sync(desk.session_of, request)
            if session is None:
                if request.method == "POST":
                    return desk.message(None, 401, "You are not signed in", "Nothing was saved. Sign in again.")
                return RedirectResponse("/login", 303)
            if session.role not in roles:
                raise HTTPException(404)
            return await handler(desk, request, session)

        return wrapped

    return wrap


async def form_of(request: Request) -> dict[str, str]:
    """Read a form: each field once, as UTF-8, without signs that are no text.

    Raises
    ------
    HTTPException
        415 for another kind of body, 400 for one that no form of the room sends, 413 for one that is too large.
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != FORM_TYPE:
        raise HTTPException(415, "A form was expected.")
    body = await request.body()
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise HTTPException(400, "The form cannot be read.") from None
    form = {name: _one_line(value) for name, value in pairs}
    if len(form) != len(pairs):
        raise HTTPException(400, "A field of the form is given twice.")
    return form


def _one_line(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def check_csrf(form: Form, token: str) -> None:
    """Refuse a form that was not handed out to this session.

    Raises
    ------
    HTTPException
        403.
    """
    if not hmac.compare_digest(form.get("csrf", "").encode("utf-8"), token.encode("utf-8")):
        raise HTTPException(403, "The form does not belong to this session. Open the page again.")


def claim(session: Session, form: Form, purpose: str) -> str:
    """Take the one-time mark of a form for carrying it out; ``""`` where that was done before.

    Raises
    ------
    HTTPException
        403 where the mark was never handed out for this form; 409 while the same form is being saved.
    """
    mark = form.get("mark", "")
    if mark in session.kept:
        return ""
    if session.forms.get(mark) != purpose:
        raise HTTPException(403, "The form is too old or was not handed out here. Open the page again.")
    if mark in session.busy:
        raise HTTPException(409, "The same form is being saved already.")
    session.busy.add(mark)
    return mark
