"""``lmresp pacs``: studies in, results out."""

from __future__ import annotations

import argparse
from typing import Any


def add_pacs(commands: Any) -> None:
    """Add ``lmresp pacs`` to the commands of the command line."""


def run_pacs(options: argparse.Namespace) -> int:
    """Run ``lmresp pacs``."""
    raise NotImplementedError(options.command)
