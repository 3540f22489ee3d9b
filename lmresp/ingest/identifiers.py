"""Identity in tables: found, and kept out before anything is written.

This finds what has a form (e-mail addresses, labelled record numbers, social security numbers, titles with names,
labelled birth dates) and columns whose header names an identifier. It cannot find a bare name in free text; in a coded
cell, whatever is not nearly a code is withheld.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from lmresp.store import sha256_text

_KINDS = (
    ("e-mail address", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    (
        "hospital or record number",
        re.compile(
            r"\b(?:MRN|NHS|PID|patient[ _-]?id|hospital (?:no|number)|case no)\b\W{0,3}\d[\d -]{3,}", re.IGNORECASE
        ),
    ),
    ("social security number", re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")),
    (
        "birth date",
        re.compile(
            r"\b(?:DOB|date of birth|birth ?date|born(?: on)?|geb(?:oren)?(?: am)?)\b\W{0,3}\d{1,4}[-./]\d",
            re.IGNORECASE,
        ),
    ),
    ("name", re.compile(r"\b(?:Mrs?|Ms|Miss|Herrn?|Frau)\b\.? +[^\W\d_]*[A-ZÀ-Þ][^\W\d_]+")),
)
NOT_LISTED = "[withheld: not in the list]"
"""What stands for a coded cell that is not shown."""
_ALIKE = 0.75  # least ratio at which a text counts as a misspelt code; at 0.6 "Jane Doe" passes for "NOT DONE"
_WITHHELD = re.compile(r"\[withheld: ([a-z -]+)\]")
_HEADERS = re.compile(
    r"(?:(?:first|last|family|given|middle|full|patient|subject|maiden)[ _-]?)?(?:name|surname|initials)"
    r"|(?:name[ _-]?(?:first|last)|forename)"
    r"|(?:date[ _-]?of[ _-]?birth|birth[ _-]?(?:date|day|dt)|dob|brthdtc?|birthdt)"
    r"|(?:e-?mail(?:[ _-]?address)?|phone|telephone|mobile|address|street|zip(?:[ _-]?code)?|post(?:al)?[ _-]?code)"
    r"|(?:mrn|ssn|pid|nhs[ _-]?(?:no|number)|patient[ _-]?id)"
    r"|(?:hospital[ _-]?(?:no|number)|medical[ _-]?record[ _-]?number)",
    re.IGNORECASE,
)
_HASHED = re.compile(r"sha256:[0-9a-f]{16}")
# Soft hyphen, zero-width space, direction marks, word joiner, byte order mark: copied along from web pages and PDF.
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\ufeff]")
# A cell that a spreadsheet would run as a formula; signed numbers, dates and lone dashes are not.
_FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d.,eE:TZ+-]*\Z)")


@lru_cache(maxsize=100_000)  # cells repeat
def kind_of(text: str) -> str:
    """Say which kind of identity a text holds: empty when none was found."""
    withheld = _WITHHELD.fullmatch(text)
    if withheld and text != NOT_LISTED:
        return withheld[1]
    return next((kind for kind, pattern in _KINDS if pattern.search(text)), "")


def is_identity_header(header: str) -> bool:
    """Whether a column of this name is refused because it names an identifier."""
    return bool(_HEADERS.fullmatch(header.strip()))


def withheld(kind: str) -> str:
    """Return the text that stands for a cell with identity."""
    return f"[withheld: {kind}]"


def with_article(kind: str) -> str:
    """Put the article before a kind of identity."""
    return f"an {kind}" if kind[0] in "aeio" else f"a {kind}"


def same_code(text: str, codes: Sequence[str]) -> str | None:
    """Find a text among codes, whatever its case and blanks; None when it is none of them."""
    if text in codes:
        return text
    wanted = " ".join(text.split()).casefold()
    return next((code for code in codes if code.casefold() == wanted), None)


def coded_cell(text: str, codes: Sequence[str]) -> str:
    """Return what may be shown of a coded cell.

    A person's name may stand in the wrong column. A text is shown when it is a code, resembles one (ratio of
    :class:`difflib.SequenceMatcher` of at least 0.75, any case) or has no letters; any other becomes
    :data:`NOT_LISTED`.
    """
    if same_code(text, codes) is not None or not any(sign.isalpha() for sign in text):
        return text
    likeness = (difflib.SequenceMatcher(None, text.casefold(), code.casefold()) for code in codes)
    # The quick bound first: it spares the comparison with texts of quite another length.
    alike = any(one.real_quick_ratio() >= _ALIKE and one.ratio() >= _ALIKE for one in likeness)
    return text if alike else NOT_LISTED


def hashed(text: str) -> str:
    """Replace an accession number or UID by a short SHA-256; a hashed text stays as it is.

    Notes
    -----
    The hash is not keyed: it keeps the number off every page and table, but someone who holds the list of the
    numbers can find the match.
    """
    return text if not text or _HASHED.fullmatch(text) else "sha256:" + sha256_text(text)[:16]


def plain_cell(text: str) -> str:
    """Put a cell into its one safe spelling.

    Unicode NFC, no blanks (of any width) around it, nothing invisible in it, control characters as blanks, and an
    apostrophe in front of what a spreadsheet would run as a formula, so that no table lmresp writes can carry one.
    """
    if not (text.isascii() and text.isprintable()):  # most cells need none of this
        text = _INVISIBLE.sub("", unicodedata.normalize("NFC", text))
        text = "".join(" " if unicodedata.category(sign) == "Cc" else sign for sign in text)
    text = text.strip()
    return "'" + text if _FORMULA.match(text) else text
