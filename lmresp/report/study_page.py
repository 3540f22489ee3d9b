"""The study report: one self-contained page for the coordinator."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmresp import RESEARCH_USE, __version__, store
from lmresp.flags import flag_meaning
from lmresp.notation import row_ranges
from lmresp.report.agreement import agreement_view
from lmresp.report.components import BesideView, beside
from lmresp.report.days import weeks
from lmresp.report.endpoints import Pair, endpoints_view, subject_endpoints
from lmresp.report.figures import Course, Figure, by_subject, swimmer, timeline
from lmresp.report.flips import FlipView, flip_views
from lmresp.report.pages import render
from lmresp.report.study_data import Row, Rows, StudyData, load_study, scan_folder
from lmresp.report.wording import words

NO_CHARTER = "Charter not recorded"

_DRAFTED = ("NODULES", "LINEAR", "HYDROCEPHALUS")


@dataclasses.dataclass(frozen=True, slots=True)
class ScanLink:
    """A scan of a subject; ``href`` is "" when no page can be linked."""

    scan: str
    href: str
    status: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class VisitView:
    """What the page says about one visit."""

    row: Row
    week: float | None
    strands: Sequence[tuple[str, str, Row]]  # label, wording group, row of the strand
    steroids: Row  # empty where there is none
    flips: Sequence[FlipView]
    branches: Sequence[Row]
    scans: Sequence[ScanLink]


@dataclasses.dataclass(frozen=True, slots=True)
class SubjectView:
    """What the page says about one subject."""

    subject: str
    anchor: str
    facts: Sequence[tuple[str, str]]
    ending: str
    set_aside: Rows
    figure: Figure | None
    visits: Sequence[VisitView]
    endpoints: Sequence[Pair]
    beside: Sequence[BesideView]
    measures: Rows
    unlinked: Sequence[ScanLink]  # scans that no call names


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key that puts S-2 before S-10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text)]


def _visit_order(row: Row) -> tuple[float, str, str]:
    try:
        number = float(row.get("visit_num", ""))
    except ValueError:
        number = float("inf")
    return number, row.get("date", ""), row.get("visit", "")


def _same_visit(row: Row, other: Row) -> bool:
    return row.get("visit_num", "") == other.get("visit_num", "") and row.get("visit", "") == other.get("visit", "")


def _anchors(subjects: Sequence[str]) -> dict[str, str]:
    """Give each subject an id fit for a fragment: letters, digits and hyphens only, unique."""
    anchors: dict[str, str] = {}
    taken: set[str] = set()
    for subject in subjects:
        slug = "subject-" + re.sub(r"[^A-Za-z0-9]+", "-", subject).strip("-")
        unique, n = slug, 2
        while unique in taken:
            unique, n = f"{slug}-{n}", n + 1
        taken.add(unique)
        anchors[subject] = unique
    return anchors


def _courses(data: StudyData) -> dict[str, Course]:
    tables = {
        name: by_subject(getattr(data, name))
        for name in (
            "calls",
            "csf",
            "mri",
            "neuro",
            "steroids",
            "pathway",
            "visits",
            "treatments",
            "procedures",
            "disposition",
            "subjects",
        )
    }
    # A subject set aside may have no checked row left: the queries still name it.
    blocked = {row["subject_id"] for row in data.queries if row.get("sets_aside") == "Y"}
    names = set(tables["subjects"]) | set(tables["calls"]) | blocked | set(by_subject(data.best_response))
    names.discard("")
    courses = {}
    for name in sorted(names, key=lambda n: (_natural(n), n)):
        facts: Row = next(iter(tables["subjects"].get(name, [])), {})
        rest = {
            key: sorted(table.get(name, []), key=_visit_order) for key, table in tables.items() if key != "subjects"
        }
        courses[name] = Course(subject=name, facts=facts, **rest)
    return courses


def _scan_link(data: StudyData, scan: str) -> ScanLink:
    result = data.scans.get(scan, {})
    folder = scan_folder(scan)
    href = f"{folder}/{scan}_page.html" if folder and result else ""
    return ScanLink(scan, href, str(result.get("status", "")), str(result.get("reason", "")))


def _visit_view(data: StudyData, course: Course, row: Row) -> VisitView:
    start, day = course.start(), course.day(row)
    strands = [
        (label, group, next((r for r in rows if _same_visit(r, row)), {"status": row.get(group, "")}))
        for label, group, rows in (
            ("CSF", "csf", course.csf),
            ("MRI", "mri", course.mri),
            ("Neuro", "neuro", course.neuro),
        )
    ]
    return VisitView(
        row=row,
        week=weeks(day, start) if day and start else None,
        strands=strands,
        steroids=next((r for r in course.steroids if _same_visit(r, row)), {}),
        flips=flip_views(row.get("would_change", "")),
        branches=[branch for branch in course.pathway if _same_visit(branch, row)],
        scans=[_scan_link(data, scan) for scan in filter(None, row.get("scans", "").split(";"))],
    )


def _subject_view(data: StudyData, course: Course, anchor: str, tables: Mapping[str, Rows]) -> SubjectView:
    visits = [_visit_view(data, course, row) for row in course.calls]
    named = {link.scan for visit in visits for link in visit.scans}
    labels = (
        ("Arm", "arm"),
        ("First dose", "ref_start_dtc"),
        ("Primary tumour", "primary_tumour"),
        ("LM type", "lm_type"),
    )
    facts = [(label, course.facts.get(column, "")) for label, column in labels]
    scans = sorted(scan for scan, result in data.scans.items() if str(result.get("subject_id", "")) == course.subject)
    return SubjectView(
        subject=course.subject,
        anchor=anchor,
        facts=[fact for fact in facts if fact[1]],
        ending=course.end()[2],
        set_aside=tables["blocking"],
        figure=timeline(course),
        visits=visits,
        endpoints=subject_endpoints(tables["endpoints"]),
        beside=beside(sorted(tables["components"], key=_visit_order)),
        measures=tables["measures"],
        unlinked=[_scan_link(data, scan) for scan in scans if scan not in named],
    )


def charter_line(charter: Mapping[str, Any]) -> str:
    """Return the line by which every output names the charter; a record without one says so."""
    return str(charter.get("title_line") or NO_CHARTER)


def _reasons(calls: Rows) -> list[tuple[str, int]]:
    """Reasons why calls are provisional, each with the number of calls, the commonest first."""
    reasons: Counter[str] = Counter()
    for row in calls:
        if row.get("provisional") == "Y":
            parts = {part.strip() for part in row.get("provisional_reason", "").split(";")} - {""}
            reasons.update(parts or {"reason not given"})
    return sorted(reasons.items(), key=lambda item: (-item[1], item[0]))


def _provenance(data: StudyData) -> list[tuple[str, str]]:
    """Header facts: what the page was made from, and who answers for the calls."""
    charter: Mapping[str, Any] = data.provenance.get("charter") or {}
    criteria: Mapping[str, Any] = charter.get("criteria") or {}
    inputs = str(data.provenance.get("inputs_digest", ""))
    facts = [("Data cut", data.data_cut or "not given"), ("Software", f"lmresp {__version__}")]
    facts.append(("Inputs", f"sha256 {inputs[:12]}" if inputs else "digest not recorded"))
    reads: Mapping[str, Any] = data.provenance.get("reads") or {}
    if reads.get("entries"):
        facts.append(("Record of reads", f"{reads['locked']} of {reads['reads']} locked, head {reads['head']}"))
    signed = charter.get("signed") or {}
    agreed = ", ".join(str(signed[key]) for key in ("by", "date") if signed.get(key))
    facts.append(("Charter signed", agreed or "not signed by anyone"))
    if criteria:
        facts.append(("Criteria", str(criteria.get("title", ""))))
    counts = Counter(row.get("authority", "") for row in data.calls)
    facts.append(("Authority of the calls", ", ".join(f"{counts[e.value]} {e.letters}" for e in words("authority"))))
    return facts


def _tiles(data: StudyData, subjects: int, set_aside: int) -> list[tuple[str, str]]:
    calls = Counter(row.get("call", "") for row in data.calls)
    severity = Counter(row.get("severity", "") for row in data.queries)
    drafts = sum(row.get("mri_source") == "draft" for row in data.calls)
    provisional = sum(row.get("provisional") == "Y" for row in data.calls)
    return [
        (str(subjects), "subjects"),
        (str(set_aside), "subjects set aside"),
        (str(len(data.calls)), "visits with a call"),
        *((str(calls[entry.value]), entry.label) for entry in words("call")),
        (str(drafts), "calls on a draft MRI read"),
        (_left_open(data), "answers of draft scorecards left NE (nodules, film, hydrocephalus)"),
        (str(provisional), "provisional calls"),
        (str(severity["error"]), "queries: errors"),
        (str(severity["warning"]), "queries: warnings"),
    ]


def _left_open(data: StudyData) -> str:
    """Presence and change of the drafted brain items: how many the drafts left open, of how many asked."""
    answers = [
        answer
        for result in data.scans.values()
        for item in (result.get("scorecard") or {}).get("items", [])
        if item["compartment"] == "BRAIN" and item["item"] in _DRAFTED
        for answer in (item["presence"], item["change"])
        if answer is not None
    ]
    return f"{sum(answer == 'NE' for answer in answers)} of {len(answers)}"


def study_report(data: StudyData) -> str:
    """Render the study report.

    Parameters
    ----------
    data : StudyData
        Stored results; any table may be empty.

    Returns
    -------
    str
        One HTML page that needs no other file and no network. Links lead to the scan pages by paths relative to
        the results folder. Equal data give equal text.

    Notes
    -----
    The order follows what a coordinator has to do: queries first, then the endpoints and the overview of the
    study, then each subject.
    """
    courses = _courses(data)
    anchors = _anchors(list(courses))
    tables = {name: by_subject(getattr(data, name)) for name in ("components", "endpoints", "measures")}
    tables["blocking"] = by_subject([row for row in data.queries if row.get("sets_aside") == "Y"])
    subjects = [
        _subject_view(data, course, anchors[name], {key: table.get(name, []) for key, table in tables.items()})
        for name, course in courses.items()
    ]
    set_aside = [subject for subject in subjects if subject.set_aside]
    charter = charter_line(data.provenance.get("charter") or {})
    provisional = sum(row.get("provisional") == "Y" for row in data.calls)
    return render(
        "study.html.j2",
        style="study.css",
        script="study.js",
        data=data,
        running=f"{'PROVISIONAL. ' if provisional else ''}{charter}. {RESEARCH_USE}",
        charter=charter,
        provisional=provisional,
        reasons=_reasons(data.calls),
        provenance=_provenance(data),
        endpoints=endpoints_view(data),
        agreement=agreement_view(data),
        tiles=_tiles(data, len(subjects), len(set_aside)),
        anchors=anchors,
        severities=[
            entry for entry in words("severity") if any(q.get("severity") == entry.value for q in data.queries)
        ],
        swimmer=swimmer(list(courses.values())),
        best_response=sorted(data.best_response, key=lambda r: (_natural(r["subject_id"]), r["subject_id"])),
        subjects=subjects,
        set_aside=set_aside,
        flag_meaning=flag_meaning,
        sources=lambda row_ids: row_ranges(filter(None, row_ids.split(";"))),
    )


def write_study_report(results: Path, out: Path) -> None:
    """Write the study report from the results folder (edge).

    Parameters
    ----------
    results : Path
        ``derivatives/lmresp`` of a study, with ``work/study.json`` and ``provenance.json``.
    out : Path
        The page; its links expect it in ``results``.

    Raises
    ------
    FileNotFoundError
        If a file that the stages before always write is not there.
    """
    study = store.read_json(results / "work" / "study.json")
    record = store.read_json(results / "provenance.json")
    data = load_study(results, str(study["study_id"]), str(study["title"] or ""), str(study["data_cut"] or ""), record)
    store.write_text(out, study_report(data))
