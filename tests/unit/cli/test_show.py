"""Which subject ``lmresp explain`` finds, and what it says when there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmresp.cli import show
from lmresp.errors import StudyError


@pytest.fixture(autouse=True)
def _results(monkeypatch: pytest.MonkeyPatch) -> None:
    subjects = [{"subject_id": f"S{n:02d}"} for n in range(29)] + [{"subject_id": "'=S29"}]
    monkeypatch.setattr(show, "NEEDED", {})
    monkeypatch.setattr(show, "explanation_tables", lambda _: {"best_response": subjects})
    monkeypatch.setattr("lmresp.response.explanation.explanation", lambda subject, _: {"subject_id": subject})


def test_an_unknown_subject_is_told_some_of_many(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"no subject 'X'\. Allowed: '=S29, S00, .*, S18, \.\.\. \(30 subjects\)\."):
        show.print_explanation(tmp_path, "X", None)


def test_a_subject_is_found_as_its_table_spells_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show.print_explanation(tmp_path, "=S29", None, as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == {"subject_id": "'=S29"}
