"""Fixtures shared by the whole test suite."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parents[1]


def _shared_data() -> Path:
    given = os.environ.get("LMRESP_SHARED_DATA")
    return Path(given) if given else ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real MRI, DICOM and trial tables; the test is skipped where it is absent."""
    folder = _shared_data()
    if not folder.is_dir():
        pytest.skip(f"real data folder not found: {folder} (set LMRESP_SHARED_DATA)")
    return folder


@pytest.fixture(scope="session")
def reference_folder() -> Path:
    """Folder of the written reference that the shipped criteria are held against; skipped where it is absent."""
    given = os.environ.get("LMRESP_REFERENCE")
    folder = Path(given) if given else ROOT.parent / "shared" / "reference"
    if not folder.is_dir():
        pytest.skip(f"reference folder not found: {folder} (set LMRESP_REFERENCE)")
    return folder


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return ROOT


SHARED_RUN = ("tests/workflow/test_run.py", "tests/workflow/test_slurm.py")
LONGEST_FIRST = ("tests/workflow", "tests/browser", "tests/real", "tests/unit/mri", "tests")


class WholeFiles(LoadScopeScheduling):  # type: ignore[misc]
    """Gives a worker whole files, so that no fixture of a file is made twice; two files share the run of a study."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return SHARED_RUN[0] if file in SHARED_RUN else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> WholeFiles:
    """Replace the scheduler of pytest-xdist, whose own grouping pytest 9.2 leaves without effect."""
    return WholeFiles(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that the last file is a short one."""

    def place(item: pytest.Item) -> tuple[bool, int]:
        first = next(n for n, folder in enumerate(LONGEST_FIRST) if item.nodeid.startswith(folder))
        return not item.nodeid.startswith(SHARED_RUN), first

    items.sort(key=place)
