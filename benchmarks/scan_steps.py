"""Seconds, CPU seconds and peak memory of one visit by step, against the floor of its files and against other tools.

    python -m benchmarks.scan_steps [--peers] [--repeat 3] [--work FOLDER]

One phantom subject at 1 mm with a reference scan and a follow-up (T1 before and after contrast, FLAIR) is made, then
the jobs of the workflow run one after the other, each in a process of its own with one thread: ``align-subject``,
``measure-scan`` of the reference scan, and of the follow-up with and without the deformable step. Public functions are
timed from outside. FOLDER keeps the phantom and every finished run, so that an interrupted benchmark goes on where it
stopped; with ``--peers`` it also gets one virtual environment per peer. The tables of docs/speed.md are rewritten.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import scan_peers
from benchmarks.scan_clock import ALIGN, FOLLOW_UP, JOBS, MAKE, ORDER, REFERENCE, STILL

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "speed.md"
CLOCK = [sys.executable, "-m", "benchmarks.scan_clock"]
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), "1"
)

WHAT = ("cpu", "wall", "peak")
KINDS = {
    "reading": ("read",),
    "registering": ("align visits", "template fit", "within-session registration", "resample", "deformable step"),
    "writing": ("write",),
}
FLOOR = """
import sys, nibabel as nib, numpy as np
from lmresp import store
split = sys.argv.index("--")
for name in sys.argv[1:split]:
    np.asarray(nib.load(name).dataobj, dtype=np.float32)
for name in sys.argv[split + 1:]:
    with open(name, "rb") as file:
        content = file.read()
    if name.endswith(".nii.gz"):
        image = nib.load(name)
        raw = nib.Nifti1Image(np.asarray(image.dataobj.get_unscaled()), image.affine).to_bytes()
        content = store.gzip_bytes(raw)
    with open(name + ".floor", "wb") as file:
        file.write(content)
"""


def used(command: Sequence[str], log: Path, most_cpu: int = 3600) -> dict[str, float]:
    """Wall and CPU seconds (user and system, children included) and peak memory of the largest process, GB.

    Raises
    ------
    CalledProcessError
        If it fails, or is stopped by the system after ``most_cpu`` CPU seconds (return code ``-SIGXCPU``).
    """
    limited = ["prlimit", f"--cpu={most_cpu}", *command]
    begin = time.perf_counter()
    with log.open("wb") as handle:
        process = subprocess.Popen(
            limited, cwd=ROOT, env={**os.environ, **ONE_THREAD}, stdout=handle, stderr=subprocess.STDOUT
        )
        _, status, took = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    peak = took.ru_maxrss * 1024 / 1e9
    return {"wall": time.perf_counter() - begin, "cpu": took.ru_utime + took.ru_stime, "peak": peak}


def kept(file: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Read a finished run, or run it and keep it."""
    if not file.exists():
        found = make()
        file.write_text(json.dumps(found), encoding="utf-8")
    loaded: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return loaded


def job_runs(work: Path, job: str, repeat: int) -> list[dict[str, Any]]:
    """Run a job several times, each time in a new process; steps under ``by``, the whole process under ``whole``."""
    runs = []
    for number in range(repeat):
        name = f"{job}.{number}"

        def make(name: str = name) -> dict[str, Any]:
            steps = work / f"{name}.steps.json"
            whole = used([*CLOCK, job, str(work / "study"), str(steps)], work / f"{name}.log")
            return {"whole": whole, "by": json.loads(steps.read_text(encoding="utf-8"))}

        runs.append(kept(work / f"{name}.json", make))
        print(f"{name}: {runs[-1]['whole']['cpu']:.1f} CPU-s", flush=True)
    return runs


def floor_run(work: Path, job: str, run: Mapping[str, Any], repeat: int) -> float:
    """CPU seconds of a process that only reads what a job read and writes what it wrote (median)."""
    command = [sys.executable, "-c", FLOOR, *run["by"]["read"], "--", *run["by"]["written"]]
    runs = [kept(work / f"floor {job}.{n}.json", lambda: used(command, work / "floor.log")) for n in range(repeat)]
    for name in run["by"]["written"]:
        Path(name + ".floor").unlink(missing_ok=True)
    return float(statistics.median(one["cpu"] for one in runs))


def step_table(jobs: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """One row per step: CPU seconds / seconds / peak GB of each job, medians over the runs."""
    head = "| step | " + " | ".join(jobs) + " |"
    lines = [head, "|---|" + "---|" * len(jobs)]
    for step in ORDER:
        cells = []
        for runs in jobs.values():
            cpu, wall, peak = (
                statistics.median(run["by"][kind][step] for run in runs) for kind in ("cpu", "wall", "peak")
            )
            cells.append("" if cpu < 0.005 else f"{cpu:.2f} / {wall:.2f} / {peak:.2f}")
        if any(cells):
            lines.append(f"| {step} | " + " | ".join(cells) + " |")
    cells = []
    for runs in jobs.values():
        cpu, wall = (statistics.median(run["whole"][kind] for run in runs) for kind in ("cpu", "wall"))
        peak = max(max(run["by"]["peak"].values()) for run in runs)
        cells.append(f"**{cpu:.1f}** / {wall:.1f} / **{peak:.2f}**")
    return [*lines, "| **the whole process** | " + " | ".join(cells) + " |"]


def share_table(jobs: Mapping[str, Sequence[Mapping[str, Any]]], floors: Mapping[str, float]) -> list[str]:
    """Share of the CPU seconds by kind of work, and the ratio to the floor."""
    lines = [
        "| job | CPU-s | reading | registering and resampling | writing | the rest | floor, CPU-s | job / floor |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for job, runs in jobs.items():
        whole = statistics.median(run["whole"]["cpu"] for run in runs)
        parts = [
            statistics.median(sum(run["by"]["cpu"][step] for step in steps) for run in runs) / whole
            for steps in KINDS.values()
        ]
        shares = " | ".join(f"{100 * part:.1f} %" for part in [*parts, 1 - sum(parts)])
        lines.append(f"| {job} | {whole:.1f} | {shares} | {floors[job]:.1f} | {whole / floors[job]:.0f} |")
    return lines


def visit_table(jobs: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """The whole visit against its targets: its scan job and its part of the subject's alignment."""
    cpu = {job: statistics.median(run["whole"]["cpu"] for run in runs) for job, runs in jobs.items()}
    peak = {job: max(max(run["by"]["peak"].values()) for run in runs) for job, runs in jobs.items()}
    lines = [
        "| visit | CPU-s with half of the alignment of two | with all of it | target | peak GB (target 3) |",
        "|---|---|---|---|---|",
    ]
    for job, target in ((REFERENCE, 90), (STILL, 90), (FOLLOW_UP, 140)):
        half, whole = cpu[job] + cpu[ALIGN] / 2, cpu[job] + cpu[ALIGN]
        most = max(peak[job], peak[ALIGN])
        lines.append(f"| {job} | {half:.1f} | {whole:.1f} | {target} | {most:.2f} |")
    return lines


def rewrite(part: str, lines: Sequence[str]) -> None:
    """Replace one table of the page."""
    start, end = f"<!-- {part}: start -->", f"<!-- {part}: end -->"
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(start)
    PAGE.write_text(before + "\n".join([start, *lines, end]) + rest.split(end)[1], encoding="utf-8")


def versions() -> str:
    """Say what ran."""
    from lmresp import __version__

    names = ("numpy", "scipy", "SimpleITK", "onnxruntime", "nibabel", "scikit-image")
    others = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    return (
        f"lmresp {__version__}, Python {platform.python_version()}, {others}; {os.cpu_count()} cores, one thread a job."
    )


def main() -> None:
    """Run what is missing and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="kept from run to run (default: a temporary folder)")
    parser.add_argument("--peers", action="store_true", help="also run other tools (installs them with pip)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of which the median is taken (default 3)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = (args.work or Path(temporary)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        study = work / "study"
        if not (study / "study.yaml").exists():
            used([*CLOCK, MAKE, str(study), ""], work / "study.log")
        jobs = {job: job_runs(work, job, args.repeat) for job in JOBS}
        assert jobs[FOLLOW_UP][0]["by"]["moved"], "the ventricles did not change enough for the deformable step"
        floors = {job: floor_run(work, job, runs[0], args.repeat) for job, runs in jobs.items()}
        rewrite("visit", visit_table(jobs))
        rewrite("steps", step_table(jobs))
        rewrite("shares", share_table(jobs, floors))
        rewrite("versions", [versions()])
        if args.peers:
            rewrite("peers", scan_peers.table(work, study, args.repeat, used, kept))


if __name__ == "__main__":
    main()
