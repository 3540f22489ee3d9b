"""The content tree of a report, taken apart: answers and facts of the scorecard, and a list of everything else."""

from __future__ import annotations

import re
from typing import Any

from pydicom.dataset import Dataset

from lmresp.dicom.codes import meaning_of, table
from lmresp.ingest.dicom_values import number, text

MOST_UNKNOWN = 200
"""A foreign report may hold thousands of items; more lines than this help nobody."""
_LISTS = ("blinded_to", "departs", "over")
_TEXTS = (
    *("read", "scan", "subject_id", "visit", "visit_num", "scan_date", "utc", "locked_utc", "reader", "role"),
    *("session", "comparator", "implied", "chosen", "supersedes", "charter", "digest", "software"),
)
# Names of items that give context in TID 1500 and its parts; they hold no answer.
_CONTEXT = {
    *("112039", "112040", "121005", "121008", "121009", "121010", "121011", "121012", "121013", "121014"),
    *("121015", "121016", "121049", "121058", "121071", "126070", "126071", "126072", "126073", "111001", "111003"),
    *("121191", "121232", "112021", "276214006", "363698007", "272741003", "C2348792", "C67447", "121046", "121017"),
}
_GROUP, _TRACKING = "125007", "112039"
_DIAMETERS = {"long": "X", "perpendicular": "Y"}


def parse(ds: Dataset) -> dict[str, Any]:
    """Take the content of a report apart.

    Parameters
    ----------
    ds : Dataset
        A structured report, or an item of one; nothing is expected of it.

    Returns
    -------
    dict
        ``answers``, ``facts`` (all fields, empty where not given), ``measurements``, ``unknown``, ``problems``.
    """
    out: dict[str, Any] = {
        "answers": [],
        "facts": {**dict.fromkeys(_TEXTS, ""), **{name: [] for name in _LISTS}, "reasons": []},
        "measurements": [],
        "unknown": [],
        "problems": [],
    }
    out["facts"]["draft"] = {"digest": "", "shown": None}
    _walk(ds, "", out, 0)
    seen: dict[tuple[str, str], str] = {}
    for answer in out["answers"]:
        key = (answer["compartment"], answer["item"])
        if seen.setdefault(key, answer["value"]) != answer["value"]:
            out["problems"].append(f"{' '.join(key)} is answered more than once")
    return out


def _walk(place: Dataset, group: str, out: dict[str, Any], depth: int) -> None:
    """Go through the items below a place; ``group`` is the tracking identifier of the group they stand in."""
    if depth > 20:
        _unknown(out, "items nested more than 20 deep")
        return
    for item in place.get("ContentSequence") or []:
        kind, name = text(item, "ValueType"), _first(item, "ConceptNameCodeSequence")
        if kind == "CONTAINER":
            here = _tracking(item) if text(name, "CodeValue") == _GROUP else group
            _walk(item, here, out, depth + 1)
        elif kind == "CODE" and (asked := meaning_of(name, "item")) is not None:
            _answer(item, asked, group, out)
        elif kind == "TEXT" and (field := meaning_of(name, "fact")) is not None:
            _fact(field, text(item, "TextValue"), out)
        elif kind == "NUM":
            _number(item, name, group, out)
        elif text(name, "CodeValue") not in _CONTEXT:
            _unknown(out, _words(item))


def _answer(item: Dataset, asked: str, group: str, out: dict[str, Any]) -> None:
    given = _first(item, "ConceptCodeSequence")
    value = meaning_of(given, "value")
    compartment = group.split(" ")[0]
    if value is None or compartment not in ("BRAIN", "SPINE", "WHOLE"):
        _unknown(out, _words(item))
        return
    row = {"compartment": compartment, "item": asked, "value": value, "reason_ne": "", "comment": ""}
    _below(item, row, out)
    out["answers"].append(row)


def _below(item: Dataset, row: dict[str, str], out: dict[str, Any]) -> None:
    """Take over what stands below an answer: why it was not evaluable, and the comment."""
    for below in item.get("ContentSequence") or []:
        name = _first(below, "ConceptNameCodeSequence")
        reason = meaning_of(_first(below, "ConceptCodeSequence"), "reason_ne")
        if _is(name, "reason_ne") and reason is not None:
            row["reason_ne"] = reason
        elif _is(name, "comment"):
            row["comment"] = text(below, "TextValue")
        elif not _is(name, "measure.confidence") and meaning_of(name, "item") is None:
            _unknown(out, _words(below))


def _fact(field: str, value: str, out: dict[str, Any]) -> None:
    facts = out["facts"]
    if field == "reasons":
        parts = [*value.split(" | ", 2), "", ""]
        facts["reasons"].append({"about": parts[0], "code": parts[1], "text": parts[2]})
    elif field in _LISTS:
        facts[field].append(value)
    elif field == "draft_shown":
        facts["draft"]["shown"] = {"yes": True, "no": False}.get(value)
    elif field == "draft_digest":
        facts["draft"]["digest"] = value
    elif field in _TEXTS:
        facts[field] = value


def _number(item: Dataset, name: Dataset, group: str, out: dict[str, Any]) -> None:
    measured = _first(item, "MeasuredValueSequence")
    value, unit = text(measured, "NumericValue"), _first(measured, "MeasurementUnitsCodeSequence")
    nodule = re.fullmatch(r"(BRAIN|SPINE) NODULE ([1-3])", group)
    axis = _DIAMETERS.get(meaning_of(name, "measure") or "")
    if nodule and axis and text(unit, "CodeValue") == "mm" and number(value) is not None:
        asked = f"NODULE_{nodule[2]}_{axis}"
        row = {"compartment": nodule[1], "item": asked, "value": f"{float(value):g}", "reason_ne": "", "comment": ""}
        _below(item, row, out)
        out["answers"].append(row)
        return
    if text(name, "CodeValue") in _CONTEXT:
        return
    if not value:
        _unknown(out, _words(item))
        return
    out["measurements"].append(
        {"of": group, "name": text(name, "CodeMeaning"), "value": value, "unit": text(unit, "CodeValue")}
    )


def _tracking(group: Dataset) -> str:
    for item in group.get("ContentSequence") or []:
        if text(_first(item, "ConceptNameCodeSequence"), "CodeValue") == _TRACKING:
            return text(item, "TextValue")
    return ""


def _first(place: Dataset, keyword: str) -> Dataset:
    items = place.get(keyword)
    return next((item for item in items or [] if isinstance(item, Dataset)), Dataset())


def _is(name: Dataset, key: str) -> bool:
    term = table()[key]
    return (text(name, "CodeValue"), text(name, "CodingSchemeDesignator")) == (term.code, term.scheme)


def _words(item: Dataset) -> str:
    """One line that says what an item holds."""
    name = text(_first(item, "ConceptNameCodeSequence"), "CodeMeaning") or "without a name"
    held = (
        text(_first(item, "ConceptCodeSequence"), "CodeMeaning")
        or text(item, "TextValue")
        or text(_first(item, "MeasuredValueSequence"), "NumericValue")
    )
    return f"{text(item, 'ValueType') or 'item'} {name}: {held}"[:200]


def _unknown(out: dict[str, Any], line: str) -> None:
    if len(out["unknown"]) < MOST_UNKNOWN:
        out["unknown"].append(line)
