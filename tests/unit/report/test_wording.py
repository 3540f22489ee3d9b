"""Every closed list of the stages has its words on the pages."""

from __future__ import annotations

from importlib.resources import files

import pytest
import yaml

from lmresp import terms
from lmresp.criteria import load_scheme
from lmresp.criteria.charter import AUTHORITIES
from lmresp.report.wording import word, words
from lmresp.response.components import NOT_RECORDED, ORDER
from lmresp.response.time_to_event import PARAMETERS
from lmresp.statistics.rates import RATES

SCHEMES = {
    "nano_2017_overall",
    "rano_bm_2015_parenchymal",
    "bloom_modified_rano_lm",
    "csf_cytology_1998",
    "eano_esmo_diagnosis",
    "eano_esmo_followup",
}


def known(group: str) -> set[str]:
    return {entry.value for entry in words(group)}


@pytest.mark.parametrize(
    ("group", "codes"),
    [
        ("call", list(terms.Call)),
        ("csf", list(terms.Csf)),
        ("neuro", list(terms.Neuro)),
        ("mri", list(terms.Imaging)),
        ("steroids", list(terms.Steroids)),
        ("certainty", list(terms.Certainty)),
        ("authority", AUTHORITIES),
        ("component", ORDER),
        ("confirmation", ["CONFIRMED", "NOT CONFIRMED", "PENDING", ""]),
        ("policy", ["charter", "treatment_policy"]),
        ("parameter", PARAMETERS),
        ("rate", list(RATES)),
        ("inadequate", ["Y", "N", "CANNOT DECIDE", "NOT DUE"]),
    ],
)
def test_every_word_of_a_closed_list(group: str, codes: list[str]) -> None:
    assert {str(code) for code in codes} <= known(group)


def test_every_code_of_censoring() -> None:
    text = files("lmresp.response").joinpath("censoring.yaml").read_text(encoding="utf-8")
    assert set(yaml.safe_load(text)["codes"]) == known("censored")


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_every_answer_of_a_companion_scheme(scheme: str) -> None:
    answers = set(load_scheme(scheme, switched_on=tuple(SCHEMES)).outputs)
    assert answers | {NOT_RECORDED, "NOT EVALUABLE"} <= known("component_value")


def test_a_code_without_words_is_shown_as_it_is() -> None:
    assert word("call", "SOMETHING").label == "SOMETHING"
