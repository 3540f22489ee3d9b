"""What the flags of strands and calls mean (``flags.yaml``); this module opens that file of the package."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml


@cache
def flag_meanings() -> dict[str, str]:
    """Return the meaning of every flag that a strand, a scheme or a call can raise."""
    text = files("lmresp.response").joinpath("flags.yaml").read_text(encoding="utf-8")
    loaded: dict[str, str] = yaml.safe_load(text)
    return loaded
