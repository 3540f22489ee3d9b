"""What stands beside the calls of a subject and is never folded in: other schemes, steroids, other disease."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from lmresp.report.study_data import Row, Rows
from lmresp.report.wording import STRAND_GROUPS, Word, word

STRANDS = ("csf", "neuro", "imaging")  # already in the table of visits


@dataclasses.dataclass(frozen=True, slots=True)
class Component:
    """One component of a visit: its name, its value in words, and the row it comes from."""

    name: str
    value: Word
    row: Row


@dataclasses.dataclass(frozen=True, slots=True)
class BesideView:
    """Components of one visit, the disease outside the meninges plainly apart."""

    visit: str
    date: str
    lm: Sequence[Component]  # of leptomeningeal disease
    steroids: Sequence[Component]
    parenchymal: Sequence[Component]
    systemic: Sequence[Component]


def _component(row: Row) -> Component:
    name, _, site = row.get("component", "").partition(" ")
    shown = word("component", name).label
    group = STRAND_GROUPS.get(name, "component_value")
    return Component(f"{shown}, {site.lower()}" if site else shown, word(group, row.get("value", "")), row)


def beside(components: Rows) -> list[BesideView]:
    """Arrange the components of one subject by visit.

    Parameters
    ----------
    components : sequence of mapping
        Rows of ``components.csv`` of the subject, visits in order.

    Returns
    -------
    list of BesideView
        One per visit that has anything to show, in the order of the rows.
    """
    visits: dict[tuple[str, str], list[Row]] = {}
    for row in components:
        if row.get("component", "") not in STRANDS:
            visits.setdefault((row.get("visit_num", ""), row.get("visit", "")), []).append(row)
    views = []
    for key, rows in visits.items():
        parts: dict[str, list[Component]] = {"lm": [], "steroids": [], "parenchymal": [], "systemic": []}
        for row in rows:
            name = row.get("component", "")
            parts[name if name in parts else "lm"].append(_component(row))
        date = next((row["date"] for row in rows if row.get("date")), "")
        views.append(BesideView(visit=key[1] or key[0], date=date, **parts))
    return views
