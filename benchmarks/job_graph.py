"""How long the job graph of a study takes to build, by number of scans, against Snakemake's own start-up.

    python benchmarks/job_graph.py [100 1000 10000]

Makes a study of tiny NIfTI scans (four visits a subject) in a temporary folder, indexes it cold and warm, and asks for
a dry run of everything. The last column is the ratio to a dry run of an empty workflow in the same run.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np

VISITS = ("BL", "WK06", "WK12", "WK18")


def make_study(folder: Path, scans: int) -> None:
    """Write a study of ``scans`` one-series scans."""
    tables = folder / "tables"
    tables.mkdir(parents=True)
    (folder / "study.yaml").write_text("study_id: BENCH\ndata_cut: 2026-01-01\n")
    subjects, visits = ["study_id,subject_id,ref_start_dtc"], ["subject_id,visit_num,visit,start_dtc,status"]
    for subject in range(-(-scans // len(VISITS))):
        name = f"S{subject:05d}"
        subjects.append(f"BENCH,{name},2025-01-01")
        for number, visit in enumerate(VISITS):
            visits.append(f"{name},{number},{visit},2025-{1 + 2 * number:02d}-01,DONE")
            if subject * len(VISITS) + number < scans:
                target = folder / "mri" / f"sub-{name}" / f"ses-{visit}" / "anat"
                target.mkdir(parents=True)
                voxels = np.full((4, 4, 4), subject * len(VISITS) + number, np.int16)  # no two scans are the same
                image = nib.Nifti1Image(voxels, np.eye(4)).to_bytes()
                (target / f"sub-{name}_ses-{visit}_ce-gadolinium_T1w.nii").write_bytes(image)
    (tables / "subjects.csv").write_text("\n".join(subjects) + "\n")
    (tables / "visits.csv").write_text("\n".join(visits) + "\n")


def timed(command: list[str]) -> tuple[float, float]:
    """Wall seconds of a command, and the largest memory (MB) of any child so far."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.perf_counter() - start
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    """Print one row per size."""
    sizes = [int(size) for size in sys.argv[1:]] or [100, 1000, 10000]
    with tempfile.TemporaryDirectory() as name:
        empty = Path(name) / "Snakefile"
        empty.write_text("rule all:\n    output: 'x'\n    shell: 'touch {output}'\n")
        snakemake = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", "--quiet"]
        base, _ = timed([*snakemake, "--snakefile", str(empty), "--directory", name])
        print(f"empty workflow: {base:.2f} s")
        print("scans  first dry run (s)  again (s)  peak memory (MB)  again / empty")
        for scans in sizes:
            study = Path(name) / f"study{scans}"
            make_study(study, scans)
            command = [sys.executable, "-m", "lmresp", "run", str(study), "--cores", "1", "--quiet", "--dry-run"]
            first, _ = timed(command)
            again, memory = timed(command)
            print(f"{scans:>5}  {first:>17.1f}  {again:>9.1f}  {memory:>16.0f}  {again / base:>13.1f}", flush=True)


if __name__ == "__main__":
    main()
