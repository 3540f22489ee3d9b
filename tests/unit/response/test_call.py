"""Calls of a visit from the three strands."""

from __future__ import annotations

import datetime
from typing import Any

import pandas as pd
import pytest

from lmresp.criteria import Charter, charter_from_record, charter_record, load_charter
from lmresp.response.call import COLUMNS, call_visits

DAYS = ["2024-01-01", "2024-02-12", "2024-03-25"]


def signed() -> Charter:
    record = charter_record(load_charter())
    return charter_from_record({**record, "signed": {"by": "committee", "date": "2024-01-01"}})


def strands(
    csf: list[str], neuro: list[str], imaging: list[str], source: str = "read", **more: Any
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Three strand frames of one subject; the first visit is the baseline."""
    frames = []
    for statuses in (csf, neuro, imaging):
        frame = pd.DataFrame(
            {
                "subject_id": "S1",
                "visit_num": [str(n) for n in range(len(statuses))],
                "visit": [f"V{n}" for n in range(len(statuses))],
                "date": DAYS[: len(statuses)],
                "status": statuses,
                "reason": "",
                "row_ids": [f"row:{n}" for n in range(len(statuses))],
                "flags": ["baseline", *[""] * (len(statuses) - 1)],
            }
        )
        frames.append(frame.assign(scans="", source=source, **more))
    return frames[0], frames[1], frames[2]


def one(csf: str, neuro: str, imaging: str, before: str = "negative", **more: Any) -> dict[str, str]:
    frames = strands([before, csf], ["stable", neuro], ["stable", imaging], **more)
    calls = call_visits(*frames, signed())
    assert len(calls) == 1  # the baseline visit is no call
    row: dict[str, str] = calls.iloc[0].to_dict()
    return row


def test_isolated_imaging_progression_is_a_published_progression() -> None:
    row = one("negative", "stable", "progressive")
    assert (row["call"], row["rule_id"], row["certainty"]) == ("PROGRESSION", "RL01", "seen")
    assert (row["provisional"], row["provisional_reason"]) == ("N", "")


def test_everything_that_makes_a_call_provisional_is_named() -> None:
    frames = strands(["negative"] * 2, ["stable"] * 2, ["stable", "improved"], source="draft")
    row = call_visits(*frames, load_charter()).iloc[0]
    assert row["provisional"] == "Y"
    assert row["provisional_reason"] == (
        "rule RL12 is convention; charter is not signed; imaging is an automated draft"
    )


@pytest.mark.parametrize("missing", ["csf", "neuro", "imaging"])
def test_a_missing_strand_never_gives_response_or_stability(missing: str) -> None:
    words = {"csf": "cleared", "neuro": "improved", "imaging": "improved"}
    words[missing] = "missing" if missing == "csf" else "not_evaluable"
    row = one(**words, before="positive_persistent")
    assert row["call"] == "NOT_EVALUABLE"
    assert missing in row["missing"]
    assert "would give" in row["would_change"]


def test_a_missing_csf_does_not_hide_a_worse_mri() -> None:
    assert one("missing", "not_evaluable", "progressive")["call"] == "PROGRESSION"


def test_what_would_change_knows_the_history() -> None:
    # Positive at baseline: a negative sample would be a clearance; a positive one would not be new.
    row = one("missing", "stable", "improved", before="positive_persistent")
    assert row["would_change"] == "csf cleared would give RESPONSE; csf positive_persistent would give STABLE"
    row = one("missing", "stable", "improved", before="negative")
    assert row["would_change"] == "csf negative would give RESPONSE; csf positive_new would give SUSPECTED_PROGRESSION"


def test_a_settled_call_has_nothing_that_would_change_it() -> None:
    assert one("negative", "stable", "stable")["would_change"] == ""


def test_a_draft_may_change_the_call() -> None:
    row = one("negative", "stable", "stable", source="draft")
    assert row["would_change"] == "imaging improved would give RESPONSE; imaging progressive would give PROGRESSION"


def test_dates() -> None:
    frames = strands(["negative"] * 2, ["stable"] * 2, ["stable", "progressive"])
    frames[0].loc[1, "date"], frames[2].loc[1, "date"] = "2024-02-20", "2024-02-10"
    assert call_visits(*frames, signed())["date"].tolist() == ["2024-02-10"]  # established by imaging alone
    frames[2].loc[1, "status"] = "stable"
    assert call_visits(*frames, signed())["date"].tolist() == ["2024-02-20"]  # the latest strand that it needs


@pytest.mark.parametrize(("days", "flagged"), [(28, False), (29, True)])
def test_strands_more_than_four_weeks_apart_are_flagged(days: int, flagged: bool) -> None:
    frames = strands(["negative"] * 2, ["stable"] * 2, ["stable"] * 2)
    moved = datetime.date.fromisoformat(DAYS[1]) + datetime.timedelta(days=days)
    frames[0].loc[1, "date"] = moved.isoformat()
    flags = call_visits(*frames, signed())["flags"].tolist()[0].split(";")
    assert ("strands_far_apart" in flags) == flagged


def test_a_scan_that_is_not_evaluable_is_not_said_to_be_missing() -> None:
    frames = strands(["negative"] * 2, ["stable"] * 2, ["stable", "not_evaluable"], source="draft")
    frames[2]["scans"], frames[2]["reason"] = "s", "draft: NE (LINEAR BRAIN: too noisy)"
    row = call_visits(*frames, signed()).iloc[0]
    assert row["missing"] == "imaging: draft: NE (LINEAR BRAIN: too noisy)"
    assert row["note"].startswith("Rule's own note: ")
    assert row["note"].endswith("At this visit the MRI was done; it is not evaluable.")
    frames[2]["scans"], frames[2]["source"] = "", ""
    assert "was done" not in call_visits(*frames, signed())["note"].tolist()[0]


def test_a_draft_of_the_brain_only_is_named() -> None:
    frames = strands(["negative"] * 2, ["stable"] * 2, ["stable"] * 2, source="draft")
    frames[2]["flags"] = ["baseline", "draft;spine_not_assessed"]
    row = call_visits(*frames, signed()).iloc[0]
    assert row["provisional_reason"].endswith("imaging is an automated draft of the brain only")
    assert "spine_not_assessed" in row["flags"].split(";")


def test_set_aside_subjects_get_no_call() -> None:
    frames = strands(["negative"] * 2, ["stable"] * 2, ["stable"] * 2)
    calls = call_visits(*frames, signed(), {"S1"})
    assert (len(calls), list(calls.columns)) == (0, list(COLUMNS))


def test_strands_that_do_not_match_are_a_broken_promise() -> None:
    csf, neuro, mri = strands(["negative"] * 2, ["stable"] * 2, ["stable"] * 2)
    with pytest.raises(ValueError, match="same visits"):
        call_visits(csf, neuro.head(1), mri, signed())
