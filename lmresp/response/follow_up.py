"""What is known of each subject beside the visits: origin, death, last alive, new therapy, end of participation.

Dates with parts missing are imputed only as stated here (day of death, day or month of a new therapy), and the text
says so.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lmresp.criteria.timeline import day_text, days, text_frame
from lmresp.response.vocabulary import load_censoring

_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "subjects": ("subject_id", "arm", "arm_code", "rand_dtc", "ref_start_dtc", "death_dtc", "death_fl"),
    "treatments": ("subject_id", "is_new_anticancer", "start_dtc", "target"),
    "disposition": ("subject_id", "event", "dtc", "scope", "cause"),
}
_EVIDENCE: Mapping[str, tuple[str, ...]] = {
    "subjects": ("last_alive_dtc", "ref_start_dtc", "rand_dtc"),
    "visits": ("start_dtc", "end_dtc"),
    "csf": ("collected_dtc",),
    "neuro": ("exam_dtc",),
    "mri_reads": ("scan_dtc",),
    "treatments": ("start_dtc", "end_dtc"),
    "steroids": ("start_dtc",),
    "procedures": ("start_dtc",),
    "disposition": ("dtc",),
}
"""Where a complete date shows that the subject was alive."""
_NO_EVIDENCE = {"visits": ("status", ["NOT DONE"]), "csf": ("result", ["NOT DONE"])}
_NO_EVIDENCE["disposition"] = ("event", ["LOST TO FOLLOW-UP", "DEATH"])
"""Rows that do not show it: column and values."""
BEFORE_ORIGIN = "date of death before the origin"


def table(tables: Mapping[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """Return the columns of an input table that endpoints need; a table that is not there has no rows."""
    return text_frame(tables.get(name, pd.DataFrame()), _COLUMNS[name])


def follow_up(
    tables: Mapping[str, pd.DataFrame],
    calls: pd.DataFrame,
    data_cut: str = "",
    set_aside: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Gather what is known of every subject.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        Checked input tables of text; ``subjects`` is needed, the others may be absent.
    calls : pandas.DataFrame
        Visit calls; ``subject_id, date`` show that a subject was alive.
    data_cut : str
        ISO date after which nothing counts; empty for none.
    set_aside : mapping of str to str, optional
        Subjects with a blocking query, and its message.

    Returns
    -------
    pandas.DataFrame
        One row per subject, sorted, days since 1970-01-01 as float (NaN where not known): ``subject_id, arm, origin``
        (randomisation, else first dose), ``dead`` (bool), ``death`` (day), ``death_note``, ``death_cause``,
        ``last_alive``, ``last_alive_source``, ``therapy`` (new anticancer therapy), ``therapy_csf`` (the same without
        those aimed at systemic disease only), ``therapy_note``, ``off_study`` (bool: participation ended), ``left``
        (the word of an end that censors as withdrawn or lost), ``aside`` (text) and ``is_aside`` (bool).

    Notes
    -----
    Day of death missing: the day after the last known alive date if that is in the same month (not beyond the month),
    else the first of the month; month missing: not imputed. A death before the origin is not used. New therapy: first
    of the month or year, but not before day 1 in the same month or year; a therapy counts when it starts on or after
    day 1 (the first dose). Source: the date rules that the study's derivations state, which follow the conservative
    choice of each.
    """
    people = _people(table(tables, "subjects"), set_aside or {})
    cut = float(days(pd.Series([data_cut], dtype=object)).iloc[0])
    evidence = _evidence(tables, calls)
    evidence = evidence[~(evidence["day"] > cut)]
    people = _deaths(people, table(tables, "disposition"), evidence, cut)
    limit = evidence["subject_id"].map(people.set_index("subject_id")["death"])
    alive = evidence[~(evidence["day"] > limit)]
    alive = alive.sort_values(["subject_id", "day", "source"], kind="stable").drop_duplicates("subject_id", keep="last")
    alive = alive.set_index("subject_id")
    people["last_alive"] = people["subject_id"].map(alive["day"]).astype(float)
    people["last_alive_source"] = people["subject_id"].map(alive["source"]).astype(object).fillna("")
    people = _therapy(people, table(tables, "treatments"))
    return _ends(people, table(tables, "disposition"))


def _people(subjects: pd.DataFrame, aside: Mapping[str, str]) -> pd.DataFrame:
    people = subjects[subjects["subject_id"] != ""].drop_duplicates("subject_id")
    lost = [{"subject_id": subject} for subject in aside if subject not in set(people["subject_id"])]
    if lost:  # nobody disappears
        people = pd.concat([people, text_frame(pd.DataFrame(lost), list(people.columns))])
    people = people.sort_values("subject_id", kind="stable").reset_index(drop=True)
    people["arm"] = people["arm"].where(people["arm"] != "", people["arm_code"])
    people["day1"] = days(people["ref_start_dtc"])
    people["origin"] = days(people["rand_dtc"]).fillna(people["day1"])
    people["day1"] = people["day1"].fillna(people["origin"])
    people["is_aside"] = people["subject_id"].isin(aside)
    people["aside"] = people["subject_id"].map(dict(aside)).astype(object).fillna("")
    return people


def _evidence(tables: Mapping[str, pd.DataFrame], calls: pd.DataFrame) -> pd.DataFrame:
    parts = [pd.DataFrame({"subject_id": calls["subject_id"], "text": calls["date"], "source": "calls.date"})]
    for name, columns in _EVIDENCE.items():
        if name not in tables:
            continue
        kind, excluded = _NO_EVIDENCE.get(name, ("", []))
        rows = text_frame(tables[name], ["subject_id", *columns, *([kind] if kind else [])])
        if kind:
            rows = rows[~rows[kind].str.upper().isin(excluded)]
        parts += [
            pd.DataFrame({"subject_id": rows["subject_id"], "text": rows[column], "source": f"{name}.{column}"})
            for column in columns
        ]
    found = pd.concat(parts, ignore_index=True)
    found["day"] = days(found["text"])
    return found[found["day"].notna()]


def _month(texts: pd.Series) -> pd.Series:
    return texts.str.extract(r"^(\d{4}-\d{2})(?:-|T|$)", expand=False).astype(object).fillna("")


def _deaths(people: pd.DataFrame, disposition: pd.DataFrame, evidence: pd.DataFrame, cut: float) -> pd.DataFrame:
    died = disposition[disposition["event"] == "DEATH"].drop_duplicates("subject_id").set_index("subject_id")
    subject = people["subject_id"]
    text = people["death_dtc"].where(people["death_dtc"] != "", subject.map(died["dtc"]).astype(object).fillna(""))
    complete, month = days(text), _month(text)
    first = days(month.where(month == "", month + "-01"))
    of_month = pd.to_datetime(month.where(month != "", None), format="%Y-%m", errors="coerce")
    last = first + (of_month.dt.days_in_month - 1)
    until = evidence[evidence["day"] <= evidence["subject_id"].map(dict(zip(subject, last, strict=True)))]
    alive = subject.map(until.groupby("subject_id")["day"].max()).astype(float)
    same = _month(day_text(alive)) == month
    imputed = first.mask(same, np.minimum(alive + 1, last))
    people["death"] = complete.fillna(imputed)
    people["dead"] = (people["death_fl"].str.upper() == "Y") | (text != "")
    after_cut = people["death"] > cut
    people["death"], people["dead"] = people["death"].mask(after_cut), people["dead"] & ~after_cut
    early = people["death"] < people["origin"]  # no time to event ends before it starts
    people["death"] = people["death"].mask(early)
    how = np.where(same, "the day after the last known alive date", "the first of the month")
    partial = complete.isna() & people["death"].notna()
    people["death_note"] = np.where(
        partial,
        "day of death not given (" + month + "), taken as " + how,
        np.where(
            people["dead"] & people["death"].isna(),
            np.where(early, BEFORE_ORIGIN, "date of death not usable") + " (" + text + ")",
            "",
        ),
    ).astype(object)
    people["death_cause"] = subject.map(died["cause"]).astype(object).fillna("")
    return people


def _therapy(people: pd.DataFrame, treatments: pd.DataFrame) -> pd.DataFrame:
    rows = treatments[treatments["is_new_anticancer"].str.upper() == "Y"]
    rows = rows.merge(people[["subject_id", "day1"]], on="subject_id", how="inner")
    text, month = rows["start_dtc"], _month(rows["start_dtc"])
    year = text.str.extract(r"^(\d{4})", expand=False).astype(object).fillna("")
    start = day_text(rows["day1"])
    by_month = days(month.where(month == "", month + "-01")).mask(_month(start) == month, rows["day1"])
    by_year = days(year.where(year == "", year + "-01-01")).mask(start.str[:4] == year, rows["day1"])
    rows["complete"] = days(text)
    rows["day"] = rows["complete"].fillna(by_month.where(month != "", by_year))
    rows = rows[rows["day"] >= rows["day1"]].sort_values(["subject_id", "day", "start_dtc"], kind="stable")
    first = rows.drop_duplicates("subject_id").set_index("subject_id")
    aimed = rows[rows["target"].str.upper() != "SYSTEMIC"].drop_duplicates("subject_id").set_index("subject_id")
    subject = people["subject_id"]
    people["therapy"] = subject.map(first["day"]).astype(float)
    people["therapy_csf"] = subject.map(aimed["day"]).astype(float)
    imputed = first[first["complete"].isna()]
    note = "start of new therapy given as " + imputed["start_dtc"] + ", taken as " + day_text(imputed["day"])
    people["therapy_note"] = subject.map(note).astype(object).fillna("")
    return people


def _ends(people: pd.DataFrame, disposition: pd.DataFrame) -> pd.DataFrame:
    rows = disposition[disposition["scope"] == "STUDY PARTICIPATION"]
    rows = rows.sort_values(["subject_id", "dtc", "event"], kind="stable")
    left = rows[rows["event"].isin(load_censoring().off_study)].drop_duplicates("subject_id").set_index("subject_id")
    people["off_study"] = people["subject_id"].isin(rows["subject_id"])
    people["left"] = people["subject_id"].map(left["event"]).astype(object).fillna("")
    names = ["subject_id", "arm", "origin", "dead", "death", "death_note", "death_cause", "last_alive"]
    names += ["last_alive_source", "therapy", "therapy_csf", "therapy_note", "off_study", "left", "aside", "is_aside"]
    return people[[*names, "day1"]]
