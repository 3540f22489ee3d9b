"""The answers of a read, what their items give, and the automated draft in the same words (pure)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lmresp.mri.items import overall_from_items, words
from lmresp.mri.read_forms import DIAMETER
from lmresp.reads.entry import canonical
from lmresp.reads.questions import Field
from lmresp.terms import Item, Presence

OVERALL = f"WHOLE {Item.OVERALL.value}"
_ANSWER = ("compartment", "item", "value", "reason_ne", "comment")
_NE = Presence.NE.value


def answer(compartment: str, item: str, value: str, reason_ne: str = "", comment: str = "") -> dict[str, str]:
    """Make one answer as the record holds it."""
    return {"compartment": compartment, "item": item, "value": value, "reason_ne": reason_ne, "comment": comment}


def answered(answers: Sequence[Mapping[str, str]], asked: Sequence[Field]) -> list[dict[str, str]]:
    """Return the answers that say something, in the order of the form, as the record holds them.

    What the form did not ask comes last, so that :func:`problems` names it.
    """
    order = {field.key: number for number, field in enumerate(asked)}
    said = [answer(**{name: str(row.get(name, "")).strip() for name in _ANSWER}) for row in answers]
    said = [row for row in said if row["value"] or row["reason_ne"] or row["comment"]]
    return sorted(said, key=lambda row: order.get(key_of(row), len(order)))


def key_of(row: Mapping[str, str]) -> str:
    """Name the field of an answer: ``COMPARTMENT ITEM``."""
    return f"{row['compartment']} {row['item']}"


def implied(answers: Sequence[Mapping[str, str]], *, is_baseline: bool) -> str:
    """Say what the items of a read give: CR, PR, SD, PD or NE; "" at baseline or without an LM item.

    Notes
    -----
    The same rule as of :func:`lmresp.mri.reads.judge_reads` (scheme ``lano_2019_overall_imaging``).
    """
    if is_baseline or not answers:
        return ""
    said = words(pd.Series([row["value"] for row in answers]))
    items = zip(answers, said["presence"], said["change"], strict=True)
    rule = overall_from_items({**row, "presence": presence, "change": change} for row, presence, change in items)
    return "" if rule is None else str(rule.output)


def draft_answers(scorecard: Mapping[str, Any] | None, comparator: str = "BASELINE") -> list[dict[str, str]]:
    """Turn the automated draft of a scan into answers.

    Parameters
    ----------
    scorecard : mapping or None
        ``scorecard`` of the scan result; None where the scan could not be measured.
    comparator : str
        What the read compares with. The draft knows the reference scan and the nadir; against the visit before, and
        for the nadir's overall value, it says nothing.

    Returns
    -------
    list of dict
        Every item of the draft, NE where it needs a reader, and the two diameters of up to three nodules.
    """
    if not scorecard:
        return []
    out: list[dict[str, str]] = []
    follow_up = any(row["change"] is not None for row in scorecard["items"])
    for row in scorecard["items"]:
        value = row["presence"]
        if follow_up:
            nadir = row["nadir_change"] if row["nadir_change"] is not None else row["change"]
            value = {"BASELINE": row["change"], "NADIR": nadir}.get(comparator)
        if value:
            out.append(answer(row["compartment"], row["item"], value, comment=row["reason"]))
    for number, nodule in enumerate(scorecard["nodules"][: len("123")], start=1):
        out.append(answer("BRAIN", f"NODULE_{number}_X", f"{nodule['long_mm']:g}"))
        out.append(answer("BRAIN", f"NODULE_{number}_Y", f"{nodule['perp_mm']:g}"))
    if scorecard["overall"] and comparator == "BASELINE":
        out.append(answer("WHOLE", Item.OVERALL.value, scorecard["overall"]))
    return out


def draft_digest(scorecard: Mapping[str, Any] | None) -> str:
    """SHA-256 of a scan result's scorecard, which the record keeps beside the read; "" where there is none."""
    return hashlib.sha256(canonical(scorecard)).hexdigest() if scorecard else ""


def departs(answers: Sequence[Mapping[str, str]], draft: Sequence[Mapping[str, str]] | None) -> list[str]:
    """Name the items on which a read departs from the draft that was shown, sorted.

    An item that the draft leaves to the reader (NE) cannot be departed from; diameters are measured anew and never
    count. ``draft`` is None where it was not shown.
    """
    said = {key_of(row): row["value"] for row in draft or () if not re.fullmatch(DIAMETER, row["item"])}
    given = {key_of(row): row["value"] for row in answers if row["value"]}
    return sorted(key for key, value in said.items() if value != _NE and given.get(key, value) != value)
