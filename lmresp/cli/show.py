"""What the command line prints from stored results: queries and explanations."""

from __future__ import annotations

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


def print_explanation(results: Path, subject: str, visit: str | None) -> int:
    """Print the whole chain of one subject in words, from rows to branch.

    Raises
    ------
    StudyError
        If the study has no results yet, or no such subject or visit.
    """
    from lmresp.response.explain import explain

    names = {
        "calls": "calls.csv",
        "best_response": "best_response.csv",
        "pathway": "pathway.csv",
        "queries": "queries.csv",
        "csf": "work/csf.csv",
        "neuro": "work/neuro.csv",
        "mri": "work/mri.csv",
    }
    missing = [name for name in names.values() if not (results / name).is_file()]
    if missing:
        raise StudyError(
            f"there are no results yet ({missing[0]})", where=str(results), allowed="lmresp run STUDY first"
        )
    tables = {key: store.read_csv(results / name) for key, name in names.items()}
    known = sorted({row["subject_id"] for row in tables["best_response"]})
    if subject not in known:
        raise StudyError(f"there is no subject {subject!r}", where=str(results), allowed=", ".join(known))
    print(explain(subject, visit, tables))
    return EXIT_DONE
