"""How two charters differ."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd

from lmresp.criteria import Charter, load_charter, load_scheme
from lmresp.criteria.compare import ANSWER_COLUMNS, NOT_IN_FORCE, compare_charters, compare_tables

HEAD = "name: trial-x\nversion: '2'\n"


def charter(folder: Path, text: str = "", head: str = HEAD) -> Charter:
    (folder / "charter.yaml").write_text(head + text, encoding="utf-8")
    return load_charter(folder / "charter.yaml")


def test_a_charter_is_the_same_as_itself_under_another_name(tmp_path: Path) -> None:
    found = compare_charters(load_charter(), charter(tmp_path))
    assert found.same
    assert (len(found.settings), found.cells, found.origins) == (0, {}, {})


def test_every_setting_that_differs_is_listed(tmp_path: Path) -> None:
    own = charter(tmp_path, "settings: {max_ne: 0, draft_may_stand: false, confirm_days: 28, best_first: "
                  "[STABLE, RESPONSE, SUSPECTED_PROGRESSION, PROGRESSION, NOT_EVALUABLE]}\n")  # fmt: skip
    found = compare_charters(load_charter(), own)
    assert found.settings["setting"].tolist() == ["best_first", "draft_may_stand", "max_ne"]
    assert found.settings.iloc[2].tolist() == ["max_ne", "1", "0", "default", "trial-x"]
    assert (found.same, found.cells) == (False, {})


def test_exactly_the_cells_that_differ_are_listed(tmp_path: Path) -> None:
    # The first cell changes one answer; the second restates what RL09 says and changes none.
    own = charter(tmp_path, """
cells:
  - {when: {neuro: [stable], csf: [cleared], imaging: [stable]}, output: RESPONSE, source: protocol}
  - {when: {neuro: [stable], csf: [missing], imaging: [stable]}, output: NOT_EVALUABLE, source: p. 4, certainty: seen}
""")  # fmt: skip
    found = compare_charters(load_charter(), own)
    [(name, cells)] = found.cells.items()
    assert name == "visit_call"
    assert cells.columns.tolist() == ["neuro", "csf", "imaging", *ANSWER_COLUMNS]
    assert cells.values.tolist() == [
        ["stable", "cleared", "stable", "STABLE", "RESPONSE", "RL13", "trial-x.1", "convention", "convention"]
    ]
    [(name, origins)] = found.origins.items()
    assert origins.values.tolist() == [
        ["stable", "missing", "stable", "NOT_EVALUABLE", "NOT_EVALUABLE", "RL09", "trial-x.2", "convention", "seen"]
    ]


def test_a_table_that_only_one_charter_uses_differs_in_every_combination(tmp_path: Path) -> None:
    own = charter(tmp_path, "settings: {switched_on: [eano_esmo_followup]}\n")
    found = compare_charters(own, load_charter())
    assert list(found.cells) == ["eano_esmo_followup"]
    assert len(found.cells["eano_esmo_followup"]) == 64
    assert set(found.cells["eano_esmo_followup"]["b"]) == {NOT_IN_FORCE}
    assert set(compare_charters(load_charter(), own).cells["eano_esmo_followup"]["a"]) == {NOT_IN_FORCE}


def test_the_cells_of_a_strand_are_compared_too(tmp_path: Path) -> None:
    a, b = charter(tmp_path), charter(tmp_path)
    scheme = load_scheme("strand_imaging")
    rules = tuple(dataclasses.replace(r, output="stable") if r.rule_id == "IS04" else r for r in scheme.rules)
    b.__dict__["tables"] = {**b.tables, "strand_imaging": dataclasses.replace(scheme, rules=rules)}
    cells = compare_charters(a, b).cells["strand_imaging"]
    assert cells[["overall", "a", "b"]].values.tolist() == [
        ["NE", "not_evaluable", "stable"],
        ["none", "not_evaluable", "stable"],
    ]


def test_the_difference_does_not_depend_on_the_order_of_words(tmp_path: Path) -> None:
    scheme = load_scheme("rano_lm_2017_overall")
    turned = dataclasses.replace(
        scheme, inputs=tuple(dataclasses.replace(each, words=each.words[::-1]) for each in scheme.inputs[::-1])
    )
    both = compare_tables(scheme, turned)
    assert len(both) == 96
    pd.testing.assert_series_equal(both["a"], both["b"], check_names=False)
