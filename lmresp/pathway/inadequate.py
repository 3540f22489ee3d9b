"""The definitions of an inadequate response, side by side; the tables are part of the pathway graph.

Source: the source case needs persistent symptoms *and* cells in the CSF (Front Oncol 2024;14:1377451); the literal rule
reads *or*. No definition is validated, so all are reported and the charter names the one that chooses the branch.
"""

from __future__ import annotations

import pandas as pd

from lmresp.criteria.charter import Charter
from lmresp.pathway.graph import Graph

RULES = ("literal", "both", "call_based")
_OPEN = ("NOT DUE", "CANNOT DECIDE")


def judge_inadequate(facts: pd.DataFrame, charter: Charter, graph: Graph) -> pd.DataFrame:
    """Judge every call by each rule.

    Parameters
    ----------
    facts : pandas.DataFrame
        From :func:`lmresp.pathway.facts.derive_facts`.
    charter : Charter
        ``inadequate_rule``.
    graph : Graph
        The tables of the rules.

    Returns
    -------
    pandas.DataFrame
        ``inadequate`` (by the charter's rule), ``inadequate_rule``, ``inadequate_grade`` (``neurology_only``,
        ``cytology_only``, ``both`` or ``by_call`` when inadequate, else empty), ``inadequate_literal``,
        ``inadequate_both``, ``inadequate_call_based`` (each Y, N, CANNOT DECIDE or NOT DUE), and ``rules_disagree``
        (Y when two rules that decide give different answers, else N).
    """
    answers = pd.DataFrame({rule: graph.inadequate[rule].decide(facts)["call"] for rule in RULES}, index=facts.index)
    words = answers.where(answers.isin(_OPEN), "Y").mask(answers.isin(["none"]), "N")
    chosen = charter.text("inadequate_rule")
    out: pd.DataFrame = words.add_prefix("inadequate_")
    out["inadequate"] = words[chosen]
    out["inadequate_rule"] = chosen
    out["inadequate_grade"] = answers[chosen].where(words[chosen] == "Y", "")
    disagree = words.isin(["Y"]).any(axis=1) & words.isin(["N"]).any(axis=1)
    out["rules_disagree"] = disagree.map({True: "Y", False: "N"})
    return out.astype(object)
