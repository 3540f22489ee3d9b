"""What the flags of strands and calls mean (``flags.yaml``)."""

from __future__ import annotations

from functools import cache

import yaml

from lmresp.plain_yaml import packaged_text


@cache
def flag_meanings() -> dict[str, str]:
    """Return the meaning of every flag that a strand, a scheme or a call can raise."""
    loaded: dict[str, str] = yaml.safe_load(packaged_text("lmresp.response", "flags.yaml"))
    return loaded
