"""What the other series of a session say of one: which T1 and FLAIR were made before and which after contrast."""

from __future__ import annotations

import dataclasses

from lmresp.ingest.header import Header, limit, minutes_between, rules
from lmresp.ingest.series import Class
from lmresp.terms import Sequence

T1 = (Sequence.T1_PRE, Sequence.T1_POST, Sequence.T1_UNKNOWN)


def settle_clock(headers: list[Header], classes: list[Class]) -> list[Class]:
    """Tell T1 and FLAIR before contrast from those after it by the clock.

    Parameters
    ----------
    headers, classes : list
        Of the series of one session, in the same order.

    Returns
    -------
    list of Class
        The classes, with the settled ones replaced. Contrast agent stays for hours: a T1 that begins before (after) a
        time of injection that a header of the session gives is pre-contrast (post-contrast); so is a FLAIR, which is
        also post-contrast when it begins after a T1 known to be. A series that says something of contrast itself is
        left alone.
    """
    out = list(classes)
    sure = rules()["confidence"]
    times = sorted({h.injection for h in headers if h.injection})
    after = [h.time for h, c in zip(headers, classes, strict=True) if c.sequence is Sequence.T1_POST and h.time]
    for i, (header, mine) in enumerate(zip(headers, classes, strict=True)):
        if mine.sequence not in (Sequence.T1_UNKNOWN, Sequence.FLAIR) or mine.contrast != "unknown" or not header.time:
            continue
        is_t1 = mine.sequence is Sequence.T1_UNKNOWN
        kind = (Sequence.T1_PRE, Sequence.T1_POST) if is_t1 else (Sequence.FLAIR, Sequence.FLAIR_POST)
        base = mine.reason.rsplit("; ", 1)[0]
        if len(times) == 1 and "tag and description contradict" not in mine.reason:
            late = (minutes_between(times[0], header.time) or 0) >= 0
            why = f"begins {'after' if late else 'before'} the time of injection"
            confidence = sure["contrast_words"] if is_t1 else min(mine.confidence, sure["contrast_words"])
            out[i] = dataclasses.replace(mine, sequence=kind[late], reason=f"{base}; {why}", confidence=confidence)
        elif not is_t1 and any(t < header.time for t in after):
            why = "order in the session: after the T1 known to be after contrast"
            confidence = min(mine.confidence, sure["contrast_order"])
            out[i] = dataclasses.replace(mine, sequence=kind[1], reason=f"{base}; {why}", confidence=confidence)
    return out


def settle_contrast(headers: list[Header], classes: list[Class]) -> list[Class]:
    """Tell apart the T1 series of one session that their own headers leave unknown.

    Two T1 series match when they have the same acquisition, plane, scanning sequence and, within a tenth, the same echo
    and repetition times. Order tells only when it leaves one reading and contrast is known to have been given:

    - a matching T1 acquired before a T1 known to be post-contrast is pre-contrast;
    - of exactly two matching T1 series, the first without and the second with contrast, when another series of the
      session shows that contrast was given in it, and a T1 after one known to be pre-contrast likewise;
    - a BIDS T1w without ``ce-`` beside one of the same session with it is pre-contrast.

    Two matching T1 series in a session without any sign of contrast may be a repeat: they stay unknown.

    Parameters
    ----------
    headers, classes : list
        Of the series of one session, in the same order.

    Returns
    -------
    list of Class
        The classes, with the settled ones replaced.
    """
    out = list(classes)
    sure = rules()["confidence"]["contrast_order"]
    given = any(c.contrast == "yes" for c in classes) or any("perfusion" in h.words for h in headers)

    def settled(index: int, sequence: Sequence, why: str) -> None:
        base = classes[index].reason.rsplit("; ", 1)[0]
        out[index] = dataclasses.replace(classes[index], sequence=sequence, reason=f"{base}; {why}", confidence=sure)

    for i, mine in enumerate(classes):
        if mine.sequence is not Sequence.T1_UNKNOWN or out[i] is not mine:
            continue
        said_nothing = not {"pre", "post"} & set(headers[i].words) and headers[i].agent == "unknown"
        if headers[i].suffix and said_nothing:
            if any(c.sequence is Sequence.T1_POST and headers[j].suffix for j, c in enumerate(classes)):
                settled(i, Sequence.T1_PRE, "no ce- entity beside a T1w of the same session that has one")
            continue
        mates = [j for j in range(len(classes)) if j != i and _match(headers[i], mine, headers[j], classes[j])]
        when = headers[i].time
        if not when or any(not headers[j].time or headers[j].time == when for j in mates):
            continue
        if any(classes[j].sequence is Sequence.T1_POST and when < headers[j].time for j in mates):
            settled(i, Sequence.T1_PRE, "order in the session: before the matching T1 known to be after contrast")
        elif len(mates) == 1 and given and classes[mates[0]].sequence is not Sequence.T1_POST:
            first = when < headers[mates[0]].time
            if first and classes[mates[0]].sequence is Sequence.T1_PRE:
                continue  # the known pre-contrast series comes later: this one may be a repeat of it
            sequence = Sequence.T1_PRE if first else Sequence.T1_POST
            word = "first" if first else "second"
            settled(i, sequence, f"order in the session: {word} of two matching T1, contrast known to be given")
    return out


def alike(one: Header, first: Class, other: Header, second: Class) -> bool:
    """Tell whether two T1 were made alike: acquisition, plane, pulse sequence, and times unless missing in both."""
    return _match(one, first, other, second, times_known=False)


def _match(one: Header, first: Class, other: Header, second: Class, *, times_known: bool = True) -> bool:
    if second.sequence not in T1 or (first.plane, first.acquisition) != (second.plane, second.acquisition):
        return False
    if one.scanning != other.scanning:
        return False
    ratio = limit("geometry", "same_echo_ratio")
    for a, b in ((one.echo_time_ms, other.echo_time_ms), (one.repetition_time_ms, other.repetition_time_ms)):
        if a is None and b is None and not times_known:
            continue
        if a is None or b is None or abs(a - b) > ratio * max(a, b):
            return False
    return True
