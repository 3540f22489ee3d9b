"""Row ids in words. What would change a call is tested with the calls."""

from __future__ import annotations

from lmresp.notation import row_ranges


def test_rows_in_a_row_make_a_range() -> None:
    ids = ["csf.csv:3", "neuro.csv:13", "neuro.csv:12", "neuro.csv:15"]
    assert row_ranges(ids) == "csf.csv: 3; neuro.csv: 12-13, 15"
    assert row_ranges(["demo.xlsx/csf:31", "odd"]) == "demo.xlsx/csf: 31; odd"
    assert row_ranges([]) == ""
