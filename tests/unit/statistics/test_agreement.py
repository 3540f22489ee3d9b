"""Tables of agreement: who is compared with whom, what is left out and why, and what stands beside it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pandas as pd
import pytest

from lmresp.errors import CriteriaError
from lmresp.statistics import published
from lmresp.statistics.adjudication import adjudication
from lmresp.statistics.agreement import COLUMNS, agreement
from lmresp.statistics.first_progression import first_progression
from lmresp.statistics.published import load_conventions, load_published, published_for
from lmresp.statistics.review_list import doubts, review_list

R1, R2, R3, DRAFT = "RADIOLOGIST 1", "RADIOLOGIST 2", "RADIOLOGIST 3", "draft"
NUMBERS = pd.DataFrame(
    columns=["rater", "kind", "subject_id", "number", "compartment", "item", "unit", "value", "blinded"]
)


def answers(rater: str, *values: str, kind: str = "", visits: int = 1, **changed: str) -> pd.DataFrame:
    """Overall values of a rater at follow-up, ``visits`` of them a subject; "" is no read."""
    row = {
        "rater": rater,
        "kind": kind or ("draft" if rater == DRAFT else "reader"),
        "phase": "follow-up",
        "compartment": "WHOLE",
        "item": "OVERALL",
        "against": "BASELINE",
        "blinded": "Y",
        "saw_draft": "",
        "changed": "",
        "source": f"rows of {rater}",
    }
    rows = [
        row
        | {
            "subject_id": f"S{place // visits:02d}",
            "number": float(place % visits + 1),
            "visit_num": str(place % visits + 1),
            "visit": f"V{place % visits + 1}",
            "date": f"2024-0{place % visits + 1}-01",
            "read_dtc": "2024-09-01T09:00:00Z",
            "value": value,
        }
        | changed
        for place, value in enumerate(values)
        if value
    ]
    return pd.DataFrame(rows)


def table(*parts: pd.DataFrame, numbers: pd.DataFrame = NUMBERS) -> pd.DataFrame:
    return agreement(pd.concat(parts), numbers, [])[0]


def cell(found: pd.DataFrame, comparison: str, statistic: str, column: str = "value", **where: str) -> str:
    rows = found[(found["comparison"] == comparison) & (found["statistic"] == statistic)]
    for name, value in where.items():
        rows = rows[rows[name] == value]
    assert len(rows) == 1, rows
    return str(rows[column].iloc[0])


def cohen() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The 2 x 2 of the textbook, 20 5 / 10 15, in the words SD and PD: kappa 0.40, 0.151 to 0.649."""
    first = ["SD"] * 25 + ["PD"] * 25
    second = ["SD"] * 20 + ["PD"] * 5 + ["SD"] * 10 + ["PD"] * 15
    return answers(R1, *first), answers(R2, *second)


def test_independent_visits_get_the_published_limits() -> None:
    found = table(*cohen())
    pair = f"{R1} v {R2}"
    assert list(found.columns) == list(COLUMNS)
    assert [cell(found, pair, "cohen_kappa", name) for name in ("value", "low", "high", "n", "subjects")] == [
        *("0.400", "0.151", "0.649", "50", "50")
    ]
    assert "Fleiss" in cell(found, pair, "cohen_kappa", "method")
    assert cell(found, pair, "percent_agreement") == "70.0"
    assert cell(found, pair, "cohen_kappa", "published") == "0.44"
    assert "PMC9527515" in cell(found, pair, "cohen_kappa", "published_note")
    assert "seen" in cell(found, pair, "cohen_kappa", "published_note")


def test_visits_of_one_subject_get_limits_over_subjects() -> None:
    first = answers(R1, *["SD", "SD", "PD", "PD"] * 10, visits=4)
    second = answers(R2, *(["SD", "SD", "PD", "PD"] * 6 + ["SD", "PD", "SD", "PD"] * 4), visits=4)
    found = table(first, second)
    pair = f"{R1} v {R2}"
    assert "jackknife over subjects" in cell(found, pair, "cohen_kappa", "method")
    # 32 of 40 agree: six subjects entirely, four by half. Student's interval of these ten shares.
    assert cell(found, pair, "percent_agreement") == "80.0"
    assert [cell(found, pair, "percent_agreement", name) for name in ("low", "high")] == ["61.5", "98.5"]


def test_the_same_word_throughout_has_no_kappa() -> None:
    found = table(answers(R1, *["SD"] * 8), answers(R2, *["SD"] * 8))
    pair = f"{R1} v {R2}"
    assert cell(found, pair, "cohen_kappa") == ""
    assert cell(found, pair, "cohen_kappa", "note") == "all ratings are the same: not defined"
    assert cell(found, pair, "krippendorff_alpha") == ""
    assert cell(found, pair, "gwet_ac1") == "1.000"
    assert cell(found, pair, "gwet_ac1", "low") == ""
    assert cell(found, pair, "percent_agreement") == "100.0"
    assert cell(found, pair, "percent_agreement", "low") == "67.6"  # Wilson, 8 of 8


@pytest.mark.parametrize(("pairs", "kappa", "limits"), [(4, "", ""), (5, "1.000", "")])
def test_few_pairs(pairs: int, kappa: str, limits: str) -> None:
    values = ["SD", "PD", "PR", "SD", "PD"][:pairs]
    found = table(answers(R1, *values), answers(R2, *values))
    assert cell(found, f"{R1} v {R2}", "cohen_kappa") == kappa
    assert cell(found, f"{R1} v {R2}", "cohen_kappa", "low") == limits
    assert cell(found, f"{R1} v {R2}", "cohen_kappa", "note") != ""
    assert cell(found, f"{R1} v {R2}", "percent_agreement") == "100.0"


def test_two_subjects_have_no_limits() -> None:
    found = table(answers(R1, *["SD", "PD"] * 4, visits=4), answers(R2, *["PD", "PD"] * 4, visits=4))
    assert cell(found, f"{R1} v {R2}", "percent_agreement") == "50.0"
    assert cell(found, f"{R1} v {R2}", "percent_agreement", "low") == ""
    assert cell(found, f"{R1} v {R2}", "percent_agreement", "note") == "fewer than 5 subjects: no limits"


def test_not_evaluable_is_counted_apart() -> None:
    first = answers(R1, *["SD"] * 3, *["PD"] * 3, "NE", "NE")
    second = answers(R2, *["SD"] * 3, *["PD"] * 3, "NE", "SD")
    found = table(first, second)
    pair = f"{R1} v {R2}"
    assert cell(found, pair, "percent_agreement", "n") == "6"
    assert cell(found, pair, "cohen_kappa") == "1.000"
    assert cell(found, pair, "not_evaluable") == "25.0"
    # With NE as a word: 7 of 8 agree; by chance (3*4 + 3*3 + 2*1) / 64.
    assert float(cell(found, pair, "cohen_kappa_with_ne")) == pytest.approx((7 / 8 - 23 / 64) / (1 - 23 / 64), abs=1e-3)


def test_steps_and_direction_against_the_draft() -> None:
    reader = answers(R1, "CR", "PR", "SD", "SD", "PD", "PD", "SD", "SD")
    draft = answers(DRAFT, "CR", "SD", "PR", "PD", "PR", "PD", "SD", "SD")
    found, counts = agreement(pd.concat([reader, draft]), NUMBERS, [])
    pair = f"{R1} v draft"
    shares = {
        "percent_agreement": "50.0",
        "one_step": "37.5",
        "two_steps": "12.5",
        "draft_better": "25.0",
        "draft_worse": "25.0",
    }
    assert {name: cell(found, pair, name) for name in shares} == shares
    assert counts[(counts["first"] == "SD") & (counts["second"] == "SD")]["count"].tolist() == ["2"]
    assert counts["count"].astype(int).sum() == 8


@pytest.mark.parametrize("changed", [{"blinded": "N"}, {"blinded": ""}])
def test_reads_that_are_not_blinded_never_count(changed: dict[str, str]) -> None:
    assert table(answers(R1, *["SD"] * 8), answers(R2, *["SD"] * 8, **changed)).empty


def test_who_saw_the_draft_is_not_compared_with_it() -> None:
    one, two, draft = (answers(who, *["SD", "PD"] * 4) for who in (R1, R2, DRAFT))
    found = table(one.assign(saw_draft="Y"), two, draft)
    assert set(found["comparison"]) == {f"{R1} v {R2}", f"{R2} v draft"}


def test_answers_against_different_scans_are_no_pair() -> None:
    first = answers(R1, *["SD"] * 8)
    second = pd.concat([answers(R2, *["SD"] * 6), answers(R2, *[""] * 6, "SD", "SD", against="PREVIOUS")])
    assert cell(table(first, second), f"{R1} v {R2}", "percent_agreement", "n") == "6"


def test_adjudicators_are_compared_with_nobody() -> None:
    judge = answers("ADJUDICATOR", *["SD"] * 8, kind="adjudicator")
    assert table(answers(R1, *["SD"] * 8), judge).empty


def test_three_readers() -> None:
    # Two pairs agree in 6 of 8, the third in 4 of 8.
    one = answers(R1, *["SD"] * 4, *["PD"] * 4)
    two = answers(R2, *["SD"] * 3, *["PD"] * 4, "SD")
    three = answers(R3, *["SD"] * 2, "PD", "PD", "PD", "PD", "SD", "SD")
    found = table(one, two, three)
    pairs = [f"{a} v {b}" for a, b in itertools.combinations((R1, R2, R3), 2)]
    kappas = sorted(float(cell(found, pair, "cohen_kappa")) for pair in pairs)
    assert float(cell(found, "independent readers", "cohen_kappa_median")) == kappas[1]
    shares = [float(cell(found, pair, "percent_agreement")) for pair in pairs]
    assert float(cell(found, "independent readers", "percent_agreement")) == pytest.approx(sum(shares) / 3, abs=0.1)
    assert cell(found, "independent readers", "cohen_kappa_median", "published") == "0.44"


def numbers(rater: str, values: Sequence[float], visits: int = 1) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "rater": rater,
            "kind": "draft" if rater == DRAFT else "reader",
            "subject_id": [f"S{place // visits}" for place in range(len(values))],
            "number": [float(place % visits) for place in range(len(values))],
            "compartment": "BRAIN",
            "item": "SUM_PRODUCTS",
            "unit": "mm2",
            "value": values,
            "blinded": "Y",
        }
    )


def test_numbers_by_hand() -> None:
    both = pd.concat([numbers(R1, [1.0, 2, 3, 4, 5]), numbers(DRAFT, [3.0, 4, 5, 6, 7])])
    found = table(answers(R1, "SD"), answers(DRAFT, "SD"), numbers=both)
    pair = f"{R1} v draft"
    assert cell(found, pair, "icc") == "0.556"  # 5 / 9, see test_reliability
    assert cell(found, pair, "bias") == "2.000"
    assert "mm2; draft less RADIOLOGIST 1" in cell(found, pair, "bias", "note")
    assert cell(found, pair, "limit_of_agreement_low") == "2.000"


def test_numbers_without_variance() -> None:
    both = pd.concat([numbers(R1, [3.0] * 6), numbers(DRAFT, [3.0] * 6)])
    found = table(answers(R1, "SD"), answers(DRAFT, "SD"), numbers=both)
    assert cell(found, f"{R1} v draft", "icc") == ""
    assert cell(found, f"{R1} v draft", "icc", "note") == "all ratings are the same: not defined"


def test_adjudication_and_acceptance() -> None:
    one = answers(R1, *["SD"] * 6, "PD", "PD")
    two = answers(R2, *["SD"] * 4, *["PD"] * 4)
    judge = answers("ADJUDICATOR", *[""] * 4, "PD", "SD", kind="adjudicator")
    found = pd.DataFrame(adjudication(pd.concat([one, two, judge])))
    overall = found[found["item"] == "OVERALL"]
    assert cell(overall, "independent readers", "disagreed") == "25.0"  # 2 of 8
    assert cell(overall, "independent readers", "adjudicated") == "25.0"
    assert cell(overall, R1, "accepted_by_adjudicator") == "50.0"
    assert cell(overall, R1, "accepted_by_adjudicator", "n") == "2"
    assert cell(overall, R1, "accepted_by_adjudicator", "published") == "48"
    assert cell(found, "independent readers", "adjudicated", "published", item="ANY") == "42"
    assert cell(found, R1, "locked_reads_changed") == "0.0"


def test_single_reads_have_no_adjudication_rate() -> None:
    found = adjudication(answers(R1, *["SD"] * 6, changed="Y"))
    assert [(row["statistic"], row["value"]) for row in found] == [("locked_reads_changed", "100.0")]


def test_first_progression_by_hand() -> None:
    # S00: PD at visit 2 and 3, 29 days apart; S01: only the draft; S02: at the same visit; S03: a visit not read.
    reader = answers(R1, *["SD", "PD", "PD"], *["SD"] * 3, *["PD", "PD", "SD"], *["", "SD", "SD"], visits=3)
    draft = answers(DRAFT, *["SD", "SD", "PD"], *["SD", "SD", "PD"], *["PD"] * 3, *["PD", "SD", "SD"], visits=3)
    found = first_progression(pd.concat([reader, draft]))
    assert [(row["comparison"], row["value"], row["n"]) for row in found] == [(f"{R1} v draft", "14.500", "2")]
    assert found[0]["note"] == "PD by both 2, by the first only 0, by the second only 1, by neither 1"


def test_review_list() -> None:
    reader = answers(R1, "PR", "SD", "NE", "PD", "SD", "PD")
    draft = answers(DRAFT, "PD", "PD", "PD", "SD", "SD", "PD")
    found = review_list(pd.concat([reader, draft]))
    assert found[["subject_id", "steps", "reason"]].to_numpy().tolist() == [
        ["S00", "2", "two steps or more apart; draft PD, not read as PD"],
        ["S01", "1", "draft PD, not read as PD"],
        ["S02", "", "draft PD, read not evaluable"],
    ]
    assert found["first_source"].iloc[0] == f"rows of {R1}"


def test_always_the_draft_is_a_doubt() -> None:
    reader, draft = answers(R1, *["SD", "PD"] * 4), answers(DRAFT, *["SD", "PD"] * 4)
    rated = pd.concat([reader, draft])
    assert [query.code for query in doubts(rated)] == ["DV070"]
    once = pd.concat([answers(R1, "PD", *["PD", "SD"] * 3, "PD"), draft])
    assert doubts(once) == []
    few = pd.concat([answers(R1, *["SD", "PD"] * 2), draft])
    assert doubts(few) == []


def test_reads_left_out_are_named() -> None:
    rated = pd.concat([answers(R1, *["SD"] * 3, blinded=""), answers(R2, *["SD"] * 3, saw_draft="Y")])
    found = doubts(rated)
    assert [(query.code, query.value) for query in found] == [("DV071", R1), ("DV072", R2)]
    assert "3 locked read(s)" in found[0].message


def test_nothing_to_compare() -> None:
    empty = answers(R1, "SD").iloc[:0]
    found, counts = agreement(empty, NUMBERS, [])
    assert found.empty
    assert counts.empty
    assert review_list(empty).empty
    assert first_progression(empty) == []
    assert adjudication(empty) == []
    assert doubts(empty) == []


def test_published_values_as_read() -> None:
    # PMC9527515, abstract: hydrocephalus 0.63, spinal linear 0.46, parenchymal 0.29 at baseline; overall response 0.44.
    expected = {
        ("HYDROCEPHALUS", "BRAIN", "baseline"): "0.63",
        ("LINEAR", "SPINE", "baseline"): "0.46",
        ("PARENCHYMAL", "BRAIN", "baseline"): "0.29",
        ("OVERALL", "WHOLE", "follow-up"): "0.44",
        ("PARENCHYMAL", "BRAIN", "follow-up"): "",  # "virtually absent"; the figure was not read
    }
    assert {key: published_for("cohen_kappa", *key).value for key in expected} == expected
    assert "not read" in published_for("cohen_kappa", "PARENCHYMAL", "BRAIN", "follow-up").note
    assert "inferred" in published_for("cohen_kappa", "NODULES", "BRAIN", "baseline").note
    assert load_conventions().scales["change"] == ("IMPROVED", "NO CHANGE", "WORSE")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("value: 0.63, certainty: seen", "value: 0.63, certainty: sure"),
        ("value: 0.63, certainty: seen", "certainty: seen"),
        (
            "source: eortc_rano_2022, statistic: cohen_kappa, item: HYDRO",
            "source: nobody, statistic: cohen_kappa, item: HYDRO",
        ),
        (
            "item: PARENCHYMAL, compartment: BRAIN, phase: baseline",
            "item: HYDROCEPHALUS, compartment: BRAIN, phase: baseline",
        ),
    ],
)
def test_a_damaged_file_of_published_values(monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    real = published.packaged_text

    def damaged(package: str, name: str) -> str:
        text = real(package, name)
        if name.endswith("published_agreement.yaml"):
            assert old in text
            text = text.replace(old, new, 1)
        return text

    monkeypatch.setattr(published, "packaged_text", damaged)
    load_published.cache_clear()
    with pytest.raises(CriteriaError):
        load_published()
    load_published.cache_clear()
