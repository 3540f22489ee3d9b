"""Drift: the trend test against a textbook, limits of a p-chart by hand, batches in the order of reading."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lmresp.statistics.drift import COLUMNS, cochran_armitage, drift, p_limits


def test_agresti_alcohol_and_malformation() -> None:
    # Agresti, Categorical Data Analysis: drinks a day 0, <1, 1-2, 3-5, 6+; M^2 = 6.57, z = 2.56, p = 0.010.
    cases, births = np.array([48, 38, 5, 1, 1]), np.array([17114, 14502, 793, 127, 38])
    z, p = cochran_armitage(cases, births, np.array([0, 0.5, 1.5, 4, 7]))
    assert z == pytest.approx(2.56, abs=0.01)
    assert p == pytest.approx(0.010, abs=0.001)


def test_no_trend_in_what_does_not_vary() -> None:
    assert np.isnan(cochran_armitage(np.array([10, 10]), np.array([10, 10]), np.array([0.0, 1.0]))).all()


def test_limits_of_a_p_chart_by_hand() -> None:
    low, high = p_limits(0.8, np.array([16, 144]))
    assert low == pytest.approx([0.5, 0.7])  # 3 * sqrt(0.16 / 16) = 0.3; 3 * sqrt(0.16 / 144) = 0.1
    assert high == pytest.approx([1.0, 0.9])


def answers(agreements: list[bool], **changed: str) -> pd.DataFrame:
    """Reader 1 and the draft, one visit a subject; the last subject is read first."""
    rows = []
    for place, agrees in enumerate(agreements):
        visit = {
            "subject_id": f"S{900 - place}",
            "number": 2.0,
            "against": "BASELINE",
            "item": "OVERALL",
            "blinded": "Y",
            "saw_draft": "",
        }
        read = {
            "rater": "RADIOLOGIST 1",
            "kind": "reader",
            "read_dtc": f"2024-01-01T{place // 60:02d}:{place % 60:02d}Z",
        }
        rows.append(visit | read | {"value": "SD" if agrees else "PD"} | changed)
        rows.append(visit | {"rater": "draft", "kind": "draft", "value": "SD", "read_dtc": ""})
    return pd.DataFrame(rows)


def test_batches_follow_the_order_of_reading() -> None:
    found = drift(answers([True] * 20 + [False] * 10 + [True] * 3))
    assert list(found.columns) == list(COLUMNS)
    assert found["n"].tolist() == ["10", "10", "13"]  # what is left over joins the last batch
    assert found["agreed"].tolist() == ["10", "10", "3"]
    assert found["centre"].tolist() == ["69.7"] * 3
    # 69.7 +- 3 * sqrt(0.697 * 0.303 / 13) = 31.5 .. 100; 3 of 13 = 23.1 lies below.
    assert found["outside"].tolist() == ["", "", "below"]
    assert float(found["trend_p"].iloc[0]) < 0.001
    assert float(found["trend_z"].iloc[0]) < 0


def test_many_reads_make_larger_batches() -> None:
    found = drift(answers([True] * 301))
    assert found["n"].tolist() == ["11"] * 26 + ["15"]  # 301 / 30 reads and more; what is left over joins the last


def test_few_reads_give_a_share_and_no_signal() -> None:
    found = drift(answers([True] * 12 + [False] * 7))
    assert found[["batch", "n", "agreed", "low", "outside", "trend_p"]].to_numpy().tolist() == [
        ["1", "19", "12", "", "", ""]
    ]
    assert found["note"].iloc[0] == "fewer than 20 reads: no limits, no trend"


@pytest.mark.parametrize(
    "changed", [{"blinded": "N"}, {"blinded": ""}, {"saw_draft": "Y"}, {"value": "NE"}, {"read_dtc": ""}]
)
def test_reads_that_do_not_count(changed: dict[str, str]) -> None:
    assert drift(answers([True] * 25, **changed)).empty


def test_the_read_that_stands_needs_a_second_reader() -> None:
    alone = answers([True] * 5)
    final = alone[alone["kind"] == "reader"].assign(kind="accepted", rater="accepted read")
    assert set(drift(pd.concat([alone, final]))["against"]) == {"draft"}
    other = alone[alone["kind"] == "reader"].assign(rater="RADIOLOGIST 2", value="PD")
    both = drift(pd.concat([alone, final, other]))
    share = both[both["against"] == "accepted read"].set_index("reader")["percent"].to_dict()
    assert share == {"RADIOLOGIST 1": "100.0", "RADIOLOGIST 2": "0.0"}
