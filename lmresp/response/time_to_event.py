"""Time to event of each subject, by the charter's censoring rules and by treatment policy.

Endpoints: overall survival (OS), LM progression-free survival (LMPFS), duration of confirmed response (DOR), time to
confirmed response (TTR), time to confirmed clearance of the CSF (TTCSFCLR), time to neurological deterioration
(TTNEUDET). The table of reasons is ``censoring.yaml``; treatment policy ignores new therapy and missed assessments.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import day_text, days, position_of, text_frame
from lmresp.queries import Query
from lmresp.response.censoring import Rules, event_or_censored, schedule
from lmresp.response.course import course, dated_calls
from lmresp.response.course_checks import check_calls, check_endpoints
from lmresp.response.follow_up import follow_up
from lmresp.response.vocabulary import Vocabulary, charter_vocabulary, load_censoring
from lmresp.terms import Csf, Neuro

COLUMNS = (
    *("subject_id", "arm", "parameter", "policy", "start_date", "date", "days", "censored", "event", "reason"),
    *("visit", "source", "provisional"),
)
PARAMETERS = ("OS", "LMPFS", "DOR", "TTR", "TTCSFCLR", "TTNEUDET")
CHARTER, TREATMENT_POLICY = "charter", "treatment_policy"
_UNKNOWN = {Csf.MISSING.value, Neuro.NOT_EVALUABLE.value}


@dataclasses.dataclass(frozen=True, slots=True)
class _Inputs:
    """What every endpoint is derived from."""

    people: pd.DataFrame
    course: pd.DataFrame
    best: pd.DataFrame
    strands: Mapping[str, pd.DataFrame]
    charter: Charter
    words: Vocabulary
    schedule: pd.DataFrame


def time_to_event(
    calls: pd.DataFrame,
    best: pd.DataFrame,
    strands: Mapping[str, pd.DataFrame],
    tables: Mapping[str, pd.DataFrame],
    charter: Charter,
    set_aside: Mapping[str, str] | None = None,
    *,
    data_cut: str = "",
    words: Vocabulary | None = None,
) -> tuple[pd.DataFrame, list[Query]]:
    """Derive every endpoint of every subject.

    Parameters
    ----------
    calls, best : pandas.DataFrame
        Visit calls, and :func:`lmresp.response.best.best_response` of them.
    strands : mapping of str to pandas.DataFrame
        ``csf``, ``neuro``, ``mri``, one row per subject and visit; an endpoint whose strand is not given is left out.
    tables : mapping of str to pandas.DataFrame
        Checked input tables of text; ``subjects`` is needed, others may be absent.
    charter : Charter
        ``progression_calls``, ``nact_rule``, ``nact_same_day``, ``gap_rule``, ``max_missed``,
        ``assessment_interval_days``, ``assessment_window_days``, ``neuro_deterioration_confirmed``.
    set_aside : mapping of str to str, optional
        Subjects with a blocking query: they have no row.
    data_cut : str
        ISO date after which nothing counts; empty for none.
    words : Vocabulary, optional
        Words of the calls; those of the modified RANO-LM call when not given.

    Returns
    -------
    frame : pandas.DataFrame
        Columns :data:`COLUMNS`, all text: one row per subject of the endpoint's set, parameter and policy
        (``charter``, ``treatment_policy``). ``days`` is date - start + 1; ``censored`` is 0 for an event, else a code
        of ``censoring.yaml``; a provisional row rests on a provisional call.
    problems : list of Query
        DV001 to DV007, DV011, DV050, DV051.

    Notes
    -----
    Sets: OS, LMPFS and TTNEUDET everyone with an origin; DOR and TTR those with a confirmed response; TTCSFCLR those
    whose last definite cytology up to baseline was positive. Of events on one date progression comes before death.
    A clearance, or a deterioration that has to be confirmed, counts only when it was confirmed before new therapy.
    """
    words = words or charter_vocabulary(charter)
    people = follow_up(tables, calls, data_cut, set_aside)
    dated = dated_calls(calls, strands, charter, words)
    problems = check_calls(dated, people, best, words)
    people = people[~people["is_aside"] & people["origin"].notna()].reset_index(drop=True)
    used = course(dated, people, charter, words, ignore_therapy=True)
    adequate = used[used["call"].isin(words.adequate)]
    planned = schedule(tables, people, adequate, charter)
    inputs = _Inputs(people, used, best, strands, charter, words, planned)
    parts = [
        derived.assign(parameter=name, policy=policy)
        for name, derive in (("OS", _os), ("TTR", _ttr))
        for derived in (derive(inputs),)
        for policy in (CHARTER, TREATMENT_POLICY)  # they agree: see there
    ]
    parts += [
        derive(inputs, policy).assign(parameter=name, policy=policy)
        for name, derive in (("LMPFS", _lmpfs), ("DOR", _dor), ("TTCSFCLR", _clearance), ("TTNEUDET", _deterioration))
        for policy in (CHARTER, TREATMENT_POLICY)
    ]
    found = [part for part in parts if len(part)]
    if not found:
        return pd.DataFrame(columns=list(COLUMNS), dtype=object), problems
    frame = pd.concat(found, ignore_index=True)
    frame["arm"] = frame["subject_id"].map(people.set_index("subject_id")["arm"]).astype(object)
    frame["start_date"], frame["date"] = day_text(frame["start"]), day_text(frame["day"])
    frame["days"] = (frame["day"] - frame["start"] + 1).astype(int).astype(str).astype(object)
    place = {name: number for number, name in enumerate(PARAMETERS)}
    frame = frame.assign(place=frame["parameter"].map(place)).sort_values(["subject_id", "place", "policy"])
    frame = frame[list(COLUMNS)].astype(object).reset_index(drop=True)
    return frame, [*problems, *check_endpoints(frame)]


def _rules(inputs: _Inputs, policy: str, source: str, *, gaps: bool = False) -> Rules:
    charter = inputs.charter
    by_charter = policy == CHARTER
    missed = charter.number("max_missed")
    interval, window = charter.number("assessment_interval_days"), charter.number("assessment_window_days")
    return Rules(
        source=source,
        therapy=by_charter and charter.text("nact_rule") == "censor",
        same_day=charter.text("nact_same_day") == "event",
        gaps=inputs.schedule if gaps and by_charter and charter.text("gap_rule") == "censor" else None,
        max_missed=missed,
        max_gap=missed * interval + 2 * window,
    )


def _frame(people: pd.DataFrame) -> pd.DataFrame:
    """Everyone from the origin on, without an event yet."""
    columns = ["subject_id", "origin", "dead", "death", "death_note", "death_cause", "therapy", "therapy_csf"]
    frame = people[[*columns, "therapy_note", "left"]].rename(columns={"origin": "start"})
    for name in ("word", "source", "visit", "note"):
        frame[name] = pd.Series("", index=frame.index, dtype=object)
    return frame.assign(event=np.nan, competing=np.nan, provisional="N", no_baseline=False)


def _add_events(frame: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Take over events (``subject_id, event, word, source, visit, note, provisional``), one a subject at most."""
    known = events.set_index("subject_id")
    found = frame["subject_id"].isin(known.index)
    for name in known.columns:
        frame[name] = frame[name].mask(found, frame["subject_id"].map(known[name]))
    return frame


def _deaths(people: pd.DataFrame) -> pd.DataFrame:
    rows = people[people["death"].notna()]
    fixed = {"word": "DEATH", "source": "subjects.death_dtc", "visit": "", "provisional": "N"}
    return pd.DataFrame({"subject_id": rows["subject_id"], "event": rows["death"], "note": rows["death_note"]}).assign(
        **fixed
    )


def _note_death(frame: pd.DataFrame) -> pd.DataFrame:
    """Say of a death without a usable date that it could not be an event."""
    undated = frame["dead"] & frame["death"].isna()
    frame["note"] = frame["note"].mask(undated, frame["death_note"])
    return frame


def _os(inputs: _Inputs) -> pd.DataFrame:
    """Both policies agree: new therapy and missed assessments never end the survival of a subject."""
    people = inputs.people
    frame = _note_death(_add_events(_frame(people), _deaths(people)))
    alive = people.loc[people["last_alive"].notna(), ["subject_id", "last_alive", "last_alive_source"]]
    alive = alive.rename(columns={"last_alive": "day"}).assign(visit="", provisional="N")
    derived = event_or_censored(frame, alive, Rules(source="", assessed=False))
    sources = derived["subject_id"].map(alive.set_index("subject_id")["last_alive_source"])
    derived["source"] = derived["source"].where(derived["source"] != "", sources)
    derived["reason"] = derived["reason"].str.replace("last adequate assessment", "last known alive")
    return derived


def _to_progression(inputs: _Inputs, policy: str, frame: pd.DataFrame) -> pd.DataFrame:
    rows = inputs.course[inputs.course["call"].isin(inputs.words.progression)]
    progressed = rows[["subject_id", "visit", "provisional"]].assign(
        event=rows["day"], word=rows["call"], source="calls.date", note=""
    )
    events = pd.concat([progressed, _deaths(inputs.people)]).sort_values(["subject_id", "event"], kind="stable")
    frame = _note_death(_add_events(frame, events.drop_duplicates("subject_id")))
    frame["no_baseline"] = ~frame["subject_id"].isin(_with_baseline(inputs.strands)) & bool(inputs.strands)
    adequate = inputs.course[inputs.course["call"].isin(inputs.words.adequate)]
    return event_or_censored(frame, adequate, _rules(inputs, policy, "calls.date", gaps=True))


def _with_baseline(strands: Mapping[str, pd.DataFrame]) -> set[str]:
    """Subjects of whom at least one strand was assessed up to baseline."""
    found: set[str] = set()
    for frame in strands.values():
        rows = text_frame(frame, ["subject_id", "status", "flags", "scans"])
        assessed = ~rows["status"].isin(_UNKNOWN) | (rows["scans"] != "")
        found |= set(rows.loc[(position_of(rows["flags"]) != "") & assessed, "subject_id"])
    return found


def _lmpfs(inputs: _Inputs, policy: str) -> pd.DataFrame:
    return _to_progression(inputs, policy, _frame(inputs.people))


def _responders(inputs: _Inputs) -> pd.DataFrame:
    best = text_frame(inputs.best, ["subject_id", "confirmed_response", "confirmed_date", "provisional"])
    best = best[best["confirmed_response"] == "Y"].set_index("subject_id")
    frame = _frame(inputs.people)
    frame = frame[frame["subject_id"].isin(best.index)].reset_index(drop=True)
    frame["response"] = days(frame["subject_id"].map(best["confirmed_date"])).astype(float)
    frame["doubtful"] = frame["subject_id"].map(best["provisional"])
    return frame


def _dor(inputs: _Inputs, policy: str) -> pd.DataFrame:
    frame = _responders(inputs)
    derived = _to_progression(inputs, policy, frame.assign(start=frame["response"]))
    derived["provisional"] = derived["provisional"].where(frame["doubtful"].to_numpy() != "Y", "Y")
    return derived


def _ttr(inputs: _Inputs) -> pd.DataFrame:
    """Both policies agree: the set is that of the confirmed responses, by the charter."""
    frame = _responders(inputs)
    at = inputs.course.drop_duplicates(["subject_id", "day"]).set_index(["subject_id", "day"])["visit"]
    place = pd.MultiIndex.from_arrays([frame["subject_id"], frame["response"]])
    frame["visit"] = at.reindex(place).fillna("").to_numpy()
    frame = frame.assign(event=frame["response"], word="RESPONSE", source="calls.date", provisional=frame["doubtful"])
    return event_or_censored(frame, inputs.course, Rules(source="calls.date"))


def _strand(inputs: _Inputs, name: str, extra: list[str]) -> pd.DataFrame:
    """Rows of a strand of the subjects, dated, in time order, not after death."""
    columns = ["subject_id", "visit_num", "visit", "date", "status", "flags", "certainty", *extra]
    rows = text_frame(inputs.strands.get(name, pd.DataFrame()), columns)
    rows = rows.merge(inputs.people[["subject_id", "origin", "death"]], on="subject_id", how="inner")
    rows["day"] = days(rows["date"])
    rows["early"] = position_of(rows["flags"]) != ""
    authority = rows["certainty"].map({each: inputs.charter.authority(each) for each in set(rows["certainty"]) - {""}})
    doubtful = (authority != "published") & (not inputs.charter.is_signed)
    rows["provisional"] = np.where(doubtful, "Y", "N").astype(object)
    rows = rows[
        rows["early"] | (rows["day"].notna() & ~(rows["day"] < rows["origin"]) & ~(rows["day"] > rows["death"]))
    ]
    return rows.sort_values(["subject_id", "day"], kind="stable").reset_index(drop=True)


def _in_time(frame: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """Take back an event that was confirmed only when new therapy had started."""
    late = rules.therapy & (frame["confirming"] >= frame["therapy"]) & (frame["confirming"] > frame["event"])
    frame["event"] = frame["event"].mask(late)
    return frame


def _clearance(inputs: _Inputs, policy: str) -> pd.DataFrame:
    rows = _strand(inputs, "csf", ["result", "confirmed", "clearance_start"])
    charter = inputs.charter
    positive, negative = charter.texts("cytology_positive"), charter.texts("cytology_negative")
    definite = rows[rows["early"] & rows["result"].isin([*positive, *negative])]
    at_baseline = definite.drop_duplicates("subject_id", keep="last")
    entered = at_baseline.loc[at_baseline["result"].isin(positive), "subject_id"]
    frame = _note_death(_frame(inputs.people))
    frame = frame[frame["subject_id"].isin(entered)].reset_index(drop=True)
    frame["therapy"], frame["competing"] = frame["therapy_csf"], frame["death"]
    rows = rows[~rows["early"]]
    cleared = rows[rows["confirmed"] == "Y"].drop_duplicates("subject_id")
    events = cleared[["subject_id", "visit", "provisional"]].assign(
        event=days(cleared["clearance_start"]), word="CLEARANCE", source="csf.clearance_start", note=""
    )
    events["note"] = "confirmed on " + cleared["date"]
    frame = _add_events(frame, events)
    frame["confirming"] = frame["subject_id"].map(cleared.set_index("subject_id")["day"]).astype(float)
    rules = _rules(inputs, policy, "csf.date")
    evaluable = [*positive, *negative, *charter.texts("cytology_equivocal")]
    return event_or_censored(_in_time(frame, rules), rows[rows["result"].isin(evaluable)], rules)


def _deterioration(inputs: _Inputs, policy: str) -> pd.DataFrame:
    if "neuro" not in inputs.strands:
        return pd.DataFrame()
    rows = _strand(inputs, "neuro", [])
    rows = rows[~rows["early"] & ~rows["status"].isin(_UNKNOWN)].reset_index(drop=True)
    worse = rows["status"] == Neuro.WORSE
    by_subject = rows.groupby("subject_id", sort=False)
    rows["confirming"] = rows["day"]
    if inputs.charter.on("neuro_deterioration_confirmed"):
        worse &= (by_subject["status"].shift(-1) == Neuro.WORSE).to_numpy()
        rows["confirming"] = by_subject["day"].shift(-1)
    first = rows[worse].drop_duplicates("subject_id")
    events = first[["subject_id", "visit", "provisional"]].assign(
        event=first["day"], word="NEUROLOGICAL DETERIORATION", source="neuro.date", note=""
    )
    frame = _note_death(_frame(inputs.people))
    deaths = _deaths(inputs.people)
    by_lm = frame["subject_id"].isin(
        inputs.people.loc[inputs.people["death_cause"].isin(load_censoring().lm_death), "subject_id"]
    )
    frame["competing"] = frame["death"].where(~by_lm)
    lm_deaths = deaths[deaths["subject_id"].isin(frame.loc[by_lm, "subject_id"])].assign(word="DEATH BY LM")
    both = pd.concat([events, lm_deaths]).sort_values(["subject_id", "event"], kind="stable")
    frame = _add_events(frame, both.drop_duplicates("subject_id"))
    frame["confirming"] = frame["subject_id"].map(first.set_index("subject_id")["confirming"]).astype(float)
    frame["confirming"] = frame["confirming"].where(frame["word"] == "NEUROLOGICAL DETERIORATION")
    rules = _rules(inputs, policy, "neuro.date")
    return event_or_censored(_in_time(frame, rules), rows, rules)
