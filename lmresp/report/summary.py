"""The plain text table of calls printed at the end of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lmresp import RESEARCH_USE, store
from lmresp.report.study_page import charter_line

_HEAD = ("subject", "visit", "call", "rule", "certainty", "provisional", "branch")


def _plain(text: str, longest: int = 40) -> str:
    """Keep printable characters only, so that no cell of a table can steer a terminal."""
    kept = "".join(c for c in text if c.isprintable())
    return kept if len(kept) <= longest else kept[: longest - 1] + "…"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def _response_rate(results: Path) -> list[str]:
    """Objective response rate of all subjects, confirmed and unconfirmed; no line where it was not estimated."""
    path = results / "rates.csv"
    rows = store.read_csv(path) if path.is_file() else []
    found = {row["confirmed"]: row for row in rows if (row["rate"], row["group"]) == ("ORR", "all")}
    texts = [
        f"{name} {row['responders']} of {row['subjects']} = {row['percent']} % "
        f"({row['clopper_pearson_low']} to {row['clopper_pearson_high']})"
        for key, name in (("Y", "confirmed"), ("N", "unconfirmed"))
        if (row := found.get(key))
    ]
    return [_plain(f"Objective response (95 % Clopper-Pearson): {'; '.join(texts)}.", 240)] if texts else []


def _charter(results: Path) -> list[str]:
    path = results / "work" / "charter.json"
    return [_plain(charter_line(store.read_json(path)), 240)] if path.is_file() else []


def run_summary(results: Path) -> str:
    """Table of calls and branches as plain text.

    Parameters
    ----------
    results : Path
        The results folder with ``calls.csv``, ``pathway.csv`` and ``queries.csv``.

    Returns
    -------
    str
        One line per call in the order of ``calls.csv``, then the objective response rate with its exact intervals, the
        queries counted, the charter and the research-use wording.

    Raises
    ------
    FileNotFoundError
        If one of the three tables is not there.
    """
    branches: dict[tuple[str, str, str], list[str]] = {}
    for row in store.read_csv(results / "pathway.csv"):
        branches.setdefault((row["subject_id"], row["visit_num"], row["visit"]), []).append(row["branch"])
    rows: list[Sequence[str]] = [_HEAD]
    for row in store.read_csv(results / "calls.csv"):
        branch = ", ".join(branches.get((row["subject_id"], row["visit_num"], row["visit"]), []))
        names = ("subject_id", "visit", "call", "rule_id", "certainty")
        provisional = "yes" if row["provisional"] == "Y" else "no"
        rows.append([_plain(text) for text in (*(row[name] for name in names), provisional, branch)])
    lines = _table(rows) if len(rows) > 1 else ["No calls."]
    lines += ["", *_response_rate(results)]
    queries = store.read_csv(results / "queries.csv")
    aside = sorted({row["subject_id"] for row in queries if row["sets_aside"] == "Y"} - {""})
    counts = ", ".join(
        f"{sum(row['severity'] == level for row in queries)} {words}"
        for level, words in (("error", "errors"), ("warning", "warnings"), ("info", "for information"))
    )
    lines += [f"Queries: {counts}."]
    if aside:
        lines.append(f"Set aside until solved: {', '.join(_plain(name) for name in aside)}.")
    return "\n".join([*lines, *_charter(results), RESEARCH_USE]) + "\n"
