"""CPU seconds and memory of one scan job, against the floor of reading its inputs and writing its outputs.

    python benchmarks/scan_job.py [GRID_MM ...]

Makes the first demo subject on each grid (2 mm when none is given), indexes it, and runs the job of the reference scan
and of the first follow-up as the workflow does. The floor is a process that imports numpy and nibabel, reads the same
series and writes the same images.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from lmresp import store

if TYPE_CHECKING:
    from lmresp.cli.plan import Plan

FLOOR = """
import sys, nibabel as nib, numpy as np
from lmresp import store
split = sys.argv.index('--')
for name in sys.argv[1:split]:
    np.asarray(nib.load(name).dataobj)
for name in sys.argv[split + 1:]:
    image = nib.load(name)
    content = nib.Nifti1Image(np.asarray(image.dataobj), image.affine).to_bytes()
    store.write_bytes(name + '.floor', store.gzip_bytes(content))
"""


def cpu_and_memory(command: list[str], folder: Path) -> tuple[float, float]:
    """CPU seconds (user and system) and largest memory (MB) of one command."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, command
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def make_study(study: Path, grid: float) -> Plan:
    """Write the first demo subject on a grid, and index the study."""
    from lmresp.cli.plan import plan_study
    from lmresp.simulate import demo, tables

    described = demo.description()
    described["subjects"] = described["subjects"][:1]
    demo.write_subject(described["subjects"][0]["subject_id"], study, grid)
    tables.write_tables(described, study / "tables")
    store.write_text(study / "study.yaml", "study_id: LM-DEMO\ndata_cut: 2025-06-30\n")
    return plan_study(study)


def main() -> None:
    """Print one row per job."""
    grids = [float(grid) for grid in sys.argv[1:]] or [2.0]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print("grid (mm)  scan               CPU (s)  memory (MB)  floor CPU (s)  ratio")
    for grid in grids:
        with tempfile.TemporaryDirectory() as name:
            study = Path(name)
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                plan = pool.submit(make_study, study, grid).result()  # apart: a child starts with its parent's peak
            results = study / "derivatives" / "lmresp"
            step = [sys.executable, "-m", "lmresp", "step", "measure-scan", "--study", "../..", "--results", "."]
            for scan in sorted(plan.results, key=lambda each: plan.references[each] is not None)[:2]:
                cpu, memory = cpu_and_memory([*step, "--record", f"work/scans/{scan}.json"], results)
                record = store.read_json(results / "work" / "scans" / f"{scan}.json")
                read = [str(study / file) for series in record["series"] for file in series["files"]]
                written = [str(p) for p in sorted((results / plan.results[scan]).parent.glob("anat/*.nii.gz"))]
                floor, _ = cpu_and_memory([sys.executable, "-c", FLOOR, *read, "--", *written], results)
                print(f"{grid:>9.1f}  {scan:<17}  {cpu:>7.1f}  {memory:>11.0f}  {floor:>13.1f}  {cpu / floor:>5.1f}")


if __name__ == "__main__":
    main()
