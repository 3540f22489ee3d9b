"""What a change of the steroid dose does to the neurological strand, by the charter's ``steroid_rule``."""

from __future__ import annotations

import pandas as pd

from lmresp.criteria import load_scheme
from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import joined
from lmresp.terms import Steroids

_KEYS = ["subject_id", "visit_num"]
_WORDS = {
    Steroids.DECREASED: "decreased",
    Steroids.STABLE: "stable",
    Steroids.INCREASED: "increased",
    Steroids.UNKNOWN: "unknown",
}
_IN_WORDS = {"increased": "on a rising steroid dose", "decreased": "on a falling steroid dose"}


def apply_steroids(neuro: pd.DataFrame, steroids: pd.DataFrame, charter: Charter) -> pd.DataFrame:
    """Hold or flag improvements on a rising dose and worsenings on a falling one.

    Parameters
    ----------
    neuro : pandas.DataFrame
        As :func:`lmresp.neuro.examination.grade_neuro` returns it.
    steroids : pandas.DataFrame
        As :func:`lmresp.steroids.dosing.grade_steroids` returns it, for the same visits.
    charter : Charter
        ``steroid_rule``: ``flag`` (the strand stands and is flagged) or ``hold`` (not evaluable).

    Returns
    -------
    pandas.DataFrame
        ``neuro`` with the flag, the rule of the scheme ``strand_neuro_steroids`` after the strand's own
        (``NS02;SE01``) and the reason in words where the dose matters. A held visit keeps its former status in
        ``disputed``.

    Raises
    ------
    ValueError
        If the two frames do not list the same visits, or a visit twice.

    Notes
    -----
    A dose that fell to none is a falling dose, although its status says NONE. A dose that is not known holds nothing.
    """
    dose = steroids.set_index(_KEYS)[["status", "dex_eq_mg_day", "reference_mg_day"]]
    here = pd.MultiIndex.from_frame(neuro[_KEYS])
    if dose.index.has_duplicates or here.has_duplicates or set(dose.index) != set(here):
        raise ValueError("the neurological strand and the steroids must list the same visits")
    dose = dose.reindex(here).set_axis(neuro.index)
    none = dose["status"] == Steroids.NONE
    word = dose["status"].map(_WORDS).mask(none, "decreased")
    word = word.mask(none & (dose["reference_mg_day"] == "0"), "none").mask(
        none & (dose["reference_mg_day"] == ""), "unknown"
    )
    inputs = pd.DataFrame(
        {"neuro": neuro["status"], "steroids": word.astype(object), "rule": charter.text("steroid_rule")}
    )
    decided = load_scheme("strand_neuro_steroids").decide(inputs)
    out = neuro.copy()
    touched = decided["flags"] != ""
    held = touched & (decided["call"] != neuro["status"])
    doses = " (" + dose["dex_eq_mg_day"] + " mg a day, " + dose["reference_mg_day"] + " at baseline)"
    former = ("held, " + neuro["status"] + " ").where(held, "")
    why = former + word.map(_IN_WORDS).fillna("") + doses
    out["status"] = decided["call"]
    out["rule_id"] = joined([neuro["rule_id"], decided["rule_id"].where(touched, "")])
    out["certainty"] = decided["certainty"].where(held, neuro["certainty"])
    out["flags"] = joined([neuro["flags"], decided["flags"]])
    out["reason"] = joined([neuro["reason"], why.where(touched, "")], "; ")
    out["disputed"] = joined([neuro["disputed"], neuro["status"].where(held, "")])
    return out.astype(object)
