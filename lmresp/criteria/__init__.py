"""Criteria as data: decision tables, scales and charters, each value with its source and certainty.

``schemes/`` holds one decision table per file, ``scales/`` the examination and scorecard facts, ``charters/`` the
settings that a study agrees on. The code here only loads, proves and evaluates them.
"""

from __future__ import annotations

from lmresp.criteria.charter import Charter, charter_from_record, charter_record
from lmresp.criteria.load import load_scale, load_scheme, path, schemes
from lmresp.criteria.study_charter import load_charter, read_charter
from lmresp.criteria.table import PUBLISHED, Rule, Scheme

__all__ = [
    "PUBLISHED",
    "Charter",
    "Rule",
    "Scheme",
    "charter_from_record",
    "charter_record",
    "load_charter",
    "load_scale",
    "load_scheme",
    "path",
    "read_charter",
    "schemes",
]
