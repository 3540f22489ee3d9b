"""``lmresp charter``: what a charter decides, in tables that a clinician can read, check and compare."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lmresp import RESEARCH_USE
from lmresp.criteria import Charter, Scheme, load_charter, read_charter
from lmresp.criteria.cells import INPUT_ORDER, STRANDS
from lmresp.criteria.charter import check_signature
from lmresp.criteria.compare import ANSWER_COLUMNS, compare_charters
from lmresp.errors import EXIT_DONE, CriteriaError, StudyError
from lmresp.ingest.study import open_study
from lmresp.pathway.graph import load_graph
from lmresp.terms import Certainty

EXIT_SAME, EXIT_DIFFERENT = 0, 1
SHIPPED = "default"
"""The word for the charter that lmresp ships."""
PLAIN_WIDTH = 150
MIN_WIDTH = 100
MARKS = {
    Certainty.SEEN: "S",
    Certainty.SEEN_SECONDARY: "s",
    Certainty.INFERRED: "i",
    Certainty.RECALLED: "r",
    Certainty.CONVENTION: "c",
}


def run_charter_command(options: argparse.Namespace) -> int:
    """Run one ``lmresp charter`` command and return its exit code."""
    if options.action == "diff":
        return _diff(options.a, options.b)
    return _show(options.charter) if options.action == "show" else _check(options.charter)


def usable_charter(study_charter: Path | None) -> Charter:
    """Load the charter of a study together with the pathway graph that it names.

    Raises
    ------
    lmresp.errors.LmrespError
        If the charter cannot be used, or there is no such graph.
    """
    charter = load_charter(study_charter)
    _check_pathway(charter, study_charter.name if study_charter else SHIPPED)
    return charter


def _check_pathway(charter: Charter, where: str) -> None:
    try:
        load_graph(charter.text("pathway"))
    except CriteriaError as error:
        raise CriteriaError(error.what, where=error.where or where, allowed=error.allowed) from None


def _open(named: str) -> tuple[Charter, str]:
    """Read a charter, whatever its signature says, and name where it was found."""
    if named == SHIPPED:
        return read_charter(), "the shipped charter"
    path = Path(named)
    if path.is_dir():
        own = open_study(path).charter
        where = f"{own.name} of the study" if own else "the shipped charter; the study has none of its own"
        return read_charter(own), where
    if not path.is_file():
        allowed = f"a charter.yaml, a study folder, or {SHIPPED}"
        raise StudyError(f"there is no charter {named!r}", allowed=allowed)
    return read_charter(path), path.name


def _show(named: str) -> int:
    charter, where = _open(named)
    _lines(charter.title_line, f"Read from: {where}.", "")
    _print_calls(charter)
    own = [rule for rule in charter.scheme.rules if rule not in charter.base_scheme.rules]
    if own:
        _lines("Cells set by this charter (the first that matches decides):")
        rows = [
            [rule.rule_id, _when(dict(rule.when)), rule.output, rule.certainty, _prose(rule.citation, rule.note)]
            for rule in own
        ]
        _table(["rule", "when", "call", "certainty", "source and note"], rows)
    _lines("Other tables in force:")
    others = [(name, table) for name, table in charter.tables.items() if name != "visit_call"]
    _table(["table", "what it decides", "combinations by certainty"], [[n, t.title, _counts(t)] for n, t in others])
    _lines("Settings:")
    settings = [
        [name, _value(each.value), each.certainty, each.set_by, _prose(each.meaning, each.source, each.note)]
        for name, each in charter.settings.items()
    ]
    _table(["setting", "value", "certainty", "set by", "meaning, source and note"], settings)
    _lines(RESEARCH_USE)
    return EXIT_DONE


def _print_calls(charter: Charter) -> None:
    scheme, own = charter.scheme, {rule.rule_id for rule in charter.base_scheme.rules}
    words = {name: [word.value for word in STRANDS[name]] for name in INPUT_ORDER}
    cells = {tuple(row[:3]): row[3:] for row in _rows(scheme.combinations(), [*INPUT_ORDER, "call", "rule_id"])}
    mark = {rule.rule_id: MARKS[rule.certainty] + "*" * (rule.rule_id not in own) for rule in scheme.rules}
    _lines(f"Calls by {scheme.scheme_id}: {scheme.title}.", _counts(scheme) + ".")
    marks = ", ".join(f"{letter} {level.value}" for level, letter in MARKS.items())
    _lines(f"Below each call: its rule and the certainty of that rule ({marks}; * set by this charter).", "")
    for imaging in words["imaging"]:
        _lines(f"Imaging {_words(imaging)}:")
        rows = []
        for neuro in words["neuro"]:
            answers = [cells[(neuro, csf, imaging)] for csf in words["csf"]]
            rows.append([_words(neuro), *(f"{_words(call)}\n{rule_id} {mark[rule_id]}" for call, rule_id in answers)])
        _table(["neuro \\ csf", *map(_words, words["csf"])], rows, lines=True)


def _check(named: str) -> int:
    charter, where = _open(named)
    _lines(charter.title_line, f"Read from: {where}.", "")
    rows = [
        [name, table.scheme_id, str(table.lookup.size), "yes", f"none of {len(table.rules)}", _counts(table)]
        for name, table in charter.tables.items()
    ]
    _table(["table", "scheme", "combinations", "total", "dead rules", "combinations by certainty"], rows)
    kept = {rule.rule_id for rule in charter.scheme.rules}
    replaced = [rule.rule_id for rule in charter.base_scheme.rules if rule.rule_id not in kept]
    if replaced:
        _lines(f"Rules of {charter.scheme.scheme_id} that the charter's cells replace: {', '.join(replaced)}.")
    own = sum(setting.set_by == charter.name for setting in charter.settings.values())
    _lines(f"Settings: {len(charter.settings)}, {own} set by the study.")
    _lines(f"Digest to sign: {charter.digest}")
    if charter.signed is None:
        _lines("Not signed: every call is provisional. Once read and agreed, add to charter.yaml:")
        _lines(f"signed: {{by: ROLE, date: YYYY-MM-DD, digest: {charter.digest}}}")
    else:
        holds = "the signature holds" if charter.is_signed else "the signature does NOT hold"
        _lines(f"Signed by {charter.signed['by']} on {charter.signed['date']}: {holds}.")
    _lines(RESEARCH_USE)
    _check_pathway(charter, where)
    check_signature(charter, where)
    return EXIT_DONE


def _diff(named_a: str, named_b: str) -> int:
    (a, where_a), (b, where_b) = _open(named_a), _open(named_b)
    found = compare_charters(a, b)
    _lines(f"A: {a.title_line}. Read from: {where_a}.", f"B: {b.title_line}. Read from: {where_b}.", "")
    _lines(f"Settings that differ: {len(found.settings)}")
    if len(found.settings):
        _table(["setting", "A", "B", "set by, A", "set by, B"], _rows(found.settings, list(found.settings.columns)))
    number = sum(map(len, found.cells.values()))
    _lines(f"Combinations of inputs that are answered differently: {number}")
    _print_cells(found.cells, a, b)
    if found.origins:
        number = sum(map(len, found.origins.values()))
        _lines(f"Combinations with the same answer of another certainty: {number}")
        _print_cells(found.origins, a, b)
    _lines("The two charters decide alike." if found.same else "The two charters differ.", RESEARCH_USE)
    return EXIT_SAME if found.same else EXIT_DIFFERENT


def _print_cells(tables: dict[str, pd.DataFrame], a: Charter, b: Charter) -> None:
    for name, rows in tables.items():
        size = (a.tables.get(name) or b.tables[name]).lookup.size
        _lines(f"{name}: {len(rows)} of {size}")
        inputs = [column for column in rows.columns if column not in ANSWER_COLUMNS]
        head = [*inputs, "A", "B", "rule A", "rule B", "certainty A", "certainty B"]
        _table(head, _rows(rows, [*inputs, *ANSWER_COLUMNS]))


def _rows(frame: pd.DataFrame, columns: Sequence[str]) -> list[list[str]]:
    return [[str(cell) for cell in row] for row in frame[list(columns)].itertuples(index=False, name=None)]


def _counts(scheme: Scheme) -> str:
    return ", ".join(f"{number} {level.value}" for level, number in scheme.cells_by_certainty().items())


def _when(when: dict[str, tuple[str, ...]]) -> str:
    return "; ".join(f"{name}: {', '.join(values)}" for name, values in when.items())


def _words(word: str) -> str:
    return word.replace("_", " ")


def _prose(*parts: str) -> str:
    """Join what was written about a choice, each part ended as a sentence."""
    texts = [" ".join(part.split()) for part in parts if part.strip()]
    return " ".join(text[:1].upper() + text[1:] + "." * (not text.endswith(".")) for text in texts)


def _value(value: Any) -> str:
    """Render a setting as a person writes it."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _lines(*lines: str) -> None:
    for line in lines:
        print(line)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, lines: bool = False) -> None:
    """Print a table; plain characters and a fixed width where the output is no terminal."""
    terminal = sys.stdout.isatty()
    table = Table(box=box.SQUARE if terminal else box.ASCII2, show_lines=lines)
    for name in head:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    width = max(Console().width, MIN_WIDTH) if terminal else PLAIN_WIDTH  # narrower, a column holds a letter a line
    console = Console(width=width, force_terminal=terminal, color_system=None)
    console.print(table)
    print()
