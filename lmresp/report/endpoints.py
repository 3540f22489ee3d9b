"""The endpoints of the study as the page shows them: responses, rates, time to event, reasons of censoring."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from lmresp.report.study_data import Row, Rows, StudyData
from lmresp.report.survival_figure import SurvivalFigure, survival_figure
from lmresp.report.wording import Word, word, words

POLICIES = ("charter", "treatment_policy")
ALL = "all"
MISSED = "4"  # censoring code of an event after missed assessments
EVENT = "0"


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """One column pair of the response table: all subjects, or one arm."""

    name: str
    subjects: int
    differ: int  # subjects whose best response is another when it has to be confirmed


@dataclasses.dataclass(frozen=True, slots=True)
class ResponseLine:
    """One best response, with its share without and with confirmation in each group."""

    entry: Word
    shares: Sequence[tuple[str, str]]


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """One line of a table that sets two rows side by side."""

    name: Word
    group: str
    first: Row | None
    second: Row | None
    note: str


@dataclasses.dataclass(frozen=True, slots=True)
class CensoringLine:
    """Events and reasons of censoring of one parameter under one policy."""

    parameter: Word
    policy: Word
    subjects: int
    events: str
    counts: Sequence[int]


@dataclasses.dataclass(frozen=True, slots=True)
class Plot:
    """A Kaplan-Meier figure with the rows of ``survival.csv`` that belong to it."""

    parameter: Word
    policy: Word
    figure: SurvivalFigure
    rows: Rows


@dataclasses.dataclass(frozen=True, slots=True)
class EndpointsView:
    """Everything of the section."""

    groups: Sequence[Group]
    responses: Sequence[ResponseLine]
    rates: Sequence[Pair]  # unconfirmed, confirmed
    plots: Sequence[Plot]
    survival: Sequence[Pair]  # by the charter, by treatment policy
    codes: Sequence[Word]  # reasons of censoring that occur
    censoring: Sequence[CensoringLine]
    missed: Rows
    without: Sequence[Word]  # parameters that no subject enters
    provisional: bool


def _state(row: Row) -> str:
    """Best response under confirmation; a response that can still be confirmed is a state of its own."""
    return "PENDING" if row.get("confirmed_response") == "PENDING" else row.get("confirmed_best", "")


def _share(count: int, total: int) -> str:
    return f"{count} ({100 * count / total:.0f} %)" if total else "0"


def responses(best: Rows, arms: Mapping[str, str]) -> tuple[list[Group], list[ResponseLine]]:
    """Count best responses without and with confirmation, for all and for each arm where there are several.

    Parameters
    ----------
    best : sequence of mapping
        Rows of ``best_response.csv``: the analysis set, one row a subject.
    arms : mapping of str to str
        Arm of each subject; "" or absent where not given.
    """
    several = sorted({arms.get(row["subject_id"], "") for row in best} - {""})
    sets = {ALL: list(best)}
    if len(several) > 1:
        sets |= {arm: [row for row in best if arms.get(row["subject_id"], "") == arm] for arm in several}
    counts = {
        name: (Counter(row.get("best_response", "") for row in rows), Counter(_state(row) for row in rows))
        for name, rows in sets.items()
    }
    groups = [
        Group(name, len(rows), sum(row.get("best_response", "") != _state(row) for row in rows))
        for name, rows in sets.items()
    ]
    entries = [*words("call"), *words("best")]
    listed = {entry.value for entry in entries}
    seen = {value for pair in counts[ALL] for value in pair}
    entries += [word("call", value) for value in sorted(seen - listed)]
    lines = []
    for entry in entries:
        if entry.value in seen or entry.value in {each.value for each in words("call")}:
            shares = [tuple(_share(count[entry.value], len(sets[name])) for count in counts[name]) for name in counts]
            lines.append(ResponseLine(entry, [(left, right) for left, right in shares]))
    return groups, lines


def _pairs(rows: Rows, group: str, key: str, column: str, sides: tuple[str, str]) -> list[Pair]:
    """Set the two sides of each ``key`` and ``group`` beside one another, in the order of the file."""
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        found.setdefault((row.get(key, ""), row.get("group", "")), {})[row.get(column, "")] = row
    pairs = []
    for (name, of), by_side in found.items():
        notes = dict.fromkeys(row.get("note", "") for row in by_side.values())
        note = "; ".join(filter(None, notes))
        pairs.append(Pair(word(group, name), of, by_side.get(sides[0]), by_side.get(sides[1]), note))
    return pairs


def _rank(values: Iterable[str], group: str) -> list[str]:
    """Sort values in the order of their words; those without a word come last."""
    order = {entry.value: number for number, entry in enumerate(words(group))}
    return sorted(set(values), key=lambda value: (order.get(value, len(order)), value))


def _plots(data: StudyData) -> list[Plot]:
    plots = []
    for parameter in _rank((row["parameter"] for row in data.survival_curve), "parameter"):

        def of(rows: Rows, wanted: str = parameter) -> Rows:
            return [row for row in rows if (row["parameter"], row["policy"]) == (wanted, POLICIES[0])]

        rows = of(data.survival)
        figure = survival_figure(of(data.survival_curve), rows)
        if figure is not None:
            drawn = {curve.group for curve in figure.curves}
            shown = [row for row in rows if row["group"] in drawn]
            plots.append(Plot(word("parameter", parameter), word("policy", POLICIES[0]), figure, shown))
    return plots


def _censoring(data: StudyData) -> tuple[list[Word], list[CensoringLine]]:
    codes = _rank((row["censored"] for row in data.endpoints if row["censored"] != EVENT), "censored")
    lines = []
    for parameter in _rank((row["parameter"] for row in data.endpoints), "parameter"):
        for policy in _rank((row["policy"] for row in data.endpoints), "policy"):
            rows = [row for row in data.endpoints if (row["parameter"], row["policy"]) == (parameter, policy)]
            if not rows:
                continue
            kinds = Counter(row.get("event", "") or "event" for row in rows if row["censored"] == EVENT)
            named = ", ".join(f"{kind.lower()} {count}" for kind, count in sorted(kinds.items()))
            events = f"{kinds.total()} ({named})" if kinds else "0"
            counts = [sum(row["censored"] == code for row in rows) for code in codes]
            lines.append(CensoringLine(word("parameter", parameter), word("policy", policy), len(rows), events, counts))
    return [word("censored", code) for code in codes], lines


def endpoints_view(data: StudyData) -> EndpointsView:
    """Arrange best responses, rates and times to event for the page.

    Notes
    -----
    Nothing is estimated here: intervals and medians are those of ``rates.csv`` and ``survival.csv``. The page only
    counts subjects.
    """
    arms = {row["subject_id"]: row.get("arm") or row.get("arm_code", "") for row in data.subjects}
    groups, lines = responses(data.best_response, arms)
    codes, censoring = _censoring(data)
    entered = {row["parameter"] for row in data.endpoints}
    tables = (data.best_response, data.endpoints, data.survival)
    return EndpointsView(
        groups=groups,
        responses=lines,
        rates=_pairs(data.rates, "rate", "rate", "confirmed", ("N", "Y")),
        plots=_plots(data),
        survival=_pairs(data.survival, "parameter", "parameter", "policy", POLICIES),
        codes=codes,
        censoring=censoring,
        missed=[row for row in data.endpoints if row["censored"] == MISSED],
        without=[entry for entry in words("parameter") if entry.value not in entered] if entered else [],
        provisional=any(row.get("provisional") == "Y" for rows in tables for row in rows),
    )


def subject_endpoints(rows: Rows) -> list[Pair]:
    """Set both policies of each parameter of one subject side by side.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of ``endpoints.csv`` of the subject.
    """
    pairs = _pairs(rows, "parameter", "parameter", "policy", POLICIES)
    order = _rank((pair.name.value for pair in pairs), "parameter")
    return sorted(pairs, key=lambda pair: order.index(pair.name.value))
