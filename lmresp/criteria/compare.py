"""How two charters differ: every setting, and every combination of inputs that they answer differently."""

from __future__ import annotations

import dataclasses

import pandas as pd

from lmresp.criteria.cells import INPUT_ORDER, canonical
from lmresp.criteria.charter import Charter
from lmresp.criteria.table import Scheme

NOT_IN_FORCE = "(not in force)"
"""Stands for the answer of a table that one of the two charters does not use."""
SETTING_COLUMNS = ("setting", "a", "b", "set_by_a", "set_by_b")
ANSWER_COLUMNS = ("a", "b", "rule_a", "rule_b", "certainty_a", "certainty_b")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What differs between two charters.

    Attributes
    ----------
    settings : pandas.DataFrame
        Columns :data:`SETTING_COLUMNS`: every setting with another value, sorted by name; values as JSON text.
    cells : dict of str to pandas.DataFrame
        Table (``visit_call``, ``strand_csf``, ...) to its combinations with another answer: the inputs, then
        :data:`ANSWER_COLUMNS`. Tables that agree are left out.
    origins : dict of str to pandas.DataFrame
        The same for combinations with one answer of different certainty: they decide alike, but a charter that is
        not signed calls one of them provisional.
    """

    settings: pd.DataFrame
    cells: dict[str, pd.DataFrame]
    origins: dict[str, pd.DataFrame]

    @property
    def same(self) -> bool:
        """Whether the two charters decide alike: no setting and no answer differs."""
        return self.settings.empty and not self.cells


def compare_charters(a: Charter, b: Charter) -> Comparison:
    """Compare two charters.

    Parameters
    ----------
    a, b : Charter

    Returns
    -------
    Comparison
    """
    cells: dict[str, pd.DataFrame] = {}
    origins: dict[str, pd.DataFrame] = {}
    for name in dict.fromkeys((*a.tables, *b.tables)):
        both = compare_tables(a.tables.get(name), b.tables.get(name))
        answers = both["a"] != both["b"]
        for found, where in ((cells, answers), (origins, ~answers & (both["certainty_a"] != both["certainty_b"]))):
            if where.any():
                found[name] = both[where].reset_index(drop=True)
    return Comparison(_settings(a, b), cells, origins)


def compare_tables(a: Scheme | None, b: Scheme | None) -> pd.DataFrame:
    """Lay the answers of two decision tables side by side.

    Parameters
    ----------
    a, b : Scheme or None
        Two tables with the same inputs and words; one may be ``None``, where a charter does not use the table.

    Returns
    -------
    pandas.DataFrame
        One row per combination of inputs, in the order of the words of the first table: the inputs, then
        :data:`ANSWER_COLUMNS`; :data:`NOT_IN_FORCE` for a table that is not used.
    """
    sides = [_answers(scheme, side) for scheme, side in ((a, "a"), (b, "b")) if scheme is not None]
    both = sides[0]
    inputs = [name for name in both.columns if name not in ANSWER_COLUMNS]
    if len(sides) == 2:
        both = both.merge(sides[1], on=inputs, how="left", validate="one_to_one")
    answers = {name: both[name] if name in both else NOT_IN_FORCE * (name in ("a", "b")) for name in ANSWER_COLUMNS}
    return both[inputs].assign(**answers)


def _answers(scheme: Scheme, side: str) -> pd.DataFrame:
    table = scheme.combinations()
    names = [each.name for each in scheme.inputs]
    ordered = list(INPUT_ORDER) if set(names) == set(INPUT_ORDER) else names
    answers = table[[*ordered, "call", "rule_id", "certainty"]]
    return answers.rename(columns={"call": side, "rule_id": f"rule_{side}", "certainty": f"certainty_{side}"})


def _settings(a: Charter, b: Charter) -> pd.DataFrame:
    rows = [
        [name, canonical(left.value), canonical(b.settings[name].value), left.set_by, b.settings[name].set_by]
        for name, left in a.settings.items()
    ]
    return pd.DataFrame([row for row in rows if row[1] != row[2]], columns=list(SETTING_COLUMNS), dtype=object)
