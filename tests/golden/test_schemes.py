"""Every cell of every scheme against the written reference and against a second, naive evaluator."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from lmresp.criteria import load_scale, load_scheme, path, schemes

PUBLISHED_SCHEMES = {
    "rano_lm_2017_overall": 96,
    "eano_esmo_followup": 64,
    "eano_esmo_diagnosis": 40,
    "lano_2019_overall_imaging": 16,
    "nano_2017_overall": 32,
    "rano_bm_2015_parenchymal": 144,
    "csf_cytology_1998": 32,
    "bloom_modified_rano_lm": 5,
}


@pytest.fixture(scope="module")
def reference(reference_folder: Path) -> dict[str, Any]:
    text = (reference_folder / "criteria_tables.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def first_match(content: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
    """Read the rules as a person would: top down, the first whose every condition holds."""
    for rule in content["rules"]:
        if all(inputs[name] in allowed for name, allowed in rule["when"].items()):
            found: dict[str, Any] = rule
            return found
    raise AssertionError(f"no rule for {inputs}")


def cells(content: dict[str, Any]) -> list[dict[str, Any]]:
    names = list(content["inputs"])
    return [
        dict(zip(names, values, strict=True))
        for values in product(*(content["inputs"][name]["values"] for name in names))
    ]


def assert_same_cells(scheme_id: str, content: dict[str, Any]) -> None:
    scheme = load_scheme(scheme_id, switched_on=schemes())
    for inputs in cells(content):
        words = {name: str(value).lower() if isinstance(value, bool) else value for name, value in inputs.items()}
        got, expected = scheme.decide_one(words), first_match(content, inputs)
        assert (got.rule_id, got.output, got.certainty, got.citation, list(got.flags), got.note) == (
            *(expected[key] for key in ("id", "output", "certainty", "citation")),
            expected.get("flags", []),
            expected.get("note", ""),
        ), inputs


@pytest.mark.parametrize("scheme_id", schemes())
def test_engine_agrees_with_naive_reading(scheme_id: str) -> None:
    assert_same_cells(scheme_id, yaml.safe_load(path(f"schemes/{scheme_id}.yaml").read_text(encoding="utf-8")))


@pytest.mark.parametrize("scheme_id", sorted(PUBLISHED_SCHEMES))
def test_every_cell_equals_the_reference(scheme_id: str, reference: dict[str, Any]) -> None:
    content = next(each for each in reference["schemes"] if each["id"] == scheme_id)
    assert len(cells(content)) == content["enumeration"]["combinations"] == PUBLISHED_SCHEMES[scheme_id]
    assert_same_cells(scheme_id, content)
    counts = load_scheme(scheme_id, switched_on=schemes()).cells_by_certainty()
    assert {level.value: n for level, n in counts.items()} == content["enumeration"]["by_certainty"]


def test_no_reference_scheme_is_left_out(reference: dict[str, Any]) -> None:
    assert {each["id"] for each in reference["schemes"]} == set(PUBLISHED_SCHEMES)
    assert set(schemes()) == {
        *PUBLISHED_SCHEMES,
        "strand_csf",
        "strand_imaging",
        "strand_neuro",
        "strand_neuro_steroids",
    }


def test_scales_hold_every_fact_of_the_reference(reference: dict[str, Any]) -> None:
    facts = {**reference["scales"], "imaging_scorecard_2019": reference["imaging_scorecard_2019"]}
    for scale_id, expected in facts.items():
        as_text = json.loads(json.dumps(expected))  # the levels' numbers are keys of a mapping, and so text
        assert as_text.items() <= load_scale(scale_id).items(), scale_id


def test_appendix_of_the_criteria_document(reference_folder: Path) -> None:
    """The 96 cells as the document prints them, a rendering that is independent of the rules' order."""
    text = (reference_folder / "criteria.md").read_text(encoding="utf-8")
    section = text.split("## Appendix A.")[1].split("## Appendix B.")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "| RL" in line]
    assert len(rows) == 96
    scheme = load_scheme("rano_lm_2017_overall")
    for neuro, csf, imaging, call, rule_id, certainty in rows:
        rule = scheme.decide_one({"neuro": neuro, "csf": csf, "imaging": imaging})
        assert (rule.output, rule.rule_id, rule.certainty) == (call, rule_id, certainty)
