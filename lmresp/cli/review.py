"""``lmresp review``: the reading room."""

from __future__ import annotations

import argparse
from typing import Any


def add_review(commands: Any) -> None:
    """Add ``lmresp review`` to the commands of the command line."""


def run_review(options: argparse.Namespace) -> int:
    """Run ``lmresp review``."""
    raise NotImplementedError(options.command)
