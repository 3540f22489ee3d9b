"""Regions of the spine, and whether a scan holds one (pure, and light: the record of reads asks it at every start)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

REGIONS = ("CERVICAL", "THORACIC", "LUMBAR", "SPINE")


def has_spine(series: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a scan has a usable series of the spine."""
    return any(one["body_part"] in REGIONS and one.get("use", True) for one in series)
