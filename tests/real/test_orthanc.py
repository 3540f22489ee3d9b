"""A real Orthanc in a network namespace of its own.

Orthanc listens on every interface of a machine; in a new namespace there is none but the loopback one, which also
proves that nothing needs another network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).with_name("orthanc.py")  # a name that pytest does not collect by itself
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


def _missing() -> str:
    """Say what this machine lacks; empty when nothing."""
    if shutil.which("Orthanc") is None or not PLUGIN.exists():
        return "Debian's orthanc and orthanc-dicomweb are not installed"
    command = ["unshare", "-n", "ip", "link", "set", "lo", "up"]
    if None in (shutil.which("unshare"), shutil.which("ip")) or os.geteuid() != 0:
        return "a network namespace needs root, unshare (util-linux) and ip (iproute2)"
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return "this machine does not allow a network namespace"
    return ""


@pytest.mark.slow
def test_fetching_and_sending_with_a_real_orthanc() -> None:
    why = _missing()
    if why:
        pytest.skip(why)
    inner = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    inner += ["-o", "addopts=--import-mode=importlib", str(TESTS)]
    command = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *inner]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "13 passed" in done.stdout  # none was left out
