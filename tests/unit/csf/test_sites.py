"""Sampling sites, quality of samples, confirmation of a clearance, and what other samples of a visit would say."""

from __future__ import annotations

import pandas as pd
import pytest

from lmresp.criteria import Charter, charter_from_record, charter_record, load_charter
from lmresp.csf.cytology import grade_csf

DAYS = ["2024-01-01", "2024-02-12", "2024-03-25", "2024-05-06", "2024-06-17"]  # every 42 days
SUBJECTS = pd.DataFrame([{"subject_id": "S1", "ref_start_dtc": "2024-01-01"}])
VISITS = pd.DataFrame(
    [
        {"subject_id": "S1", "visit_num": str(n), "visit": f"V{n}", "start_dtc": day, "status": "DONE"}
        for n, day in enumerate(DAYS)
    ]
)
RESULTS = {"+": "POSITIVE", "-": "NEGATIVE", "?": "SUSPICIOUS", "x": "NOT EVALUABLE", "0": "NOT DONE"}
SITES = {"L": "LUMBAR", "V": "VENTRICULAR", "C": "CISTERNAL", "S": "SHUNT", "U": "UNKNOWN"}


def changed(**settings: object) -> Charter:
    record = charter_record(load_charter())
    for name, value in settings.items():
        record["settings"][name]["value"] = value
    return charter_from_record(record)


def samples(course: str) -> list[dict[str, str]]:
    """``L+ L- . V-L-``: one word a visit, a site and a result for each sample, ``.`` for a visit without any."""
    return [
        {
            "subject_id": "S1",
            "visit_num": str(n),
            "collected_dtc": DAYS[n],
            "site": SITES[word[place]],
            "method": "CYTOLOGY",
            "result": RESULTS[word[place + 1]],
            "row_id": f"csf.csv:{n}{place}",
        }
        for n, word in enumerate(course.split())
        for place in range(0, len(word.strip(".")), 2)
    ]


def grade(course: str, charter: Charter | None = None) -> pd.DataFrame:
    frame, problems = grade_csf(pd.DataFrame(samples(course)), SUBJECTS, VISITS, charter or load_charter())
    assert problems == []
    return frame.set_index("visit")


def confirmed(course: str, charter: Charter | None = None) -> str:
    """One letter a visit: Y, N, or - where nothing is cleared."""
    return "".join(word or "-" for word in grade(course, charter)["confirmed"])[: len(course.split())]


@pytest.mark.parametrize(
    ("course", "expected"),
    [
        ("L+ L- L-", "-NY"),
        ("L+ L- V-", "-NN"),  # another site does not confirm
        ("L+ L- V- L-", "-NNY"),  # nor does it break: two lumbar negatives, nothing else between
        ("L+ L- V+ L-", "-N-N"),  # a positive from any site that counts breaks
        ("L+ L- V? L-", "-N-N"),  # and so does a suspicious one
        ("L+ L- Lx L-", "-N-Y"),  # not evaluable neither confirms nor breaks
        ("L+ L- L0 L-", "-N-Y"),
        ("L+ L- . L-", "-N-Y"),
        ("L+ L- L- V-", "-NYN"),  # what comes later does not undo what was confirmed; the new site confirms nothing
        ("L+ L-V- V-", "-NY"),  # both sites negative, the second confirms one of them
        ("U+ U- U-", "-NY"),
        ("L- L- L-", "---"),  # nothing to clear
    ],
)
def test_confirmation_asks_for_one_site(course: str, expected: str) -> None:
    assert confirmed(course) == expected


def test_negatives_of_all_sites_confirm_together_where_the_charter_says_so() -> None:
    assert confirmed("L+ L- V-", changed(cytology_mix_sites=True)) == "-NY"


def test_number_and_spacing_of_the_negatives_are_settings() -> None:
    assert confirmed("L+ L- L- L-", changed(clearance_negatives=3)) == "-NNY"
    assert confirmed("L+ L- L- L-", changed(clearance_negatives=1, clearance_interval_days=0)) == "-YYY"
    # Visits are 42 days apart: 43 days need a third negative.
    assert confirmed("L+ L- L- L-", changed(clearance_interval_days=43)) == "-NNY"


def test_a_later_visit_changes_nothing_before_it() -> None:
    course = ["L+", "L-", "L-", "V-", "L+V-"]
    whole = grade(" ".join(course))
    for n in range(1, len(course)):
        part = grade(" ".join(course[:n]))
        pd.testing.assert_frame_equal(part.iloc[:n], whole.iloc[:n])


def test_clearance_is_dated_at_the_first_negative_once_it_is_confirmed() -> None:
    assert grade("L+ L- L- L-")["clearance_start"].tolist() == ["", "", DAYS[1], DAYS[1], DAYS[1]]
    assert grade("L+ V- L- V- L-")["clearance_start"].tolist() == ["", "", "", DAYS[1], DAYS[2]]
    # A relapse does not take the date away: there was a confirmed clearance.
    assert grade("L+ L- L- L+ L-")["clearance_start"].tolist() == ["", "", DAYS[1], DAYS[1], DAYS[1]]
    assert set(grade("L+ L- L+ L-")["clearance_start"]) == {""}


def test_new_after_a_confirmed_clearance_asks_for_one_since_the_last_positive() -> None:
    strict = changed(positive_new_after="confirmed_clearance")
    assert grade("L+ L- L- L+", strict).loc["V3", "status"] == "positive_new"
    assert grade("L+ L- L+ L- L+", strict).loc["V4", "status"] == "positive_persistent"


def test_each_site_has_a_series_of_its_own() -> None:
    frame = grade("L+ L-V+ L-V+ V-")
    assert frame["by_site"].tolist() == [
        "LUMBAR:positive_persistent",
        # The first ventricular result is positive: no negative was shown before it, so it is not new at that site.
        "LUMBAR:cleared;VENTRICULAR:positive_persistent",
        "LUMBAR:cleared;VENTRICULAR:positive_persistent",
        "LUMBAR:missing;VENTRICULAR:cleared",
        "LUMBAR:missing;VENTRICULAR:missing",
    ]
    assert frame["status"].tolist()[1:4] == ["positive_persistent", "positive_persistent", "cleared"]
    assert ["sites_disagree" in flags for flags in frame["flags"]] == [False, True, True, False, False]


def test_a_site_that_does_not_count_is_reported_and_changes_nothing() -> None:
    lumbar = changed(cytology_sites=["LUMBAR"])
    frame = grade("L- L-V+ V+", lumbar)
    assert frame["status"].tolist()[:3] == ["negative", "negative", "missing"]
    assert frame.loc["V1", "by_site"] == "LUMBAR:negative;VENTRICULAR:positive_persistent"
    assert "sites_disagree" in frame.loc["V1", "flags"]
    assert frame.loc["V1", "row_ids"] == "csf.csv:10"
    assert frame.loc["V2", "reason"] == "no CSF sample from a site that counts"


@pytest.mark.parametrize(
    ("course", "status", "disputed"),
    [
        ("L+ L-V+", "positive_persistent", "cleared"),
        ("L- L-V+", "positive_new", "negative"),
        ("L+ L-V?", "equivocal", "cleared"),
        ("L- L-V?C+", "positive_new", "equivocal;negative"),
        ("L+ L-V-", "cleared", ""),
        ("L+ L+Vx", "positive_persistent", ""),  # a sample that cannot be judged says nothing else
    ],
)
def test_other_samples_of_the_visit_are_disputed(course: str, status: str, disputed: str) -> None:
    row = grade(course).loc["V1"]
    assert (row["status"], row["disputed"]) == (status, disputed)


def test_up_to_baseline_the_other_sample_is_its_own_reference() -> None:
    row = grade("L+V-").loc["V0"]
    assert (row["status"], row["disputed"]) == ("positive_persistent", "negative")


@pytest.mark.parametrize(
    ("more", "flags"),
    [
        ({"volume_ml": "5", "hours_to_lab": "0.5"}, set()),  # at the limit
        ({"volume_ml": "4.9"}, {"low_volume"}),
        ({"hours_to_lab": "0.6"}, {"late_processing"}),
        ({"hours_to_lab": "24", "fixed": "Y"}, set()),  # fixed 1:1 as it was taken
        ({"hours_to_lab": "24", "fixed": "N"}, {"late_processing"}),
        ({"volume_ml": "2", "hours_to_lab": "24"}, {"low_volume", "late_processing"}),
        ({"volume_ml": "", "hours_to_lab": "soon"}, set()),
        ({"volume_ml": "1", "result": "NOT DONE"}, set()),
    ],
)
def test_small_and_late_samples_are_flagged(more: dict[str, str], flags: set[str]) -> None:
    """ESMO Open 2023;8:101624, Table 1: at least 5 ml, within 30 minutes."""
    rows = [samples("L-")[0], {**samples(". L-")[0], **more}]
    frame, _ = grade_csf(pd.DataFrame(rows), SUBJECTS, VISITS, load_charter())
    found = set(frame["flags"].iloc[1].split(";"))
    assert found & {"low_volume", "late_processing"} == flags
    assert not found & {"samples_disagree"}
