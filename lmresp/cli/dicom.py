"""``lmresp dicom``: results as DICOM objects."""

from __future__ import annotations

import argparse
from typing import Any


def add_dicom(commands: Any) -> None:
    """Add ``lmresp dicom`` to the commands of the command line."""


def run_dicom(options: argparse.Namespace) -> int:
    """Run ``lmresp dicom``."""
    raise NotImplementedError(options.command)
