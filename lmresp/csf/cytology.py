"""Grades CSF cytology: the samples of a visit to one result, and the results of a subject to a status per visit.

Source: the words of the scheme ``rano_lm_2017_overall``; how results become words is the table ``strand_csf`` with
the cytology settings of the charter (which results are positive, which samples are one assessment).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmresp.criteria import load_scheme
from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import (
    STRAND_COLUMNS,
    day_text,
    flag,
    joined,
    not_done_text,
    strand_frame,
    visit_grid,
)
from lmresp.csf.samples import KEYS, KINDS, assessments, pool_samples, read_samples
from lmresp.queries import Query

COLUMNS = (
    *STRAND_COLUMNS,
    *("result", "confirmed", "samples", "site", "by_site", "clearance_start"),
)


def grade_csf(
    csf: pd.DataFrame, subjects: pd.DataFrame, visits: pd.DataFrame, charter: Charter
) -> tuple[pd.DataFrame, list[Query]]:
    """Grade the cytology of every visit.

    Parameters
    ----------
    csf, subjects, visits : pandas.DataFrame
        Checked tables of text (``work/tables/*.csv``).
    charter : Charter
        Cytology settings.

    Returns
    -------
    frame : pandas.DataFrame
        One row per visit of ``visits``, columns :data:`COLUMNS`, all text, sorted by subject and visit number.
        ``status`` is a value of :class:`lmresp.terms.Csf`; the baseline visit is graded against itself.
        ``confirmed`` is Y or N for a cleared visit, by what is known up to that visit; from the first confirmed visit
        on, ``clearance_start`` is the day of the first negative of the run that was confirmed last. ``by_site`` is the
        status of each site's own series (``LUMBAR:cleared;VENTRICULAR:missing``) from its first sample on, also of
        sites that do not count. ``disputed`` is what other samples of the visit would give.
    problems : list of Query
        DV020: a sample that lies too far from the others of its visit to be pooled with them.

    Notes
    -----
    Samples within ``cytology_pool_hours`` of the visit's leading sample (the one nearest to the visit's date) are one
    assessment; the worst evaluable result of the sites that count holds. No look-ahead: a visit is graded by what was
    known at it.

    A clearance is confirmed by ``clearance_negatives`` negative assessments of one site, the first and last at least
    ``clearance_interval_days`` apart, without any positive or equivocal assessment between them; visits without a
    usable sample, and negatives of another site, neither confirm nor break; a positive or equivocal sample breaks also
    when it was too far from its visit's others to be pooled. With ``cytology_mix_sites`` negatives of
    all sites count together. Samples of unknown site count as one site. The flags ``low_volume`` and
    ``late_processing`` say that at least one pooled sample was small or waited long.
    """
    grid = visit_grid(subjects, visits)
    samples = read_samples(csf, grid, charter)
    counted = samples[samples["site"].isin(charter.texts("cytology_sites"))]
    frame, history, problems = _series(counted, grid, charter)
    by_site, sites_disagree = _by_site(samples, frame, grid, charter)
    frame["by_site"] = by_site
    cleared = frame["status"] == "cleared"
    confirmed = cleared & history["clearance_confirmed"]
    frame["confirmed"] = np.select([confirmed, cleared], ["Y", "N"], default="").astype(object)
    start = history["clearance_start"].where(confirmed)
    frame["clearance_start"] = day_text(start.groupby(frame["subject_id"], sort=False).ffill())
    frame["disputed"] = _disputed(frame, history)
    frame["flags"] = joined(
        [
            frame["position"],
            frame["flags"],
            flag(frame["kinds"].str.contains(";", regex=False), "samples_disagree"),
            flag(sites_disagree, "sites_disagree"),
            frame["quality"],
            frame["delay"],
            flag(frame["confirmed"] == "N", "clearance_unconfirmed"),
            flag((history["reference"] == "positive") & (frame["status"] == "positive_new"), "positive_after_negative"),
            flag(history["no_baseline"] & (frame["position"] == ""), "no_baseline_cytology"),
            flag(frame["late_baseline"] & (frame["position"] == ""), "baseline_on_treatment"),
        ]
    )
    elsewhere = pd.MultiIndex.from_frame(frame[KEYS]).isin(pd.MultiIndex.from_frame(samples[KEYS]))
    frame["reason"] = _reason(frame, pd.Series(elsewhere, index=frame.index))
    frame["date"] = frame["sample_date"].where(frame["sample_date"] != "", frame["date"])
    return frame[list(COLUMNS)].astype(object), problems


def _series(
    samples: pd.DataFrame, grid: pd.DataFrame, charter: Charter
) -> tuple[pd.DataFrame, pd.DataFrame, list[Query]]:
    """Grade one series of samples; also returns what was known before each visit."""
    pooled, problems = pool_samples(samples, charter)
    frame = strand_frame(grid, assessments(pooled))
    left_out = samples.drop(pooled.index)
    history = _history(frame, pooled, left_out, charter)
    decided = load_scheme("strand_csf").decide(history)
    for name, column in (("status", "call"), ("rule_id", "rule_id"), ("certainty", "certainty"), ("flags", "flags")):
        frame[name] = decided[column]
    return frame, history, problems


def _by_site(
    samples: pd.DataFrame, counted: pd.DataFrame, grid: pd.DataFrame, charter: Charter
) -> tuple[pd.Series, pd.Series]:
    """Return the status of each site's own series, and whether evaluable results of a visit's sites differ in kind.

    ``counted`` is the graded series of the sites that count; where a study has one site only, it is that site's own.
    """
    texts = [pd.Series("", index=grid.index, dtype=object)]
    found = pd.DataFrame(False, index=grid.index, columns=list(KINDS))
    sites = sorted(samples["site"].unique())
    for site in sites:
        alone = sites == [site] and site in charter.texts("cytology_sites")
        frame = counted if alone else _series(samples[samples["site"] == site], grid, charter)[0]
        begun = (frame["samples"] != "").groupby(frame["subject_id"], sort=False).cummax()
        texts.append((f"{site}:" + frame["status"]).where(begun, ""))
        for kind in KINDS:
            found[kind] |= frame["kind"] == kind
    return joined(texts), found.sum(axis=1) > 1


def _history(frame: pd.DataFrame, pooled: pd.DataFrame, left_out: pd.DataFrame, charter: Charter) -> pd.DataFrame:
    """Return for each visit what was known before it: the inputs of ``strand_csf``, and the run of negatives."""
    subject = frame["subject_id"]
    now = frame["kind"].where(frame["kind"] != "", "none")
    definite = now.where(now.isin(["positive", "negative"]))
    before = definite.groupby(subject, sort=False).ffill().groupby(subject, sort=False).shift()
    at_baseline = definite.where(frame["position"] != "").groupby(subject, sort=False).transform("last")
    first = definite.groupby(subject, sort=False).transform("first")
    seen = before.notna()  # without a baseline result the first definite one stands in, once it is known
    reference = at_baseline.fillna(first.where(seen)).where(frame["position"] == "", definite)
    confirmed, start = _confirmed(frame, now, pooled, left_out, charter)
    # Whether a clearance was confirmed since the last positive result, as known before this visit.
    era = [subject, (now == "positive").groupby(subject, sort=False).cumsum()]
    ever = confirmed.astype(float).groupby(era, sort=False).cummax()
    confirmed_before = ever.groupby(subject, sort=False).shift() == 1.0
    if charter.text("positive_new_after") == "confirmed_clearance":
        before = before.mask((reference == "positive") & (before == "negative") & ~confirmed_before, "positive")
    return pd.DataFrame(
        {
            "now": now,
            "before": before.fillna("none"),
            "reference": reference.fillna("none"),
            "clearance_confirmed": confirmed,
            "clearance_start": start,
            "no_baseline": at_baseline.isna(),
        },
        index=frame.index,
    )


def _confirmed(
    frame: pd.DataFrame, now: pd.Series, pooled: pd.DataFrame, left_out: pd.DataFrame, charter: Charter
) -> tuple[pd.Series, pd.Series]:
    """Return where a run of negatives is long enough, and the day of its first negative."""
    # A run goes on over visits without a usable sample and is broken by any other result.
    run = now.isin(["positive", "equivocal"]).groupby(frame["subject_id"], sort=False).cumsum()
    visits = frame[KEYS].assign(run=run)[now == "negative"]
    negatives = pooled.loc[pooled["kind"] == "negative", [*KEYS, "site", "sample_day"]]
    if charter.on("cytology_mix_sites"):
        negatives = negatives.assign(site="")
    negatives = negatives.groupby([*KEYS, "site"], sort=True)["sample_day"].min().reset_index()
    negatives = negatives.merge(visits, on=KEYS, how="inner").sort_values([*KEYS, "site"], kind="stable")
    # A sample that was not pooled decides no visit, but no run of negatives goes past it unless it is negative itself.
    breaks = left_out.loc[left_out["kind"].isin(["positive", "equivocal"]), ["subject_id", "sample_day"]]
    past = negatives[["subject_id", "sample_day"]].reset_index().merge(breaks, on="subject_id", suffixes=("", "_break"))
    past = past[past["sample_day_break"] <= past["sample_day"]]
    negatives["breaks"] = negatives.index.map(past["index"].value_counts().to_dict()).fillna(0)
    series = negatives.groupby(["subject_id", "site", "run", "breaks"], sort=False)
    count, start = series.cumcount() + 1, series["sample_day"].cummin()
    enough = (count >= charter.number("clearance_negatives")) & (
        negatives["sample_day"] - start >= charter.number("clearance_interval_days")
    )
    starts = start[enough].groupby([negatives.loc[enough, key] for key in KEYS]).min()
    day = pd.Series(starts.reindex(pd.MultiIndex.from_frame(frame[KEYS])).to_numpy(dtype=float), index=frame.index)
    return day.notna(), day


def _disputed(frame: pd.DataFrame, history: pd.DataFrame) -> pd.Series:
    """Return the other statuses that a visit with conflicting samples would have by its other samples."""
    texts = [pd.Series("", index=frame.index, dtype=object)]
    scheme, early = load_scheme("strand_csf"), frame["position"] != ""
    for kind in KINDS:
        other = frame["kinds"].str.split(";").map(lambda kinds, kind=kind: kind in kinds) & (frame["kind"] != kind)
        if not other.any():
            continue
        own = "none" if kind == "equivocal" else kind  # up to baseline a visit is its own reference
        inputs = history.assign(now=kind, reference=history["reference"].mask(early, own))
        texts.append(scheme.decide(inputs)["call"].where(other, ""))
    return joined(texts)


def _reason(frame: pd.DataFrame, elsewhere: pd.Series) -> pd.Series:
    unusable = frame["result"].str.lower() + frame["reason_ne"].map(lambda text: f": {text.lower()}" if text else "")
    chosen = np.select(
        [frame["status"] != "missing", frame["result"] != "", elsewhere, ~frame["done"]],
        [
            "cytology " + frame["result"].str.lower(),
            "cytology " + unusable,
            pd.Series("no CSF sample from a site that counts", index=frame.index),
            not_done_text(frame),
        ],
        default="no CSF sample",
    )
    return pd.Series(chosen, index=frame.index, dtype=object)
