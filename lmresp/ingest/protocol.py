"""Whether a scan keeps to the imaging protocol of EANO-ESMO 2023; the limits are data (``protocol.yaml``).

Nothing here changes what is measured: each departure is a query that says what was found and what is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmresp import terms
from lmresp.ingest.contrast import protocol
from lmresp.ingest.roles import candidates, choose_roles
from lmresp.queries import Query, make

SPINE = {
    p.value for p in (terms.BodyPart.CERVICAL, terms.BodyPart.THORACIC, terms.BodyPart.LUMBAR, terms.BodyPart.SPINE)
}
T1 = {s.value for s in (terms.Sequence.T1_PRE, terms.Sequence.T1_POST, terms.Sequence.T1_UNKNOWN)}
Entry = Mapping[str, Any]


def number(name: str) -> float:
    """Value of one limit of ``protocol.yaml``."""
    return float(protocol()["limits"][name]["value"])


def departures(record: Mapping[str, Any]) -> list[Query]:
    """Queries on what the protocol asks for and a scan does not give.

    Parameters
    ----------
    record : mapping
        A scan record.

    Returns
    -------
    list of Query
        At most one for every code; each names all series that it is about. What a header does not say is not asked.
    """
    where: dict[str, Any] = {"subject_id": record["subject_id"], "visit": record["visit"]}
    usable = [one for one in record["series"] if one["use"]]
    chosen = {role.series for name, role in choose_roles(usable).items() if name in ("post", "pre")}
    head = [one for one in usable if one["series"] in chosen]
    spine = [one for one in usable if one["body_part"] in SPINE and one["sequence"] in T1]
    post = [one for one in [*head, *spine] if one["sequence"] == terms.Sequence.T1_POST.value]
    out = _thick("SC015", head, number("brain_slice_mm"), where) + _thick(
        "SC016", spine, number("spine_slice_mm"), where
    )
    weak = number("field_strength_t") - number("field_tolerance_t")
    out += _listed(
        "SC110", usable, "field_strength_t", "T", lambda v: v < weak, f"{number('field_strength_t'):g} T", where
    )
    out += _doses(post, where)
    least, most = number("delay_min"), number("longest_delay_min")
    out += _listed(
        "SC113", post, "contrast_delay_min", "min", lambda v: not least <= v <= most, f"at least {least:g} min", where
    )
    return out + _missing(usable, where)


def _listed(
    code: str, able: Sequence[Entry], fact: str, unit: str, wrong: Any, allowed: str, where: Mapping[str, Any]
) -> list[Query]:
    """One query that lists the series whose fact is wrong; series that do not tell it are passed over."""
    found = [one for one in able if (value := one["facts"].get(fact)) is not None and wrong(value)]
    if not found:
        return []
    listed = ", ".join(f"{one['series']} {one['facts'][fact]:g} {unit}" for one in found)
    return [make(code, **where, file=found[0]["files"][0], value=listed, allowed=allowed)]


def _thick(code: str, able: Sequence[Entry], most: float, where: Mapping[str, Any]) -> list[Query]:
    """T1 series with thicker slices than the protocol asks for."""
    slack = number("slice_tolerance_mm")
    return _listed(code, able, "slice_thickness_mm", "mm", lambda v: v > most + slack, f"at most {most:g} mm", where)


def _doses(post: Sequence[Entry], where: Mapping[str, Any]) -> list[Query]:
    """Doses that are not the protocol's, or not the label's for an agent with a labelled dose of its own."""
    out: dict[str, Query] = {}
    for one in post:
        agent = protocol()["agents"].get(one["facts"].get("contrast_substance"), {})
        wanted = float(agent.get("dose_mmol_kg", number("dose_mmol_kg")))
        slack = number("dose_tolerance") * wanted
        for query in _listed(
            "SC112",
            [one],
            "contrast_dose_mmol_kg",
            "mmol/kg",
            lambda v, wanted=wanted, slack=slack: abs(v - wanted) > slack,
            f"{wanted:g} mmol/kg",
            where,
        ):
            out.setdefault(query.code, query)  # one injection serves all series
    return list(out.values())


def _missing(usable: Sequence[Entry], where: Mapping[str, Any]) -> list[Query]:
    """What a scan should hold beside the T1 of the head; asked only of a scan with a usable T1 of the head."""
    if not candidates(usable, [terms.Sequence(s) for s in sorted(T1)]):
        return []
    absent = [
        wanted["name"]
        for wanted in protocol()["sequences"]
        if not any(one["sequence"] in wanted["sequence"] and _shows(one, wanted["body_part"]) for one in usable)
    ]
    return [make("SC114", **where, value="; ".join(absent))] if absent else []


def _shows(one: Entry, parts: Sequence[str]) -> bool:
    unknown = one["body_part"] == terms.BodyPart.UNKNOWN.value and terms.BodyPart.BRAIN.value in parts
    return one["body_part"] in parts or unknown
