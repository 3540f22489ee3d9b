"""The built wheel, installed apart from the checkout, runs a study from another folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.conftest import digests, environment, lmresp


@pytest.fixture(scope="module")
def installed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder into which the wheel is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(repository)]
    subprocess.run(build, check=True, capture_output=True)
    [wheel] = folder.glob("lmresp-*.whl")
    target = folder / "site"
    subprocess.run([*pip, "install", "--no-deps", "--target", str(target), str(wheel)], check=True, capture_output=True)
    return target


def test_the_wheel_gives_what_the_checkout_gives(installed: Path, repository: Path, tmp_path: Path) -> None:
    skip = shutil.ignore_patterns("derivatives")
    here = shutil.copytree(repository / "test_data" / "tables_only", tmp_path / "from the checkout", ignore=skip)
    there = shutil.copytree(repository / "test_data" / "tables_only", tmp_path / "from the wheel", ignore=skip)
    assert lmresp("run", here, "--cores", 2).returncode == 0
    run = subprocess.run(
        [sys.executable, "-m", "lmresp", "run", there.name, "--cores", "2"],
        cwd=tmp_path,
        env={**environment(), "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert f"{installed}/lmresp/_workflow/profiles/default" in run.stderr  # not the checkout's
    assert digests(there) == digests(here)


def test_every_data_file_is_in_the_wheel(installed: Path, repository: Path) -> None:
    source, package = repository / "lmresp", installed / "lmresp"
    files = {p.relative_to(source) for p in source.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert {str(name) for name in files if not (package / name).is_file()} == set()
    for name in ("Snakefile", "workflow/rules/mri.smk", "config/config.yaml", "profiles/slurm/bin/lmresp-slurm-status"):
        assert (package / "_workflow" / name).is_file(), name
    assert os.access(package / "_workflow" / "profiles" / "slurm" / "bin" / "lmresp-sbatch", os.X_OK)
