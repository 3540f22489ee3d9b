"""Walks the pathway graph: facts in, branch and the rules that led there out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from lmresp.pathway.graph import NO_BRANCH, Graph


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """The way of every row through the graph.

    Attributes
    ----------
    branch, parallel : pandas.Series of str
        Where the way ends; the branch beside it, or empty.
    steps : mapping of str to tuple
        Per node that was passed the rows that passed it and the number of the rule that answered each.
    """

    branch: pd.Series
    parallel: pd.Series
    steps: Mapping[str, tuple[pd.Index, npt.NDArray[np.int16]]]


def walk(facts: pd.DataFrame, graph: Graph) -> Route:
    """Walk the graph.

    Parameters
    ----------
    facts : pandas.DataFrame, shape (n, facts of the graph)
        One column per fact, with the graph's own words.
    graph : Graph
        The pathway.

    Returns
    -------
    Route

    Raises
    ------
    ValueError
        If a fact is missing or holds a value outside its list: the caller broke its promise.
    """
    at = pd.Series(graph.entry, index=facts.index, dtype=object)
    parallel = pd.Series("", index=facts.index, dtype=object)
    steps = {}
    for name, node in graph.nodes.items():  # in order, so that one pass follows every way through
        here = facts.index if node.parallel else at.index[at == name]
        if not len(here):
            continue
        number = node.table.match(facts.loc[here])
        to = np.array([rule.output for rule in node.table.rules], dtype=object)[number]
        if node.parallel:
            parallel[here] = np.where(to == NO_BRANCH, "", to)
        else:
            at[here] = to
        steps[name] = (here, number)
    return Route(at, parallel, steps)
