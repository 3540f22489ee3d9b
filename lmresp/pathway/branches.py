"""Names the pathway branch of every call, with the way there, its evidence and what is missing."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from lmresp import RESEARCH_USE
from lmresp.criteria.charter import Charter
from lmresp.pathway.facts import derive_facts
from lmresp.pathway.graph import load_graph
from lmresp.pathway.inadequate import judge_inadequate
from lmresp.pathway.wording import put_in_words

COLUMNS = (
    *("subject_id", "visit", "visit_num", "date", "branch", "branch_label", "nodes", "trail", "reason", "evidence"),
    *("evidence_keys", "certainty", "certainty_words", "collect", "inadequate", "inadequate_rule", "inadequate_grade"),
    *("inadequate_confirmed", "inadequate_literal", "inadequate_both", "inadequate_call_based", "rules_disagree"),
    *("disagreement", "parallel_branch", "parallel_reason", "provisional", "research_use"),
)


def find_branches(
    calls: pd.DataFrame, strands: Mapping[str, pd.DataFrame], tables: Mapping[str, pd.DataFrame], charter: Charter
) -> pd.DataFrame:
    """Name the pathway branch of every call.

    Parameters
    ----------
    calls : pandas.DataFrame
        As :func:`lmresp.response.call.call_visits` returns them.
    strands, tables : mapping of str to pandas.DataFrame
        See :func:`lmresp.pathway.facts.derive_facts`.
    charter : Charter
        Names the graph and the rule for an inadequate response.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`COLUMNS`, all text, one row per call in the order of ``calls``. ``branch`` holds one branch, or
        options of equal standing joined with ``;``. ``trail`` holds the nodes passed, joined with `` > ``, each as
        ``node: fact=value, ... -> note`` with the facts that decided it. ``collect`` lists what is unknown on the way
        and worth having; with the branch B_COLLECT it is what the branch hangs on. ``provisional`` is Y when the call
        is. For the columns on an inadequate response see :func:`lmresp.pathway.inadequate.judge_inadequate`.
    """
    graph = load_graph(charter.text("pathway"))
    facts = derive_facts(calls, strands, tables, charter, graph)
    # A cohort has few distinct situations: each is walked once.
    situation = facts.groupby(list(facts.columns), sort=False).ngroup().to_numpy()
    cases = facts.drop_duplicates().reset_index(drop=True)
    judged = judge_inadequate(cases, charter, graph)
    told = put_in_words(cases.assign(inadequate=judged["inadequate"]), judged, graph)
    told = pd.concat([told, judged], axis=1).take(situation).set_axis(calls.index)
    out = pd.concat([calls[["subject_id", "visit", "visit_num", "date", "provisional"]], told], axis=1)
    out["research_use"] = RESEARCH_USE
    return out[list(COLUMNS)].astype(object)
