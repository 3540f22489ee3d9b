"""The read form: what is asked of one scan, and everything that blocks a save (pure).

In the 35-rater test of the scorecard 44 % of the forms were incomplete and in 22 % of the complete ones the overall
value did not follow from the items; the authors ask for electronic forms that block (PMC9527515).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

import pandas as pd

from lmresp.criteria.charter import Charter
from lmresp.ingest import identifiers
from lmresp.mri.items import contradicts
from lmresp.mri.read_forms import DIAMETER
from lmresp.reads.answers import OVERALL, answer, answered, departs, draft_answers, draft_digest, implied, key_of
from lmresp.reads.entry import is_plain
from lmresp.reads.questions import CHOICE, MM, Field, comparators, fields, form_words, max_comment
from lmresp.reads.state import Read
from lmresp.terms import Item, Presence

__all__ = [
    "ABOUT",
    "CHOICE",
    "MM",
    "OVERALL",
    "Field",
    "Problem",
    "adjudication_problems",
    "answer",
    "answered",
    "comparators",
    "departs",
    "draft_answers",
    "draft_digest",
    "fields",
    "form_words",
    "implied",
    "max_comment",
    "problems",
    "reason_problems",
]

ABOUT = ("draft", "contradiction", "change", "adjudication")
"""What a reason may be about."""
_NE = Presence.NE.value
_NUMBER = re.compile(r"\d{1,3}(?:\.\d{1,2})?")


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """What blocks a save.

    Attributes
    ----------
    field : str
        Key of a field, ``comparator``, or ``reason draft`` and so on for the others of :data:`ABOUT`.
    message : str
        What is wrong and what is allowed.
    """

    field: str
    message: str


def problems(
    answers: Sequence[Mapping[str, str]],
    asked: Sequence[Field],
    *,
    comparator: str,
    reasons: Sequence[Mapping[str, str]] = (),
    draft: Sequence[Mapping[str, str]] | None = None,
    changes_locked: bool = False,
    adjudicates: bool = False,
) -> list[Problem]:
    """Say everything that blocks the save of a form.

    Parameters
    ----------
    answers : sequence of mapping
        From :func:`answered`.
    asked : sequence of Field
        From :func:`fields`.
    comparator : str
        The scan compared with; "" at baseline.
    reasons : sequence of mapping
        ``about``, ``code``, ``text``.
    draft : sequence of mapping or None
        From :func:`draft_answers`; None where the draft was not shown.
    changes_locked : bool, optional
        The read is to replace a locked one.
    adjudicates : bool, optional
        The read is an adjudicator's.

    Returns
    -------
    list of Problem
        In the order of the form; empty when it may be saved.
    """
    by_key = {field.key: field for field in asked}
    given: dict[str, Mapping[str, str]] = {}
    found: list[Problem] = []
    for row in answers:
        key = key_of(row)
        if key not in by_key:
            found.append(Problem(key, f"{key} is not asked here. Allowed: {', '.join(by_key)}."))
        elif key in given:
            found.append(Problem(key, f"{by_key[key].label}: answered twice."))
        else:
            given[key] = row
    for field in asked:
        found += _field_problems(field, given.get(field.key))
    found += _diameter_problems(given, by_key)
    follow_up = any(not field.is_baseline for field in asked)
    found += _comparator_problems(comparator, follow_up=follow_up)
    stated = given.get(OVERALL, {}).get("value", "")
    judged = OVERALL in by_key and stated in by_key[OVERALL].allowed
    needed = {
        "draft": departs(answers, draft),
        "contradiction": [OVERALL] if judged and _contradicts(stated, list(given.values())) else [],
        "change": ["a locked read"] if changes_locked else [],
        "adjudication": ["adjudication"] if adjudicates else [],
    }
    return found + reason_problems(reasons, needed)


def _field_problems(field: Field, row: Mapping[str, str] | None) -> list[Problem]:
    value = row["value"] if row else ""
    reason, comment = (row["reason_ne"], row["comment"]) if row else ("", "")
    out: list[str] = []
    if not value and (field.required or reason or comment):
        out.append("not answered")
    elif value and not _is_allowed(field, value):
        low, high = field.limits
        allowed = f"a number from {low:g} to {high:g}, NE" if field.kind == MM else ", ".join(field.allowed)
        out.append(f"{value!r} cannot be chosen. Allowed: {allowed}")
    if value == _NE and reason not in field.reasons_ne:
        out.append(f"NE needs a reason. Allowed: {', '.join(field.reasons_ne)}")
    if value != _NE and reason:
        out.append("a reason for NE stands beside another value")
    if reason == "OTHER" and not comment:
        out.append("the reason OTHER needs a comment")
    out += _text_problems(comment, max_comment())
    return [Problem(field.key, f"{field.label}: {text}.") for text in out]


def _is_allowed(field: Field, value: str) -> bool:
    if value in field.allowed:
        return True
    low, high = field.limits
    return field.kind == MM and bool(_NUMBER.fullmatch(value)) and low <= float(value) <= high


def _text_problems(text: str, limit: int) -> list[str]:
    kind = identifiers.kind_of(text)
    if kind:
        return [f"the text looks like {identifiers.with_article(kind)} and is not taken"]
    return [] if is_plain(text, limit) else [f"the text is not one line of at most {limit} characters"]


def _diameter_problems(given: Mapping[str, Mapping[str, str]], by_key: Mapping[str, Field]) -> list[Problem]:
    """Both diameters of a nodule or none, and none where nodules are absent."""
    out: list[Problem] = []
    for key, field in by_key.items():
        axis = re.fullmatch(DIAMETER, field.item)
        if axis is None:
            continue
        other = f"{key[:-1]}{'Y' if axis['axis'] == 'X' else 'X'}"
        if key not in given and other in given:
            out.append(Problem(key, f"{field.label}: the other diameter of this nodule is given."))
        nodules = given.get(f"{field.compartment} {Item.NODULES.value}", {}).get("value")
        if key in given and nodules == Presence.ABSENT.value:
            out.append(Problem(key, f"{field.label}: nodules are said to be absent."))
    return out


def _comparator_problems(comparator: str, *, follow_up: bool) -> list[Problem]:
    if follow_up and comparator not in comparators():
        allowed = ", ".join(comparators())
        return [Problem("comparator", f"{form_words()['comparator']['label']}: not answered. Allowed: {allowed}.")]
    return [Problem("comparator", "A baseline scan is compared with nothing.")] if comparator and not follow_up else []


def _contradicts(stated: str, answers: Sequence[Mapping[str, str]]) -> bool:
    items = implied(answers, is_baseline=False)
    return bool(contradicts(pd.Series([stated]), pd.Series([items])).iloc[0])


def reason_problems(reasons: Sequence[Mapping[str, str]], needed: Mapping[str, Sequence[str]]) -> list[Problem]:
    """Check the reasons of a read.

    A code is enough; a text is needed beside OTHER only. One reason stands for every departure from the draft.

    Parameters
    ----------
    reasons : sequence of mapping
        ``about``, ``code``, ``text``.
    needed : mapping
        For each of :data:`ABOUT` what makes a reason necessary; empty where none is.
    """
    codes, titles = form_words()["reason_codes"], form_words()["reasons"]
    out: list[Problem] = []
    for about in ABOUT:
        given = [reason for reason in reasons if reason["about"] == about]
        name = f"reason {about}"
        if needed.get(about) and not given:
            what = ", ".join(needed[about])
            out.append(Problem(name, f"{titles[about]} ({what}): no reason is given. Allowed: {', '.join(codes)}."))
        if len(given) > 1:
            out.append(Problem(name, f"{titles[about]}: given twice."))
        for reason in given:
            if reason["code"] not in codes:
                what = f"{reason['code']!r} is no reason" if reason["code"] else "a text alone is no reason"
                out.append(Problem(name, f"{titles[about]}: {what}. Allowed: {', '.join(codes)}."))
            elif reason["code"] == "OTHER" and not reason["text"]:
                out.append(Problem(name, f"{titles[about]}: OTHER needs a text."))
            out += [Problem(name, f"{titles[about]}: {text}.") for text in _reason_text(reason["text"])]
    for unknown in sorted({reason["about"] for reason in reasons} - set(ABOUT)):
        out.append(Problem("reason", f"{unknown!r} cannot be given a reason. Allowed: {', '.join(ABOUT)}."))
    return out


def _reason_text(text: str) -> list[str]:
    if "|" in text:
        return ["the text holds the sign |, which separates reasons"]
    return _text_problems(text, max_comment())


def adjudication_problems(
    chosen: str,
    answers: Sequence[Mapping[str, str]],
    over: Sequence[Read],
    charter: Charter,
    reasons: Sequence[Mapping[str, str]],
) -> list[Problem]:
    """Check what an adjudicator does with the reads of a scan.

    Parameters
    ----------
    chosen : str
        Read that is taken as a whole; "" for an own read.
    answers : sequence of mapping
        Those of the chosen read, unchanged, or the own ones.
    over : sequence of Read
        The reads adjudicated.
    charter : Charter
        ``adjudication``: choose, own or either.
    reasons : sequence of mapping
        One about ``adjudication`` is needed.

    Returns
    -------
    list of Problem
        For an own read :func:`problems` holds beside these.
    """
    how = charter.text("adjudication")
    taken = {read.read: read for read in over}
    out: list[Problem] = []
    if not chosen and how == "choose":
        out.append(Problem("chosen", f"The charter has one whole read chosen. Allowed: {', '.join(taken)}."))
    elif chosen and how == "own":
        out.append(Problem("chosen", "The charter has the adjudicator give an own read."))
    elif chosen and chosen not in taken:
        out.append(Problem("chosen", f"{chosen!r} is not adjudicated here. Allowed: {', '.join(taken)}."))
    elif chosen and list(answers) != list(taken[chosen].entry["answers"]):
        out.append(Problem("chosen", f"{chosen} is taken as a whole: its answers cannot be changed."))
    return out + reason_problems(reasons, {"adjudication": ["adjudication"]} if chosen else {})
