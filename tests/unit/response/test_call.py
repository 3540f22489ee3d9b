"""Calls of a visit from the three strands."""

from __future__ import annotations

import dataclasses
import datetime
from functools import cache
from typing import Any

import pandas as pd
import pytest

from lmresp.criteria import Charter, load_charter
from lmresp.notation import read_flips
from lmresp.response.call import COLUMNS, call_visits

DAYS = ["2024-01-01", "2024-02-12", "2024-03-25"]


@cache
def signed() -> Charter:
    charter = load_charter()
    return dataclasses.replace(charter, signed={"by": "committee", "date": "2024-01-01", "digest": charter.digest})


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
                "disputed": "",
                "confirmed": "",
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
    assert (row["provisional"], row["provisional_reason"], row["authority"]) == ("N", "", "published")


def test_a_call_names_the_day_of_each_strand_it_used() -> None:
    csf, neuro, mri = strands(["negative"] * 2, ["stable"] * 2, ["stable", "not_evaluable"])
    csf.loc[1, "date"] = "2024-02-14"
    row = call_visits(csf, neuro, mri, signed()).iloc[0]
    assert row["dates"] == "csf=2024-02-14;neuro=2024-02-12"  # the MRI could not be evaluated


def test_a_signed_charter_answers_for_its_cells_and_they_keep_their_origin() -> None:
    row = one("negative", "stable", "improved")
    assert (row["call"], row["rule_id"], row["certainty"]) == ("RESPONSE", "RL12", "convention")
    assert (row["authority"], row["provisional"], row["provisional_reason"]) == ("protocol", "N", "")


def test_everything_that_makes_a_call_provisional_is_named() -> None:
    frames = strands(["negative"] * 2, ["stable"] * 2, ["stable", "improved"], source="draft")
    row = call_visits(*frames, load_charter()).iloc[0]
    assert row["provisional"] == "Y"
    assert row["provisional_reason"] == (
        "rule RL12 is convention; charter is not signed; imaging is an automated draft"
    )
    assert row["authority"] == "unverified"


def test_a_lone_read_of_two_and_a_disputed_read_are_provisional() -> None:
    frames = strands(["negative"] * 3, ["stable"] * 3, ["stable", "progressive", "progressive"])
    frames[2]["flags"] = ["baseline", "second_read_missing", ""]
    frames[2]["disputed"] = ["", "", "stable"]
    calls = call_visits(*frames, signed())
    assert calls["provisional_reason"].tolist() == [
        "the second read of the MRI is missing",
        "the read of the MRI is disputed",
    ]
    assert calls["would_change"].tolist() == ["", "imaging=stable -> STABLE"]


@pytest.mark.parametrize("missing", ["csf", "neuro", "imaging"])
def test_a_missing_strand_never_gives_response_or_stability(missing: str) -> None:
    words = {"csf": "cleared", "neuro": "improved", "imaging": "improved"}
    words[missing] = "missing" if missing == "csf" else "not_evaluable"
    row = one(**words, before="positive_persistent")
    assert row["call"] == "NOT_EVALUABLE"
    assert missing in row["missing"]
    assert all(flip.values[0][0] == missing for flip in read_flips(row["would_change"]))
    assert "RESPONSE" in [flip.call for flip in read_flips(row["would_change"])]


def test_a_missing_csf_does_not_hide_a_worse_mri() -> None:
    assert one("missing", "not_evaluable", "progressive")["call"] == "PROGRESSION"


def test_what_would_change_knows_the_history() -> None:
    # Positive at baseline: a negative sample would be a clearance; a positive one would not be new.
    row = one("missing", "stable", "improved", before="positive_persistent")
    assert row["would_change"] == "csf=cleared -> RESPONSE; csf=positive_persistent -> STABLE"
    row = one("missing", "stable", "improved", before="negative")
    assert row["would_change"] == "csf=negative -> RESPONSE; csf=positive_new -> SUSPECTED_PROGRESSION"


def test_what_a_positive_sample_would_mean_follows_the_charter() -> None:
    """After one negative, a positive sample is new; a charter may ask for a confirmed clearance first."""
    frames = strands(["positive_persistent", "cleared", "missing"], ["stable"] * 3, ["stable"] * 3)
    frames[0]["confirmed"] = ["", "N", ""]
    setting = dataclasses.replace(signed().settings["positive_new_after"], value="confirmed_clearance")
    strict = dataclasses.replace(signed(), settings={**signed().settings, "positive_new_after": setting}, signed=None)
    changes = [call_visits(*frames, charter)["would_change"].tolist()[1] for charter in (signed(), strict)]
    assert changes[0] == "csf=cleared -> STABLE; csf=positive_new -> SUSPECTED_PROGRESSION"
    assert changes[1] == "csf=cleared -> STABLE; csf=positive_persistent -> STABLE"
    frames[0]["confirmed"] = ["", "Y", ""]
    assert call_visits(*frames, strict)["would_change"].tolist()[1] == changes[0]


def test_a_settled_call_has_nothing_that_would_change_it() -> None:
    assert one("negative", "stable", "stable")["would_change"] == ""
    assert one("missing", "not_evaluable", "progressive")["would_change"] == ""  # the MRI alone is progression


def test_a_draft_may_change_the_call() -> None:
    row = one("negative", "stable", "stable", source="draft")
    assert row["would_change"] == "imaging=improved -> RESPONSE; imaging=progressive -> PROGRESSION"


def test_disputed_values_may_change_the_call() -> None:
    """Two disputes that only together give another call are named together, beside one that does alone."""
    frames = strands(["positive_persistent"] * 2, ["stable"] * 2, ["stable"] * 2)
    for frame, other in zip(frames, ("cleared", "worse", "improved"), strict=True):
        frame["disputed"] = ["", other]
    assert call_visits(*frames, signed())["would_change"].tolist() == [
        "neuro=worse -> SUSPECTED_PROGRESSION; csf=cleared & imaging=improved -> RESPONSE"
    ]


def dated(csf: str, neuro: str, imaging: str, days: tuple[str, str, str]) -> str:
    frames = strands(["negative", csf], ["stable", neuro], ["stable", imaging])
    for frame, day in zip(frames, days, strict=True):
        frame.loc[1, "date"] = day
    found: str = call_visits(*frames, signed())["date"].tolist()[0]
    return found


@pytest.mark.parametrize(
    ("csf", "neuro", "imaging", "days", "expected"),
    [
        ("negative", "stable", "progressive", ("20", "15", "10"), "10"),  # established by imaging alone
        ("negative", "stable", "progressive", ("10", "15", "20"), "20"),
        ("positive_new", "worse", "stable", ("12", "15", "20"), "15"),  # by both together (RL04), not by either
        ("positive_new", "worse", "progressive", ("12", "15", "20"), "15"),
        ("positive_new", "worse", "progressive", ("12", "15", "11"), "11"),
        ("positive_persistent", "worse", "progressive", ("12", "15", "20"), "20"),
        ("negative", "stable", "improved", ("12", "20", "15"), "20"),  # a response needs all three
        ("positive_new", "stable", "stable", ("12", "15", "20"), "20"),  # a later MRI could still have made it worse
        ("missing", "stable", "stable", ("28", "15", "20"), "20"),  # the day of what is missing is no assessment
        ("missing", "not_evaluable", "not_evaluable", ("12", "15", "20"), "20"),  # nothing assessed: the visit
        ("negative", "stable", "improved", ("", "", "15"), "15"),
    ],
)
def test_a_call_is_dated_when_it_was_established(
    csf: str, neuro: str, imaging: str, days: tuple[str, str, str], expected: str
) -> None:
    dates = [f"2024-02-{day}" if day else "" for day in days]
    assert dated(csf, neuro, imaging, (dates[0], dates[1], dates[2])) == f"2024-02-{expected}"


def test_a_visit_without_any_date_has_none() -> None:
    assert dated("negative", "stable", "improved", ("", "", "")) == ""


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


def test_steroids_are_reported_and_change_nothing() -> None:
    frames = strands(["negative"] * 2, ["stable"] * 2, ["stable"] * 2)
    steroids = frames[0][["subject_id", "visit_num"]].assign(status=["STABLE", "INCREASED"])
    without, given = call_visits(*frames, signed()), call_visits(*frames, signed(), steroids=steroids.iloc[::-1])
    assert (without["steroids"].tolist(), given["steroids"].tolist()) == ([""], ["INCREASED"])
    pd.testing.assert_frame_equal(without.drop(columns="steroids"), given.drop(columns="steroids"))


def test_strands_that_do_not_match_are_a_broken_promise() -> None:
    csf, neuro, mri = strands(["negative"] * 2, ["stable"] * 2, ["stable"] * 2)
    with pytest.raises(ValueError, match="same visits"):
        call_visits(csf, neuro.head(1), mri, signed())
    with pytest.raises(ValueError, match="same visits"):
        call_visits(csf, neuro, mri.assign(visit_num=["0", "2"]), signed())
    with pytest.raises(ValueError, match="same visits"):
        call_visits(csf, neuro, mri, signed(), steroids=csf.head(1))
    with pytest.raises(ValueError, match="listed twice"):
        call_visits(*(pd.concat([frame, frame]) for frame in (csf, neuro, mri)), signed())
