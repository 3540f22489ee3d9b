"""Our derivations against the public ADaM data of the pharmaverse project, record by record.

Data: pharmaverseadam (ADSL, ADRS, ADTTE) and pharmaversesdtm (RS, RECIST 1.1), Apache-2.0. Their data sets come from
admiral and admiralonco, an independent implementation in R. Settings that give equality: confirmation after 28 days,
least duration of stability 42 days, one assessment that was not evaluable; for progression-free survival the treatment
policy (their example has no rule for missed assessments).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from lmresp.criteria import load_charter
from lmresp.queries import Query
from lmresp.response.best import best_response
from lmresp.response.course import course, dated_calls
from lmresp.response.follow_up import follow_up
from lmresp.response.time_to_event import time_to_event
from lmresp.response.vocabulary import load_vocabulary

RECIST = load_vocabulary("recist_1_1")
FILES = ("adam/adrs_onco", "adam/adtte_onco", "adam/adsl", "sdtm/rs_onco_recist")


@dataclasses.dataclass(frozen=True)
class Oracle:
    """What they derived (ADRS, ADTTE) and what we derive from the same RS and ADSL."""

    adrs: pd.DataFrame
    adtte: pd.DataFrame
    calls: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    best: pd.DataFrame
    first_response: dict[str, str]
    times: pd.DataFrame
    problems: list[Query]

    def theirs(self, parameter: str) -> pd.DataFrame:
        """Their records of a response parameter by subject."""
        rows = self.adrs[self.adrs["PARAMCD"] == parameter].set_index("USUBJID")
        assert rows.index.is_unique
        return rows.sort_index()

    def differences(self, times: pd.DataFrame, ours: str, theirs: str, policy: str) -> tuple[int, pd.DataFrame]:
        """Number of records, and those that differ in start, date, days or censoring."""
        mine = times[(times["parameter"] == ours) & (times["policy"] == policy)]
        other = self.adtte[self.adtte["PARAMCD"] == theirs]
        both = mine.merge(other, left_on="subject_id", right_on="USUBJID", how="outer", indicator=True)
        same = (both["_merge"] == "both") & (both["start_date"] == both["STARTDT"]) & (both["date"] == both["ADT"])
        same &= (both["days"].astype(float) == both["AVAL"].astype(float)) & (
            (both["censored"] == "0") == (both["CNSR"] == "0")
        )
        return len(both), both[~same]


def derive_times(
    calls: pd.DataFrame, tables: dict[str, pd.DataFrame], starts: dict[str, str]
) -> tuple[pd.DataFrame, list[Query]]:
    """Times to event, with the duration of response from the given dates on."""
    best = pd.DataFrame({"subject_id": sorted(tables["subjects"]["subject_id"])})
    best["confirmed_date"] = best["subject_id"].map(lambda subject: starts.get(subject, ""))
    best["confirmed_response"] = (best["confirmed_date"] != "").map({True: "Y", False: "N"})
    return time_to_event(calls, best.assign(provisional="N"), {}, tables, load_charter(), words=RECIST)


@pytest.fixture(scope="module")
def oracle(shared_data: Path) -> Oracle:
    found = {}
    for name in FILES:
        path = shared_data / "clinical" / f"pharmaverse_onco_{name}.csv"
        if not path.is_file():
            pytest.skip(f"not found: {path.name}")
        found[name] = pd.read_csv(path, dtype=str, keep_default_na=False)
    adrs, adtte, adsl, rs = (found[name] for name in FILES)
    rs = rs[(rs["RSEVAL"] == "INVESTIGATOR") & (rs["RSTESTCD"] == "OVRLRESP")]
    names = {"USUBJID": "subject_id", "VISIT": "visit", "VISITNUM": "visit_num", "RSDTC": "date", "RSSTRESC": "call"}
    calls = rs.rename(columns=names)[list(names.values())].assign(provisional="N")
    names = {"USUBJID": "subject_id", "RANDDT": "rand_dtc", "TRTSDT": "ref_start_dtc", "DTHDT": "death_dtc"}
    names |= {"DTHFL": "death_fl", "LSTALVDT": "last_alive_dtc", "ARM": "arm"}
    ended = adsl[adsl["EOSSTT"] != ""]
    tables = {
        "subjects": adsl.rename(columns=names)[list(names.values())],
        "disposition": pd.DataFrame(
            {"subject_id": ended["USUBJID"], "event": ended["EOSSTT"], "dtc": ended["EOSDT"]}
        ).assign(scope="STUDY PARTICIPATION", cause=""),
    }
    charter = load_charter()
    best = best_response(calls, {}, tables, charter, words=RECIST).set_index("subject_id")
    people = follow_up(tables, calls)
    used = course(dated_calls(calls, {}, charter, RECIST), people, charter, RECIST, ignore_therapy=False)
    responses = used[used["call"].isin(RECIST.responses)].drop_duplicates("subject_id")
    first = dict(zip(responses["subject_id"], responses["date"], strict=True))
    times, problems = derive_times(calls, tables, first)
    return Oracle(adrs, adtte, calls, tables, best, first, times, problems)


@pytest.mark.parametrize(
    ("parameter", "value", "date"),
    [("BOR", "best_response", "date"), ("CBOR", "confirmed_best", "confirmed_best_date")],
)
def test_best_response(oracle: Oracle, parameter: str, value: str, date: str) -> None:
    theirs = oracle.theirs(parameter)
    assert len(theirs) == 306
    assert oracle.best[value].to_dict() == theirs["AVALC"].to_dict()
    assert oracle.best[date].to_dict() == theirs["ADT"].to_dict()


def test_confirmed_response(oracle: Oracle) -> None:
    theirs = oracle.theirs("CRSP")
    assert len(theirs) == 306
    assert oracle.best["confirmed_response"].to_dict() == theirs["AVALC"].to_dict()
    assert oracle.best["confirmed_date"].to_dict() == theirs["ADT"].to_dict()


def test_response(oracle: Oracle) -> None:
    theirs = oracle.theirs("RSP")
    assert len(theirs) == 306
    assert oracle.first_response == theirs.loc[theirs["AVALC"] == "Y", "ADT"].to_dict()
    unconfirmed = oracle.best["best_response"].isin(RECIST.responses).map({True: "Y", False: "N"})
    assert unconfirmed.to_dict() == theirs["AVALC"].to_dict()


def test_progression(oracle: Oracle) -> None:
    theirs = oracle.theirs("PD")
    ours = {subject: date for subject, date in oracle.best["progression_date"].items() if date}
    assert ours == theirs.loc[theirs["AVALC"] == "Y", "ADT"].to_dict()


def test_progression_free_survival(oracle: Oracle) -> None:
    number, differ = oracle.differences(oracle.times, "LMPFS", "PFS", "treatment_policy")
    assert number == 254
    assert differ.empty


def test_the_charter_censors_one_death_after_missed_assessments(oracle: Oracle) -> None:
    """Subject 01-704-1445 died on day 175 without any assessment; their example counts the death as an event."""
    number, differ = oracle.differences(oracle.times, "LMPFS", "PFS", "charter")
    assert number == 254
    assert differ[["subject_id", "days", "censored", "AVAL", "CNSR"]].to_numpy().tolist() == [
        ["01-704-1445", "1", "4", "175.0", "0"]
    ]


def test_duration_of_response(oracle: Oracle) -> None:
    """Their RSD starts at the first response, confirmed or not; ours is of confirmed responses only."""
    for policy in ("charter", "treatment_policy"):
        number, differ = oracle.differences(oracle.times, "DOR", "RSD", policy)
        assert number == 4
        assert differ.empty
    confirmed = oracle.best.loc[oracle.best["confirmed_response"] == "Y", "confirmed_date"].to_dict()
    times, _ = derive_times(oracle.calls, oracle.tables, confirmed)
    assert set(times.loc[times["parameter"] == "DOR", "subject_id"]) == {"01-701-1118"}


def test_overall_survival(oracle: Oracle) -> None:
    """Their last alive date comes from other tables than ours; with theirs alone every record is the same."""
    subjects = {"subjects": oracle.tables["subjects"]}
    number, differ = oracle.differences(derive_times(oracle.calls.iloc[:0], subjects, {})[0], "OS", "OS", "charter")
    assert number == 254
    assert differ.empty
    # RS shows one subject alive nine days later ...
    _, differ = oracle.differences(derive_times(oracle.calls, subjects, {})[0], "OS", "OS", "charter")
    assert differ[["subject_id", "date", "ADT"]].to_numpy().tolist() == [["01-701-1115", "2013-02-01", "2013-01-23"]]
    assert "2013-02-01" in set(oracle.calls.loc[oracle.calls["subject_id"] == "01-701-1115", "date"])
    # ... and the end of participation shows others alive later; no record differs for another reason.
    _, differ = oracle.differences(oracle.times, "OS", "OS", "charter")
    ended = oracle.tables["disposition"].set_index("subject_id")["dtc"]
    others = differ[differ["subject_id"] != "01-701-1115"]
    assert (others["date"] == others["subject_id"].map(ended)).all()
    assert (others["date"] > others["ADT"]).all()
    assert (differ["censored"] == "1").all()


def test_a_partial_date_is_not_used_and_is_no_reason_for_a_difference(oracle: Oracle) -> None:
    """Theirs imputes the NE of 2014-02 to the end of the month; ours leaves it out. Nothing derived depends on it."""
    partial = oracle.calls[oracle.calls["date"].str.len() < 10]
    assert partial[["subject_id", "call"]].to_numpy().tolist() == [["01-701-1015", "NE"]]


def test_queries_name_what_is_odd(oracle: Oracle) -> None:
    found = {(each.code, each.subject_id) for each in oracle.problems}
    assert ("DV002", "01-701-1028") in found  # SD after PD
    assert ("DV007", "01-704-1445") in found
