"""The default charter with other values, for tests of what a setting does."""

from __future__ import annotations

import copy
from typing import Any

from lmresp.criteria import Charter, charter_from_record, charter_record, load_charter

_RECORD = charter_record(load_charter())


def charter_with(**settings: Any) -> Charter:
    """Return the shipped charter with these values; a name that it does not have is an error."""
    record = copy.deepcopy(_RECORD)
    for name, value in settings.items():
        record["settings"][name]["value"] = value
    return charter_from_record(record)
