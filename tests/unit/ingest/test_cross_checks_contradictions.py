"""Rows that contradict another table: records of a visit that was not done, a date of death of the living."""

from __future__ import annotations

import pytest

from lmresp.ingest.cross_checks import check_study
from lmresp.ingest.study import Study


def tables(death_fl: str = "N", death: str = "", status: str = "NOT DONE", result: str = "POSITIVE") -> dict:
    who = {"subject_id": "S-1"}
    subject = {"study_id": "LM-1", "ref_start_dtc": "2024-02-01", "death_fl": death_fl, "death_dtc": death}
    more = {"age": "", "last_alive_dtc": "", "rand_dtc": "", "lm_type": "", "icf_dtc": "", "data_cut_dtc": ""}
    visit = {"visit_num": "2", "visit": "WK06", "start_dtc": "", "status": status, "planned_day": "", "end_dtc": ""}
    window = {"window_minus": "", "window_plus": "", "reason_not_done": "travel"}
    sample = {"visit_num": "2", "collected_dtc": "2024-03-14", "site": "LUMBAR", "method": "CYTOLOGY", "result": result}
    return {
        "subjects": [who | subject | more | {"row_id": "subjects.csv:2"}],
        "visits": [who | visit | window | {"row_id": "visits.csv:2"}],
        "csf": [who | sample | {"accession": "", "row_id": "csf.csv:2"}],
    }


def codes(study: Study, given: dict) -> dict[str, str]:
    return {query.code: query.sets_aside for query in check_study(given, study)}


@pytest.fixture
def study(tmp_path) -> Study:
    return Study(tmp_path, "LM-1", "2025-01-01")


def test_a_sample_of_a_visit_that_was_not_done_sets_the_subject_aside(study: Study) -> None:
    assert codes(study, tables())["IN042"] == "Y"
    assert "IN042" not in codes(study, tables(status="DONE"))
    assert "IN042" not in codes(study, tables(result="NOT DONE"))  # the row says so itself


def test_an_ecog_of_five_is_a_death(study: Study) -> None:
    exam = {"subject_id": "S-1", "visit_num": "1", "exam_dtc": "2024-03-14", "instrument": "ECOG", "item": "ECOG"}

    def with_score(score: str, **death: str) -> dict[str, str]:
        row = exam | {"score": score, "not_assessed_reason": "", "row_id": "neuro.csv:2"}
        return codes(study, tables(status="DONE", **death) | {"neuro": [row]})

    assert with_score("5")["IN044"] == "Y"
    assert "IN044" not in with_score("4")
    assert "IN044" not in with_score("5", death_fl="Y", death="2024-03-14")


def test_a_date_of_death_of_the_living_sets_the_subject_aside(study: Study) -> None:
    assert codes(study, tables(death="2024-06-01"))["IN043"] == "Y"
    assert "IN043" not in codes(study, tables(death_fl="Y", death="2024-06-01"))
    assert "IN043" not in codes(study, tables())
