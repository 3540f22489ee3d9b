"""Fixtures shared by the whole test suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
