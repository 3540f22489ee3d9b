"""What every request has to pass before a page is made, and the headers that every answer carries.

The server is reached by web pages in the same browser and by other users of the machine, even on the loopback
address. Requests are therefore judged as they came, before anything decodes or joins a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_LIMIT = 64 * 1024  # bytes; a form with every comment at its longest has about 30 kB
METHODS = ("GET", "HEAD", "POST")
# Names of the room's own addresses need no escapes, so that there is nothing to decode: "%00", "..%2f", "//" have none.
_PATH = re.compile(rb"/(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*)?")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
)
FRAMED = "sandbox; " + POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
"""Policy of a message that stands where pictures should be."""
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    # Not no-referrer: with it browsers send "Origin: null" on the room's own forms, and every save would be refused.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
YEAR = 365 * 24 * 3600
TOO_LARGE = "Too large for a form."
CLOSE = {"connection": "close"}  # so that the rest of the body is not read as the next request


class Guard:
    """ASGI middleware that refuses what no reader's browser sends.

    Parameters
    ----------
    app : ASGI application
        What comes behind.
    hosts : iterable of str
        Values of the header ``Host`` (with port) under which the room is reached; any other is refused, so that a
        name of a stranger that leads to this machine (DNS rebinding) opens nothing.
    secure : bool
        Whether the room is served under TLS.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], secure: bool) -> None:
        self._app, self._secure = app, secure
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge one request, then hand it on with its body bounded and its answer's headers set."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._set_headers(message)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, _bounded(receive), answer)
        else:
            await refusal(scope, receive, answer)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        host = headers.getlist("host")
        if len(host) != 1 or host[0].lower() not in self._hosts:
            return PlainTextResponse("400 This address is not one of the reading room.\n", 400)
        if scope["method"] not in METHODS:
            return PlainTextResponse("405 Method not allowed.\n", 405, {"allow": ", ".join(METHODS)})
        if not _PATH.fullmatch(scope.get("raw_path") or scope["path"].encode("utf-8")):
            return PlainTextResponse("404 Not found.\n", 404)
        if scope["method"] == "POST":
            origin = f"{'https' if self._secure else 'http'}://{host[0].lower()}"
            if headers.getlist("origin") != [origin]:
                return PlainTextResponse("403 The form was sent from another place.\n", 403)
            length = headers.get("content-length", "0")
            if not length.isdigit() or int(length) > BODY_LIMIT:
                return PlainTextResponse(f"413 {TOO_LARGE}\n", 413, CLOSE)
        return None

    def _set_headers(self, message: MutableMapping[str, Any]) -> None:
        headers = MutableHeaders(raw=message["headers"])
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        if self._secure:
            headers.setdefault("strict-transport-security", f"max-age={YEAR}")
        message["headers"] = headers.raw


def _bounded(receive: Receive) -> Receive:
    """Count the body while it comes in: a length that was not told, or told wrong, is found out too."""
    held = 0

    async def bounded() -> Message:
        nonlocal held
        message = await receive()
        held += len(message.get("body", b""))
        if held > BODY_LIMIT:
            raise HTTPException(413, TOO_LARGE, CLOSE)
        return message

    return bounded
