"""``lmresp simulate``: phantom scans with exactly known truth."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lmresp import RESEARCH_USE
from lmresp.errors import EXIT_DONE


def add_simulate(commands: Any) -> None:
    """Add ``lmresp simulate OUT`` to the commands of the command line."""
    command = commands.add_parser(
        "simulate",
        help="make phantom scans with exactly known truth",
        epilog="docs/simulate.md lists the fields of a description.",
        allow_abbrev=False,
    )
    command.add_argument("out", type=Path, metavar="OUT", help="a new or empty folder")
    command.add_argument("--seed", type=int, default=1, metavar="N", help="the head (default: 1)")
    command.add_argument("--grid-mm", type=float, default=1.0, metavar="MM", help="voxels of the head (default: 1)")
    command.add_argument("--spec", type=Path, metavar="FILE", help="visits, disease and acquisition (YAML)")
    command.add_argument("--format", choices=("nifti", "dicom"), default="nifti", help="of the images")


def run_simulate(options: argparse.Namespace) -> int:
    """Make the scans and say where their truth is.

    Raises
    ------
    StudyError
        If the description or an argument cannot be used.
    """
    from lmresp.simulate.spec import read_spec, simulate

    spec = read_spec(options.spec)
    for path in simulate(options.out, spec, options.seed, options.grid_mm, options.format):
        print(f"wrote {path.relative_to(options.out)} and its images")
    print(f"Simulated scans of a phantom. {RESEARCH_USE}")
    return EXIT_DONE
