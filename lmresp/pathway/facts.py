"""Derives the facts of the pathway for every call: closed words, ``unknown`` where nothing was recorded."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import BASELINE, BEFORE_BASELINE, days, join_visits, position_of, text_frame, visit_grid
from lmresp.pathway.graph import UNKNOWN, Graph
from lmresp.terms import Call, Csf, Imaging, Neuro, Steroids

_KEYS = ["subject_id", "number"]
_CSF_WORD = {
    Csf.CLEARED.value: "negative",
    Csf.NEGATIVE.value: "negative",
    Csf.EQUIVOCAL.value: "equivocal",
    Csf.POSITIVE_PERSISTENT.value: "positive",
    Csf.POSITIVE_NEW.value: "positive",
    Csf.MISSING.value: "missing",
}

MM_PER_CM = 10.0
"""Pressure in mmH2O per cmH2O; the checked table csf keeps opening pressure in cmH2O."""


def derive_facts(
    calls: pd.DataFrame,
    strands: Mapping[str, pd.DataFrame],
    tables: Mapping[str, pd.DataFrame],
    charter: Charter,
    graph: Graph,
) -> pd.DataFrame:
    """Derive every fact of the graph for every call.

    Parameters
    ----------
    calls : pandas.DataFrame
        As :func:`lmresp.response.call.call_visits` returns them; its column ``steroids``, where there is one, holds a
        value of :class:`lmresp.terms.Steroids`.
    strands : mapping of str to pandas.DataFrame
        ``csf``, ``neuro``, ``mri`` as their graders return them.
    tables : mapping of str to pandas.DataFrame
        Checked tables: ``subjects``, ``visits``, ``csf``, ``treatments``, ``procedures`` and, where a study records
        clinical facts, ``facts`` (a column per fact, see ``ingest/columns/facts.yaml``). A table that is not there is
        unknown.
    charter : Charter
        Limits and windows.
    graph : Graph
        Names and values of the facts.

    Returns
    -------
    pandas.DataFrame
        One column per fact except ``inadequate``, on the index of ``calls``.
    """
    subjects, visits = tables.get("subjects", pd.DataFrame()), tables.get("visits", pd.DataFrame())
    grid = visit_grid(subjects, visits)
    rows = calls[["subject_id", "visit_num", "call", "csf", "neuro", "mri", "mri_source", "scans"]]
    rows = rows.rename(columns={"mri": "imaging"})
    rows["number"] = pd.to_numeric(rows["visit_num"])
    rows["day"] = days(calls["date"])
    people = text_frame(subjects, ["subject_id", "ref_start_dtc", "lm_type"]).drop_duplicates("subject_id")
    first_dose = people.set_index("subject_id")["ref_start_dtc"].to_dict()
    rows["weeks"] = (rows["day"] - days(rows["subject_id"].map(first_dose).fillna(""))) / 7
    facts = pd.DataFrame(index=calls.index)
    facts["call"], facts["neuro"], facts["imaging"] = rows["call"], rows["neuro"], _imaging(rows)
    facts["csf"] = rows["csf"].map(_CSF_WORD)
    worse = (rows["neuro"] == Neuro.WORSE) | (rows["imaging"] == Imaging.PROGRESSIVE)
    worse |= rows["call"].isin([Call.PROGRESSION, Call.SUSPECTED_PROGRESSION])
    gain = (rows["imaging"] == Imaging.IMPROVED) | (rows["neuro"] == Neuro.IMPROVED) | (rows["csf"] == Csf.CLEARED)
    facts["worsening"], facts["gain"] = _yes(worse), _yes(gain)
    due = rows["weeks"] >= charter.number("first_assessment_weeks")
    facts["due"] = _yes(due).where(rows["weeks"].notna(), UNKNOWN)
    facts = facts.join(_from_strands(rows, strands, charter))
    facts["opening_pressure"] = _opening_pressure(rows, tables.get("csf", pd.DataFrame()), grid, charter)
    facts["tki"] = _tki(rows, tables.get("treatments", pd.DataFrame()), graph.drugs["third_generation_tki"])
    facts = facts.join(_procedures(rows, tables.get("procedures", pd.DataFrame()), grid))
    entry = charter.on("population_meets_entry")
    facts["egfr_mutation"] = "Y" if entry else UNKNOWN
    facts["lm_certainty"] = _lm_certainty(rows, people, strands["csf"], graph.lm_types, entry=entry)
    facts["targeted_option"] = np.where(facts["tki"] == "current", "Y", UNKNOWN)
    dose = text_frame(calls, ["steroids"])["steroids"].str.lower()
    facts["steroids"] = dose.replace(Steroids.NONE.lower(), "none").to_numpy()
    facts["steroids"] = facts["steroids"].where(facts["steroids"].isin(graph.facts["steroids"].values), UNKNOWN)
    recorded = tables.get("facts", pd.DataFrame())
    _overlay_recorded(facts, rows, recorded, graph)
    facts["earlier_block"] = _yes(_earlier_block(rows, recorded))
    for name in graph.facts:
        if name not in facts.columns and name != "inadequate":
            facts[name] = UNKNOWN
    return facts.astype(object)


def _earlier_block(rows: pd.DataFrame, recorded: pd.DataFrame) -> pd.Series:
    """Tell whether a blocked CSF flow was recorded at a visit before."""
    table = text_frame(recorded, ["subject_id", "visit_num", "csf_flow"])
    blocked = table[table["csf_flow"].str.casefold() == "blocked"]
    first = pd.to_numeric(blocked["visit_num"], errors="coerce").groupby(blocked["subject_id"]).min().to_dict()
    return rows["number"] > rows["subject_id"].map(first)


def _yes(where: pd.Series) -> pd.Series:
    return pd.Series(np.where(where, "Y", "N"), index=where.index, dtype=object)


def _imaging(rows: pd.DataFrame) -> pd.Series:
    """Imaging strand; not evaluable is told apart by what is there: a locked read, a scan without one, or nothing."""
    read, scanned = rows["mri_source"] == "read", rows["scans"] != ""
    open_word = np.select([read, scanned], ["not_evaluable", "unread"], default="missing")
    return rows["imaging"].where(rows["imaging"] != Imaging.NOT_EVALUABLE, pd.Series(open_word, index=rows.index))


def _on_calls(rows: pd.DataFrame, column: pd.Series, default: str = UNKNOWN) -> pd.Series:
    """Look up a column indexed by subject and visit number for every call."""
    found = pd.MultiIndex.from_frame(rows[_KEYS]).map(column.to_dict())
    return pd.Series(found, index=rows.index, dtype=object).fillna(default)


def _from_strands(rows: pd.DataFrame, strands: Mapping[str, pd.DataFrame], charter: Charter) -> pd.DataFrame:
    out = pd.DataFrame(index=rows.index)
    csf, neuro, mri = (
        strands[name].assign(number=pd.to_numeric(strands[name]["visit_num"])).sort_values(_KEYS, kind="stable")
        for name in ("csf", "neuro", "mri")
    )
    hydrocephalus = mri.set_index(_KEYS)["hydrocephalus"].map({"PRESENT": "present", "ABSENT": "absent"})
    out["hydrocephalus"] = _on_calls(rows, hydrocephalus.dropna())
    kps = pd.to_numeric(neuro.set_index(_KEYS)["kps"], errors="coerce").dropna()
    out["kps"] = _on_calls(rows, kps.map(lambda score: "good" if score >= charter.number("kps_good_risk") else "poor"))
    excluded = {word.upper() for word in charter.texts("no_other_cause")}
    causes = neuro.set_index(_KEYS)["alternative_cause"].str.upper().isin(excluded)
    out["other_cause_excluded"] = _on_calls(rows, causes.map({True: "Y", False: UNKNOWN}))
    out["neuro_persistent"] = _on_calls(rows, _neuro_persistent(neuro, charter))
    positive = csf["status"].map(_CSF_WORD) == "positive"
    positive &= position_of(csf["flags"]) != BEFORE_BASELINE
    cleared = (csf["status"].map(_CSF_WORD) == "negative").groupby(csf["subject_id"], sort=False).cumsum()
    samples = positive.groupby([csf["subject_id"], cleared], sort=False).cumsum()  # what was cleared did not persist
    count = _on_calls(rows, pd.Series(samples.to_numpy(), index=pd.MultiIndex.from_frame(csf[_KEYS])), "0").astype(int)
    enough = (count >= charter.number("persistence_positive_samples")) & (
        rows["weeks"] >= charter.number("persistence_csf_weeks")
    )
    word = rows["csf"].map(_CSF_WORD)
    out["csf_persistent"] = np.select([word == "positive", word == "negative"], [_yes(enough), "N"], default=UNKNOWN)
    return out


def _neuro_persistent(neuro: pd.DataFrame, charter: Charter) -> pd.Series:
    """Tell whether a deficit is there now, was there long enough ago, and has not improved; by subject and visit.

    A deficit that had gone in between starts anew.
    """
    subject, day = neuro["subject_id"], days(neuro["date"])
    early = position_of(neuro["flags"]) == BEFORE_BASELINE
    now = neuro["symptomatic"].mask(early, "")
    gone = (now == "N").groupby(subject, sort=False).cumsum()
    first = day.where(now == "Y").groupby([subject, gone], sort=False).cummin()
    known_before = (now != "").astype(int).groupby(subject, sort=False).cumsum() - (now != "")
    lasting = day - first >= charter.number("persistence_interval_days")
    word = np.select(
        [
            (now == "N") | (neuro["status"] == Neuro.IMPROVED),
            (now == "") | (neuro["status"] == Neuro.NOT_EVALUABLE),
            lasting,
            known_before > 0,
        ],
        ["N", UNKNOWN, "Y", "N"],
        default=UNKNOWN,
    )
    return pd.Series(word, index=pd.MultiIndex.from_frame(neuro[_KEYS]), dtype=object)


def _opening_pressure(rows: pd.DataFrame, csf: pd.DataFrame, grid: pd.DataFrame, charter: Charter) -> pd.Series:
    columns = ["subject_id", "visit_num", "collected_dtc", "opening_pressure", "opening_pressure_unit"]
    samples = text_frame(csf, columns)
    samples = join_visits(samples.assign(day=days(samples["collected_dtc"])), grid, charter)
    pressure = pd.to_numeric(samples["opening_pressure"], errors="coerce")
    pressure = pressure.where(samples["opening_pressure_unit"].str.upper() == "CMH2O") * MM_PER_CM
    highest = pressure.groupby([samples["subject_id"], samples["number"]]).max().dropna()
    limit = charter.number("icp_flag_mmh2o")
    return _on_calls(rows, highest.map(lambda value: "raised" if value > limit else "normal"))


def _tki(rows: pd.DataFrame, treatments: pd.DataFrame, drugs: tuple[str, ...]) -> pd.Series:
    """Exposure at each call; without any treatment row, or at a visit without a date, it is unknown, not none."""
    given = text_frame(treatments, ["subject_id", "name", "start_dtc", "end_dtc"])
    recorded = set(given["subject_id"])
    words = given["name"].str.lower().str.split(r"[^a-z]+", regex=True)
    taken = given[np.array([bool(set(name) & set(drugs)) for name in words], dtype=bool)].copy()
    taken["start"] = days(_padded(taken["start_dtc"], "-01-01"))  # a missing day or month: the earliest date
    taken["end"] = days(_padded(taken["end_dtc"], "-12-28")).fillna(np.inf)
    pairs = rows[["subject_id", "day"]].reset_index(names="row").merge(taken, on="subject_id")
    started = pairs[pairs["start"] <= pairs["day"]]
    current = set(started.loc[started["end"] >= started["day"], "row"])
    word = np.select(
        [
            rows.index.isin(current),
            rows.index.isin(started["row"]),
            rows["subject_id"].isin(recorded) & rows["day"].notna(),
        ],
        ["current", "previous", "none"],
        default=UNKNOWN,
    )
    return pd.Series(word, index=rows.index, dtype=object)


def _padded(texts: pd.Series, tail: str) -> pd.Series:
    year_only, month_only = texts.str.fullmatch(r"\d{4}"), texts.str.fullmatch(r"\d{4}-\d{2}")
    return texts.mask(year_only, texts + tail).mask(month_only, texts + tail[3:])


def _procedures(rows: pd.DataFrame, procedures: pd.DataFrame, grid: pd.DataFrame) -> pd.DataFrame:
    """Shunt and diversion; in a study without the table both are unknown."""
    done = text_frame(procedures, ["subject_id", "kind", "start_dtc"])
    done["start"] = days(_padded(done["start_dtc"], "-01-01"))
    baseline = grid[grid["position"] == BASELINE].set_index("subject_id")["day"].to_dict()
    nothing = "none" if len(done) else UNKNOWN
    out = pd.DataFrame({"shunt": nothing, "diversion": nothing}, index=rows.index, dtype=object)
    diverting = done[done["kind"].str.upper().isin(["VP SHUNT", "EVD"])]
    pairs = rows[["subject_id", "day"]].reset_index(names="row").merge(diverting, on="subject_id")
    pairs = pairs[pairs["start"] <= pairs["day"]]
    since = pairs["start"] > pairs["subject_id"].map(baseline)
    out.loc[out.index.isin(pairs["row"]), "diversion"] = "earlier"
    out.loc[out.index.isin(pairs.loc[since, "row"]), "diversion"] = "since_reference"
    shunted = pairs[pairs["kind"].str.upper() == "VP SHUNT"]
    out.loc[out.index.isin(shunted["row"]), "shunt"] = UNKNOWN  # which valve it has is a recorded fact
    out.loc[rows["day"].isna()] = UNKNOWN  # before or after: a visit without a date cannot tell
    return out


def _lm_certainty(
    rows: pd.DataFrame, people: pd.DataFrame, csf: pd.DataFrame, by_type: Mapping[str, str], *, entry: bool
) -> pd.Series:
    """Certainty of LM by the class given, or confirmed by a positive cytology up to the call (EANO-ESMO type I)."""
    by_class = people.set_index("subject_id")["lm_type"].str.upper().map(dict(by_type)).dropna()
    found = csf[csf["status"].isin([Csf.POSITIVE_NEW, Csf.POSITIVE_PERSISTENT])]
    first = pd.to_numeric(found["visit_num"]).groupby(found["subject_id"]).min().to_dict()
    confirmed = rows["number"] >= rows["subject_id"].map(first)
    default = "probable" if entry else UNKNOWN
    return rows["subject_id"].map(by_class.to_dict()).astype(object).fillna(default).mask(confirmed, "confirmed")


def _overlay_recorded(facts: pd.DataFrame, rows: pd.DataFrame, recorded: pd.DataFrame, graph: Graph) -> None:
    """Put facts that the site recorded over the derived ones; a value outside the graph's list is not used."""
    names = [name for name, fact in graph.facts.items() if fact.recorded]
    table = text_frame(recorded, ["subject_id", "visit_num", *names])
    table["number"] = pd.to_numeric(table["visit_num"], errors="coerce")
    table = table.dropna(subset="number").sort_values(_KEYS, kind="stable")
    for name in names:
        fact = graph.facts[name]
        words = {value.casefold(): value for value in fact.values}
        mine = table.assign(value=table[name].str.casefold().map(words)).dropna(subset="value")
        if mine.empty:
            continue
        if fact.recorded == "at_visit":
            found = _on_calls(rows, mine.drop_duplicates(_KEYS, keep="last").set_index(_KEYS)["value"], "")
        else:
            earlier = rows[_KEYS].reset_index(names="row").merge(mine, on="subject_id", suffixes=("", "_given"))
            earlier = earlier[earlier["number_given"] <= earlier["number"]].drop_duplicates("row", keep="last")
            found = pd.Series(rows.index.map(earlier.set_index("row")["value"].to_dict()), index=rows.index)
            found = found.astype(object).fillna("")
        derived = facts[name] if name in facts.columns else UNKNOWN
        facts[name] = found.where(found != "", derived)
