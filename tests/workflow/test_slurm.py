"""The study on a real SLURM: the same bytes as on one machine, also after the submitting process was killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.workflow.conftest import copied, digests, environment, lmresp
from tests.workflow.test_run import results, wait_for_scans

pytestmark = pytest.mark.slurm


@pytest.fixture(autouse=True)
def _needs_slurm() -> None:
    if shutil.which("sbatch") is None:
        pytest.skip("no SLURM: sbatch is not on the PATH")
    if subprocess.run(["sinfo", "--noheader"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no SLURM: the controller does not answer")


def queued() -> list[str]:
    shown = subprocess.run(["squeue", "--noheader", "--format=%j"], capture_output=True, text=True, check=True)
    return [name for name in shown.stdout.split() if name.startswith("lmresp-")]


def test_slurm_killed_half_way_and_resumed_gives_the_same_bytes(
    inputs: Path, finished: Path, tmp_path: Path, repository: Path
) -> None:
    study = copied(inputs, tmp_path / "on the cluster")
    command = [sys.executable, "-m", "lmresp", "run", str(study), "--profile", "slurm"]
    process = subprocess.Popen(command, start_new_session=True, env=environment(), stderr=subprocess.DEVNULL)
    wait_for_scans(study, 1, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (results(study) / "calls.csv").exists()
    cancel = repository / "profiles" / "slurm" / "bin" / "lmresp-slurm-cancel"
    subprocess.run([str(cancel)], check=True, capture_output=True)
    assert queued() == []

    run = lmresp("run", study, "--profile", "slurm", timeout=600)
    assert run.returncode == 0, run.stderr[-3000:]
    assert list((results(study) / "logs" / "slurm").glob("*.log"))
    assert digests(study) == digests(finished)


def test_a_job_cancelled_by_someone_else_is_submitted_again(inputs: Path, tmp_path: Path) -> None:
    study = copied(inputs, tmp_path / "cancelled")
    target = "sub-LM02/ses-BL/sub-LM02_ses-BL_scan.json"
    command = [sys.executable, "-m", "lmresp", "run", str(study), "--profile", "slurm", target]
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
    cancelled: list[str] = []
    while process.poll() is None and not cancelled:
        shown = subprocess.run(
            ["squeue", "--noheader", "--states=RUNNING", "--format=%A %j"], capture_output=True, text=True, check=True
        )
        cancelled = [line.split()[0] for line in shown.stdout.splitlines() if "lmresp-measure_scan" in line]
    subprocess.run(["scancel", *cancelled], check=True)
    _, errors = process.communicate(timeout=300)
    assert cancelled
    assert process.returncode == 0, errors[-3000:]
    assert (results(study) / target).is_file()


def test_a_controller_restart_is_survived(inputs: Path, tmp_path: Path) -> None:
    study = copied(inputs, tmp_path / "restarted")
    target = "sub-LM02/ses-BL/sub-LM02_ses-BL_scan.json"
    command = [sys.executable, "-m", "lmresp", "run", str(study), "--profile", "slurm", target]
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not queued():
        time.sleep(0.2)
    subprocess.run(["scontrol", "shutdown", "slurmctld"], check=True, capture_output=True)
    time.sleep(20)  # longer than the time between two questions for the state of a job
    assert process.poll() is None
    controller = shutil.which("slurmctld", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert controller
    subprocess.run([controller, "-f", os.environ["SLURM_CONF"]], check=True, capture_output=True)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-3000:]
    assert (results(study) / target).is_file()
    # Two jobs lead to the scan: its subject's common space, and the scan itself. Each was submitted once.
    assert len(list((results(study) / "logs" / "slurm").glob("*.log"))) == 2, "a job was submitted twice"
