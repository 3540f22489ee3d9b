"""From measured values to a draft of the scorecard's items, with a reason and a confidence for each.

A draft is never a score on its own: where contrast, coverage or registration does not allow an answer the item is NE
and says why, and a reader's value always wins. Nothing is drafted for the spine or the cranial nerves.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from lmresp.mri.methods import number
from lmresp.terms import Change, Item, Presence

_READER = "not measured by lmresp: needs a reader"


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the draft rests on; ``None`` where it was not measured.

    Parameters
    ----------
    no_enhancement : str
        Why enhancement cannot be judged, or "".
    no_change : str
        Why change cannot be judged, or "".
    is_reference : bool
        This scan is the reference itself.
    nodules : list of (long_mm, perp_mm, lm_related, confidence)
        Nodules found.
    new, lost : int
        Leptomeningeal nodules that came or went, and are seen to on the change map too.
    lost_unseen : int
        Reference nodules not found now although the change map does not show them go.
    sum_products, reference_products : float
        Sum of products of the diameters of up to three largest nodules, mm2.
    products_uncertainty : float
        Of the change of the sum, mm2.
    reference_items : dict
        Drafted presence at the reference scan.
    linear_mm3, linear_sure_mm3, linear_confidence : float
        Film volume, the part of it in sure pieces, and the confidence of the surest.
    crowded : bool
        So much enhances outside the known zones that film and vessels cannot be told apart.
    up_mm3, down_mm3, floor_mm3 : float
        Film that came and went, and what a rescan may show.
    hidden_up_mm3, hidden_down_mm3 : float
        Enhancement that came and went where nothing is drafted: zones of normal structures, outermost rim.
    reference_linear_mm3 : float
        Film volume at the reference scan.
    evans, ventricles_mm3, reference_ventricles_mm3 : float or None
        Ventricles.
    quality : float
        0 to 1, what the images allow.
    """

    no_enhancement: str
    no_change: str
    is_reference: bool
    nodules: list[tuple[float, float, bool, float]]
    new: int
    lost: int
    lost_unseen: int
    sum_products: float
    reference_products: float
    products_uncertainty: float
    reference_items: dict[str, str]
    linear_mm3: float
    linear_sure_mm3: float
    linear_confidence: float
    crowded: bool
    up_mm3: float
    down_mm3: float
    floor_mm3: float
    hidden_up_mm3: float
    hidden_down_mm3: float
    reference_linear_mm3: float
    evans: float | None
    ventricles_mm3: float | None
    reference_ventricles_mm3: float | None
    quality: float


def items(facts: Facts) -> list[dict[str, Any]]:
    """Draft every item of the scorecard.

    Returns
    -------
    list of dict
        ``item``, ``compartment``, ``presence``, ``change`` (None on the reference scan), ``reason``, ``confidence``.
    """
    out = [_nodules(facts), _linear(facts), _hydrocephalus(facts), _parenchymal(facts)]
    out.append(_row(Item.CRANIAL_NERVE, "BRAIN", Presence.NE, _ne(facts), _READER, 0.0))
    return out


def spine_items(*, now: bool, before: bool | None) -> tuple[list[dict[str, Any]], str]:
    """Items of the spine, which is never drafted, and what the draft covers.

    Parameters
    ----------
    now : bool
        This scan has a series of the spine.
    before : bool or None
        The reference scan has one; None if this is the reference scan.

    Returns
    -------
    items : list of dict
        Rows as of :func:`items`: NE for a reader where the spine was imaged now or at the reference scan, else none.
    coverage : str
        What the draft covers, in words.
    """
    if not now and not before:
        return [], "brain only: no spine series in this scan"
    change = None if before is None else Change.NE
    reason = _READER if now else "the spine was imaged at the reference scan and is missing now"
    rows = [_row(item, "SPINE", Presence.NE, change, reason, 0.0) for item in (Item.NODULES, Item.LINEAR)]
    what = "a spine series needs a reader" if now else "the spine of the reference scan was not imaged again"
    return rows, f"brain only: {what}"


def _row(
    item: Item, compartment: str, presence: Presence, change: Change | None, reason: str, confidence: float
) -> dict[str, Any]:
    return {
        "item": item.value,
        "compartment": compartment,
        "presence": presence.value,
        "change": None if change is None else change.value,
        "reason": reason,
        "confidence": round(min(max(confidence, 0.0), 1.0), 2),
    }


def _ne(facts: Facts) -> Change | None:
    return None if facts.is_reference else Change.NE


def _blind(facts: Facts, change: Change) -> str:
    """Why a drafted change cannot stand: enhancement changed against it in the zones of normal structures."""
    if change is Change.WORSE:
        return ""
    limit = number("draft.hidden_change_mm3")
    up, down = facts.hidden_up_mm3, facts.hidden_down_mm3
    if (up if change is Change.IMPROVED else max(up, down)) <= limit:
        return ""
    return (
        f"enhancement in the zone of normal structures changed by +{up / 1000:.2f} and -{down / 1000:.2f} ml "
        f"(limit {limit / 1000:.2f} ml): needs a reader"
    )


def _nodules(facts: Facts) -> dict[str, Any]:
    if facts.no_enhancement:
        return _row(Item.NODULES, "BRAIN", Presence.NE, _ne(facts), facts.no_enhancement, 0.0)
    sure = [n for n in facts.nodules if n[2] and n[3] >= number("draft.confident")]
    unsure = [n for n in facts.nodules if n[2] and n[3] < number("draft.confident")]
    confidence = max((n[3] for n in sure), default=0.6 * facts.quality)
    if unsure and not sure:
        reason = f"{len(unsure)} nodule(s) found with low confidence: needs a reader"
        return _row(Item.NODULES, "BRAIN", Presence.NE, _ne(facts), reason, max(n[3] for n in unsure))
    presence = Presence.PRESENT if sure else Presence.ABSENT
    sizes = ", ".join(f"{n[0]:.0f} x {n[1]:.0f}" for n in sure[:3])
    reason = f"{len(sure)} leptomeningeal nodule(s): {sizes} mm" if sure else "no leptomeningeal nodule found"
    if confidence < number("draft.confident"):
        reason += ", but these images would not show one reliably: needs a reader"
        return _row(Item.NODULES, "BRAIN", Presence.NE, _ne(facts), reason, confidence)
    if facts.is_reference:
        return _row(Item.NODULES, "BRAIN", presence, None, reason, confidence)
    if facts.no_change:
        return _row(Item.NODULES, "BRAIN", presence, Change.NE, f"{reason}; {facts.no_change}", confidence)
    change, why = _nodule_change(facts)
    if change is not Change.WORSE and (unsure or facts.lost_unseen):
        doubt = f"{len(unsure)} more with low confidence" if unsure else ""
        if facts.lost_unseen:
            doubt += "; " * bool(doubt) + f"{facts.lost_unseen} not found again, without a trace on the subtraction"
        change, why = Change.NE, f"{why}; {doubt}: needs a reader"
    if hidden := _blind(facts, change):
        change, why = Change.NE, f"{why}; {hidden}"
    return _row(Item.NODULES, "BRAIN", presence, change, f"{reason}; {why}", confidence)


def _nodule_change(facts: Facts) -> tuple[Change, str]:
    before, now = facts.reference_products, facts.sum_products
    if facts.new:
        return Change.WORSE, f"{facts.new} new on the subtraction of the visits too"
    if before == 0 and now == 0:
        return Change.NO_CHANGE, "none at the reference scan either"
    percent = 100 * (now - before) / before if before else 0.0
    text = f"sum of products {before:.0f} to {now:.0f} mm2"
    beyond_noise = abs(now - before) > facts.products_uncertainty
    if percent >= number("draft.worse_percent") and beyond_noise:
        return Change.WORSE, text
    if percent <= -number("draft.improved_percent") and beyond_noise:
        return Change.IMPROVED, text + (f", {facts.lost} gone" if facts.lost else "")
    return Change.NO_CHANGE, text


def _linear(facts: Facts) -> dict[str, Any]:
    if facts.no_enhancement:
        return _row(Item.LINEAR, "BRAIN", Presence.NE, _ne(facts), facts.no_enhancement, 0.0)
    sure, everything = facts.linear_sure_mm3, facts.linear_mm3
    text = f"film-like enhancement {everything / 1000:.1f} ml, {sure / 1000:.1f} ml of it sure"
    if facts.crowded:
        presence, confidence = Presence.NE, 0.2 * facts.quality
        text += ": so many vessels enhance that film cannot be told from them without a reader"
    elif sure >= number("draft.linear_present_mm3") and facts.quality >= number("draft.linear_quality"):
        presence, confidence = Presence.PRESENT, facts.linear_confidence
    elif everything <= number("draft.linear_absent_mm3"):
        presence, confidence = Presence.ABSENT, 0.6 * facts.quality
    else:
        presence, confidence = Presence.NE, 0.3 * facts.quality
        text += ": cannot be told from vessels without a reader"
    if facts.is_reference:
        return _row(Item.LINEAR, "BRAIN", presence, None, text, confidence)
    if facts.no_change:
        return _row(Item.LINEAR, "BRAIN", presence, Change.NE, f"{text}; {facts.no_change}", confidence)
    net = facts.up_mm3 - facts.down_mm3
    part = number("draft.linear_change_percent") / 100 * facts.reference_linear_mm3
    limit = max(number("draft.linear_change_floors") * facts.floor_mm3, part)
    why = f"+{facts.up_mm3 / 1000:.2f} and -{facts.down_mm3 / 1000:.2f} ml against a limit of {limit / 1000:.2f} ml"
    change = Change.WORSE if net > limit else Change.IMPROVED if net < -limit else Change.NO_CHANGE
    quiet = number("draft.quiet_floors") * facts.floor_mm3
    if change is Change.NO_CHANGE and max(facts.up_mm3, facts.down_mm3) > quiet:
        change = Change.NE
        why += f", and more than the {quiet / 1000:.2f} ml that a rescan may show: needs a reader"
    if hidden := _blind(facts, change):
        change, why = Change.NE, f"{why}; {hidden}"
    return _row(Item.LINEAR, "BRAIN", presence, change, f"{text}; {why}", confidence)


def _hydrocephalus(facts: Facts) -> dict[str, Any]:
    if facts.evans is None or facts.ventricles_mm3 is None:
        return _row(Item.HYDROCEPHALUS, "BRAIN", Presence.NE, _ne(facts), "ventricles could not be measured", 0.0)
    limit = number("draft.evans_present")
    presence = Presence.PRESENT if facts.evans > limit else Presence.ABSENT
    confidence = min(0.9, 0.4 + abs(facts.evans - limit) / 0.06) * facts.quality
    text = f"Evans index {facts.evans:.2f} (limit {limit:.2f}), ventricles {facts.ventricles_mm3 / 1000:.0f} ml"
    if facts.is_reference:
        return _row(Item.HYDROCEPHALUS, "BRAIN", presence, None, text, confidence)
    before = facts.reference_ventricles_mm3
    if facts.no_change or not before:
        why = facts.no_change or "ventricles of the reference scan not measured"
        return _row(Item.HYDROCEPHALUS, "BRAIN", presence, Change.NE, f"{text}; {why}", confidence)
    percent = 100 * (facts.ventricles_mm3 - before) / before
    edge = number("draft.ventricle_percent")
    change = Change.WORSE if percent > edge else Change.IMPROVED if percent < -edge else Change.NO_CHANGE
    if change is Change.IMPROVED and facts.reference_items.get(Item.HYDROCEPHALUS.value) != Presence.PRESENT.value:
        change = Change.NO_CHANGE  # what was not there cannot improve
    text = f"{text}, {percent:+.0f} % against the reference scan"
    return _row(Item.HYDROCEPHALUS, "BRAIN", presence, change, text, confidence)


def _parenchymal(facts: Facts) -> dict[str, Any]:
    apart = "recorded apart, no part of the leptomeningeal result"
    if facts.no_enhancement:
        return _row(Item.PARENCHYMAL, "BRAIN", Presence.NE, _ne(facts), facts.no_enhancement, 0.0)
    inside = [n for n in facts.nodules if not n[2] and n[3] >= number("draft.confident")]
    if not inside:
        reason = f"no enhancing nodule found inside the brain: needs a reader; {apart}"
        return _row(Item.PARENCHYMAL, "BRAIN", Presence.NE, _ne(facts), reason, 0.0)
    sizes = ", ".join(f"{n[0]:.0f} x {n[1]:.0f}" for n in inside[:3])
    reason = f"{len(inside)} enhancing nodule(s) inside the brain ({sizes} mm); {apart}"
    return _row(Item.PARENCHYMAL, "BRAIN", Presence.PRESENT, _ne(facts), reason, max(n[3] for n in inside))
