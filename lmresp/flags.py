"""What the flags of strands and calls mean (``flags.yaml``)."""

from __future__ import annotations

import re
from functools import cache

import yaml

from lmresp.plain_yaml import packaged_text


@cache
def flag_meanings() -> dict[str, str]:
    """Return the meaning of every flag that a strand, a scheme or a call can raise."""
    loaded: dict[str, str] = yaml.safe_load(packaged_text("lmresp", "flags.yaml"))
    return loaded


def flag_meaning(flag: str) -> str:
    """Return what a flag means; one that ends in a score, such as ``ecog_2``, means what stands for all its scores."""
    return flag_meanings().get(re.sub(r"_\d$", "", flag), flag.replace("_", " "))
