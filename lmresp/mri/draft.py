"""From measured values to a draft of the scorecard's items, with a reason, a confidence and the evidence of each.

A draft is never a score on its own: where contrast, coverage, movement or registration does not allow an answer the
item is NE and says why, and a reader's value always wins. Nothing is drafted for the spine or the cranial nerves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from lmresp.mri.methods import number, numbers
from lmresp.terms import Change, Item, Presence

_READER = "not measured by lmresp: needs a reader"


@dataclasses.dataclass(frozen=True)
class Lump:
    """A nodule found: its finding id, diameters in mm, whether it is leptomeningeal, and how sure it is."""

    finding: int
    long_mm: float
    perp_mm: float
    lm_related: bool
    measurable: bool
    confidence: float


@dataclasses.dataclass(frozen=True)
class Film:
    """Linear enhancement of one scan, mm3.

    ``sure_mm3`` lies in pieces of confidence ``draft.linear_sure`` and more; ``confidence`` is that of the surest;
    ``doubt`` says why film cannot be told from vessels on this scan, or is empty.
    """

    volume_mm3: float = 0.0
    sure_mm3: float = 0.0
    confidence: float = 0.0
    doubt: str = ""
    findings: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Compared:
    """What changed against one earlier scan.

    Parameters
    ----------
    scan : str
        The earlier scan, for the text.
    no_enhancement : str
        Why the enhancement of the two cannot be compared, or "".
    net_mm3, sd_mm3 : float
        Film that came less film that went, and the standard deviation that a rescan would show.
    before_mm3 : float
        Film volume of the earlier scan.
    up_mm3, down_mm3 : float
        Enhancement outside nodules that came and went beyond noise.
    hidden_up_mm3, hidden_down_mm3 : float
        The same where nothing is drafted: zones of normal structures and the outermost rim.
    new, lost, lost_unseen : int
        Nodules that came or went, seen to on the change map too; lost without a trace on it.
    products_mm2, products_sd_mm2 : float or None
        Sum of products of the earlier scan, and the uncertainty of the change; None if not measured.
    ventricles_mm3 : float or None
        Ventricles of the earlier scan.
    hydrocephalus : str
        Drafted presence of hydrocephalus on the earlier scan.
    """

    scan: str
    no_enhancement: str = ""
    net_mm3: float = 0.0
    sd_mm3: float = 0.0
    before_mm3: float = 0.0
    up_mm3: float = 0.0
    down_mm3: float = 0.0
    hidden_up_mm3: float = 0.0
    hidden_down_mm3: float = 0.0
    new: int = 0
    lost: int = 0
    lost_unseen: int = 0
    products_mm2: float | None = None
    products_sd_mm2: float = 0.0
    ventricles_mm3: float | None = None
    hydrocephalus: str = ""


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the draft rests on.

    Parameters
    ----------
    is_reference : bool
        This scan is the reference itself.
    no_enhancement : str
        Why enhancement cannot be judged, or "".
    no_change : str
        Why nothing can be compared with the reference scan, or "".
    quality : float
        0 to 1, what the images allow.
    nodules : tuple of Lump
        Nodules found.
    film : Film
        Linear enhancement found.
    products_mm2 : float
        Sum of products of the up to three largest measurable leptomeningeal nodules.
    evans, ventricles_mm3 : float or None
        Ventricles; None if they could not be measured.
    evans_sd : float
        Standard uncertainty of the Evans index.
    reference, nadir : Compared or None
        Change against the reference scan and against the nadir of film (another scan than the reference).
    """

    is_reference: bool
    no_enhancement: str
    no_change: str
    quality: float
    nodules: tuple[Lump, ...]
    film: Film
    products_mm2: float
    evans: float | None
    ventricles_mm3: float | None
    evans_sd: float = 0.0
    reference: Compared | None = None
    nadir: Compared | None = None


def items(facts: Facts) -> list[dict[str, Any]]:
    """Draft every item of the scorecard.

    Returns
    -------
    list of dict
        ``item``, ``compartment``, ``presence``, ``change`` (against the reference scan; None on the reference scan),
        ``nadir_change`` (None where the nadir is the reference scan or there is none), ``reason``, ``confidence``,
        ``evidence`` (``label``: its value in the segmentation, ``findings``: their ids).
    """
    drafted = [_nodules(facts), _linear(facts), _hydrocephalus(facts), _parenchymal(facts)]
    drafted.append(_Draft(Item.CRANIAL_NERVE, Presence.NE, [_READER], 0.0))
    return [_row(draft, facts) for draft in drafted]


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
    change = None if before is None else Change.NE.value
    reason = _READER if now else "the spine was imaged at the reference scan and is missing now"
    rows = [
        _cells(item, "SPINE", Presence.NE, change, None, reason, 0.0, None, ()) for item in (Item.NODULES, Item.LINEAR)
    ]
    what = "a spine series needs a reader" if now else "the spine of the reference scan was not imaged again"
    return rows, f"brain only: {what}"


@dataclasses.dataclass
class _Draft:
    """An item while it is drafted; ``change`` and ``nadir`` hold what the comparison gives, where there is one."""

    item: Item
    presence: Presence
    reasons: list[str]
    confidence: float
    label: int | None = None
    findings: Sequence[int] = ()
    change: Change = Change.NE
    nadir: Change | None = None


def _row(draft: _Draft, facts: Facts) -> dict[str, Any]:
    change = None if facts.is_reference else draft.change.value
    nadir = None if facts.is_reference or draft.nadir is None else draft.nadir.value
    reason = "; ".join(draft.reasons)
    return _cells(
        draft.item, "BRAIN", draft.presence, change, nadir, reason, draft.confidence, draft.label, draft.findings
    )


def _cells(
    item: Item,
    compartment: str,
    presence: Presence,
    change: str | None,
    nadir: str | None,
    reason: str,
    confidence: float,
    label: int | None,
    findings: Sequence[int],
) -> dict[str, Any]:
    return {
        "item": item.value,
        "compartment": compartment,
        "presence": presence.value,
        "change": change,
        "nadir_change": nadir,
        "reason": reason,
        "confidence": round(min(max(confidence, 0.0), 1.0), 2),
        "evidence": {"label": label, "findings": list(findings)},
    }


def _compare(draft: _Draft, facts: Facts, judge: Any, *, needs_enhancement: bool = True) -> _Draft:
    """Fill in the change against the reference scan and against the nadir."""
    if facts.is_reference:
        return draft
    if facts.no_change or facts.reference is None:
        draft.reasons.append(facts.no_change or "no reference scan to compare with")
        return draft
    for against, place in ((facts.reference, "change"), (facts.nadir, "nadir")):
        if against is None:
            continue
        if needs_enhancement and against.no_enhancement:
            change, why = Change.NE, against.no_enhancement
        else:
            change, why = judge(facts, against)
        setattr(draft, place, change)
        draft.reasons.append(f"against {against.scan}: {why}" if place == "nadir" else why)
    return draft


def _hidden(against: Compared, change: Change) -> str:
    """Why a drafted change cannot stand: enhancement changed against it in the zones of normal structures."""
    if change is Change.WORSE:
        return ""
    limit = number("draft.hidden_change_mm3")
    up, down = against.hidden_up_mm3, against.hidden_down_mm3
    if (up if change is Change.IMPROVED else max(up, down)) <= limit:
        return ""
    return (
        f"enhancement in the zone of normal structures changed by +{up / 1000:.2f} and -{down / 1000:.2f} ml "
        f"(limit {limit / 1000:.2f} ml): needs a reader"
    )


def _nodules(facts: Facts) -> _Draft:
    bar = number("draft.confident")
    related = [n for n in facts.nodules if n.lm_related]
    sure, unsure = [n for n in related if n.confidence >= bar], [n for n in related if n.confidence < bar]
    if facts.no_enhancement:
        return _Draft(Item.NODULES, Presence.NE, [facts.no_enhancement], 0.0)
    if sure:
        sizes = ", ".join(f"{n.long_mm:.0f} x {n.perp_mm:.0f}" for n in sure[:3])
        presence, confidence = Presence.PRESENT, max(n.confidence for n in sure)
        reason = f"{len(sure)} leptomeningeal nodule(s): {sizes} mm"
    elif any(n.confidence >= number("draft.doubtful") for n in unsure):
        presence, confidence = Presence.NE, max(n.confidence for n in unsure)
        reason = f"{len(unsure)} nodule(s) found with low confidence: needs a reader"
    else:
        presence, confidence = Presence.ABSENT, number("draft.absent_confidence") * facts.quality
        reason = "no leptomeningeal nodule found"
        if confidence < number("draft.absent_least"):
            presence, reason = Presence.NE, f"{reason}, but these images would not show one reliably: needs a reader"
    evidence = [n.finding for n in (sure or unsure)]
    draft = _Draft(Item.NODULES, presence, [reason], confidence, 2, evidence)
    doubtful = sum(n.confidence >= number("draft.doubtful") for n in unsure)

    def judge(facts: Facts, against: Compared) -> tuple[Change, str]:
        change, why = _nodule_change(facts, against)
        doubts = [f"{doubtful} more with low confidence"] * bool(doubtful)
        if against.lost_unseen:
            doubts.append(f"{against.lost_unseen} not found again, without a trace on the subtraction")
        if change is not Change.WORSE and doubts:
            return Change.NE, f"{why}; {'; '.join(doubts)}: needs a reader"
        hidden = _hidden(against, change)
        return (Change.NE, f"{why}; {hidden}") if hidden else (change, why)

    return _compare(draft, facts, judge) if presence is not Presence.NE else _without_change(draft, facts)


def _without_change(draft: _Draft, facts: Facts) -> _Draft:
    if facts.nadir is not None:
        draft.nadir = Change.NE
    return draft


def _nodule_change(facts: Facts, against: Compared) -> tuple[Change, str]:
    if against.products_mm2 is None:
        return Change.NE, "nodules of the earlier scan were not measured"
    before, now = against.products_mm2, facts.products_mm2
    if against.new:
        return Change.WORSE, f"{against.new} new on the subtraction of the visits too"
    text = f"sum of products {before:.0f} to {now:.0f} mm2"
    if before == 0:
        if now == 0:
            return Change.NO_CHANGE, "none measurable at either scan"
        return Change.NE, f"{text}, none of them new: needs a reader"
    percent = 100 * (now - before) / before
    beyond_noise = abs(now - before) > against.products_sd_mm2
    if percent >= number("draft.worse_percent") and beyond_noise:
        return Change.WORSE, text
    if percent <= -number("draft.improved_percent") and beyond_noise:
        return Change.IMPROVED, text + (f", {against.lost} gone" if against.lost else "")
    return Change.NO_CHANGE, text


def _linear(facts: Facts) -> _Draft:
    if facts.no_enhancement:
        return _Draft(Item.LINEAR, Presence.NE, [facts.no_enhancement], 0.0)
    film = facts.film
    text = f"film-like enhancement {film.volume_mm3 / 1000:.1f} ml, {film.sure_mm3 / 1000:.1f} ml of it sure"
    if film.doubt:
        presence, confidence = Presence.NE, number("draft.doubted") * facts.quality
        text += f": {film.doubt}"
    elif film.sure_mm3 >= number("draft.linear_present_mm3") and facts.quality >= number("draft.linear_quality"):
        presence, confidence = Presence.PRESENT, film.confidence
    elif film.volume_mm3 <= number("draft.linear_absent_mm3") and facts.quality >= number("draft.linear_quality"):
        presence, confidence = Presence.ABSENT, number("draft.absent_confidence") * facts.quality
        text += ": film fainter than vessels may be missed"
    else:
        presence, confidence = Presence.NE, number("draft.undecided") * facts.quality
        text += ": cannot be told from vessels without a reader"
    draft = _Draft(Item.LINEAR, presence, [text], confidence, 1, film.findings)
    return _compare(draft, facts, lambda _, against: _linear_change(against))


def _linear_change(against: Compared) -> tuple[Change, str]:
    """Net change against what a rescan would show, and against a part of the volume."""
    part = 0.01 * number("draft.linear_change_percent") * against.before_mm3
    noise = number("draft.linear_change_sd") * against.sd_mm3
    limit = max(noise, part)
    why = f"net change {against.net_mm3 / 1000:+.2f} ml against a limit of {limit / 1000:.2f} ml"
    if abs(against.net_mm3) > limit:
        change = Change.WORSE if against.net_mm3 > 0 else Change.IMPROVED
    else:
        change = Change.NO_CHANGE
        if abs(against.net_mm3) > number("draft.quiet_part") * limit:
            return Change.NE, f"{why}: too near to it, needs a reader"
        if noise > part and noise > number("draft.blunt_mm3"):
            return Change.NE, f"{why}: a change worth noting could hide below it, needs a reader"
    hidden = _hidden(against, change)
    return (Change.NE, f"{why}; {hidden}") if hidden else (change, why)


def _hydrocephalus(facts: Facts) -> _Draft:
    if facts.evans is None or facts.ventricles_mm3 is None:
        return _Draft(Item.HYDROCEPHALUS, Presence.NE, ["ventricles could not be measured"], 0.0)
    limit = number("draft.evans_present")
    presence = Presence.PRESENT if facts.evans > limit else Presence.ABSENT
    least, most = numbers("draft.evans_confidence")
    beyond = abs(facts.evans - limit) / number("draft.evans_confidence_per")
    confidence = min(most, least + beyond) * facts.quality
    text = f"Evans index {facts.evans:.2f} (limit {limit:.2f}), ventricles {facts.ventricles_mm3 / 1000:.0f} ml"
    if abs(facts.evans - limit) < 2 * facts.evans_sd:
        presence, confidence = Presence.NE, number("draft.doubted") * facts.quality
        text += f": within its uncertainty of {2 * facts.evans_sd:.2f}, needs a reader"
    draft = _Draft(Item.HYDROCEPHALUS, presence, [text], confidence, 3)
    return _compare(draft, facts, _ventricle_change, needs_enhancement=False)


def _ventricle_change(facts: Facts, against: Compared) -> tuple[Change, str]:
    if not against.ventricles_mm3 or facts.ventricles_mm3 is None:
        return Change.NE, "ventricles of the earlier scan were not measured"
    percent = 100 * (facts.ventricles_mm3 - against.ventricles_mm3) / against.ventricles_mm3
    edge = number("draft.ventricle_percent")
    change = Change.WORSE if percent > edge else Change.IMPROVED if percent < -edge else Change.NO_CHANGE
    if change is Change.IMPROVED and against.hydrocephalus != Presence.PRESENT.value:
        change = Change.NO_CHANGE  # what was not there cannot improve
    return change, f"ventricles {percent:+.0f} %"


def _parenchymal(facts: Facts) -> _Draft:
    apart = "recorded apart, no part of the leptomeningeal result"
    if facts.no_enhancement:
        return _Draft(Item.PARENCHYMAL, Presence.NE, [facts.no_enhancement], 0.0)
    inside = [n for n in facts.nodules if not n.lm_related and n.confidence >= number("draft.confident")]
    if not inside:
        reason = f"no enhancing nodule found inside the brain: needs a reader; {apart}"
        return _Draft(Item.PARENCHYMAL, Presence.NE, [reason], 0.0)
    sizes = ", ".join(f"{n.long_mm:.0f} x {n.perp_mm:.0f}" for n in inside[:3])
    reason = f"{len(inside)} enhancing nodule(s) inside the brain ({sizes} mm); {apart}"
    most = max(n.confidence for n in inside)
    return _Draft(Item.PARENCHYMAL, Presence.PRESENT, [reason], most, 2, [n.finding for n in inside])
