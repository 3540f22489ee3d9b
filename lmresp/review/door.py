"""Signing in and out."""

from __future__ import annotations

import re
import secrets

import anyio
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from lmresp.review.accounts import NAME, Role, is_secret
from lmresp.review.desk import Desk, check_csrf, desk_of, form_of, signed_in
from lmresp.review.sessions import Session

EVERYBODY = tuple(Role)
VISITOR = "-visitor"
MAX_SIGNS = 100  # of a name or secret; neither is longer
_VISITOR = re.compile(r"[A-Za-z0-9_-]{32}")
WRONG = "Name and secret do not belong together, or the account is disabled."


async def login_page(request: Request) -> Response:
    """Show the form to sign in."""
    desk = desk_of(request)
    if await anyio.to_thread.run_sync(desk.session_of, request):
        return RedirectResponse("/", 303)
    return _door(desk, request)


async def login(request: Request) -> Response:
    """Sign a person in: a new session under a new identifier, or one and the same message for whatever is wrong."""
    desk = desk_of(request)
    form = await form_of(request)
    visitor = request.cookies.get(desk.cookie + VISITOR, "")
    check_csrf(form, desk.sessions.door_token(visitor) if visitor else secrets.token_hex())
    name, secret = form.get("name", "")[:MAX_SIGNS], form.get("secret", "")[:MAX_SIGNS]
    wait = max(desk.by_name.wait(name), desk.overall.wait(""))
    if wait > 0:
        seconds = int(wait) + 1
        answer = _door(desk, request, status=429, fault=f"Too many attempts. Try again in {seconds} seconds.")
        answer.headers["retry-after"] = str(seconds)
        return answer
    desk.by_name.take(name)
    desk.overall.take("")
    account = (await anyio.to_thread.run_sync(desk.accounts)).get(name) if NAME.fullmatch(name) else None
    kept = account.scrypt if account and account.active else None
    right = await anyio.to_thread.run_sync(is_secret, secret, kept, limiter=desk.hashing)
    if account is None or not right:
        return _door(desk, request, status=401, fault=WRONG)
    desk.by_name.clear(name)
    label = f"{account.name}-{re.sub(r'[^0-9TZ]', '', desk.now().split('.')[0] + 'Z')}"
    desk.sessions.end(request.cookies.get(desk.cookie, ""))
    token, _ = desk.sessions.start(account.name, account.role, label)
    answer = RedirectResponse("/", 303)
    desk.set_cookie(answer, desk.cookie, token)
    answer.delete_cookie(desk.cookie + VISITOR, path="/", httponly=True, samesite="strict", secure=desk.secure)
    return answer


def _door(desk: Desk, request: Request, *, status: int = 200, fault: str = "") -> Response:
    visitor = request.cookies.get(desk.cookie + VISITOR, "")
    if not _VISITOR.fullmatch(visitor):
        visitor = secrets.token_urlsafe(24)
    answer = desk.page(None, "login.html.j2", status=status, csrf=desk.sessions.door_token(visitor), fault=fault)
    desk.set_cookie(answer, desk.cookie + VISITOR, visitor)
    return answer


@signed_in(*EVERYBODY)
async def logout(desk: Desk, request: Request, session: Session) -> Response:
    """End the session on the server and in the browser."""
    check_csrf(await form_of(request), session.csrf)
    desk.sessions.end(request.cookies.get(desk.cookie, ""))
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(desk.cookie, path="/", httponly=True, samesite="strict", secure=desk.secure)
    return answer


@signed_in(*EVERYBODY)
async def stay(desk: Desk, request: Request, session: Session) -> Response:
    """Say how many seconds the session has left, now that it was used."""
    check_csrf(await form_of(request), session.csrf)
    return PlainTextResponse(str(int(desk.sessions.seconds_left(session))))
