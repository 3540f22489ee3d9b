"""Which subject and visit an image file belongs to, and on which date it was made."""

from __future__ import annotations

import dataclasses
import datetime
import fnmatch
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lmresp import terms
from lmresp.ingest import dates, identifiers
from lmresp.ingest.header import limit, valid_date
from lmresp.ingest.spec import FLAG
from lmresp.queries import Query, make

SCANS_COLUMNS = ("subject_id", "visit", "scan_dtc", "sequence", "body_part", "use")


@dataclasses.dataclass(frozen=True, slots=True)
class Visit:
    """One row of ``visits``; ``minus`` and ``plus`` are days, ``start`` an ISO date or empty."""

    subject_id: str
    visit: str
    visit_num: str
    start: str
    minus: int
    plus: int
    own_window: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Override:
    """Cells of ``scans.csv`` that hold for one file; each as value and row number (empty when not given).

    ``invalid`` are those that say something which cannot be used: what was meant is not known, nor is the file used.
    """

    cells: Mapping[str, tuple[str, str]]
    invalid: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)

    def value(self, column: str) -> str:
        """Return the value of a column."""
        return self.cells.get(column, ("", ""))[0]

    def row(self, column: str) -> str:
        """Return the number of the row that gave the value of a column."""
        return self.cells.get(column, ("", ""))[1]


def label(text: str) -> str:
    """Letters and digits of an identifier, as BIDS labels may hold no others."""
    return re.sub(r"[^0-9A-Za-z]", "", text)


def norm(text: str) -> str:
    """Identifier for comparing: letters and digits only, case-folded."""
    return label(text).casefold()


def cell(row: Mapping[str, str], column: str) -> str:
    """Value of a column of a raw table, whose header may differ in case and surrounding blanks."""
    if column in row:
        return row[column].strip()
    return next((v.strip() for k, v in row.items() if k and k.strip().lower().replace(" ", "_") == column), "")


def subjects_of(tables: Mapping[str, Sequence[Mapping[str, str]]]) -> list[str]:
    """Return the subject identifiers of ``subjects``, in order, each once."""
    return list(dict.fromkeys(s for s in (cell(r, "subject_id") for r in tables.get("subjects", ())) if s))


def visits_of(tables: Mapping[str, Sequence[Mapping[str, str]]]) -> dict[str, list[Visit]]:
    """Visits of every subject, in the order of ``visit_num``; rows without a number are left to the table checks."""
    default = int(limit("limits", "visit_window_days"))
    out: dict[str, list[Visit]] = defaultdict(list)
    for row in tables.get("visits", ()):
        number = cell(row, "visit_num")
        try:
            finite = math.isfinite(float(number))
        except ValueError:
            continue
        name = cell(row, "visit")
        if not finite or not name or cell(row, "status").upper() == "NOT DONE":
            continue
        window = [cell(row, c) for c in ("window_minus", "window_plus")]
        days = [abs(int(w)) if re.fullmatch(r"[-+]?\d{1,4}", w) else default for w in window]
        out[cell(row, "subject_id")].append(
            Visit(
                cell(row, "subject_id"),
                name,
                number,
                valid_date(cell(row, "start_dtc")[:10]),
                days[0],
                days[1],
                all(window),
            )
        )
    return {subject: sorted(v, key=lambda x: (float(x.visit_num), x.visit)) for subject, v in out.items()}


class ScansTable:
    """The rows of ``scans.csv``: what the coordinator says of files, folders and patterns under ``mri/``.

    Columns: ``path`` (a file, a folder or a pattern with ``*``, under ``mri/``; ``*`` also crosses folders),
    ``subject_id``, ``visit``, ``scan_dtc``, ``sequence``, ``body_part``, ``use`` (Y/N). Each may be empty.
    A file goes before a pattern, a pattern before a folder, a deeper folder before a higher one.

    Parameters
    ----------
    rows : iterable of mappings
        The raw table.
    subjects : sequence of str
        Known subjects.

    Attributes
    ----------
    queries : list of Query
        Paths that cannot be used and cells that contradict each other. For values outside their lists see
        :meth:`invalid`.
    """

    def __init__(self, rows: Iterable[Mapping[str, str]], subjects: Sequence[str]) -> None:
        self.queries: list[Query] = []
        self._exact: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
        self._globs: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
        self._rows: dict[str, dict[str, Any]] = {}
        self._matched: set[str] = set()
        self._codes: dict[str, Sequence[str]] = {
            "sequence": [s.value for s in terms.Sequence],
            "body_part": [b.value for b in terms.BodyPart],
            "use": FLAG,
        }
        self._subjects = subjects
        for place, row in enumerate(rows, start=2):
            number = row.get("_row", "") or str(place)
            path = cell(row, "path").replace("\\", "/").removeprefix("./").removeprefix("mri/").strip("/")
            where: dict[str, Any] = {
                "file": row.get("_file", "scans.csv"),
                "sheet": row.get("_sheet", ""),
                "row": number,
            }
            if not path or ".." in path.split("/"):
                value = cell(row, "path")
                self.queries.append(make("SC020", **where, column="path", value=value, allowed="a path under mri/"))
                continue
            self._rows[number] = {**where, "value": path}
            for column in SCANS_COLUMNS:
                value = identifiers.plain_cell(cell(row, column))
                value = identifiers.same_code(value, self._codes.get(column, ())) or value
                if column == "scan_dtc" and dates.is_full(value):
                    value = value[:10]  # a time of day says nothing more here
                target = self._globs if re.search(r"[*?\[]", path) else self._exact
                target[path].append((column, value, number))

    def match(self, path: str) -> Override:
        """Cells that hold for a file, given relative to the study (``mri/...``)."""
        inner = path.removeprefix("mri/")
        parts = inner.split("/")
        folders = ["/".join(parts[:n]) for n in range(1, len(parts))]
        sources = [self._exact.get(f, []) for f in folders]
        sources += [c for g, c in sorted(self._globs.items()) if fnmatch.fnmatchcase(inner, g)]
        sources.append(self._exact.get(inner, []))
        cells: dict[str, tuple[str, str]] = {}
        for source in sources:
            for column, value, row in source:
                self._matched.add(row)
                if not value:
                    continue
                before = cells.get(column)
                same_place = before is not None and any(c == column and r == before[1] for c, _, r in source)
                if before is not None and same_place and before[0] != value:
                    two = {"column": column, "value": value, "allowed": f"{before[0]} (row {before[1]})"}
                    where = self._rows[row] | two
                    self.queries.append(make("SC022", **where))
                    continue
                cells[column] = (value, row)
        good = {column for column, (value, _) in cells.items() if self._is_valid(column, value)}
        return Override(
            {column: found for column, found in cells.items() if column in good},
            {column: found for column, found in cells.items() if column not in good},
        )

    def _is_valid(self, column: str, value: str) -> bool:
        if column == "scan_dtc":
            return dates.is_full(value) and bool(valid_date(value))
        return value in self._codes.get(column, self._subjects if column == "subject_id" else (value,))

    def invalid(self, override: Override, subject: str) -> list[Query]:
        """Queries on the cells that hold for a file of a subject and cannot be used; none where no subject is known."""
        out = []
        for column, (value, row) in sorted(override.invalid.items()) if self._subjects else ():
            codes = self._codes.get(column, ())
            given: dict[str, Any] = {
                "subject_id": subject,
                "column": column,
                "value": identifiers.coded_cell(value, codes) if codes else value,
                "allowed": ", ".join(codes)
                or (dates.ALLOWED_FULL if column == "scan_dtc" else "a subject_id of the table subjects"),
            }
            out.append(make("SC020", **self._rows[row] | given))
        return out

    def unmatched(self) -> list[Query]:
        """Queries on the rows that no file matched."""
        return [make("SC021", **where) for number, where in self._rows.items() if number not in self._matched]


def folder_subject(path: str, subjects: Mapping[str, str]) -> str:
    """Subject named by a folder: equal to a ``subject_id``, or ``sub-<label>`` with the same letters and digits.

    Parameters
    ----------
    path : str
        Relative to the study.
    subjects : mapping
        :func:`norm` of the identifier to ``subject_id``.
    """
    for part in _folders(path):
        found = subjects.get(norm(part.removeprefix("sub-")))
        if found and (part.startswith("sub-") or part.casefold() == found.casefold()):
            return found
    name = re.match(r"sub-([0-9A-Za-z]+)_", path.rsplit("/", 1)[-1])
    return subjects.get(norm(name.group(1)), "") if name else ""


def _folders(path: str) -> list[str]:
    """Folders of a path below ``mri``; an archive is a folder with its name."""
    return [re.sub(r"\.zip$", "", part, flags=re.IGNORECASE) for part in path.split("/")[1:-1]]


def named_visit(text: str, visits: Sequence[Visit]) -> tuple[Visit | None, bool]:
    """Visit with a label (any case) or number, and whether several rows of ``visits`` have it (then none is chosen)."""
    found = [v for v in visits if text == v.visit_num or text.casefold() == v.visit.casefold()]
    return (found[0] if len(found) == 1 else None), len(found) > 1


def folder_visit(path: str, visits: Sequence[Visit]) -> tuple[Visit | None, str]:
    """Visit named by a folder or a BIDS ``ses-`` label (letters and digits compared, any case).

    Returns
    -------
    tuple
        The visit, or None, and the label that fits more than one row of ``visits`` (empty when there is none such).
    """
    parts = _folders(path)
    name = re.search(r"_ses-([0-9A-Za-z]+)_", path.rsplit("/", 1)[-1])
    wanted = [p.removeprefix("ses-") for p in parts] + ([name.group(1)] if name else [])
    for want in wanted:
        found = [v for v in visits if norm(v.visit) == norm(want)]
        if found:
            return (found[0], "") if len(found) == 1 else (None, want)
    return None, ""


def days_between(first: str, second: str) -> int:
    """Whole days from one ISO date to another."""
    return (datetime.date.fromisoformat(second) - datetime.date.fromisoformat(first)).days


def dated_visit(date: str, visits: Sequence[Visit]) -> tuple[Visit | None, str]:
    """Visit whose start is nearest to a date, within its window.

    Returns
    -------
    tuple
        The visit, or None, and the reason.
    """
    near = []
    for visit in visits:
        if visit.start:
            days = days_between(visit.start, date)
            if -visit.minus <= days <= visit.plus:
                near.append((abs(days), days, visit))
    if not near:
        return None, "no visit has the date within its window"
    least = min(n[0] for n in near)
    best = [n for n in near if n[0] == least]
    if len(best) > 1:
        return None, f"visits {' and '.join(n[2].visit for n in best)} are equally near"
    days, visit = best[0][1], best[0][2]
    window = "" if visit.own_window else f", default window of {int(limit('limits', 'visit_window_days'))} days"
    return visit, f"date nearest to the visit's start ({days:+d} days{window})"
