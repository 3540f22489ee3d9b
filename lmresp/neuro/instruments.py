"""The scales of the instruments: their domains, top levels and what is set aside (files of the package)."""

from __future__ import annotations

from functools import cache
from typing import Any

import pandas as pd
import yaml

from lmresp.criteria import load_scale
from lmresp.plain_yaml import packaged_text

NANO, NANO_LM = "NANO", "NANO_LM"
NANO_LM_SCALE = "nano_lm_2024"


@cache
def judged() -> dict[str, dict[str, Any]]:
    """Return the facts of each instrument whose domains are judged (``instruments.yaml``)."""
    loaded: dict[str, dict[str, Any]] = yaml.safe_load(packaged_text("lmresp.neuro", "instruments.yaml"))["instruments"]
    return loaded


def domain_table() -> pd.DataFrame:
    """List the domains of the judged instruments.

    Returns
    -------
    pandas.DataFrame
        ``instrument, item, top`` (top level; NaN where the levels were not read), ``set_aside`` (bool: left out where
        it was at the top at baseline).
    """
    rows = [
        {"instrument": name, "item": item, "top": top, "set_aside": item in facts["set_aside_at_top"]}
        for name, facts in judged().items()
        for item, top in _maxima(facts["scale"]).items()
    ]
    return pd.DataFrame(rows)


def items_of(instrument: str) -> tuple[str, ...]:
    """Names of the items of an instrument that lmresp knows, sorted."""
    if instrument == NANO_LM:
        return tuple(sorted(load_scale(NANO_LM_SCALE)["items_named"]))
    return tuple(sorted(_maxima(judged()[instrument]["scale"])))


def _maxima(scale_id: str) -> dict[str, float]:
    """Top score of each domain of a scale; NaN for a domain whose levels were not read."""
    scale = load_scale(scale_id)
    if "domains" in scale:
        return {domain["id"]: float(domain["max"]) for domain in scale["domains"]}
    read = {domain["id"]: float(max(domain["levels_above_normal"])) for domain in scale["domains_read"]}
    return {**dict.fromkeys(scale["domains_not_read"]["names"], float("nan")), **read}
