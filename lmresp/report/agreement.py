"""Agreement of readers with one another and with the draft as the study report shows it.

The numbers are those of ``agreement.csv`` and the files beside it; nothing is computed here but places on paper.
"""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Mapping, Sequence

from lmresp.report.agreement_figures import Chart, DotPlot, chart, dot_plot
from lmresp.report.study_data import Row, Rows, StudyData, scan_folder
from lmresp.report.wording import Word, word, words

PUBLISHED = "P"
"""Letter of what is published; no comparison has it."""
KAPPAS = ("cohen_kappa", "cohen_kappa_median")
_PHASES = ("baseline", "follow-up")
_ADJUDICATION = ("disagreed", "adjudicated", "accepted_by_adjudicator", "locked_reads_changed")
_NUMBERS = ("icc", "bias", "limit_of_agreement_low", "limit_of_agreement_high")
_FIRST_PD = "first_pd_days"
_SCALE = ("CR", "PR", "SD", "PD", "NE")


@dataclasses.dataclass(frozen=True, slots=True)
class Compared:
    """What one comparison gives for one item: its letter and a row of ``agreement.csv`` for each statistic."""

    letter: str
    comparison: str
    rows: Mapping[str, Row]
    kappa: Row


@dataclasses.dataclass(frozen=True, slots=True)
class ItemLine:
    """One item, compartment and phase, with every comparison of it and what is published."""

    item: Word
    compartment: str
    phase: str
    compared: Sequence[Compared]
    published: str
    note: int  # number of the note on what is published, 0 for none


@dataclasses.dataclass(frozen=True, slots=True)
class Matrix:
    """Overall values of two raters: the first in rows, the second in columns."""

    letter: str
    first: str
    second: str
    words: Sequence[str]
    cells: Sequence[Sequence[int]]
    total: int


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One case to look at again, with the scan pages (name, path) that show it."""

    row: Row
    pages: Sequence[tuple[str, str]]


@dataclasses.dataclass(frozen=True, slots=True)
class AgreementView:
    """Everything of the section."""

    double_reads: bool
    letters: Sequence[tuple[str, str]]
    lines: Sequence[ItemLine]
    notes: Sequence[str]
    plot: DotPlot | None
    matrices: Sequence[Matrix]
    steps: Sequence[tuple[Compared, Row]]  # overall values of two raters, with the row of their first PD
    numbers: Sequence[Mapping[str, Row]]
    adjudication: Rows
    charts: Sequence[Chart]
    drift: Rows
    cases: Sequence[Case]
    anchored: Rows


def agreement_view(data: StudyData) -> AgreementView:
    """Arrange the tables of agreement for the page.

    Parameters
    ----------
    data : StudyData
        ``agreement``, ``agreement_counts``, ``agreement_cases``, ``drift``, ``queries``.
    """
    categorical = [row for row in data.agreement if row["statistic"] not in (*_ADJUDICATION, *_NUMBERS, _FIRST_PD)]
    names = list(dict.fromkeys(row["comparison"] for row in categorical))
    letters = dict(zip(names, _letters(len(names)), strict=True))
    notes = list(dict.fromkeys(row["published_note"] for row in categorical if row["published_note"]))
    lines = _lines(categorical, letters, notes)
    return AgreementView(
        double_reads=any(not name.endswith(" v draft") for name in names),
        letters=[(letter, name) for name, letter in letters.items()],
        lines=lines,
        notes=notes,
        plot=dot_plot([_plotted(line) for line in lines]),
        matrices=_matrices(data.agreement_counts, letters),
        steps=_steps(data.agreement, lines),
        numbers=_numbers(data.agreement),
        adjudication=sorted(
            (row for row in data.agreement if row["statistic"] in _ADJUDICATION),
            key=lambda row: (_ADJUDICATION.index(row["statistic"]), row["item"] != "ANY", row["item"] != "OVERALL"),
        ),
        charts=_charts(data.drift),
        drift=data.drift,
        cases=[Case(row, _pages(row["scans"], data)) for row in data.agreement_cases],
        anchored=[query for query in data.queries if query.get("code") == "DV070"],
    )


def _letters(count: int) -> list[str]:
    """A, B, C and so on without the letter of what is published; after the alphabet A2, B2."""
    alphabet = string.ascii_uppercase.replace(PUBLISHED, "")
    turns = [(alphabet[place % len(alphabet)], place // len(alphabet)) for place in range(count)]
    return [letter + (str(turn + 1) if turn else "") for letter, turn in turns]


def _pages(scans: str, data: StudyData) -> list[tuple[str, str]]:
    known = [scan for scan in scans.split(";") if scan in data.scans and scan_folder(scan)]
    return [(scan, f"{scan_folder(scan)}/{scan}_page.html") for scan in known]


def _lines(rows: Rows, letters: Mapping[str, str], notes: Sequence[str]) -> list[ItemLine]:
    order = [entry.value for entry in words("item")]

    def rank(key: tuple[str, str, str]) -> tuple[bool, int, int, str]:
        item, compartment, phase = key
        known = order.index(item) if item in order else len(order)
        return item != "OVERALL", _PHASES.index(phase) if phase in _PHASES else len(_PHASES), known, compartment

    places: dict[tuple[str, str, str], dict[str, dict[str, Row]]] = {}
    for row in rows:
        place = places.setdefault((row["item"], row["compartment"], row["phase"]), {})
        place.setdefault(row["comparison"], {})[row["statistic"]] = row
    lines = []
    for key in sorted(places, key=rank):
        compared = [
            Compared(letters[name], name, found, next((found[kappa] for kappa in KAPPAS if kappa in found), {}))
            for name, found in places[key].items()
        ]
        beside: Row = next((one.kappa for one in compared if one.kappa.get("published_note")), {})
        note = notes.index(beside["published_note"]) + 1 if beside else 0
        lines.append(ItemLine(word("item", key[0]), key[1], key[2], compared, beside.get("published", ""), note))
    return lines


def _steps(rows: Rows, lines: Sequence[ItemLine]) -> list[tuple[Compared, Row]]:
    first = {row["comparison"]: row for row in rows if row["statistic"] == _FIRST_PD}
    overall = [one for line in lines if line.item.value == "OVERALL" for one in line.compared]
    return [(one, first[one.comparison]) for one in overall if one.comparison in first]


def _plotted(line: ItemLine) -> tuple[str, list[tuple[str, str, str, str, str]], str]:
    """Title, points (letter, label, value, low, high) and the published value of one item."""
    points = [
        (one.letter, one.comparison, one.kappa["value"], one.kappa["low"], one.kappa["high"])
        for one in line.compared
        if one.kappa.get("value")
    ]
    return f"{line.item.label}, {line.compartment.lower()}, {line.phase}", points, line.published


def _matrices(counts: Rows, letters: Mapping[str, str]) -> list[Matrix]:
    found = []
    overall = [row for row in counts if row["item"] == "OVERALL"]
    for name in dict.fromkeys(row["comparison"] for row in overall):
        cells = {(row["first"], row["second"]): int(row["count"]) for row in overall if row["comparison"] == name}
        table = [[cells.get((first, second), 0) for second in _SCALE] for first in _SCALE]
        first, _, second = name.rpartition(" v ")
        found.append(Matrix(letters.get(name, ""), first, second, _SCALE, table, sum(cells.values())))
    return found


def _numbers(rows: Rows) -> list[Mapping[str, Row]]:
    """Rows of one quantity and comparison together, by statistic; quantities that say nothing are left out."""
    groups: dict[tuple[str, str, str], dict[str, Row]] = {}
    for row in rows:
        if row["statistic"] in _NUMBERS:
            groups.setdefault((row["item"], row["compartment"], row["comparison"]), {})[row["statistic"]] = row
    return [groups[key] for key in sorted(groups)]


def _charts(rows: Rows) -> list[Chart]:
    """One chart for each reader and what is compared with, where there are several batches."""
    pairs = dict.fromkeys((row["reader"], row["against"]) for row in rows)
    batches = [[row for row in rows if (row["reader"], row["against"]) == pair] for pair in pairs]
    return [chart(part) for part in batches if len(part) > 1]
