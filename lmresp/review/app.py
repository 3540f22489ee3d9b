"""The web application of the reading room."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from lmresp.errors import LmrespError
from lmresp.review import adjudicating, door, listing, pictures, reading
from lmresp.review.desk import Desk, desk_of
from lmresp.review.documents import ASSETS, asset
from lmresp.review.guard import FRAMED, Guard
from lmresp.review.room import BRAIN, SPINE, Room
from lmresp.review.server import Address
from lmresp.review.sessions import Clock

TITLES = {400: "The request cannot be read", 403: "Refused", 404: "There is no such page", 409: "One moment"}


def make_app(room: Room, *, address: Address, now: Callable[[], str], clock: Clock = time.monotonic) -> ASGIApp:
    """Make the web application of a study's reading room.

    Parameters
    ----------
    room : Room
        The study.
    address : Address
        Where it is served: decides which hosts and origins are its own, and whether cookies are for TLS only.
    now : callable
        The time, UTC, as the record writes it.
    clock : callable
        Seconds of a clock that never goes back.

    Returns
    -------
    ASGI application
    """
    routes = [
        Route("/", listing.home, methods=["GET"]),
        Route("/login", door.login_page, methods=["GET"]),
        Route("/login", door.login, methods=["POST"]),
        Route("/logout", door.logout, methods=["POST"]),
        Route("/stay", door.stay, methods=["POST"]),
        Route("/scan/{scan}", reading.show, methods=["GET"]),
        Route("/scan/{scan}", reading.save, methods=["POST"]),
        Route("/scan/{scan}/change", reading.change, methods=["GET"]),
        Route("/scan/{scan}/pictures", pictures.brain, methods=["GET"]),
        Route("/scan/{scan}/spine", pictures.spine, methods=["GET"]),
        Route("/adjudicate/{scan}", adjudicating.show, methods=["GET"]),
        Route("/adjudicate/{scan}", adjudicating.save, methods=["POST"]),
        *[Route(f"/{name}", _asset, methods=["GET"]) for name in ASSETS],
    ]
    handlers = {HTTPException: _refused, LmrespError: _unusable, Exception: _failed}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.state.desk = Desk.of(room, port=address.port, secure=address.secure, clock=clock, now=now)
    return Guard(app, hosts=address.hosts, secure=address.secure)


async def _asset(request: Request) -> Response:
    name = request.url.path.removeprefix("/")
    return Response(asset(name), headers={"content-type": ASSETS[name]})


async def _refused(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) and status != 404 else ""
    return _told(request, status, TITLES.get(status, "Refused"), detail, getattr(error, "headers", None) or {})


async def _unusable(request: Request, error: Exception) -> Response:
    """Say what is wrong with the study: its record was edited, a file of it cannot be used."""
    return _told(request, 503, "The study cannot be used now", str(error))


async def _failed(request: Request, error: Exception) -> Response:
    """Answer where the code failed; the trace goes to the terminal of the server, never to the page."""
    text = "Nothing of this page was saved unless the worklist says so. Tell the coordinator."
    return _told(request, 500, f"The reading room failed ({type(error).__name__})", text)


def _told(request: Request, status: int, title: str, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a message; one that stands in place of pictures may be framed, and holds no session."""
    desk = desk_of(request)
    framed = request.url.path.endswith((f"/{BRAIN}", f"/{SPINE}"))
    session = None
    with contextlib.suppress(LmrespError):  # the accounts may be what cannot be used
        session = None if framed else desk.session_of(request)
    answer = desk.message(session, status, title, text, way_back=not framed)
    if framed:
        answer.headers["content-security-policy"] = FRAMED
    answer.headers.update(headers or {})
    return answer
