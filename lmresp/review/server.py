"""Serving the reading room: addresses, TLS, and what is said at the start (edge)."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from lmresp.errors import StudyError

LOOPBACK = "127.0.0.1"
PORT = 8765
PLAIN_FLAG = "--plain-http-beyond-this-machine"
PLAIN_MEANS = (
    "Plain HTTP beyond this machine: everybody on the way can read secrets and reads, and can change them. "
    "Use it only inside a tunnel or a network that protects them."
)


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """Where the room is served.

    Attributes
    ----------
    host, port : str, int
        Name or address to bind, as readers type it.
    certificate, key : Path or None
        Files for TLS (PEM); ``None`` for plain HTTP.
    """

    host: str = LOOPBACK
    port: int = PORT
    certificate: Path | None = None
    key: Path | None = None

    @property
    def secure(self) -> bool:
        """Whether the room is served under TLS."""
        return self.certificate is not None

    @property
    def url(self) -> str:
        """Address to open."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}/"

    @property
    def hosts(self) -> list[str]:
        """Values of the header ``Host`` under which the room is reached."""
        names = [self.host, *(["127.0.0.1", "localhost", "::1"] if is_loopback(self.host) else [])]
        spelled = [f"[{name}]" if ":" in name else name for name in names]
        usual = 443 if self.secure else 80  # browsers leave the usual port out
        return [f"{name}:{self.port}" for name in spelled] + (spelled if self.port == usual else [])


def is_loopback(host: str) -> bool:
    """Whether a host is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(address: Address, *, plain_beyond: bool) -> None:
    """Refuse an address that would show reads to a network without TLS.

    Raises
    ------
    StudyError
        If the address is beyond loopback and has neither TLS files nor the flag; if it stands for every address of
        the machine; if a TLS file is missing or cannot be used.
    """
    if (address.certificate is None) != (address.key is None):
        raise StudyError(
            "TLS needs both files", where="--tls-cert, --tls-key", allowed="a certificate and its key, PEM"
        )
    if address.host in ("", "0.0.0.0", "::", "*"):  # noqa: S104  # refused here
        raise StudyError(
            "stands for every address, and the name that readers type could not be checked",
            where="--host",
            allowed="the one name or address that readers type",
        )
    if address.certificate is not None and address.key is not None:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(address.certificate, address.key)
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror or type(error).__name__
            raise StudyError(f"cannot be used ({reason})", where="--tls-cert, --tls-key") from None
    elif not is_loopback(address.host) and not plain_beyond:
        raise StudyError(
            f"{address.host} is beyond this machine and there is no TLS",
            where="--host",
            allowed=f"--tls-cert FILE --tls-key FILE, or {PLAIN_FLAG} in a network that is protected otherwise",
        )


def listen(address: Address) -> socket.socket:
    """Open the port, so that a port that is taken is one line, and port 0 is known before it is printed.

    Raises
    ------
    StudyError
        If the port or the address cannot be had.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen(64)
    except OSError as error:
        raise StudyError(
            f"{address.host}, port {address.port}: {error.strerror}", where="--host, --port", allowed="another port"
        ) from None
    return listening


@contextlib.contextmanager
def one_room(study: Path) -> Iterator[None]:
    """Keep a second reading room from the same study; the operating system frees it when the server dies.

    Raises
    ------
    StudyError
        If there is one already.
    """
    folder = study / "reads"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".room.lock", "ab") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StudyError("the reading room of this study is open already", where=study.name) from None
        yield


def at_port(address: Address, listening: socket.socket) -> Address:
    """Return the address with the port that was opened (port 0 asks for any)."""
    return dataclasses.replace(address, port=int(listening.getsockname()[1]))


def serve(app: ASGIApp, address: Address, listening: socket.socket) -> None:
    """Serve until the process is told to end; no line is written for requests, so no log can hold a secret."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=100,
        timeout_graceful_shutdown=5,
        ssl_certfile=address.certificate,
        ssl_keyfile=address.key,
    )
    uvicorn.Server(config).run(sockets=[listening])
