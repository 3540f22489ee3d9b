"""Best response in the words of RECIST 1.1: the worked examples of the derivation rules (origin 2023-03-01)."""

from __future__ import annotations

import datetime
from typing import Any

import pandas as pd
import pytest

from lmresp.errors import CriteriaError
from lmresp.response.best import best_response
from lmresp.response.vocabulary import Vocabulary, load_censoring, load_vocabulary
from tests.charters import charter_with

ORIGIN = datetime.date(2023, 3, 1)
RECIST = load_vocabulary("recist_1_1")


def derive(*course: tuple[int | str, str], **settings: Any) -> list[str]:
    rows = [
        {
            "subject_id": "S1",
            "visit": str(n),
            "visit_num": str(n),
            "call": call,
            "provisional": "N",
            "date": day if isinstance(day, str) else (ORIGIN + datetime.timedelta(days=day)).isoformat(),
        }
        for n, (day, call) in enumerate(course)
    ]
    left = {"subject_id": "S1", "event": "COMPLETED", "dtc": "2024-01-01", "scope": "STUDY PARTICIPATION"}
    tables = {
        "subjects": pd.DataFrame([{"subject_id": "S1", "ref_start_dtc": "2023-03-01"}]),
        "disposition": pd.DataFrame([left]),
    }
    found = best_response(pd.DataFrame(rows), {}, tables, charter_with(**settings), words=RECIST).iloc[0]
    return [found["best_response"], found["confirmed_best"], found["confirmed_best_date"], found["confirmed_response"]]


PR_GAP_CR = (("2023-04-13", "PR"), ("2023-05-25", "NE"), ("2023-07-06", "CR"))
PR_SD_PR = (("2023-04-13", "PR"), ("2023-05-25", "SD"), ("2023-07-06", "PR"))


@pytest.mark.parametrize(
    ("course", "settings", "expected"),
    [
        (((43, "PR"), (71, "PR")), {}, ["PR", "PR", "2023-04-13", "Y"]),
        (((43, "PR"), (70, "PR")), {}, ["PR", "SD", "2023-04-13", "N"]),
        (PR_GAP_CR, {}, ["CR", "PR", "2023-04-13", "Y"]),  # the CR itself is unconfirmed
        (PR_SD_PR, {}, ["PR", "SD", "2023-04-13", "N"]),
        (PR_SD_PR, {"accept_sd": True}, ["PR", "PR", "2023-04-13", "Y"]),
        (
            (("2023-04-13", "CR"), ("2023-05-25", "PR"), ("2023-07-06", "PR")),
            {},
            ["CR", "PR", "2023-05-25", "Y"],
        ),
        ((("2023-04-13", "PR"), ("2023-04-27", "CR"), ("2023-05-25", "PR")), {}, ["CR", "SD", "2023-04-13", "N"]),
        (((20, "PR"), (43, "PD")), {}, ["PR", "PD", "2023-04-13", "N"]),
        (((41, "SD"),), {}, ["NE", "NE", "2023-04-11", "N"]),
        (((42, "SD"),), {}, ["SD", "SD", "2023-04-12", "N"]),
        # Not among the published examples, by the same rules:
        (((43, "CR"), (71, "CR")), {}, ["CR", "CR", "2023-04-13", "Y"]),
        (((43, "CR"), (71, "PR")), {}, ["CR", "SD", "2023-04-13", "N"]),  # a CR is confirmed by a CR only
        (((43, "CR"), (57, "SD"), (71, "CR")), {"accept_sd": True}, ["CR", "SD", "2023-04-13", "N"]),  # PR only
        (((43, "PR"), (57, "PR"), (71, "CR"), (99, "CR")), {}, ["CR", "CR", "2023-05-11", "Y"]),
        (((42, "NON-CR/NON-PD"),), {}, ["NON-CR/NON-PD", "NON-CR/NON-PD", "2023-04-12", "N"]),
        (((42, "NON-CR/NON-PD"), (42, "SD")), {}, ["NON-CR/NON-PD", "NON-CR/NON-PD", "2023-04-12", "N"]),
        (((43, "PR"), (57, "NE"), (64, "NE"), (71, "PR")), {}, ["PR", "SD", "2023-04-13", "N"]),
        (((43, "PR"), (57, "NE"), (64, "NE"), (71, "PR")), {"max_ne": 2}, ["PR", "PR", "2023-04-13", "Y"]),
        (((43, "PR"), (57, "NE"), (71, "PR")), {"max_ne": 0}, ["PR", "SD", "2023-04-13", "N"]),
    ],
)
def test_worked_examples(
    course: tuple[tuple[int | str, str], ...], settings: dict[str, Any], expected: list[str]
) -> None:
    assert derive(*course, **settings) == expected


def test_an_immune_response_word_is_an_error_and_never_not_evaluable() -> None:
    with pytest.raises(ValueError, match=r"iCR.*CR, PR, SD"):
        derive((43, "iCR"))


def test_a_vocabulary_that_contradicts_itself_is_refused() -> None:
    fields = {name: getattr(RECIST, name) for name in RECIST.__slots__}
    with pytest.raises(CriteriaError, match="same words"):
        Vocabulary(**(fields | {"worst_first": ("PD", "NE")}))
    with pytest.raises(CriteriaError, match="iPR"):
        Vocabulary(**(fields | {"responses": ("CR", "iPR")}))


def test_censoring_codes_are_those_of_the_table() -> None:
    words = load_censoring().event
    assert list(words) == ["0", "1", "2", "3", "4", "5", "6", "7"]
    assert [words["2"], words["6"], words["7"]] == ["NEW THERAPY", "NO BASELINE", "DEATH WITHOUT EVENT"]
