"""The PDF: same bytes, no markup from data, no identity, one or two pages, and the words that must be on it."""

from __future__ import annotations

import base64
import re
import zlib
from pathlib import Path

import pydicom
import pytest

from lmresp import __version__
from lmresp.dicom.document import DRAFT, MOST_FINDINGS, document, shown
from lmresp.dicom.instance import encoded, when_of
from lmresp.dicom.pdf import encapsulated
from tests.unit.dicom.made import RIGHT, STUDY, entry, faults, made, nodule, result


def _pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b", pdf))


def test_the_same_result_gives_the_same_bytes() -> None:
    reads = [{**entry(), "locked_utc": "2026-11-21T20:01:02.000003Z"}]
    assert document(result(), STUDY, "c" * 64, reads) == document(result(), STUDY, "c" * 64, reads)
    assert document(result(), STUDY, "c" * 64) != document(result(), STUDY, "d" * 64)


def test_a_draft_fits_a_page_and_a_read_two() -> None:
    many = {**result(), "findings": [nodule(n, RIGHT, note="borderline: a reader must look") for n in range(1, 60)]}
    reads = [{**entry(), "locked_utc": "2026-11-21T20:01:02.000003Z"}]
    assert _pages(document(result(), STUDY, "c" * 64)) == 1
    assert _pages(document(many, STUDY, "c" * 64, reads)) == 2
    assert MOST_FINDINGS == 12


@pytest.mark.parametrize(
    ("given", "out"),
    [
        ("<b>bold</b> & <a href='x'>", "&lt;b&gt;bold&lt;/b&gt; &amp; &lt;a href='x'&gt;"),
        ("Größe ± 3 mm", "Größe ± 3 mm"),
        ("日本", "\\u65e5\\u672c"),
        ("bell\x07 and\x00 nul", "bell and nul"),
    ],
)
def test_text_is_text(given: str, out: str) -> None:
    assert shown(given) == out


@pytest.mark.parametrize(
    "text", ["<para>", "</para><b", "<img src='/etc/passwd'/>", "&#0;", "\ud83d\ude00", "a" * 3000]
)
def test_hostile_text_does_not_break_the_page(text: str) -> None:
    hurt = result()
    hurt["findings"][0]["note"] = hurt["scorecard"]["items"][0]["reason"] = hurt["visit"] = text
    reads = [{**entry(reasons=[{"about": text, "code": text, "text": text}]), "locked_utc": ""}]
    assert document(hurt, STUDY, "c" * 64, reads).startswith(b"%PDF-1.")


def test_a_scan_that_was_not_measured_says_why() -> None:
    none = {**result(), "status": "not_measured", "reason": "no head in it"}
    words = _words(document(none, STUDY, "c" * 64))
    assert "This scan was not measured: no head in it." in words


def test_what_must_stand_on_it() -> None:
    words = _words(document(result(), STUDY, "c" * 64))
    for needed in (
        *(DRAFT.split("\N{EN DASH}")[1].strip(), "subject LM-05", "visit WK06 (2)", "2024-05-03"),
        *("Research use only", f"lmresp {__version__}", "c" * 64, "d" * 64, "18.0 x 17.0 \N{PLUS-MINUS SIGN} 2.1 mm"),
        *("Overall of the draft, from its items: PD", "Evans index", "0.31", "the top of the head is cut off"),
    ):
        assert needed in words, needed
    read = _words(document(result(), STUDY, "c" * 64, [{**entry(), "locked_utc": "2026-11-21T20:01:02.000003Z"}]))
    assert "READ R000001 by RADIOLOGIST 1" in read
    assert DRAFT.split("\N{EN DASH}")[1].strip() not in read


def test_identity_is_in_the_header_only(tmp_path: Path) -> None:
    one = made(tmp_path / "in")
    ds = encapsulated(document(one.result, STUDY, "c" * 64), "title", one.source, when_of(one.source, "", "2025-01-01"))
    (tmp_path / "report.dcm").write_bytes(encoded(ds))
    back = pydicom.dcmread(tmp_path / "report.dcm")
    assert (back.PatientName, back.PatientID) == ("DOE^JANE", "HOSPITAL-4711")
    words = _words(bytes(back.EncapsulatedDocument)) + str(back.EncapsulatedDocument[:2000]) + back.DocumentTitle
    assert not any(secret in words for secret in ("DOE", "JANE", "HOSPITAL-4711", "19600203", "ACC-1"))
    assert (back.Modality, back.ConversionType, back.MIMETypeOfEncapsulatedDocument) == (
        "DOC",
        "WSD",
        "application/pdf",
    )
    assert len(back.EncapsulatedDocument) % 2 == 0
    assert faults(tmp_path / "report.dcm") == []


def _words(pdf: bytes) -> str:
    """Text of a PDF of reportlab: its subset fonts number their characters, and say which is which (ToUnicode)."""
    streams = [_inflated(raw) for raw in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL)]
    fonts = dict(re.findall(rb"/(F\d+\+\d+) (\d+) 0 R", pdf))
    maps = {}
    for name, number in fonts.items():
        font = re.search(rb"\n" + number + rb" 0 obj(.*?)endobj", pdf, re.DOTALL)[1]
        target = re.search(rb"/ToUnicode (\d+) 0 R", font)[1]
        body = re.search(rb"\n" + target + rb" 0 obj(.*?)endobj", pdf, re.DOTALL)[1]
        raw = re.search(rb"stream\r?\n(.*?)endstream", body, re.DOTALL)[1]
        maps[name] = _codes(_inflated(raw))
    out = []
    for stream in streams:
        for block in re.findall(rb"BT(.*?)ET", stream, re.DOTALL):
            current: dict[int, str] = {}
            for font, string, newline in re.findall(
                rb"/(F\d+\+\d+) [\d.]+ Tf|\(((?:\\.|[^\\)])*)\) Tj|(T\*)", block, re.DOTALL
            ):
                if font:
                    current = maps[font]
                elif newline:
                    out.append(" ")
                else:
                    out.append("".join(current.get(c, "?") for c in _unescaped(string)))
            out.append("\n")
    return re.sub(r"[ \n]+", " ", "".join(out))


def _inflated(raw: bytes) -> bytes:
    for decode in (lambda r: base64.a85decode(r.strip().removesuffix(b"~>")), bytes):
        try:
            return zlib.decompress(decode(raw))
        except (ValueError, zlib.error):
            continue
    return raw


def _codes(table: bytes) -> dict[int, str]:
    pairs = re.findall(rb"<([0-9A-Fa-f]{2})> <([0-9A-Fa-f]{4})>", table)
    return {int(code, 16): chr(int(target, 16)) for code, target in pairs}


def _unescaped(string: bytes) -> bytes:
    known = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}

    def one(match: re.Match[bytes]) -> bytes:
        body = match[1]
        return bytes([int(body, 8)]) if body.isdigit() else known.get(body, body)

    return re.sub(rb"\\([0-7]{1,3}|.)", one, string, flags=re.DOTALL)


def test_nothing_is_called_absent_where_enhancement_could_not_be_judged() -> None:
    none = {**result(), "findings": []}
    assert "None. It was looked for." in _words(document(none, STUDY, "c" * 64))
    none["measures"] = [{**one, "value": None} for one in none["measures"]]
    words = _words(document(none, STUDY, "c" * 64))
    assert "Enhancement could not be judged" in words
    assert "looked for" not in words


def test_the_read_of_the_title_comes_before_the_draft() -> None:
    reads = [{**entry(name), "locked_utc": "2026-11-21T20:01:02Z"} for name in ("R000001", "R000002")]
    words = _words(document(result(), STUDY, "c" * 64, reads))
    assert words.index("Read R000002") < words.index("Read R000001") < words.index("Scorecard (draft)")


def test_places_have_sides() -> None:
    # RAS+: a negative first number is the subject's left.
    changed = result()
    changed["findings"][0]["center_mm"] = [-43.0, -5.0, 3.0]
    assert "L 43, P 5, S 3" in _words(document(changed, STUDY, "c" * 64))
