"""The section of the endpoints: counts by hand, both policies and both states of confirmation side by side."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from lmresp.report import StudyData, load_study, study_report
from lmresp.report.endpoints import endpoints_view, responses, subject_endpoints


def best(subject: str, unconfirmed: str, confirmed: str, state: str = "N") -> dict[str, str]:
    return {
        "subject_id": subject,
        "best_response": unconfirmed,
        "confirmed_best": confirmed,
        "confirmed_response": state,
    }


def section(data: StudyData) -> str:
    return study_report(data).split('<section aria-labelledby="endpoints">')[1].split("</section>")[0]


def test_every_subject_counts_once_and_pending_is_its_own_state() -> None:
    rows = [
        best("A", "RESPONSE", "RESPONSE", "Y"),
        best("B", "RESPONSE", "STABLE"),
        best("C", "RESPONSE", "STABLE", "PENDING"),
        best("D", "MISSING", "MISSING"),
    ]
    (group,), lines = responses(rows, {})
    shown = {line.entry.value: line.shares[0] for line in lines}
    assert (group.subjects, group.differ) == (4, 2)
    assert shown["RESPONSE"] == ("3 (75 %)", "1 (25 %)")
    assert shown["STABLE"] == ("0 (0 %)", "1 (25 %)")
    assert shown["PENDING"] == ("0 (0 %)", "1 (25 %)")
    assert shown["MISSING"] == ("1 (25 %)", "1 (25 %)")
    for side in (0, 1):
        assert sum(int(share[side].split()[0]) for share in shown.values()) == 4


def test_arms_have_columns_of_their_own_where_there_are_several() -> None:
    rows = [best("A", "STABLE", "STABLE"), best("B", "PROGRESSION", "PROGRESSION"), best("C", "STABLE", "STABLE")]
    groups, lines = responses(rows, {"A": "IT", "B": "IV", "C": "IT"})
    assert [(group.name, group.subjects) for group in groups] == [("all", 3), ("IT", 2), ("IV", 1)]
    stable = next(line for line in lines if line.entry.value == "STABLE")
    assert [share[0] for share in stable.shares] == ["2 (67 %)", "2 (100 %)", "0 (0 %)"]
    assert len(responses(rows, {"A": "IT", "B": "IT", "C": "IT"})[0]) == 1


def test_confirmed_and_unconfirmed_rates_share_a_row_with_both_intervals(study: Any) -> None:
    text = section(load_study(study.write(), "S", "", ""))
    row = next(row for row in text.split("<tr>") if "Objective response" in row)
    unconfirmed, confirmed = row.split("<td>")[2:4]
    assert "1 of 3" in unconfirmed
    assert "Clopper–Pearson 0.84 to 90.57" in unconfirmed
    assert "Wilson 6.15 to 79.23" in unconfirmed
    assert "0 of 3" in confirmed
    assert "Clopper–Pearson 0.00 to 70.76" in confirmed


def test_medians_of_both_policies_share_a_row_and_name_the_method(study: Any) -> None:
    text = section(load_study(study.write(), "S", "", ""))
    table = text.split("Median time to event under both policies")[1]
    assert "Brookmeyer-Crowley, log-log transformation" in table
    row = next(row for row in table.split("<tr>") if "LM progression-free survival" in row)
    by_charter, by_policy = row.split("<td>")[2:4]
    assert "95 % limits 57 to not reached" in by_charter
    assert "95 % limits 57 to 127" in by_policy
    overall = next(row for row in table.split("<tr>") if "Overall survival" in row)
    assert "<strong>not reached</strong>" in overall
    assert "not reached</strong> days" not in overall


def test_events_and_reasons_of_censoring_are_counted(study: Any) -> None:
    view = endpoints_view(load_study(study.write(), "S", "", ""))
    assert [code.value for code in view.codes] == ["1", "4"]
    counted = {(line.parameter.value, line.policy.value): (line.events, list(line.counts)) for line in view.censoring}
    assert counted[("OS", "charter")] == ("1 (death 1)", [2, 0])
    assert counted[("LMPFS", "charter")] == ("2 (death 1, progression 1)", [0, 1])
    assert counted[("LMPFS", "treatment_policy")] == ("3 (death 1, progression 2)", [0, 0])
    assert all(int(line.events.split()[0]) + sum(line.counts) == line.subjects for line in view.censoring)


def test_subjects_censored_for_missed_assessments_are_listed_with_the_reason(study: Any) -> None:
    listing = section(load_study(study.write(), "S", "", "")).split('id="missed">')[1]
    assert listing.startswith("Censored because of missed assessments (1)")
    assert 'href="#subject-S-02">S-02</a>' in listing
    assert "2024-02-12" in listing
    assert "no assessment in weeks 12 and 18" in listing
    assert "S-01" not in listing


def test_parameters_that_nobody_enters_are_named_and_empty_study_says_so(study: Any) -> None:
    text = section(load_study(study.write(), "S", "", ""))
    assert "No subject enters: duration of confirmed response" in text
    empty = section(StudyData("EMPTY"))
    for words in ("No best response", "No rate was estimated.", "No time to event was estimated."):
        assert words in empty
    assert "<svg" not in empty


def test_absent_files_count_as_empty(study: Any) -> None:
    names = ("components.csv", "endpoints.csv", "rates.csv", "survival.csv", "survival_curve.csv", "work/steroids.csv")
    results = study.write()
    for name in names:
        (results / name).unlink()
    data = load_study(results, "S", "", "")
    assert not any((data.components, data.endpoints, data.rates, data.survival, data.survival_curve, data.steroids))
    assert "No rate was estimated." in section(data)


def test_no_p_value(study: Any) -> None:
    text = study_report(load_study(study.write(), "S", "", ""))
    assert re.search(r"\bp\s*[=<]|p.value|log.?rank", re.sub("<[^>]*>", " ", text), flags=re.I) is None


def test_parameters_of_a_subject_keep_the_order_of_the_study() -> None:
    rows = [
        {"parameter": "LMPFS", "policy": "treatment_policy", "censored": "0"},
        {"parameter": "LMPFS", "policy": "charter", "censored": "1"},
        {"parameter": "OS", "policy": "charter", "censored": "1"},
    ]
    pairs = subject_endpoints(rows)
    assert [pair.name.value for pair in pairs] == ["OS", "LMPFS"]
    assert pairs[0].second is None
    assert (pairs[1].first, pairs[1].second) == (rows[1], rows[0])


@pytest.mark.parametrize("subjects", [1, 2])
def test_study_of_one_subject_without_an_event(study: Any, subjects: int) -> None:
    data = load_study(study.write(), "S", "", "")
    curve = [{"parameter": "OS", "policy": "charter", "group": "all", "day": "30", "at_risk": str(subjects)}]
    curve[0] |= {"events": "0", "censored": str(subjects), "survival": "1", "low": "", "high": ""}
    text = section(dataclasses.replace(data, survival_curve=curve, survival=data.survival[:1]))
    assert "NaN" not in text
    assert f"<title>day 30: {subjects} censored</title>" in text
