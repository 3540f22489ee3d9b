"""The decision-table engine: its proofs, its schema, its answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lmresp.criteria import load_scheme, path
from lmresp.criteria.reading import read_yaml, schema
from lmresp.criteria.table import scheme_from_text
from lmresp.errors import CriteriaError

SMALL = """
format: lmresp-scheme/1
id: small
title: small
kind: test
completeness: test
enabled_by_default: true
inputs:
  fever: {values: [true, false], meaning: fever}
  site: {values: [left, right], meaning: side}
outputs: [SICK, WELL]
rules:
  - {id: S1, when: {fever: [true]}, output: SICK, certainty: seen, citation: a paper}
  - {id: S2, when: {}, output: WELL, certainty: convention, citation: none, flags: [a, b], note: rest}
"""


def test_first_match_wins_and_booleans_are_words() -> None:
    scheme = scheme_from_text(SMALL, "small.yaml")
    got = scheme.decide({"fever": ["true", "false"], "site": ["left", "right"]})
    assert got["call"].tolist() == ["SICK", "WELL"]
    assert got["rule_id"].tolist() == ["S1", "S2"]
    assert got["flags"].tolist() == ["", "a;b"]
    assert got["provisional"].tolist() == ["N", "Y"]
    as_bool = scheme.decide(pd.DataFrame({"fever": [True, False], "site": ["left", "left"]}))
    assert as_bool["call"].tolist() == ["SICK", "WELL"]


def test_answers_keep_the_index_of_the_rows() -> None:
    frame = pd.DataFrame({"fever": ["true"], "site": ["left"]}, index=[7])
    assert scheme_from_text(SMALL, "small.yaml").decide(frame).index.tolist() == [7]


def test_a_hole_is_named() -> None:
    text = SMALL.replace("when: {}, output: WELL", "when: {site: [left]}, output: WELL")
    with pytest.raises(CriteriaError, match="1 combinations have no answer, first: fever=false, site=right"):
        scheme_from_text(text, "small.yaml")


def test_a_dead_rule_is_named() -> None:
    extra = "  - {id: S3, when: {fever: [false]}, output: SICK, certainty: seen, citation: x}\n"
    with pytest.raises(CriteriaError, match="rule S3 can never answer"):
        scheme_from_text(SMALL + extra, "small.yaml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: test", "kind: test\ncolour: red", "colour"),
        ("certainty: seen", "certainty: sure", "sure"),
        ("fever: [true]", "fever: [maybe]", "fever is 'maybe'"),
        ("fever: [true]", "cough: [true]", "unknown input 'cough'"),
        ("output: SICK", "output: ILL", "gives 'ILL'"),
        ("id: S2", "id: S1", "S1 stands more than once"),
        ("id: small", "id: small\nid: again", "twice"),
        ("kind: test", "kind: [", "not valid YAML"),
        ("outputs: [SICK, WELL]", "outputs: [SICK, WELL, DEAD]", "no rule gives the output 'DEAD'"),
    ],
)
def test_a_broken_file_is_refused_with_its_fault(old: str, new: str, message: str) -> None:
    with pytest.raises(CriteriaError, match=message):
        scheme_from_text(SMALL.replace(old, new, 1), "small.yaml")


def test_unknown_values_are_a_broken_promise() -> None:
    scheme = scheme_from_text(SMALL, "small.yaml")
    with pytest.raises(ValueError, match="site is 'middle'"):
        scheme.decide({"fever": ["true"], "site": ["middle"]})
    with pytest.raises(ValueError, match="'site' is missing"):
        scheme.decide({"fever": ["true"]})


def test_the_lookup_is_dense_and_read_only() -> None:
    lookup = load_scheme("rano_lm_2017_overall").lookup
    assert lookup.shape == (4, 6, 4)
    assert np.all(lookup >= 0)
    with pytest.raises(ValueError, match="read-only"):
        lookup[0, 0, 0] = 1


def test_a_scheme_without_a_read_cell_is_off_until_named() -> None:
    with pytest.raises(CriteriaError, match="eano_esmo_followup is off"):
        load_scheme("eano_esmo_followup")
    assert load_scheme("eano_esmo_followup", switched_on=["eano_esmo_followup"]).cells_read == (0, 64)


def test_isolated_imaging_progression_stands_in_the_file() -> None:
    # Chamberlain 2017, abstract: imaging progression alone, CSF negative and examination stable, is LM progression.
    assert "RL01" in path("schemes/rano_lm_2017_overall.yaml").read_text(encoding="utf-8")
    rule = load_scheme("rano_lm_2017_overall").decide_one(
        {"imaging": "progressive", "csf": "negative", "neuro": "stable"}
    )
    assert (rule.output, rule.certainty, rule.provisional) == ("PROGRESSION", "seen", False)


def test_unknown_scheme_names_what_there_is() -> None:
    with pytest.raises(CriteriaError, match=r"Allowed: .*rano_lm_2017_overall"):
        load_scheme("rano_lm_2018")


def test_a_scale_breaks_on_an_unknown_key_or_operator() -> None:
    text = path("scales/imaging_scorecard_2019.yaml").read_text(encoding="utf-8")
    for wrong in (text.replace("lm_items:", "lm_item:"), text.replace("operator: '>'", "operator: '='")):
        assert wrong != text
        with pytest.raises(CriteriaError):
            read_yaml(wrong, "scale", schema("scale"))
