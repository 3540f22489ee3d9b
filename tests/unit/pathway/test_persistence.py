"""What persists: symptoms or cells that went away in between and came back are new, not persistent."""

from __future__ import annotations

import pandas as pd
import pytest

from lmresp.criteria import load_charter
from lmresp.pathway.facts import derive_facts
from lmresp.pathway.graph import load_graph
from lmresp.response.call import call_visits

DAYS = ["2024-01-01", "2024-02-12", "2024-03-25"]
CLEARED, NEW, KEPT, NONE = "cleared", "positive_new", "positive_persistent", "missing"


@pytest.mark.parametrize(
    ("csf", "symptomatic", "cells", "symptoms"),
    [
        ((KEPT, KEPT, KEPT), ("Y", "Y", "Y"), "Y", "Y"),
        ((KEPT, NONE, KEPT), ("Y", "", "Y"), "Y", "Y"),  # nothing known in between
        ((KEPT, CLEARED, NEW), ("Y", "N", "Y"), "N", "N"),  # gone in between: seen once since
        ((KEPT, CLEARED, CLEARED), ("Y", "N", "N"), "N", "N"),
    ],
)
def test_persistence(csf: tuple[str, ...], symptomatic: tuple[str, ...], cells: str, symptoms: str) -> None:
    base = pd.DataFrame(
        {
            "subject_id": "S1",
            "visit_num": ["0", "1", "2"],
            "visit": ["V0", "V1", "V2"],
            "date": DAYS,
            "reason": "",
            "row_ids": "",
            "flags": ["baseline", "", ""],
            "disputed": "",
            "confirmed": "",
            "scans": "",
            "source": "read",
            "hydrocephalus": "ABSENT",
            "kps": "80",
            "alternative_cause": "",
        }
    )
    strands = {
        "csf": base.assign(status=csf),
        "neuro": base.assign(status="stable", symptomatic=symptomatic),
        "mri": base.assign(status="stable"),
    }
    charter = load_charter()
    tables = {
        "subjects": pd.DataFrame([{"subject_id": "S1", "ref_start_dtc": "2024-01-03"}]),
        "visits": base[["subject_id", "visit_num", "visit"]].assign(start_dtc=DAYS, status="DONE"),
    }
    calls = call_visits(strands["csf"], strands["neuro"], strands["mri"], charter)
    last = derive_facts(calls, strands, tables, charter, load_graph(charter.text("pathway"))).iloc[-1]
    assert (last["csf_persistent"], last["neuro_persistent"]) == (cells, symptoms)
