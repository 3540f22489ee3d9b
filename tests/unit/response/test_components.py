"""What stands beside the call: companion schemes, answered as their published tables answer."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from lmresp.criteria import load_charter, load_scheme
from lmresp.queries import Query
from lmresp.response.companions import decide_known
from lmresp.response.components import COLUMNS, components
from tests.charters import charter_with

DEFAULT = load_charter()
DAYS = ["2024-01-01", "2024-02-12", "2024-03-25", "2024-05-06"]
Rows = list[dict[str, str]]


def strand(*visits: dict[str, str], **common: str) -> pd.DataFrame:
    """One strand of one subject: the baseline and the visits after it."""
    rows = [
        {
            "subject_id": "S1",
            "visit_num": str(n),
            "visit": f"V{n}",
            "date": DAYS[n],
            "reason": "",
            "row_ids": f"row:{n}",
            "rule_id": "X01",
            "certainty": "convention",
            **common,
            **visit,
            "flags": ";".join(name for name in ("baseline" if n == 0 else "", visit.get("flags", "")) if name),
        }
        for n, visit in enumerate(visits)
    ]
    return pd.DataFrame(rows)


def run(
    csf: Rows, neuro: Rows, mri: Rows, steroids: str = "STABLE", facts: Rows | None = None, **settings: Any
) -> tuple[pd.DataFrame, list[Query]]:
    return components(
        strand(*csf, site="LUMBAR"),
        strand(*neuro),
        strand(*mri, source="read"),
        strand(*[{"status": steroids}] * len(csf)),
        pd.DataFrame(facts or []),
        pd.DataFrame([{"subject_id": "S1"}]),
        charter_with(**settings),
    )


def value(frame: pd.DataFrame, component: str, visit: str = "V1") -> list[str]:
    [row] = frame[(frame["component"] == component) & (frame["visit"] == visit)].to_dict("records")
    return [row["value"], row["rule_id"], row["certainty"]]


def note(frame: pd.DataFrame, component: str, visit: str = "V1") -> str:
    [text] = frame.loc[(frame["component"] == component) & (frame["visit"] == visit), "note"]
    return str(text)


BL = {"status": "stable"}
STABLE = [BL, BL]


# --- RANO-BM (Lin 2015, reprinted table; criteria, appendix F) ---
@pytest.mark.parametrize(
    ("target", "nontarget", "new", "steroids", "neuro", "expected"),
    [
        (
            "CR",
            "NONE",
            "ABSENT",
            "NONE BEYOND PHYSIOLOGIC REPLACEMENT DOSE",
            "stable",
            ["CR", "BM06", "seen_secondary"],
        ),
        ("CR", "NONE", "ABSENT", "STABLE", "stable", ["PR", "BM07", "inferred"]),
        ("PR", "STABLE_OR_IMPROVED", "ABSENT", "DECREASED", "improved", ["PR", "BM08", "seen_secondary"]),
        ("SD", "NONE", "ABSENT", "INCREASED", "stable", ["NOT_EVALUABLE", "BM05", "convention"]),
        ("SD", "NONE", "ABSENT", "STABLE", "worse", ["PD", "BM04", "seen_secondary"]),
        ("SD", "UNEQUIVOCAL_PD", "ABSENT", "STABLE", "stable", ["PD", "BM02", "seen_secondary"]),
        ("PR", "NONE", "PRESENT", "STABLE", "stable", ["PD", "BM03", "seen_secondary"]),
        ("PD", "NONE", "ABSENT", "STABLE", "stable", ["PD", "BM01", "seen_secondary"]),
        # What is missing never cancels a worsening, and never supports anything else.
        ("NE", "NONE", "PRESENT", "STABLE", "stable", ["PD", "BM03", "seen_secondary"]),
        ("PD", "", "", "UNKNOWN", "not_evaluable", ["PD", "BM01", "seen_secondary"]),
        ("PR", "NE", "ABSENT", "STABLE", "stable", ["NOT EVALUABLE", "", ""]),
        ("PR", "NONE", "ABSENT", "UNKNOWN", "stable", ["NOT EVALUABLE", "", ""]),
        ("SD", "NONE", "ABSENT", "STABLE", "not_evaluable", ["NOT EVALUABLE", "", ""]),
        # Without any of its items nothing is known of the parenchyma, however the subject is.
        ("", "", "", "STABLE", "worse", ["NOT EVALUABLE", "", ""]),
    ],
)
def test_rano_bm(target: str, nontarget: str, new: str, steroids: str, neuro: str, expected: list[str]) -> None:
    read = {"status": "stable", "bm_target": target, "bm_nontarget": nontarget, "bm_new": new}
    frame, _ = run(STABLE, [BL, {"status": neuro}], [BL, read], steroids)
    assert value(frame, "parenchymal") == expected


def test_what_is_missing_for_rano_bm_is_named() -> None:
    read = {"status": "stable", "bm_target": "PR", "bm_nontarget": "NE", "bm_new": "ABSENT"}
    frame, _ = run(STABLE, STABLE, [BL, read], "UNKNOWN")
    assert note(frame, "parenchymal") == "not known: nontarget, steroids"
    frame, _ = run(STABLE, STABLE, [BL, BL | {"parenchymal": "NO CHANGE"}])
    assert note(frame, "parenchymal") == "no RANO-BM items read; PARENCHYMAL is NO CHANGE"


@pytest.mark.parametrize(
    ("flags", "certainty"), [("improved_on_rising_steroids", "convention"), ("", "seen_secondary")]
)
def test_a_nano_response_on_a_rising_dose_is_not_the_published_one(flags: str, certainty: str) -> None:
    nano = {"nano": "NEUROLOGIC_RESPONSE", "nano_rule_id": "NA04", "nano_certainty": "seen_secondary"}
    frame, _ = run(STABLE, [BL, {"status": "improved", "flags": flags, **nano}], STABLE)
    assert value(frame, "nano") == ["NEUROLOGIC_RESPONSE", "NA04", certainty]
    assert ("not due to medication" in note(frame, "nano")) == bool(flags)


def test_a_brain_progression_that_only_the_examination_speaks_for_says_so() -> None:
    read = {"status": "stable", "bm_target": "SD", "bm_nontarget": "NONE", "bm_new": "ABSENT"}
    frame, _ = run(STABLE, [BL, {"status": "worse"}], [BL, read])
    assert "examination alone" in note(frame, "parenchymal")
    frame, _ = run(STABLE, [BL, {"status": "worse"}], [BL, read | {"bm_target": "PD"}])
    assert "examination alone" not in note(frame, "parenchymal")


def test_the_rows_of_a_site_are_those_of_the_visit_where_it_has_several() -> None:
    visit = {"status": "positive_persistent", "site": "LUMBAR;VENTRICULAR", "by_site": "LUMBAR:cleared"}
    frame, _ = run([BL, visit], STABLE, STABLE)
    assert note(frame, "csf LUMBAR") == "samples of this site alone; date and rows are those of the whole visit"
    frame, _ = run([BL, visit | {"site": "LUMBAR"}], STABLE, STABLE)
    assert note(frame, "csf LUMBAR") == "samples of this site alone"


def test_every_cell_of_rano_bm_answers_as_the_table_when_all_is_known() -> None:
    scheme = load_scheme("rano_bm_2015_parenchymal")
    cells = scheme.combinations()
    found = decide_known(scheme, cells)
    assert len(cells) == 144
    assert found[["value", "rule_id"]].to_numpy().tolist() == cells[["call", "rule_id"]].to_numpy().tolist()


# --- cytology 1998 (Oncol Lett 2016;12:1301, Table IV; criteria, appendix G) ---
POS, NEG, SUS = ({"status": "x", "result": word} for word in ("POSITIVE", "NEGATIVE", "SUSPICIOUS"))
NONE = {"status": "missing", "result": "NOT EVALUABLE", "reason": "cytology not evaluable: low volume"}
BOTH_SITES = {"site": "LUMBAR;VENTRICULAR", "by_site": "LUMBAR:negative;VENTRICULAR:negative"}


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([POS, NEG, NEG], ["CR", "CY01", "seen_secondary"]),
        ([POS, NEG, NONE, NEG], ["CR", "CY01", "seen_secondary"]),
        ([POS, SUS, SUS], ["PR", "CY02", "seen_secondary"]),
        ([NEG, NEG, POS, POS], ["PD", "CY03", "seen_secondary"]),
        ([NEG, NEG, SUS, SUS], ["PD", "CY04", "seen_secondary"]),
        ([POS, NEG], ["UNCLASSIFIED", "CY06", "convention"]),
        ([POS, NEG, POS], ["UNCLASSIFIED", "CY06", "convention"]),
        ([NEG, POS, POS], ["NOT EVALUABLE", "", ""]),  # negative once is no word of the table
        ([POS, POS], ["NOT EVALUABLE", "", ""]),  # nothing is known of what came before the pair
        ([NONE, POS], ["NOT EVALUABLE", "", ""]),
        ([POS, NEG, NEG, NONE], ["NOT EVALUABLE", "", ""]),
    ],
)
def test_cytology_1998(samples: Rows, expected: list[str]) -> None:
    others = [BL] * len(samples)
    frame, _ = run([each | BOTH_SITES for each in samples], others, others)
    assert value(frame, "cytology_1998", f"V{len(samples) - 1}") == expected


def test_remission_of_1998_needs_steroids_that_do_not_rise_and_a_month() -> None:
    course, others = [POS, NEG, NEG], [BL] * 3
    assert value(run(course, others, others, "INCREASED")[0], "cytology_1998", "V2")[0] == "UNCLASSIFIED"
    assert value(run(course, others, others, "UNKNOWN")[0], "cytology_1998", "V2")[0] == "NOT EVALUABLE"
    early = [POS, NEG, NEG | {"date": "2024-02-26"}]  # two weeks after the first negative sample
    assert value(run(early, others, others)[0], "cytology_1998", "V2")[0] == "UNCLASSIFIED"
    close = [POS, NEG, NEG | {"date": "2024-02-15"}]  # less than a week: no pair
    assert value(run(close, others, others)[0], "cytology_1998", "V2")[0] == "NOT EVALUABLE"


@pytest.mark.parametrize(
    ("course", "said"),
    [([NEG, POS, POS], "negative once"), ([SUS, NEG, NEG], "equivocal"), ([POS, POS, POS], "not known: prior")],
)
def test_what_came_before_the_pair_is_called_unknown_only_where_it_is(course: Rows, said: str) -> None:
    frame, _ = run(course, [BL] * 3, [BL] * 3)
    assert value(frame, "cytology_1998", "V2")[0] == "NOT EVALUABLE"
    assert said in note(frame, "cytology_1998", "V2")
    assert ("not known" in note(frame, "cytology_1998", "V2")) == (said == "not known: prior")


def test_the_sites_that_the_definition_asks_for_are_named() -> None:
    frame, _ = run([POS, NEG, NEG], [BL] * 3, [BL] * 3)
    assert "asks for ventricular and lumbar samples; here lumbar" in note(frame, "cytology_1998", "V2")


@pytest.mark.parametrize(
    "one_site",
    [
        {"site": "LUMBAR"},
        {"site": "LUMBAR;VENTRICULAR", "by_site": "LUMBAR:cleared;VENTRICULAR:missing"},  # that one was not evaluable
    ],
)
@pytest.mark.parametrize("at", [1, 2])
def test_a_remission_of_1998_without_both_sites_is_not_the_published_one(one_site: dict[str, str], at: int) -> None:
    course: Rows = [each | BOTH_SITES for each in (POS, NEG, NEG)]
    course[at] = course[at] | {"by_site": ""} | one_site
    frame, _ = run(course, [BL] * 3, [BL] * 3)
    assert value(frame, "cytology_1998", "V2") == ["CR", "CY01", "convention"]
    assert set(frame.loc[(frame["component"] == "cytology_1998"), "authority"]) == {"unverified"}
    assert "asks for ventricular and lumbar samples" in note(frame, "cytology_1998", "V2")


# --- EANO-ESMO diagnosis (criteria, appendix C) ---
@pytest.mark.parametrize(
    ("result", "pattern", "symptomatic", "expected"),
    [
        ("POSITIVE", "A", "N", ["TYPE_I_CONFIRMED", "ED01", "seen"]),
        ("POSITIVE", "", "", ["TYPE_I_CONFIRMED", "ED01", "seen"]),  # whatever the MRI letter
        ("NEGATIVE", "C", "Y", ["TYPE_II_PROBABLE", "ED02", "seen_secondary"]),
        ("SUSPICIOUS", "B", "Y", ["TYPE_II_PROBABLE", "ED02", "seen_secondary"]),
        ("NEGATIVE", "A", "N", ["TYPE_II_POSSIBLE", "ED03", "recalled"]),
        ("NEGATIVE", "D_normal", "N", ["LACK_OF_EVIDENCE", "ED06", "recalled"]),
        ("NOT DONE", "C", "Y", ["UNCLASSIFIED", "ED08", "convention"]),
        ("NEGATIVE", "", "Y", ["NOT EVALUABLE", "", ""]),
        ("NEGATIVE", "A", "", ["NOT EVALUABLE", "", ""]),
    ],
)
def test_diagnosis(result: str, pattern: str, symptomatic: str, expected: list[str]) -> None:
    frame, _ = run([BL | {"result": result}], [BL | {"symptomatic": symptomatic}], [BL | {"mri_pattern": pattern}])
    assert value(frame, "diagnosis", "V0") == expected


@pytest.mark.parametrize(
    ("result", "source", "certainty"),
    [
        ("NEGATIVE", "read", "seen_secondary"),  # type II, probable: the cell was read in a transcription
        ("NEGATIVE", "draft", "convention"),  # it hangs on a pattern that no radiologist has seen
        ("POSITIVE", "draft", "seen"),  # positive cytology is type I whatever the MRI shows
    ],
)
def test_a_class_that_hangs_on_a_draft_is_not_the_published_one(result: str, source: str, certainty: str) -> None:
    mri = strand(BL | {"mri_pattern": "C"}, source=source)
    frame, _ = components(
        strand(BL | {"result": result}, site="LUMBAR"),
        strand(BL | {"symptomatic": "Y"}),
        mri,
        strand({"status": "STABLE"}),
        pd.DataFrame(),
        pd.DataFrame([{"subject_id": "S1"}]),
        DEFAULT,
    )
    assert value(frame, "diagnosis", "V0")[2] == certainty


def test_the_rows_of_earlier_samples_that_decide_are_named() -> None:
    samples = [{"result": word, "status": "x", "by_site": ""} for word in ("POSITIVE", "NEGATIVE", "NEGATIVE")]
    frame, _ = run(samples, [{}] * 3, [{}] * 3)
    [rows] = frame.loc[(frame["component"] == "cytology_1998") & (frame["visit"] == "V2"), "row_ids"]
    assert rows == "row:0;row:1;row:2"


@pytest.mark.parametrize(
    ("lm_type", "result", "pattern", "source", "found"),
    [
        ("IC", "POSITIVE", "C", "read", []),
        ("", "POSITIVE", "C", "read", []),
        ("IIC", "POSITIVE", "C", "read", ["IC"]),
        ("IA", "NEGATIVE", "A", "read", ["IIA"]),
        ("IA", "POSITIVE", "C", "read", ["IC"]),
        ("IA", "POSITIVE", "C", "draft", []),  # a draft is not held against the site
        ("ID", "POSITIVE", "D_hydrocephalus", "read", []),
        ("IA", "POSITIVE", "", "read", []),
        ("IIA", "NOT DONE", "", "read", []),
    ],
)
def test_a_class_that_the_baseline_does_not_bear_out_is_asked(
    lm_type: str, result: str, pattern: str, source: str, found: list[str]
) -> None:
    frame, problems = components(
        strand(BL | {"result": result}),
        strand(BL | {"symptomatic": "Y"}),
        strand(BL | {"mri_pattern": pattern, "source": source}),
        strand({"status": "STABLE"}),
        pd.DataFrame(),
        pd.DataFrame([{"subject_id": "S1", "lm_type": lm_type}]),
        DEFAULT,
    )
    assert [(q.code, q.value) for q in problems] == [("DV041", lm_type)] * len(found)
    assert all(f"the baseline data give {letters}." in q.message for q, letters in zip(problems, found, strict=True))
    assert len(frame) == 1


def test_cytology_of_the_subjects_table_stands_in_where_there_is_no_sample() -> None:
    frame, _ = components(
        strand({"status": "missing", "result": ""}),
        strand(BL),
        strand(BL),
        strand(BL),
        pd.DataFrame(),
        pd.DataFrame([{"subject_id": "S1", "bl_cytology": "POSITIVE"}]),
        DEFAULT,
    )
    assert value(frame, "diagnosis", "V0")[0] == "TYPE_I_CONFIRMED"


# --- what is reported apart ---
def test_systemic_disease_is_what_the_site_recorded_at_the_visit() -> None:
    facts = [{"subject_id": "S1", "visit_num": "1.0", "systemic": "PROGRESSION", "row_id": "facts:2"}]
    frame, _ = run([BL] * 3, [BL] * 3, [BL] * 3, facts=facts)
    assert value(frame, "systemic", "V1") == ["PROGRESSION", "", ""]
    assert value(frame, "systemic", "V2") == ["NOT RECORDED", "", ""]


def test_every_sampling_site_has_a_row_of_its_own() -> None:
    by_site = {"status": "positive_persistent", "by_site": "LUMBAR:cleared;VENTRICULAR:positive_persistent"}
    frame, _ = run([BL, by_site], STABLE, STABLE)
    names = frame.loc[frame["visit"] == "V1", "component"].tolist()
    assert names[:4] == ["csf", "csf LUMBAR", "csf VENTRICULAR", "neuro"]
    assert value(frame, "csf LUMBAR") == ["cleared", "CS03", "convention"]
    assert value(frame, "csf VENTRICULAR") == ["positive_persistent", "CS06", "convention"]


def test_schemes_whose_cells_nobody_read_are_off_unless_the_charter_names_them() -> None:
    mri = [BL, {"status": "improved", "overall": "PR"}]
    frame, _ = run([BL, {"status": "cleared"}], STABLE, mri)
    assert not set(frame["component"]) & {"bloom", "eano_esmo_followup"}
    on = ["bloom_modified_rano_lm", "eano_esmo_followup"]
    frame, _ = run([BL, {"status": "cleared"}], STABLE, mri, switched_on=on)
    assert value(frame, "bloom") == ["PR", "BL02", "recalled"]
    assert value(frame, "eano_esmo_followup") == ["RESPONSE", "EF11", "convention"]
    assert "convention" in note(frame, "eano_esmo_followup")
    site = [BL, {"status": "improved", "overall": "PR", "flags": "investigator_read"}]
    frame, _ = run(STABLE, STABLE, site, switched_on=on)
    assert value(frame, "bloom") == ["NOT EVALUABLE", "", ""]


@pytest.mark.parametrize(
    ("csf", "neuro", "imaging", "asked"),
    [
        ("cleared", "improved", "progressive", True),
        ("positive_new", "stable", "improved", True),
        ("cleared", "stable", "progressive", True),
        ("positive_persistent", "improved", "improved", False),
        ("positive_new", "worse", "progressive", False),
        ("negative", "stable", "progressive", False),
    ],
)
def test_strands_that_point_in_opposite_directions_are_asked(csf: str, neuro: str, imaging: str, asked: bool) -> None:
    _, problems = run([BL, {"status": csf}], [BL, {"status": neuro}], [BL, {"status": imaging}])
    assert [q.code for q in problems] == ["DV010"] * asked


def test_only_a_read_rule_is_published_while_the_charter_is_not_signed() -> None:
    read = {"status": "stable", "bm_target": "SD", "bm_nontarget": "NONE", "bm_new": "ABSENT"}
    frame, _ = run(STABLE, STABLE, [BL, read])
    authority = frame[frame["visit"] == "V1"].set_index("component")["authority"]
    assert authority[["parenchymal", "imaging", "systemic"]].tolist() == ["published", "unverified", ""]


def test_strands_of_different_visits_are_a_broken_promise() -> None:
    with pytest.raises(ValueError, match="same visits"):
        run([BL, BL], [BL], [BL, BL])


def test_empty_input_gives_an_empty_frame() -> None:
    nothing = strand(BL).head(0)
    frame, problems = components(nothing, nothing, nothing, nothing, pd.DataFrame(), pd.DataFrame(), DEFAULT)
    assert (len(frame), list(frame.columns), problems) == (0, list(COLUMNS), [])
