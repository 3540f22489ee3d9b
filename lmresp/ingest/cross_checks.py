"""Checks between tables: subjects, dates against death, windows and procedures, baseline, order of visits."""

from __future__ import annotations

import datetime
import itertools
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from lmresp.ingest import dates
from lmresp.ingest.row_check import Row
from lmresp.ingest.spec import TABLES, table_spec
from lmresp.ingest.study import Study
from lmresp.ingest.tables import collect_queries, set_aside_subjects, with_visit_labels, write_queries
from lmresp.queries import Query, make
from lmresp.store import read_csv, read_json

Tables = Mapping[str, Sequence[Row]]

# What counts as an assessment of each strand, and where a scan date can stand.
_ASSESSMENTS = {"csf": "collected_dtc", "neuro": "exam_dtc", "mri_reads": "scan_dtc", "mri_measures": "scan_dtc"}
_MRI = ("mri_reads", "mri_measures", "scans")


@cache
def _limit(name: str) -> int:
    text = files("lmresp.ingest").joinpath("checks.yaml").read_text(encoding="utf-8")
    return int(yaml.safe_load(text)[name]["value"])


def check_study(
    tables: Tables,
    study: Study,
    *,
    scans: Iterable[Mapping[str, Any]] = (),
    set_aside: Collection[str] = (),
) -> list[Query]:
    """Check the tables of a study against one another.

    Parameters
    ----------
    tables : mapping of str to sequence of mapping
        Checked rows by table name, as :func:`lmresp.ingest.tables.check_table` returns them.
    study : Study
        The study.
    scans : iterable of mapping
        Scan records of the index (``subject_id``, ``scan_date``): their dates count as baseline MRI and are held
        against lumbar punctures.
    set_aside : collection of str
        Subjects that already have a query that sets them aside. They may lack rows for that reason, so that they get no
        query for a missing subject, visit or baseline.

    Returns
    -------
    list of Query
        IN005 (death), IN006, IN009, IN010, IN014, IN017, IN018, IN019, IN031, IN034, IN039,
        IN042, IN043 and IN044.

    Notes
    -----
    Limits in days and hours stand in ``checks.yaml``. A partial date is held against a limit only where every day
    that it can mean is on the wrong side.
    """
    scan_rows = [_scan_row(scan) for scan in scans]
    queries = [
        *_study_ids(tables, study),
        *_unknown_subjects(tables, set_aside),
        *_after_death(tables),
        *_before_birth(tables),
        *_windows(tables),
        *_unknown_visits(tables, set_aside),
        *_records_of_visits_not_done(tables),
        *_deaths_of_the_living(tables),
        *_csf_conflicts(tables),
        *_mri_after_puncture(tables, scan_rows),
        *_steroid_overlaps(tables),
        *_baseline(tables, scan_rows, set_aside),
        *_visit_order(tables),
    ]
    return with_visit_labels(dict.fromkeys(queries), tables.get("visits", ()))


def check_study_files(study: Study, out_queries: str | os.PathLike[str]) -> None:
    """Run :func:`check_study` on ``work/tables`` and the index of a study, and write its queries.

    Parameters
    ----------
    study : Study
        The study; ``work/tables/*.csv`` and their query files are read, ``work/scans/*.json`` where there are any.
    out_queries : path-like
        Destination, always written.
    """
    folder = study.results / "work" / "tables"
    paths = {table: folder / f"{table}.csv" for table in TABLES}
    tables = {table: read_csv(path) for table, path in paths.items() if path.is_file()}
    aside = set_aside_subjects(collect_queries(folder / f"{table}.queries.csv" for table in TABLES))
    scans = [read_json(path) for path in sorted(Path(study.results / "work" / "scans").glob("*.json"))]
    write_queries(out_queries, check_study(tables, study, scans=scans, set_aside=aside))


def _scan_row(scan: Mapping[str, Any]) -> Row:
    names = {"subject_id": "subject_id", "visit_num": "visit_num", "scan_dtc": "scan_date"}
    return {**{name: str(scan.get(key) or "") for name, key in names.items()}, "row_id": f"mri:{scan.get('scan', '')}"}


def _ask(code: str, table: str, row: Row, column: str, value: str, allowed: str, **extra: Any) -> Query:
    source, _, number = row["row_id"].rpartition(":")
    file, _, sheet = source.partition("/")
    named = number.isdigit()
    return make(
        code,
        subject_id=row.get("subject_id", ""),
        visit=row.get("visit", "") or row.get("visit_num", ""),
        file=file if named else "mri",
        sheet=sheet if named else "",
        row=number if named else "",
        column=column,
        value=value,
        allowed=allowed,
        place=(f"{file} sheet {sheet} row {number}" if sheet else f"{file} row {number}") if named else row["row_id"],
        **{"table": table, **extra},
    )


def _by_subject(rows: Iterable[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["subject_id"]].append(row)
    return groups


def _subjects(tables: Tables) -> dict[str, Row]:
    return {row["subject_id"]: row for row in tables.get("subjects", ())}


def _assessments(tables: Tables) -> Iterable[tuple[str, str, Row]]:
    return ((table, column, row) for table, column in _ASSESSMENTS.items() for row in tables.get(table, ()))


def _study_ids(tables: Tables, study: Study) -> Iterable[Query]:
    for row in tables.get("subjects", ()):
        if row["study_id"] != study.study_id:
            yield _ask("IN031", "subjects", row, "study_id", row["study_id"], study.study_id)


def _unknown_subjects(tables: Tables, set_aside: Collection[str]) -> Iterable[Query]:
    if not tables.get("subjects"):
        return  # the table itself is asked for; a query for every subject of every table would bury that
    known = _subjects(tables).keys() | set(set_aside)
    for table in TABLES[1:]:
        for subject, rows in sorted(_by_subject(tables.get(table, ())).items()):
            if subject and subject not in known:
                allowed = "a subject_id of the table subjects"
                yield _ask("IN009", table, rows[0], "subject_id", subject, allowed, rows=len(rows))


def _after_death(tables: Tables) -> Iterable[Query]:
    died = {row["subject_id"]: row["dtc"] for row in tables.get("disposition", ()) if row["event"] == "DEATH"}
    deaths = {
        subject: dates.latest(row["death_dtc"] or died.get(subject, "")) for subject, row in _subjects(tables).items()
    }
    for table in TABLES[1:]:
        column = table_spec(table).date
        for row in tables.get(table, ()) if column else ():
            death, day = deaths.get(row["subject_id"]), dates.earliest(row[column])
            if death and day and day > death:
                limit = f"the death of the subject ({death.isoformat()})"
                allowed = f"up to {death.isoformat()}"
                yield _ask("IN005", table, row, column, row[column], allowed, limit=limit, sets_aside=True)

    for row in tables.get("subjects", ()):
        death, day = deaths[row["subject_id"]], dates.earliest(row["last_alive_dtc"])
        if death and day and day > death:
            limit, allowed = f"the death of the subject ({death.isoformat()})", f"up to {death.isoformat()}"
            day_text = row["last_alive_dtc"]
            yield _ask("IN005", "subjects", row, "last_alive_dtc", day_text, allowed, limit=limit, sets_aside=True)


def _before_birth(tables: Tables) -> Iterable[Query]:
    """Find dates before birth.

    No birth date is kept. Who was 57 (or 57.9) years old at the first dose was born less than 58 years before it.
    """
    births: dict[str, datetime.date] = {}
    subjects = _subjects(tables)
    for subject, row in subjects.items():
        start = dates.earliest(row["ref_start_dtc"])
        if start and row["age"]:
            births[subject] = _years_before(start, int(Decimal(row["age"])) + 1)
    for table in TABLES:
        columns = [c.name for c in table_spec(table).columns.values() if c.type in ("dtc", "datetime")]
        for row in tables.get(table, ()):
            birth = births.get(row["subject_id"])
            for column in columns if birth else ():
                day = dates.latest(row[column])
                if birth and day and day < birth:
                    known = subjects[row["subject_id"]]
                    more = {"age": known["age"], "other": known["ref_start_dtc"]}
                    yield _ask("IN039", table, row, column, row[column], f"{birth.isoformat()} or later", **more)


def _years_before(day: datetime.date, years: int) -> datetime.date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:  # 29 February of a year that is not a leap year
        return day.replace(year=day.year - years, day=28)


def _windows(tables: Tables) -> Iterable[Query]:
    subjects = _subjects(tables)
    windows: dict[str, list[tuple[datetime.date, datetime.date]]] = defaultdict(list)
    for row in tables.get("visits", ()):
        start = dates.earliest(subjects.get(row["subject_id"], {}).get("ref_start_dtc", ""))
        if start and row["planned_day"] and row["window_minus"] and row["window_plus"]:
            day = int(row["planned_day"])
            # Day 1 is the first dose and there is no day 0.
            planned = start + datetime.timedelta(days=day - 1 if day > 0 else day)
            before, after = (datetime.timedelta(days=int(row[name])) for name in ("window_minus", "window_plus"))
            windows[row["subject_id"]].append((planned - before, planned + after))
    seen = set()
    for table, column, row in _assessments(tables):
        spans, day_of = windows.get(row["subject_id"]), dates.earliest(row[column])
        unscheduled = "." in row.get("visit_num", "")
        once = (row["subject_id"], table, day_of)
        if spans and day_of and not unscheduled and once not in seen and not any(a <= day_of <= b for a, b in spans):
            seen.add(once)
            allowed = ", ".join(f"{a.isoformat()} to {b.isoformat()}" for a, b in sorted(spans))
            yield _ask("IN006", table, row, column, row[column], allowed)


def _unknown_visits(tables: Tables, set_aside: Collection[str]) -> Iterable[Query]:
    visits = {
        subject: {row["visit_num"] for row in rows} for subject, rows in _by_subject(tables.get("visits", ())).items()
    }
    subjects = _subjects(tables)
    seen: set[tuple[str, ...]] = set()
    for table, _, row in _assessments(tables):
        subject, number = row["subject_id"], row["visit_num"]
        known = visits.get(subject, set())
        once = (subject, table, number) if known else (subject,)  # without any visit one query says it
        if number and number not in known and once not in seen and subject in subjects and subject not in set_aside:
            seen.add(once)
            yield _ask("IN034", table, row, "visit_num", number, ", ".join(sorted(known, key=Decimal)) or "none")


def _records_of_visits_not_done(tables: Tables) -> Iterable[Query]:
    missed = {
        (row["subject_id"], Decimal(row["visit_num"])): row["visit"]
        for row in tables.get("visits", ())
        if row["status"] == "NOT DONE"
    }
    for table, column, row in _assessments(tables):
        number = row.get("visit_num", "")
        visit = missed.get((row["subject_id"], Decimal(number))) if number else None
        if visit is not None and row.get("result", "") != "NOT DONE" and not row.get("not_assessed_reason", ""):
            yield _ask("IN042", table, row, column, row[column], "a visit that was done", missed=visit)


def _deaths_of_the_living(tables: Tables) -> Iterable[Query]:
    for row in tables.get("subjects", ()):
        if row["death_dtc"] and row["death_fl"] == "N":
            yield _ask("IN043", "subjects", row, "death_fl", row["death_fl"], "Y, or no date of death")
    subjects = _subjects(tables)
    for row in tables.get("neuro", ()):
        known = subjects.get(row["subject_id"])
        if row["instrument"] == "ECOG" and row["score"] == "5" and known and not known["death_dtc"]:
            yield _ask("IN044", "neuro", row, "score", row["score"], "0 to 4, or a date of death in subjects")


def _csf_conflicts(tables: Tables) -> Iterable[Query]:
    hours = _limit("csf_conflict_hours")
    for _, rows in sorted(_by_subject(tables.get("csf", ())).items()):
        evaluable = [row for row in rows if row["result"] not in ("NOT EVALUABLE", "NOT DONE")]
        for place, row in enumerate(evaluable):
            for other in evaluable[place + 1 :]:
                if (
                    row["method"] == other["method"]
                    and row["result"] != other["result"]
                    and _hours_between(row["collected_dtc"], other["collected_dtc"]) <= hours
                ):
                    value, against = (f"{r['result']} of {r['collected_dtc']} ({r['site']})" for r in (row, other))
                    yield _ask("IN010", "csf", row, "result", value, "one result", other=against, hours=hours)


def _hours_between(one: str, other: str) -> float:
    """Hours between two dates; whole days where a time is missing."""
    first, second = dates.moment(one), dates.moment(other)
    if first and second:
        return abs((first - second).total_seconds()) / 3600
    days = [dates.earliest(text) for text in (one, other)]
    return abs((days[0] - days[1]).days) * 24.0 if days[0] and days[1] else float("inf")


def _mri_after_puncture(tables: Tables, scan_rows: Sequence[Row]) -> Iterable[Query]:
    """Find MRI after a lumbar puncture.

    A lumbar CSF sample is a lumbar puncture. On the same day the MRI usually comes first, so that day counts only
    where both times are given.
    """
    punctures: dict[str, set[str]] = defaultdict(set)
    for row in tables.get("procedures", ()):
        if row["kind"] == "LUMBAR PUNCTURE":
            punctures[row["subject_id"]].add(row["start_dtc"])
    for row in tables.get("csf", ()):
        if row["site"] == "LUMBAR" and row["result"] != "NOT DONE":
            punctures[row["subject_id"]].add(row["collected_dtc"])
    limit, seen = _limit("mri_after_lp_days"), set()
    scans = [(t, row) for t in ("mri_reads", "mri_measures") for row in tables.get(t, ())] + [
        ("scans", r) for r in scan_rows
    ]
    for table, row in scans:
        day = row["scan_dtc"]
        after = [(gap, lp) for lp in punctures.get(row["subject_id"], ()) if (gap := _days_after(day, lp)) is not None]
        near = min((pair for pair in after if pair[0] <= limit), default=None)
        if near and (row["subject_id"], day[:10]) not in seen:
            seen.add((row["subject_id"], day[:10]))
            allowed = f"MRI before the puncture or more than {limit} days after it"
            yield _ask("IN014", table, row, "scan_dtc", day, allowed, other=near[1], days=near[0])


def _days_after(scan: str, puncture: str) -> int | None:
    first, second = dates.moment(puncture), dates.moment(scan)
    if first and second and first.date() == second.date():
        return 0 if second > first else None
    lp, mri = dates.earliest(puncture), dates.earliest(scan)
    return (mri - lp).days if lp and mri and mri > lp else None


def _steroid_overlaps(tables: Tables) -> Iterable[Query]:
    groups: dict[tuple[str, str, str], list[tuple[datetime.date, datetime.date, Row]]] = defaultdict(list)
    for row in tables.get("steroids", ()):
        start, end = dates.earliest(row["start_dtc"]), dates.latest(row["end_dtc"]) or datetime.date.max
        if start:
            key = (row["subject_id"], row["drug"].casefold(), row["route"].casefold())
            groups[key].append((start, end, row))
    for key in sorted(groups):
        intervals = sorted(groups[key], key=lambda one: one[:2])
        for (_, end, row), (start, _, later) in itertools.pairwise(intervals):
            if start < end:  # ending and starting on one day is a change of dose, not an overlap
                allowed = f"an end_dtc up to {later['start_dtc']}"
                more = {"start": row["start_dtc"], "other": later["start_dtc"], "drug": row["drug"]}
                yield _ask("IN017", "steroids", row, "end_dtc", row["end_dtc"], allowed, **more)


def _baseline(tables: Tables, scan_rows: Sequence[Row], set_aside: Collection[str]) -> Iterable[Query]:
    days = _limit("baseline_days")
    mri = [*(row for table in _MRI for row in tables.get(table, ())), *scan_rows]
    done_csf = [row for row in tables.get("csf", ()) if row["result"] != "NOT DONE"]
    strands = (
        ("MRI", _days_by_subject(mri, "scan_dtc")),
        ("CSF sample", _days_by_subject(done_csf, "collected_dtc")),
        ("neurological examination", _days_by_subject(tables.get("neuro", ()), "exam_dtc")),
    )
    for subject, row in _subjects(tables).items():
        column = "rand_dtc" if row["rand_dtc"] else "ref_start_dtc"
        origin = dates.earliest(row[column])
        if origin is None or subject in set_aside:
            continue
        first = origin - datetime.timedelta(days=days)
        for what, found in strands:
            if not any(first <= day <= origin for day in found.get(subject, ())):
                allowed = f"{first.isoformat()} to {origin.isoformat()}"
                yield _ask("IN018", "subjects", row, column, row[column], allowed, what=what, days=days)


def _days_by_subject(rows: Iterable[Row], column: str) -> dict[str, list[datetime.date]]:
    found: dict[str, list[datetime.date]] = defaultdict(list)
    for row in rows:
        day = dates.earliest(row[column])
        if day:
            found[row["subject_id"]].append(day)
    return found


def _visit_order(tables: Tables) -> Iterable[Query]:
    for _, rows in sorted(_by_subject(tables.get("visits", ())).items()):
        dated = [(Decimal(row["visit_num"]), row) for row in rows if dates.latest(row["start_dtc"])]
        ordered = [row for _, row in sorted(dated, key=lambda pair: pair[0])]
        for row, later in itertools.pairwise(ordered):
            first, last = dates.earliest(row["start_dtc"]), dates.latest(later["start_dtc"])
            if first and last and last < first:
                more = {"other": row["visit"] or row["visit_num"], "other_date": row["start_dtc"]}
                allowed = f"{first.isoformat()} or later"
                yield _ask("IN019", "visits", later, "start_dtc", later["start_dtc"], allowed, **more)
