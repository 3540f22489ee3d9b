"""The plain text table at the end of a run."""

from __future__ import annotations

from typing import Any

import pytest

from lmresp import RESEARCH_USE, store
from lmresp.report import run_summary


def test_every_call_has_its_line_with_rule_and_branch(study: Any) -> None:
    lines = run_summary(study.write()).splitlines()
    assert lines[0].split() == ["subject", "visit", "call", "rule", "certainty", "provisional", "branch"]
    assert "S-01     WK12   PROGRESSION            RL01  seen        yes          B_GENO" in lines
    assert sum(line.startswith("S-0") for line in lines) == 5
    assert "Queries: 1 errors, 1 warnings, 0 for information." in lines
    assert "Set aside until solved: S-04." in lines
    assert lines[-1] == RESEARCH_USE


def test_study_without_calls(study: Any) -> None:
    for name in ("calls.csv", "pathway.csv", "queries.csv"):
        study.tables[name] = ([], study.tables[name][1])
    text = run_summary(study.write())
    assert text.startswith("No calls.\n")
    assert "Set aside" not in text


def test_a_cell_cannot_steer_the_terminal(study: Any) -> None:
    rows, _ = study.tables["calls.csv"]
    rows[0]["visit"] = "WK\x1b[2J\x0706"
    text = run_summary(study.write())
    assert not set(text) & {"\x1b", "\x07"}
    assert "WK[2J06" in text


def test_results_that_are_not_there(tmp_path: Any) -> None:
    with pytest.raises(FileNotFoundError):
        run_summary(tmp_path)


def test_response_rate_with_its_exact_interval_and_the_charter_are_printed(study: Any, make: Any) -> None:
    results = study.write()
    charter = make["provenance"]()["charter"]
    store.write_json(results / "work" / "charter.json", charter)
    lines = run_summary(results).splitlines()
    assert lines[-2] == charter["title_line"]
    (rate,) = (line for line in lines if line.startswith("Objective response"))
    # Clopper-Pearson limits of 0 and of 1 in 3 subjects
    assert "confirmed 0 of 3 = 0.00 % (0.00 to 70.76)" in rate
    assert "unconfirmed 1 of 3 = 33.33 % (0.84 to 90.57)" in rate


def test_no_rate_no_line(study: Any) -> None:
    study.tables["rates.csv"] = ([], study.tables["rates.csv"][1])
    assert "Objective response" not in run_summary(study.write())
