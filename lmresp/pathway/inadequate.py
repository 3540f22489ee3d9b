"""The definitions of an inadequate response, side by side; the tables are part of the pathway graph.

Source: the source case needs persistent symptoms *and* cells in the CSF (Front Oncol 2024;14:1377451); the literal rule
reads *or*. No definition is validated, so all are reported and the charter names the one that chooses the branch.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import joined
from lmresp.pathway.graph import Graph

RULES = ("literal", "both", "call_based")
_OPEN = {"NOT DUE": "not due yet", "CANNOT DECIDE": "cannot decide"}
_GRADES = {
    "neurology_only": "yes, neurology only",
    "cytology_only": "yes, cytology only",
    "both": "yes, neurology and cytology",
    "by_call": "yes, by the call alone",
}


def judge_inadequate(facts: pd.DataFrame, charter: Charter, graph: Graph) -> pd.DataFrame:
    """Judge every call by each rule.

    Parameters
    ----------
    facts : pandas.DataFrame
        From :func:`lmresp.pathway.facts.derive_facts`.
    charter : Charter
        ``inadequate_rule``.
    graph : Graph
        The tables of the rules, and why it matters where they disagree.

    Returns
    -------
    pandas.DataFrame
        ``inadequate`` (by the charter's rule), ``inadequate_rule``, ``inadequate_grade`` (``neurology_only``,
        ``cytology_only``, ``both`` or ``by_call`` when inadequate, else empty), ``inadequate_confirmed`` (Y when what
        the grade names was seen again: cytology in enough samples, neurology at two visits; N when not yet; empty when
        not inadequate), ``inadequate_literal``, ``inadequate_both``, ``inadequate_call_based`` (each Y, N, CANNOT
        DECIDE or NOT DUE), ``rules_disagree`` (Y when two rules that decide give different answers, else N) and
        ``disagreement`` (which rules, and why it matters, in words).
    """
    answers = pd.DataFrame({rule: graph.inadequate[rule].decide(facts)["call"] for rule in RULES}, index=facts.index)
    words = answers.where(answers.isin(list(_OPEN)), "Y").mask(answers.isin(["none"]), "N")
    chosen = charter.text("inadequate_rule")
    out: pd.DataFrame = words.add_prefix("inadequate_")
    out["inadequate"] = words[chosen]
    out["inadequate_rule"] = chosen
    grade = answers[chosen].where(words[chosen] == "Y", "")
    out["inadequate_grade"] = grade
    # `neuro_persistent` is a deficit at two visits already; `csf_persistent` counts the samples.
    again = np.select(
        [grade == "", grade == "neurology_only", grade.isin(["cytology_only", "both"])],
        ["", "Y", facts["csf_persistent"].where(facts["csf_persistent"] == "Y", "N")],
        default="N",
    )
    out["inadequate_confirmed"] = again
    disagree = words.isin(["Y"]).any(axis=1) & words.isin(["N"]).any(axis=1)
    out["rules_disagree"] = disagree.map({True: "Y", False: "N"})
    out["disagreement"] = _in_words(answers, graph).where(disagree, "")
    return out.astype(object)


def _in_words(answers: pd.DataFrame, graph: Graph) -> pd.Series:
    said = {"none": "no", **_OPEN, **_GRADES}
    parts = [f"{rule} ({graph.inadequate[rule].title}): " + answers[rule].map(said) for rule in RULES]
    text = "The rules for an inadequate response disagree: " + joined(parts, "; ") + "."
    why = []
    for remark in graph.disagreement:
        sources = "; ".join(graph.citations[key] for key in remark.evidence)
        why.append(
            pd.Series(np.where(remark.fits(answers), f"{remark.text} Sources: {sources}.", ""), index=answers.index)
        )
    return joined([text, *why], " ")
