"""The criteria page in docs is the one that runs."""

from __future__ import annotations

from pathlib import Path

from lmresp.criteria.rendering import criteria_page


def test_the_criteria_page_in_docs_is_rendered_from_the_data(repository: Path) -> None:
    assert (repository / "docs" / "criteria.md").read_text(encoding="utf-8") == criteria_page()


def test_isolated_imaging_progression_stands_on_the_page_as_read() -> None:
    [row] = [line for line in criteria_page().splitlines() if line.startswith("| RL01 |")]
    assert "**PROGRESSION**" in row
    assert "| seen |" in row
