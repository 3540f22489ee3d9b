"""``lmresp reads``: the record of reads."""

from __future__ import annotations

import argparse
from typing import Any


def add_reads(commands: Any) -> None:
    """Add ``lmresp reads`` to the commands of the command line."""


def run_reads(options: argparse.Namespace) -> int:
    """Run ``lmresp reads``."""
    raise NotImplementedError(options.command)
