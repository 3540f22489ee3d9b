"""Multipart answers, cut into pieces of any size and cut off anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lmresp.pacs.link import RefusedError, TransportError
from lmresp.pacs.multipart import boundary_of, save_parts

PARTS = [b"first\r\n--b", b"", b"\r\n--boundarY\r\n", b"--boundar\r\n-\r\n\r\n--x", bytes(range(256))]
BODY = (
    b"preamble" + b"".join(b"\r\n--boundary\r\nA: b\r\n\r\n" + part for part in PARTS) + b"\r\n--boundary--\r\nepilogue"
)


def pieces(body: bytes, size: int) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


def saved(folder: Path, body: bytes, size: int, limit: int = 10**6) -> list[bytes]:
    folder.mkdir()
    save_parts(pieces(body, size), b"boundary", folder, limit)
    return [path.read_bytes() for path in sorted(folder.iterdir())]


@pytest.mark.parametrize("size", [*range(1, 30), 100, 10_000])
def test_pieces_of_any_size_give_the_same_parts(tmp_path: Path, size: int) -> None:
    assert saved(tmp_path / "a", BODY, size) == PARTS


def test_without_preamble_and_headers(tmp_path: Path) -> None:
    assert saved(tmp_path / "a", b"--boundary\r\n\r\none\r\n--boundary--", 4) == [b"one"]
    assert saved(tmp_path / "b", b"--boundary--", 4) == []


def test_an_end_before_the_closing_boundary_is_noticed_wherever_it_comes(tmp_path: Path) -> None:
    closed = BODY.index(b"--boundary--") + len(b"--boundary--")
    for end in range(closed):
        with pytest.raises(TransportError):
            saved(tmp_path / str(end), BODY[:end], 50)


def test_limits(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="larger"):
        saved(tmp_path / "a", BODY, 10, limit=100)
    with pytest.raises(RefusedError, match="RFC 2046"):
        saved(tmp_path / "b", b"--boundary\r\n" + b"X: y\r\n" * 10_000, 1000)


@pytest.mark.parametrize(
    ("text", "boundary"),
    [
        ('multipart/related; type="application/dicom"; boundary=abc', b"abc"),
        ('Multipart/Related; boundary="a b;c"; type=application/dicom', b"a b;c"),
        ("multipart/related;boundary=x,y", b"x"),
    ],
)
def test_boundaries(text: str, boundary: bytes) -> None:
    assert boundary_of(text) == boundary


@pytest.mark.parametrize(
    "text", ["", "text/html", "application/dicom; boundary=a", "multipart/related", "multipart/related; boundary="]
)
def test_other_answers_hold_no_images(text: str) -> None:
    with pytest.raises(RefusedError):
        boundary_of(text)
