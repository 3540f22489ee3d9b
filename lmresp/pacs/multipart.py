"""Multipart answers (RFC 2046) taken apart as they stream in, each part into a file of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from lmresp.pacs.link import RefusedError, TransportError

MAX_HEADER_BYTES = 16_384
_BOUNDARY = re.compile(r"""boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))""", re.IGNORECASE)


def boundary_of(content_type: str) -> bytes:
    """Boundary of a ``multipart/related`` content type.

    Raises
    ------
    RefusedError
        If the answer is of another kind.
    """
    match = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/related") or not match:
        raise RefusedError("the answer holds no images")
    return (match[1] or match[2]).encode("ascii", "replace")


def save_parts(chunks: Iterator[bytes], boundary: bytes, folder: Path, max_bytes: int) -> None:
    """Write every part of a multipart answer to ``folder`` as ``00001.dcm``, ``00002.dcm`` and so on.

    Parameters
    ----------
    chunks : iterator of bytes
        The body of the answer, in pieces of any size; only some of them are held at once.
    boundary : bytes
        What stands between the parts.
    folder : Path
        An empty folder.
    max_bytes : int
        Limit for all parts together.

    Raises
    ------
    TransportError
        If the answer ends before its closing boundary.
    RefusedError
        If it is larger than allowed, or not what RFC 2046 describes.
    """
    body = _Body(chunks, max_bytes)
    between = b"\r\n--" + boundary
    body.until(between, _drop)
    number = 0
    while not body.starts_with(b"--"):
        headers = bytearray()
        body.until(b"\r\n\r\n", headers.extend, MAX_HEADER_BYTES)
        number += 1
        with open(folder / f"{number:05d}.dcm", "xb") as out:
            body.until(between, out.write)


def _drop(_: bytes) -> None:
    """Take what stands before the first part."""


class _Body:
    """A stream that can be read up to a mark."""

    def __init__(self, chunks: Iterator[bytes], max_bytes: int) -> None:
        self._chunks, self._left = chunks, max_bytes
        self._held = bytearray(b"\r\n")  # the first boundary may stand at the very beginning

    def _more(self) -> None:
        chunk = next(self._chunks, b"")
        if not chunk:
            raise TransportError("the answer ended early")
        self._left -= len(chunk)
        if self._left < 0:
            raise RefusedError("the answer is larger than a series can be")
        self._held += chunk

    def starts_with(self, text: bytes) -> bool:
        """Whether the next bytes are ``text``."""
        while len(self._held) < len(text):
            self._more()
        return self._held.startswith(text)

    def until(self, mark: bytes, take: Callable[[bytes], object], limit: int | None = None) -> None:
        """Hand everything before ``mark`` to ``take`` and step over the mark."""
        taken = 0
        while (at := self._held.find(mark)) < 0:
            ready = max(len(self._held) - len(mark) + 1, 0)  # the mark may be cut in two
            taken += ready
            if limit is not None and taken > limit:
                raise RefusedError("the answer is not multipart as RFC 2046 describes it")
            take(bytes(self._held[:ready]))
            del self._held[:ready]
            self._more()
        take(bytes(self._held[:at]))
        del self._held[: at + len(mark)]
