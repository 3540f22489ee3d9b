"""The accuracy study, with one command: ``python -m benchmarks.accuracy [--data FOLDER] [--jobs N] [--runs FOLDER]``.

Makes 60 phantom scans of 10 heads, measures them as a study does, measures the real scans where their folder is given,
and writes ``docs/accuracy.md``. What is finished is kept in the folder of runs and not done again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> None:
    """Run the study."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
        os.environ[name] = "1"  # a job has one core, as in a study
    from benchmarks.accuracy import cases, measure_heads, publish

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="folder of the real scans (with mri/ in it); without it phantoms only"
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=REPOSITORY / "benchmarks" / "accuracy" / "runs")
    parser.add_argument("--heads", type=int, default=len(cases.SEEDS), help="only the first heads, to try it out")
    parser.add_argument("--docs", type=Path, default=REPOSITORY / "docs")
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    names = [*(str(seed) for seed in cases.SEEDS[: options.heads]), *(measure_heads.REAL if options.data else ())]
    jobs = [(name, str(options.runs), str(options.data or "")) for name in names]
    with multiprocessing.get_context("spawn").Pool(options.jobs, maxtasksperchild=1) as pool:
        for name in pool.imap_unordered(measure_heads.run, jobs):
            print(f"{name} done", flush=True)
    rows = [row for name in names for row in json.loads((options.runs / f"{name}.json").read_text(encoding="utf-8"))]
    publish.publish(rows, options.docs)


if __name__ == "__main__":
    main()
