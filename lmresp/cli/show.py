"""What the command line prints from stored results: queries and explanations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from lmresp import queries, store
from lmresp.errors import EXIT_DONE, EXIT_INVALID, StudyError


def print_queries(results: Path) -> int:
    """Print the queries on the tables and the index; exit code 2 when one of them is an error."""
    files = sorted((results / "work" / "tables").glob("*.queries.csv"))
    files += [results / "work" / f"{name}.queries.csv" for name in ("raw", "index", "study")]
    found = [queries.from_row(row) for path in files if path.is_file() for row in store.read_csv(path)]
    rows = queries.numbered(found)
    for row in rows:
        place = f"{row['file']} {row['sheet']}".strip() + (f", row {row['row']}" if row["row"] else "")
        place += f", column {row['column']}" if row["column"] else ""
        who = f" {row['subject_id']}" if row["subject_id"] else ""
        print(f"{row['query_id']} {row['code']} {row['severity']}{who}: {place}: {row['message']} {row['action']}")
    aside = sorted({row["subject_id"] for row in rows if row["sets_aside"] == "Y" and row["subject_id"]})
    count = "1 query." if len(rows) == 1 else f"{len(rows)} queries."
    print(count + (f" Set aside until mended: {', '.join(aside)}." if aside else ""))
    return EXIT_INVALID if any(row["severity"] == "error" for row in rows) else EXIT_DONE


NEEDED = {
    "calls": "calls.csv",
    "best_response": "best_response.csv",
    "pathway": "pathway.csv",
    "queries": "queries.csv",
    "csf": "work/csf.csv",
    "neuro": "work/neuro.csv",
    "mri": "work/mri.csv",
}
"""What an explanation is made from, and cannot do without."""
MANY_SUBJECTS = 20
"""Up to so many subjects are listed where one is not known."""
BESIDE = {"components": "components.csv", "endpoints": "endpoints.csv", "steroids": "work/steroids.csv"}
"""What it tells where it is there."""
WORDING = (
    *("call", "best", "csf", "neuro", "mri", "steroids", "source", "certainty", "authority", "component"),
    *("component_value", "confirmation", "parameter", "policy", "censored"),
)
"""Groups of the wording of the pages that an explanation uses."""


def print_explanation(results: Path, subject: str, visit: str | None, *, as_json: bool = False) -> int:
    """Print the whole chain of one subject in words, from rows to branch, or as JSON.

    Raises
    ------
    StudyError
        If the study has no results yet, or no such subject or visit.
    """
    from lmresp.ingest.identifiers import plain_cell
    from lmresp.response.explanation import explanation
    from lmresp.response.explanation_text import explanation_text, one_visit

    missing = [name for name in NEEDED.values() if not (results / name).is_file()]
    if missing:
        raise StudyError(
            f"there are no results yet ({missing[0]})", where=str(results), allowed="lmresp run STUDY first"
        )
    tables = explanation_tables(results)
    known = sorted({row["subject_id"] for row in tables["best_response"]})
    subject = plain_cell(subject)  # as the tables of results spell it
    if subject not in known:
        allowed = ", ".join(known[:MANY_SUBJECTS]) + (f", ... ({len(known)} subjects)" if known[MANY_SUBJECTS:] else "")
        raise StudyError(f"there is no subject {subject!r}", where=str(results), allowed=allowed)
    told = one_visit(explanation(subject, tables), visit)
    print(json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False) if as_json else explanation_text(told))
    return EXIT_DONE


def explanation_tables(results: Path) -> dict[str, list[dict[str, str]]]:
    """Read what explanations are made from; see :func:`lmresp.response.explanation.explanation`."""
    from lmresp.criteria import charter_from_record
    from lmresp.pathway.graph import load_graph
    from lmresp.pathway.wording import vocabulary
    from lmresp.report import wording

    files = {name: results / file for name, file in {**NEEDED, **BESIDE}.items()}
    tables = {name: store.read_csv(path) for name, path in files.items() if path.is_file()}
    charter = charter_from_record(store.read_json(results / "work" / "charter.json"))
    tables["charter"] = [{"title_line": charter.title_line}]
    pages = [
        {"kind": group, "key": each.value, "text": each.label} for group in WORDING for each in wording.words(group)
    ]
    tables["words"] = [*pages, *vocabulary(load_graph(charter.text("pathway")))]
    return tables


def explanation_lines(results: Path) -> Iterator[str]:
    """Give the explanation of every subject as one line of JSON (``explanations.jsonl``), sorted."""
    from lmresp.response.explanation import explanations

    for told in explanations(explanation_tables(results)):
        yield json.dumps(told, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
