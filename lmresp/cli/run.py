"""``lmresp run``: start Snakemake on a study, and leave the study in a state from which it can go on."""

from __future__ import annotations

import fcntl
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from lmresp.errors import RunError, StudyError

SLURM_PROFILES = ("slurm", "slurm-plugin")


def workflow_folder() -> Path:
    """Folder of the Snakefile: inside an installed wheel, or the root of the checkout.

    Raises
    ------
    StudyError
        If the installation holds no workflow.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_workflow", package.parent):
        if (folder / "Snakefile").is_file() and (folder / "workflow" / "rules").is_dir():
            return folder
    raise StudyError("the workflow files are missing from this installation", where=str(package))


def snakemake_command(
    study: Path,
    *,
    cores: str | None,
    profile: str,
    targets: Sequence[str] = (),
    quiet: bool = False,
    json_logs: bool = False,
    extra: Sequence[str] = (),
) -> list[str]:
    """Build the Snakemake command line for a study; what it prints can be repeated by hand.

    Parameters
    ----------
    study : Path
        The study folder.
    cores : str, optional
        Local cores, a number or ``all``; all of the machine's when not given.
    profile : str
        Name of a folder under ``profiles/``, or the path of a profile of the site.
    targets : sequence of str
        Rules or files to make; the default target when empty.
    quiet, json_logs : bool
        Only errors; one JSON object per event instead of a progress line.
    extra : sequence of str
        Options handed to Snakemake as they are.

    Raises
    ------
    StudyError
        If there is no such profile.
    """
    folder = workflow_folder()
    named = folder / "profiles" / profile
    if not named.is_dir():
        named = Path(profile)
        if not named.is_dir():
            shipped = ", ".join(sorted(each.name for each in (folder / "profiles").iterdir() if each.is_dir()))
            raise StudyError(f"there is no profile {profile!r}", allowed=f"{shipped}, or the folder of a profile")
    results = study.resolve() / "derivatives" / "lmresp"
    # Options that take several values come early: a target at the end must not be taken for one of theirs.
    command = [sys.executable, "-m", "snakemake", *targets]
    if "--logger" not in extra:
        command += ["--logger", "lmresp"]
        if json_logs:
            command += ["--logger-lmresp-json-lines"]
    command += ["--config", f"study={study.resolve()}"]
    if quiet:
        command += ["--quiet", "all"]
    command += ["--snakefile", str(folder / "Snakefile"), "--directory", str(results)]
    command += ["--workflow-profile", str(named.resolve())]
    if profile not in SLURM_PROFILES or cores:
        command += ["--cores", cores or "all"]
    return [*command, *extra]


def run_study(study: Path, command: Sequence[str]) -> int:
    """Run Snakemake for a study, after clearing the lock of a run that died; return its exit code.

    One ``lmresp run`` works on a study at a time: it holds a file lock, which the system drops when it dies, however it
    dies. SIGTERM is passed on to Snakemake. Ctrl-C reaches Snakemake by itself (it cancels its jobs); this process
    waits.

    Raises
    ------
    RunError
        If another run is working on the study now.
    """
    records = study / "derivatives" / "lmresp" / ".snakemake"
    records.mkdir(parents=True, exist_ok=True)
    with open(records / "lmresp-run.lock", "a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise RunError(f"another run is working on this study ({lock.read().strip()})", where=study.name) from None
        _clear_dead_lock(records, lock, command)
        process = subprocess.Popen(list(command))
        lock.truncate(0)
        lock.write(f"process {process.pid} on {socket.gethostname()}")
        lock.flush()
        previous = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            while True:
                try:
                    code = process.wait()
                    break
                except KeyboardInterrupt:
                    continue
        finally:
            signal.signal(signal.SIGTERM, previous)
        lock.truncate(0)
    return code


def _clear_dead_lock(records: Path, lock: TextIO, command: Sequence[str]) -> None:
    """Remove Snakemake's own lock when it is left from a run of lmresp that died; refuse to touch anybody else's."""
    if not any((records / "locks").glob("*")):
        return
    lock.seek(0)
    left = re.fullmatch(r"process (\d+) on (\S+)", lock.read().strip())
    locks = records / "locks"
    if not left:
        raise RunError(
            "the study is locked by a Snakemake that lmresp did not start",
            where=str(records.parent),
            allowed=f"wait for it; if it died, remove {locks}",
        )
    if left[2] == socket.gethostname() and _is_snakemake(int(left[1])):
        raise RunError(f"Snakemake (process {left[1]}) is still working on this study", where=str(records.parent))
    if left[2] != socket.gethostname():
        raise RunError(
            f"the study is locked by a run on {left[2]}",
            where=str(records.parent),
            allowed=f"wait for it, or run there; if it died, remove {locks}",
        )
    subprocess.run([*command, "--unlock"], check=False, capture_output=True)


def _is_snakemake(pid: int) -> bool:
    try:
        return b"snakemake" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
