"""What a change of dose does to the examination, under both rules of the charter."""

from __future__ import annotations

import pandas as pd
import pytest

from lmresp.criteria import Charter, charter_from_record, charter_record, load_charter
from lmresp.steroids.effect import apply_steroids
from lmresp.terms import Neuro, Steroids

KEY = {"subject_id": "S1", "visit_num": "1", "visit": "V1", "date": "2024-02-12"}


def rule(word: str) -> Charter:
    record = charter_record(load_charter())
    record["settings"]["steroid_rule"]["value"] = word
    return charter_from_record(record)


def applied(neuro: str, dose: str, reference: str, status: Steroids, word: str = "hold") -> pd.Series:
    strand = {**KEY, "status": neuro, "reason": "examiner", "row_ids": "neuro.csv:2", "flags": "", "disputed": ""}
    strand |= {"rule_id": "NS02", "certainty": "convention"}
    steroids = {**KEY, "status": status.value, "dex_eq_mg_day": dose, "reference_mg_day": reference}
    return apply_steroids(pd.DataFrame([strand]), pd.DataFrame([steroids]), rule(word)).iloc[0]


@pytest.mark.parametrize(
    ("neuro", "dose", "reference", "status", "held", "flag"),
    [
        (Neuro.IMPROVED, "8", "4", Steroids.INCREASED, True, "improved_on_rising_steroids"),
        (Neuro.IMPROVED, "4", "0", Steroids.INCREASED, True, "improved_on_rising_steroids"),
        (Neuro.IMPROVED, "4", "8", Steroids.DECREASED, False, ""),
        (Neuro.IMPROVED, "4", "4", Steroids.STABLE, False, ""),
        (Neuro.IMPROVED, "", "4", Steroids.UNKNOWN, False, ""),
        (Neuro.WORSE, "4", "8", Steroids.DECREASED, True, "worse_on_falling_steroids"),
        (Neuro.WORSE, "0", "8", Steroids.NONE, True, "worse_on_falling_steroids"),  # stopped: the dose fell
        (Neuro.WORSE, "0", "0", Steroids.NONE, False, ""),
        (Neuro.WORSE, "0", "", Steroids.NONE, False, ""),
        (Neuro.WORSE, "8", "4", Steroids.INCREASED, False, ""),
        (Neuro.STABLE, "8", "4", Steroids.INCREASED, False, ""),
        (Neuro.NOT_EVALUABLE, "4", "8", Steroids.DECREASED, False, ""),
    ],
)
def test_both_rules(neuro: Neuro, dose: str, reference: str, status: Steroids, held: bool, flag: str) -> None:
    hold = applied(neuro, dose, reference, status)
    assert hold["status"] == (Neuro.NOT_EVALUABLE if held else neuro)
    assert hold["disputed"] == (neuro if held else "")
    assert hold["flags"] == flag
    assert ("held" in hold["reason"]) == held
    only_flag = applied(neuro, dose, reference, status, "flag")
    assert (only_flag["status"], only_flag["disputed"], only_flag["flags"]) == (neuro, "", flag)
    assert (only_flag["rule_id"] == "NS02") == (flag == "")


def test_the_reason_gives_both_doses_and_the_rule_follows_the_strands_own() -> None:
    row = applied(Neuro.IMPROVED, "8", "4", Steroids.INCREASED)
    assert row["reason"] == "examiner; held, improved on a rising steroid dose (8 mg a day, 4 at baseline)"
    assert row["rule_id"] == "NS02;SE01"


def test_frames_of_other_visits_are_a_broken_promise() -> None:
    strand = pd.DataFrame([{**KEY, "status": "stable"}])
    other = pd.DataFrame([{**KEY, "visit_num": "2", "status": "STABLE", "dex_eq_mg_day": "", "reference_mg_day": ""}])
    with pytest.raises(ValueError, match="same visits"):
        apply_steroids(strand, other, load_charter())
