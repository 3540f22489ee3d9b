"""Branches of clinical situations; the discordance table of the pathway reference, row by row."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import pytest

from lmresp import RESEARCH_USE
from lmresp.criteria import charter_from_record, charter_record, load_charter
from lmresp.criteria.charter import Charter
from lmresp.pathway.branches import find_branches
from lmresp.response.call import call_visits

DAYS = ["2024-01-01", "2024-03-04"]  # nine weeks apart
SUBJECTS = pd.DataFrame([{"subject_id": "S1", "ref_start_dtc": "2024-01-01", "lm_type": "IC"}])
VISITS = pd.DataFrame(
    [
        {"subject_id": "S1", "visit_num": str(n), "visit": f"V{n}", "start_dtc": day, "status": "DONE"}
        for n, day in enumerate(DAYS)
    ]
)
ON_TKI = pd.DataFrame([{"subject_id": "S1", "name": "Osimertinib", "start_dtc": "2023-11", "end_dtc": ""}])
ELIGIBLE = {"csf_flow": "open", "marrow": "adequate"}
PERSISTS = ("positive_persistent", "positive_persistent")


def with_rule(rule: str) -> Charter:
    record = charter_record(load_charter())
    record["settings"]["inadequate_rule"]["value"] = rule
    return charter_from_record(record)


def walk(
    csf: tuple[str, str],
    neuro: str,
    imaging: str,
    *,
    symptomatic: tuple[str, str] = ("N", "N"),
    hydrocephalus: str = "ABSENT",
    kps: str = "80",
    cause: str = "",
    pressure: str = "",
    treatments: pd.DataFrame = ON_TKI,
    procedures: list[dict[str, str]] | None = None,
    facts: dict[str, str] | None = None,
    earlier_facts: dict[str, str] | None = None,
    steroids: str = "",
    charter: Charter | None = None,
    days: list[str] = DAYS,
    source: str = "read",
    scans: str = "",
    lm_type: str = "IC",
) -> dict[str, Any]:
    base = {
        "subject_id": "S1",
        "visit_num": ["0", "1"],
        "visit": ["V0", "V1"],
        "date": days,
        "reason": "",
        "row_ids": "",
        "flags": ["baseline", ""],
        "disputed": "",
        "confirmed": "Y",
    }
    frames = {
        "csf": pd.DataFrame({**base, "status": csf}),
        "neuro": pd.DataFrame(
            {**base, "status": ["stable", neuro], "symptomatic": symptomatic, "kps": kps, "alternative_cause": cause}
        ),
        "mri": pd.DataFrame(
            {**base, "status": ["stable", imaging], "scans": scans, "source": source, "hydrocephalus": hydrocephalus}
        ),
    }
    charter = charter or load_charter()
    calls = call_visits(frames["csf"], frames["neuro"], frames["mri"], charter)
    sample = {"subject_id": "S1", "visit_num": "1", "collected_dtc": days[1]}
    other = {"subject_id": "S2", "kind": "BIOPSY", "start_dtc": "2020-01-01"}  # the table is there, not empty
    tables = {
        "subjects": SUBJECTS.assign(lm_type=lm_type),
        "visits": VISITS.assign(start_dtc=days),
        "csf": pd.DataFrame([{**sample, "opening_pressure": pressure, "opening_pressure_unit": "CMH2O"}]),
        "treatments": treatments,
        "procedures": pd.DataFrame([other, *(procedures or [])]),
        "facts": pd.DataFrame(
            [
                {"subject_id": "S1", "visit_num": "0", **(earlier_facts or {})},
                {"subject_id": "S1", "visit_num": "1", **(facts or {})},
            ]
        ).fillna(""),
    }
    if steroids:
        calls = calls.assign(steroids=steroids)
    rows = find_branches(calls, frames, tables, charter)
    assert len(rows) == 1
    assert rows["research_use"].tolist() == [RESEARCH_USE]
    row: dict[str, Any] = rows.iloc[0].to_dict()
    return row


def test_response_continues() -> None:
    assert walk(("positive_persistent", "cleared"), "improved", "improved")["branch"] == "B_CONTINUE"


def test_persisting_cytology_alone_is_retested_unless_the_literal_rule_decides() -> None:
    row = walk(PERSISTS, "improved", "stable", charter=with_rule("both"))
    assert (row["branch"], row["inadequate_both"], row["inadequate_literal"]) == ("B_RETEST", "N", "Y")
    row = walk(PERSISTS, "improved", "stable", facts=ELIGIBLE)
    assert (row["branch"], row["inadequate_grade"], row["rules_disagree"]) == ("B_ADD_IT", "cytology_only", "Y")
    assert "by the rule both the branch would be B_RETEST" in row["reason"]


def test_source_case_persisting_symptoms_and_cells() -> None:
    row = walk(PERSISTS, "stable", "stable", symptomatic=("Y", "Y"), facts=ELIGIBLE)
    assert (row["branch"], row["inadequate"], row["inadequate_grade"]) == ("B_ADD_IT", "Y", "both")
    assert [row[f"inadequate_{rule}"] for rule in ("literal", "both", "call_based")] == ["Y", "Y", "Y"]
    assert row["rules_disagree"] == "N"


def test_a_fixed_deficit_with_clear_csf_is_neurology_only() -> None:
    row = walk(("positive_persistent", "cleared"), "stable", "improved", symptomatic=("Y", "Y"), facts=ELIGIBLE)
    assert (row["inadequate_grade"], row["inadequate_both"], row["inadequate_call_based"]) == (
        "neurology_only",
        "N",
        "N",
    )
    assert row["rules_disagree"] == "Y"


def test_eligibility_is_never_guessed() -> None:
    row = walk(PERSISTS, "stable", "stable", symptomatic=("Y", "Y"))
    assert row["branch"] == "B_COLLECT"
    assert row["collect"] == "CSF flow study; blood count (marrow function)"
    assert row["nodes"].endswith("N7_inadequate;N8_it_eligible")


def test_not_eligible_for_intrathecal_therapy() -> None:
    row = walk(PERSISTS, "stable", "stable", symptomatic=("Y", "Y"), facts={**ELIGIBLE, "marrow": "inadequate"})
    assert row["branch"] == "B_ALT"


def test_a_flow_block_is_a_branch_of_its_own_until_it_lasts() -> None:
    state: dict[str, Any] = {"symptomatic": ("Y", "Y"), "facts": {**ELIGIBLE, "csf_flow": "blocked"}}
    row = walk(PERSISTS, "stable", "stable", **state)
    assert row["branch"] == "B_FLOW"
    assert "the way goes on at: Eligible for intrathecal therapy" in row["reason"]
    assert walk(PERSISTS, "stable", "stable", earlier_facts={"csf_flow": "blocked"}, **state)["branch"] == "B_ALT"
    assert walk(PERSISTS, "stable", "stable", earlier_facts={"csf_flow": "open"}, **state)["branch"] == "B_FLOW"


def test_what_rules_out_intrathecal_therapy_takes_it_from_the_options() -> None:
    facts = {"genotype": "none_found", "csf_flow": "blocked"}
    row = walk(("negative", "negative"), "stable", "progressive", facts=facts)
    assert row["branch"] == "B_PLATINUM;B_RT;B_TRIAL"
    row = walk(("negative", "negative"), "stable", "progressive", facts={"genotype": "none_found"}, kps="50")
    assert row["branch"] == "B_PLATINUM;B_RT;B_TRIAL"


def test_a_shunt_must_have_a_valve() -> None:
    shunt = [{"subject_id": "S1", "kind": "VP SHUNT", "start_dtc": "2023-12-01"}]
    state: dict[str, Any] = {"symptomatic": ("Y", "Y"), "procedures": shunt}
    row = walk(PERSISTS, "stable", "stable", facts=ELIGIBLE, **state)
    assert (row["branch"], row["collect"]) == ("B_COLLECT", "kind of shunt valve (on-off or not)")
    assert walk(PERSISTS, "stable", "stable", facts={**ELIGIBLE, "shunt": "no_valve"}, **state)["branch"] == "B_ALT"
    assert (
        walk(PERSISTS, "stable", "stable", facts={**ELIGIBLE, "shunt": "on_off_valve"}, **state)["branch"] == "B_ADD_IT"
    )


@pytest.mark.parametrize(("pressure", "branch"), [("25", "B_CONTINUE"), ("25.5", "B_ICP"), ("", "B_CONTINUE")])
def test_opening_pressure_above_250_mm_of_water(pressure: str, branch: str) -> None:
    # 250 mmH2O is 25 cmH2O, the unit of the checked table.
    assert walk(("negative", "negative"), "stable", "stable", pressure=pressure)["branch"] == branch


def test_hydrocephalus_comes_before_the_call() -> None:
    row = walk(("negative", "negative"), "worse", "stable", hydrocephalus="PRESENT")
    assert (row["branch"], row["nodes"]) == ("B_ICP", "N0_entry;N1_icp")


def test_improvement_after_diversion_only_is_not_a_response() -> None:
    shunt = [{"subject_id": "S1", "kind": "VP SHUNT", "start_dtc": "2024-01-20"}]
    row = walk(PERSISTS, "improved", "stable", procedures=shunt)
    assert row["branch"] == "B_ICP"
    assert "attributed to CSF diversion" in row["reason"]


def test_progression_asks_for_the_genotype_of_the_csf() -> None:
    row = walk(("negative", "negative"), "stable", "progressive")
    assert (row["branch"], row["collect"]) == ("B_COLLECT", "resistance genotype from CSF")


@pytest.mark.parametrize(
    ("genotype", "branch"),
    [
        ("met_amplification", "B_GENO"),
        ("c797s", "B_TRIAL"),
        ("t790m", "B_PLATINUM;B_RT;B_ADD_IT;B_TRIAL"),  # already on a third-generation TKI
        ("none_found", "B_PLATINUM;B_RT;B_ADD_IT;B_TRIAL"),
    ],
)
def test_progression_by_genotype(genotype: str, branch: str) -> None:
    assert walk(("negative", "negative"), "stable", "progressive", facts={"genotype": genotype})["branch"] == branch


def test_a_worse_examination_is_first_explained() -> None:
    row = walk(("negative", "negative"), "worse", "stable")
    assert row["branch"] == "B_COLLECT"
    assert row["collect"].startswith("exclusion of other causes")
    row = walk(("negative", "negative"), "worse", "stable", cause="EXCLUDED", facts={"genotype": "c797s"})
    assert row["branch"] == "B_TRIAL"


@pytest.mark.parametrize(
    ("csf", "neuro", "branch", "wanted"),
    [
        ("missing", "stable", "B_COLLECT", "CSF cytology"),
        ("negative", "not_evaluable", "B_COLLECT", "neurological examination"),
        ("equivocal", "stable", "B_RETEST", ""),
        ("positive_new", "stable", "B_RETEST", ""),
    ],
)
def test_open_elements(csf: str, neuro: str, branch: str, wanted: str) -> None:
    row = walk(("negative", csf), neuro, "stable")
    assert (row["branch"], row["collect"]) == (branch, wanted)


def test_poor_risk() -> None:
    off = ON_TKI.assign(name="pemetrexed")
    row = walk(("negative", "negative"), "stable", "stable", kps="50", treatments=off)
    assert (row["branch"], row["collect"]) == ("B_COLLECT", "whether a tolerable targeted option is open")
    row = walk(("negative", "negative"), "stable", "stable", kps="50", treatments=off, facts={"targeted_option": "N"})
    assert row["branch"] == "B_SUPPORT"
    row = walk(("negative", "negative"), "stable", "stable", kps="60", treatments=off, facts={"targeted_option": "N"})
    assert row["branch"] == "B_TKI"  # 60 is good risk, and no third-generation TKI so far


def test_too_early_to_judge_unless_worse() -> None:
    early = ["2024-01-01", "2024-01-29"]
    assert walk(PERSISTS, "stable", "stable", days=early)["inadequate"] == "NOT DUE"
    assert walk(PERSISTS, "stable", "stable", days=early)["branch"] == "B_CONTINUE"
    assert walk(PERSISTS, "stable", "progressive", days=early, facts={"genotype": "c797s"})["branch"] == "B_TRIAL"


def test_systemic_progression_is_a_branch_beside() -> None:
    row = walk(("negative", "negative"), "stable", "stable", facts={"systemic": "progression"})
    assert (row["branch"], row["parallel_branch"]) == ("B_CONTINUE", "B_SYSTEMIC")


def test_unknown_treatment_is_not_no_treatment() -> None:
    row = walk(("negative", "negative"), "stable", "stable", treatments=ON_TKI.head(0))
    assert row["branch"] == "B_CONTINUE"
    assert row["collect"] == "treatments (third-generation EGFR-TKI, with dates)"


def test_a_visit_without_a_date_is_not_taken_for_untreated() -> None:
    row = walk(("positive_persistent", "missing"), "not_evaluable", "not_evaluable", days=[DAYS[0], ""])
    assert row["branch"] == "B_COLLECT"
    assert "untreated" not in row["reason"]
    assert "no third-generation TKI" not in row["reason"]


def test_a_recorded_value_outside_the_list_is_not_used() -> None:
    facts = {"csf_flow": "wide open", "marrow": "adequate"}
    assert walk(PERSISTS, "stable", "stable", symptomatic=("Y", "Y"), facts=facts)["branch"] == "B_COLLECT"


@pytest.mark.parametrize(
    ("source", "scans", "wanted"),
    [
        ("", "", "contrast-enhanced MRI of brain and spine"),
        ("draft", "s", "a locked radiologist's read of this scan"),  # measured, not evaluable as drafted
        ("", "s", "a locked radiologist's read of this scan"),  # could not be measured
        ("read", "s", "contrast-enhanced MRI of brain and spine that can be evaluated, or an adjudicated read"),
    ],
)
def test_no_mri_and_an_mri_that_is_not_evaluable_ask_for_different_things(source: str, scans: str, wanted: str) -> None:
    row = walk(("negative", "negative"), "stable", "not_evaluable", source=source, scans=scans)
    assert (row["branch"], row["collect"]) == ("B_COLLECT", wanted)


@pytest.mark.parametrize(("lm_type", "branch"), [("IIA", "B_CONTINUE"), ("IID", "B_COLLECT"), ("IA", "B_CONTINUE")])
def test_the_class_of_lm_opens_the_pathway(lm_type: str, branch: str) -> None:
    assert walk(("negative", "negative"), "stable", "stable", lm_type=lm_type)["branch"] == branch


def test_how_the_evidence_was_read_is_said_in_words() -> None:
    evidence = walk(("negative", "negative"), "worse", "stable", hydrocephalus="PRESENT")["evidence"]
    assert "10.1371/journal.pone.0210074 [read in the paper]" in evidence
    assert "[V]" not in evidence


def test_the_trail_names_the_facts_that_decided() -> None:
    row = walk(PERSISTS, "stable", "stable", symptomatic=("Y", "Y"), facts=ELIGIBLE)
    steps = row["trail"].split(" > ")
    assert [step.split(":")[0] for step in steps] == row["nodes"].split(";")
    # a rule with conditions: its facts only; a rule for all the rest: every fact of the node
    assert steps[0] == "N0_entry: lm_certainty=confirmed -> entry conditions met"
    assert "N1_icp: opening_pressure=unknown, hydrocephalus=absent, papilloedema=unknown -> no sign of" in row["trail"]
    assert "N7_inadequate: inadequate=Y -> the charter's rule is met" in steps


def test_evidence_keys_and_certainty_in_words() -> None:
    row = walk(("negative", "negative"), "worse", "stable", hydrocephalus="PRESENT")
    assert row["evidence_keys"] == "mitsuya2019;su2022;kim2019"
    assert (row["certainty"], row["certainty_words"]) == ("C", "small series, or guideline by expert consensus (C)")
    row = walk(PERSISTS, "stable", "stable", symptomatic=("Y", "Y"), facts=ELIGIBLE)
    assert row["certainty"] == "D place in this sequence, B activity of intrathecal pemetrexed"


def test_why_it_matters_that_the_rules_disagree() -> None:
    row = walk(PERSISTS, "improved", "stable", facts=ELIGIBLE)
    said = row["disagreement"]
    for words in (
        "literal",
        "yes, cytology only",
        "11 of 40 (28 %)",
        "recalled, not re-read",
        "10.3816/CBC.2006.n.028",
    ):
        assert words in said
    row = walk(("positive_persistent", "cleared"), "stable", "improved", symptomatic=("Y", "Y"), facts=ELIGIBLE)
    assert "mild leg weakness" in row["disagreement"]
    assert "11 of 40" not in row["disagreement"]
    assert walk(PERSISTS, "stable", "stable", symptomatic=("Y", "Y"))["disagreement"] == ""


def test_confirmation_of_an_inadequate_response() -> None:
    # positive at baseline and nine weeks later: two samples, the later one more than four weeks after the first dose
    assert walk(PERSISTS, "improved", "stable")["inadequate_confirmed"] == "Y"
    once = walk(("negative", "positive_persistent"), "stable", "stable")
    assert (once["inadequate_grade"], once["inadequate_confirmed"]) == ("cytology_only", "N")
    fixed = walk(("positive_persistent", "cleared"), "stable", "improved", symptomatic=("Y", "Y"))
    assert (fixed["inadequate_grade"], fixed["inadequate_confirmed"]) == ("neurology_only", "Y")
    assert walk(("positive_persistent", "cleared"), "improved", "improved")["inadequate_confirmed"] == ""


@pytest.mark.parametrize(
    ("symptomatic", "grade"), [(("Y", "Y"), "both"), (("N", "N"), "cytology_only"), (("", ""), "cytology_only")]
)
def test_the_rule_by_call_is_graded_like_the_others(symptomatic: tuple[str, str], grade: str) -> None:
    row = walk(PERSISTS, "stable", "stable", symptomatic=symptomatic, charter=with_rule("call_based"))
    assert (row["inadequate"], row["inadequate_grade"]) == ("Y", grade)
    clear = walk(("negative", "negative"), "stable", "stable", charter=with_rule("call_based"))
    assert (clear["inadequate"], clear["inadequate_grade"], clear["inadequate_confirmed"]) == ("Y", "by_call", "N")


@pytest.mark.parametrize(
    ("dose", "neuro", "said"),
    [
        ("INCREASED", "improved", "an improvement on a rising dose is not a response"),
        ("DECREASED", "worse", "a worsening on a falling dose is flagged"),
        ("STABLE", "improved", ""),
        ("INCREASED", "stable", ""),
        ("NONE BEYOND PHYSIOLOGIC REPLACEMENT DOSE", "improved", ""),
    ],
)
def test_steroids_are_remarked_on_and_change_no_branch(dose: str, neuro: str, said: str) -> None:
    plain = walk(("negative", "negative"), neuro, "stable")
    row = walk(("negative", "negative"), neuro, "stable", steroids=dose)
    assert row["branch"] == plain["branch"]
    assert ("dose" in row["reason"]) == bool(said)
    assert said in row["reason"]


def test_no_output_gives_a_dose() -> None:
    for csf, neuro, imaging in (
        (PERSISTS, "improved", "stable"),
        (PERSISTS, "stable", "stable"),
        (("negative", "negative"), "worse", "progressive"),
    ):
        row = walk(csf, neuro, imaging, symptomatic=("Y", "Y"), facts={**ELIGIBLE, "genotype": "none_found"})
        for column in ("branch_label", "reason", "trail", "collect", "disagreement", "parallel_reason"):
            assert not re.search(r"\d\s*mg", row[column]), column
