"""Two charters that differ in one cell differ in exactly the calls that touch it, on the demo study."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from lmresp.criteria import Charter, charter_from_record, charter_record, load_charter
from lmresp.criteria.compare import compare_charters
from lmresp.csf.cytology import grade_csf
from lmresp.ingest.spreadsheet import write_raw_tables
from lmresp.ingest.study import open_study
from lmresp.ingest.tables import check_table
from lmresp.mri.scorecard import grade_mri
from lmresp.neuro.examination import grade_neuro
from lmresp.response.call import call_visits
from lmresp.simulate import demo, tables
from lmresp.store import read_csv, write_text

CELL = ["neuro", "csf", "mri"]
# Both look at neighbouring cells: what the call would be in them, and since when the strands assessed so far left no
# other call open.
OF_OTHER_CELLS = ["would_change", "date"]

Strands = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


@pytest.fixture(scope="module")
def strands(tmp_path_factory: pytest.TempPathFactory) -> Strands:
    """The demo study's tables, ingested and graded; imaging from the locked reads only."""
    folder = tmp_path_factory.mktemp("demo")
    tables.write_tables(demo.description(), folder / "tables")
    write_text(folder / "study.yaml", "study_id: LM-DEMO\ndata_cut: 2025-06-30\n")
    study = open_study(folder)
    write_raw_tables(study)
    checked = {
        name: pd.DataFrame(check_table(name, read_csv(study.results / "work" / "raw" / f"{name}.csv"))[0])
        for name in ("subjects", "visits", "csf", "neuro", "mri_reads")
    }
    who = (checked["subjects"], checked["visits"], load_charter())
    csf, _ = grade_csf(checked["csf"], *who)
    neuro, _ = grade_neuro(checked["neuro"], *who)
    mri, _ = grade_mri(checked["mri_reads"], [], *who)
    return csf, neuro, mri


def charter(cells: list[dict[str, Any]]) -> Charter:
    record = {**charter_record(load_charter()), "name": "trial-x", "title": "Trial X", "cells": cells}
    return charter_from_record(record)


def other(call: str) -> str:
    return "STABLE" if call == "RESPONSE" else "RESPONSE"


def touched_cells(strands: Strands) -> list[tuple[str, str, str]]:
    calls = call_visits(*strands, charter([]))
    return sorted(set(calls[CELL].itertuples(index=False, name=None)))


def test_exactly_the_calls_of_the_cell_change(strands: Strands) -> None:
    without = call_visits(*strands, charter([]))
    cells = touched_cells(strands)
    assert len(cells) >= 5
    assert ("stable", "negative", "progressive") not in cells  # no call of the demo touches this one
    for cell in [*cells, ("stable", "negative", "progressive")]:
        neuro, csf, imaging = cell
        before = charter([]).scheme.decide_one({"neuro": neuro, "csf": csf, "imaging": imaging}).output
        when = {"neuro": [neuro], "csf": [csf], "imaging": [imaging]}
        changed = charter([{"when": when, "output": other(before), "source": "protocol 7.3"}])

        # The comparison lists this combination and no other.
        found = compare_charters(charter([]), changed)
        assert (len(found.settings), list(found.cells)) == (0, ["visit_call"])
        listed = found.cells["visit_call"][["neuro", "csf", "imaging", "a", "b"]]
        assert listed.values.tolist() == [[*cell, before, other(before)]]

        # The calls that differ are those of this combination, all of them and no other.
        with_cell = call_visits(*strands, changed)
        touches = (without[CELL] == list(cell)).all(axis=1)
        assert touches.any() == (cell in cells)
        differs = (without.drop(columns=OF_OTHER_CELLS) != with_cell.drop(columns=OF_OTHER_CELLS)).any(axis=1)
        assert differs.tolist() == touches.tolist(), cell
        redated = (without["date"] != with_cell["date"]) & ~touches
        assert set(without.loc[redated, "call"]) <= {before, other(before)}, cell
        assert set(with_cell.loc[touches, "call"]) <= {other(before)}
        assert set(with_cell.loc[touches, "rule_id"]) <= {"trial-x.1"}
