"""The explanation in words."""

from __future__ import annotations

import pytest

from lmresp import RESEARCH_USE
from lmresp.errors import StudyError
from lmresp.response.explain import explain

STRAND = {
    "subject_id": "S1",
    "visit_num": "1",
    "visit": "V1",
    "reason": "because",
    "rule_id": "XX",
    "flags": "",
    "certainty": "convention",
    "row_ids": "csf.csv:2",
}
CALL = {
    "subject_id": "S1",
    "visit_num": "1",
    "visit": "V1",
    "date": "2024-02-12",
    "call": "PROGRESSION",
    "rule_id": "RL01",
    "certainty": "seen",
    "provisional": "N",
    "provisional_reason": "",
    "missing": "",
    "criteria": "rano_lm_2017_overall",
    "charter": "c 1",
    "citation": "a paper",
    "note": "",
    "would_change": "",
}
TABLES = {
    "csf": [
        {**STRAND, "status": "negative"},
        {**STRAND, "visit": "V0", "visit_num": "0", "flags": "baseline", "status": "negative"},
    ],
    "neuro": [{**STRAND, "status": "stable"}],
    "mri": [
        {
            **STRAND,
            "status": "progressive",
            "source": "read",
            "draft_status": "stable",
            "draft_overall": "SD",
            "scans": "s",
        }
    ],
    "calls": [CALL],
    "queries": [
        {
            "subject_id": "S1",
            "visit": "",
            "query_id": "Q0001",
            "code": "IN010",
            "severity": "warning",
            "message": "look",
        }
    ],
}


def test_the_chain_is_told_from_rows_to_rule() -> None:
    text = explain("S1", None, TABLES)
    for part in (
        "PROGRESSION",
        "RL01",
        "seen",
        "csf.csv:2",
        "draft says stable (SD)",
        "reference visit",
        "Q0001",
        "a paper",
    ):
        assert part in text
    assert text.endswith(RESEARCH_USE)


def test_one_visit_only() -> None:
    assert "V0" not in explain("S1", "V1", TABLES)
    assert "V1, " in explain("S1", "1", TABLES)


def test_an_unknown_visit_says_so() -> None:
    with pytest.raises(StudyError, match=r"no visit 'V9' of subject S1\.? Allowed: V1, V0\."):
        explain("S1", "V9", TABLES)
    with pytest.raises(StudyError, match="no visit 'V1' of subject S2"):
        explain("S2", "V1", TABLES)


def test_other_subjects_stay_out() -> None:
    assert "PROGRESSION" not in explain("S2", None, TABLES)
