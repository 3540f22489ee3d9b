"""``lmresp step``: one command per workflow rule. Parse, read, call the core, write; no logic of their own.

Heavy libraries are imported inside the step that needs them, so that a small job stays small.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmresp import queries, store
from lmresp.errors import EXIT_DONE

if TYPE_CHECKING:
    import pandas as pd

    from lmresp.criteria import Charter

STRANDS = ("csf", "neuro", "mri")
TEXT_OPTIONS = ("table_name", "data_cut", "scan")


def run_step(argv: Sequence[str]) -> int:
    """Run one workflow step; a step raises only for broken promises, never for bad data."""
    parser = argparse.ArgumentParser(prog="lmresp step", description="One step of the workflow (called by its rules).")
    steps = parser.add_subparsers(dest="step", required=True)
    for name, (_, names) in _STEPS.items():
        step = steps.add_parser(name)
        for option in names:
            if option == "queries_in":
                step.add_argument("--queries", type=Path, nargs="*", default=[], dest="queries_in")
            elif option == "files":
                step.add_argument("files", type=Path, nargs="*")
            else:
                step.add_argument(
                    f"--{option.replace('_', '-')}", type=str if option in TEXT_OPTIONS else Path, required=True
                )
    options = parser.parse_args(argv)
    _STEPS[options.step][0](options)
    return EXIT_DONE


def _frame(path: Path) -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False)


def _write_frame(path: Path, frame: pd.DataFrame) -> None:
    rows = ({str(name): value for name, value in row.items()} for row in frame.to_dict("records"))
    store.write_csv(path, rows, list(frame.columns))


def _write_queries(path: Path, found: Iterable[queries.Query]) -> None:
    store.write_csv(path, queries.numbered(found), queries.COLUMNS)


def _read_queries(paths: Iterable[Path]) -> list[queries.Query]:
    return [queries.from_row(row) for path in paths for row in store.read_csv(path)]


def _charter(path: Path) -> Charter:
    from lmresp.criteria import charter_from_record

    return charter_from_record(store.read_json(path))


def _scan_results(index: Path) -> list[dict[str, Any]]:
    from lmresp.cli.plan import result_path

    results = index.parent.parent
    scans = sorted(entry["scan"] for entry in store.read_json(index)["scans"])
    return [store.read_json(results / result_path(scan)) for scan in scans]


def _ingest_table(o: argparse.Namespace) -> None:
    from lmresp.ingest.tables import ingest_table

    ingest_table(o.raw, o.table_name, o.rows, o.queries, data_cut=o.data_cut)


def _check_study(o: argparse.Namespace) -> None:
    from lmresp.ingest.cross_checks import check_study_files
    from lmresp.ingest.study import open_study

    check_study_files(open_study(o.study), o.queries)


def _one_core() -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
        os.environ[name] = "1"  # one core per job: other jobs use the rest, and the bytes repeat


def _align_subject(o: argparse.Namespace) -> None:
    _one_core()
    from lmresp.mri.subject_space import align_subject

    align_subject(o.study, [store.read_json(record) for record in o.files], o.results)


def _measure_scan(o: argparse.Namespace) -> None:
    _one_core()
    from lmresp.mri.scan import measure_scan

    earlier = [file.name.removesuffix("_scan.json") for file in o.files]
    measure_scan(o.study, store.read_json(o.record), o.results, earlier)


def _draw_pages(o: argparse.Namespace) -> None:
    _one_core()
    from lmresp.report.scan_page import write_scan_page
    from lmresp.report.spine_page import write_spine_page

    write_scan_page(o.results, o.scan)
    write_spine_page(o.results, o.scan)


def _grade_csf(o: argparse.Namespace) -> None:
    from lmresp.csf.cytology import grade_csf

    rows, found = grade_csf(_frame(o.table), _frame(o.subjects), _frame(o.visits), _charter(o.charter))
    _write_frame(o.rows, rows)
    _write_queries(o.queries, found)


def _grade_steroids(o: argparse.Namespace) -> None:
    from lmresp.steroids.dosing import grade_steroids

    rows, found = grade_steroids(_frame(o.table), _frame(o.subjects), _frame(o.visits), _charter(o.charter))
    _write_frame(o.rows, rows)
    _write_queries(o.queries, found)


def _grade_neuro(o: argparse.Namespace) -> None:
    from lmresp.neuro.examination import grade_neuro
    from lmresp.steroids.effect import apply_steroids

    charter = _charter(o.charter)
    rows, found = grade_neuro(_frame(o.table), _frame(o.subjects), _frame(o.visits), charter)
    _write_frame(o.rows, apply_steroids(rows, _frame(o.steroids), charter))
    _write_queries(o.queries, found)


def _grade_mri(o: argparse.Namespace) -> None:
    from lmresp.mri.measures import measures_table
    from lmresp.mri.scorecard import grade_mri

    scans = _scan_results(o.index)
    rows, found = grade_mri(_frame(o.reads), scans, _frame(o.subjects), _frame(o.visits), _charter(o.charter))
    _write_frame(o.rows, rows)
    _write_frame(o.measures, measures_table(scans, _frame(o.measured)))
    from_scans = [queries.from_row(row) for scan in scans for row in scan["queries"]]
    _write_queries(o.queries, [*found, *from_scans])


def _set_aside(paths: Iterable[Path]) -> dict[str, str]:
    """Subjects with a blocking query, and its message (of several the worst)."""
    return {q.subject_id: q.message for q in reversed(_read_queries(paths)) if q.sets_aside == "Y"}


def _call_visits(o: argparse.Namespace) -> None:
    from lmresp.response.call import call_visits

    csf, neuro, mri, steroids = (_frame(path) for path in (o.csf, o.neuro, o.mri, o.steroids))
    _write_frame(o.calls, call_visits(csf, neuro, mri, _charter(o.charter), _set_aside(o.queries_in), steroids))


def _list_components(o: argparse.Namespace) -> None:
    from lmresp.response.components import components

    csf, neuro, mri, steroids = (_frame(path) for path in (o.csf, o.neuro, o.mri, o.steroids))
    rows, found = components(csf, neuro, mri, steroids, _frame(o.facts), _frame(o.subjects), _charter(o.charter))
    _write_frame(o.components, rows)
    _write_queries(o.queries, found)


def _follow_subjects(o: argparse.Namespace) -> None:
    from lmresp.response.best import best_response
    from lmresp.response.time_to_event import time_to_event

    calls, charter, tables, aside = _frame(o.calls), _charter(o.charter), _tables(o.tables), _set_aside(o.queries_in)
    strands = {name: _frame(getattr(o, name)) for name in STRANDS}
    data_cut = str(store.read_json(o.study)["data_cut"] or "")
    best = best_response(calls, strands, tables, charter, aside, data_cut=data_cut)
    endpoints, found = time_to_event(calls, best, strands, tables, charter, aside, data_cut=data_cut)
    _write_frame(o.best, best)
    _write_frame(o.endpoints, endpoints)
    _write_queries(o.queries_out, found)


def _estimate(o: argparse.Namespace) -> None:
    from lmresp.statistics.rates import rates
    from lmresp.statistics.survival import survival

    charter, subjects, endpoints = _charter(o.charter), _frame(o.subjects), _frame(o.endpoints)
    _write_frame(o.rates, rates(_frame(o.best), endpoints, _frame(o.csf), _frame(o.neuro), subjects, charter))
    medians, curve = survival(endpoints, subjects, charter)
    _write_frame(o.survival, medians)
    _write_frame(o.curve, curve)


def _agree(o: argparse.Namespace) -> None:
    from lmresp.mri.rated_numbers import rated_numbers
    from lmresp.mri.ratings import ratings
    from lmresp.statistics.adjudication import adjudication
    from lmresp.statistics.agreement import agreement
    from lmresp.statistics.drift import drift
    from lmresp.statistics.first_progression import first_progression
    from lmresp.statistics.review_list import doubts, review_list

    scans, charter = _scan_results(o.index), _charter(o.charter)
    reads, subjects, visits = (_frame(path) for path in (o.reads, o.subjects, o.visits))
    rated = ratings(reads, scans, subjects, visits, charter)
    numbers = rated_numbers(reads, _frame(o.measured), scans, subjects, visits, charter)
    table, counts = agreement(rated, numbers, [*first_progression(rated), *adjudication(rated)])
    _write_frame(o.agreement, table)
    _write_frame(o.counts, counts)
    _write_frame(o.cases, review_list(rated))
    _write_frame(o.drift, drift(rated))
    _write_queries(o.queries, doubts(rated))


def _tables(folder: Path) -> dict[str, pd.DataFrame]:
    return {path.stem: _frame(path) for path in sorted(folder.glob("*.csv")) if "." not in path.stem}


def _find_branches(o: argparse.Namespace) -> None:
    from lmresp.pathway.branches import find_branches

    strands = {name: _frame(getattr(o, name)) for name in STRANDS}
    _write_frame(o.pathway, find_branches(_frame(o.calls), strands, _tables(o.tables), _charter(o.charter)))


def _explain_subjects(o: argparse.Namespace) -> None:
    from lmresp.cli.show import explanation_lines

    store.write_text(o.explanations, "".join(explanation_lines(o.results)))


def _collect_queries(o: argparse.Namespace) -> None:
    from lmresp.ingest.tables import with_visit_labels

    _write_queries(o.out, with_visit_labels(_read_queries(o.files), store.read_csv(o.visits)))


def _write_provenance(o: argparse.Namespace) -> None:
    from lmresp.provenance import dataset_description, provenance

    scans = _scan_results(o.index)
    raw = sorted(o.raw.glob("*.csv"))
    study, charter, reads = (store.read_json(path) for path in (o.study, o.charter, o.reads))
    record = provenance(study, charter, raw, o.index.parent / "scans", scans, reads)
    store.write_json(o.out, record)
    store.write_json(o.dataset, dataset_description(study))


def _write_report(o: argparse.Namespace) -> None:
    from lmresp.report import write_study_report

    write_study_report(o.results, o.out)


_STEPS: dict[str, tuple[Callable[[argparse.Namespace], None], tuple[str, ...]]] = {
    "ingest-table": (_ingest_table, ("table_name", "data_cut", "raw", "rows", "queries")),
    "check-study": (_check_study, ("study", "queries")),
    "align-subject": (_align_subject, ("study", "results", "files")),
    "measure-scan": (_measure_scan, ("study", "record", "results", "files")),
    "draw-pages": (_draw_pages, ("results", "scan")),
    "grade-csf": (_grade_csf, ("table", "charter", "subjects", "visits", "rows", "queries")),
    "grade-steroids": (_grade_steroids, ("table", "charter", "subjects", "visits", "rows", "queries")),
    "grade-neuro": (_grade_neuro, ("table", "steroids", "charter", "subjects", "visits", "rows", "queries")),
    "grade-mri": (
        _grade_mri,
        ("index", "charter", "reads", "measured", "subjects", "visits", "rows", "measures", "queries"),
    ),
    "call-visits": (_call_visits, (*STRANDS, "steroids", "charter", "queries_in", "calls")),
    "list-components": (
        _list_components,
        (*STRANDS, "steroids", "facts", "subjects", "charter", "components", "queries"),
    ),
    "follow-subjects": (
        _follow_subjects,
        ("calls", *STRANDS, "charter", "study", "tables", "queries_in", "best", "endpoints", "queries_out"),
    ),
    "estimate": (
        _estimate,
        ("best", "endpoints", "csf", "neuro", "charter", "subjects", "rates", "survival", "curve"),
    ),
    "agree": (
        _agree,
        (
            *("index", "charter", "reads", "measured", "subjects", "visits"),
            *("agreement", "counts", "cases", "drift", "queries"),
        ),
    ),
    "find-branches": (_find_branches, ("calls", "csf", "neuro", "mri", "charter", "tables", "pathway")),
    "explain-subjects": (_explain_subjects, ("results", "explanations")),
    "collect-queries": (_collect_queries, ("out", "visits", "files")),
    "write-provenance": (_write_provenance, ("study", "index", "charter", "raw", "reads", "out", "dataset")),
    "write-report": (_write_report, ("results", "out")),
}
