"""A study folder with a PACS beside it, and the command line as the user runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lmresp.cli import main
from tests.unit.pacs.certificates import Certificates, make
from tests.unit.pacs.fake_pacs import FakePacs
from tests.unit.pacs.objects import PASSWORD, PATIENT, SECRETS, encoded, mr

SUBJECT = "LM-01"


def write_study(folder: Path, settings: str) -> Path:
    """Write a study whose pacs.yaml holds ``settings`` and a short patience."""
    folder.mkdir(exist_ok=True)
    (folder / "study.yaml").write_text("study_id: LM\ndata_cut: 2026-01-31\n")
    (folder / "pacs.yaml").write_text(f"{settings}\nattempts: 3\npause_seconds: 0\ntimeout_seconds: 10\n")
    table = folder / "pacs_subjects.csv"
    table.write_text(f"subject_id,patient_id\n{SUBJECT},{PATIENT}\n")
    table.chmod(0o600)
    return folder


@pytest.fixture
def pacs() -> Iterator[FakePacs]:
    """Two series of 3 and 2 images."""
    server = FakePacs(*(encoded(mr(series, n)) for series, count in ((1, 3), (2, 2)) for n in range(1, count + 1)))
    yield server
    server.stop()
    assert {method for method, _ in server.asked} <= {"GET", "POST"}  # never a DELETE or PUT


@pytest.fixture
def study(tmp_path: Path, pacs: FakePacs) -> Path:
    return write_study(tmp_path / "study", f"dicomweb: {{url: '{pacs.url}', user: anna}}\nsend: true")


@pytest.fixture
def lmresp(
    study: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run ``lmresp pacs ACTION STUDY ...``; give exit code and all text, in which no identity may stand."""
    monkeypatch.setenv("LMRESP_PACS_PASSWORD", PASSWORD)

    def run(action: str, *options: object) -> tuple[int, str]:
        code = main(["pacs", action, str(study), *map(str, options)])
        text = "".join(capfd.readouterr())
        assert [secret for secret in SECRETS if secret in text] == []
        for path in (p for p in study.rglob("*") if p.is_file()):
            inside = path.relative_to(study).parts
            assert [s for s in SECRETS if s in str(path.relative_to(study))] == []
            if inside[0] != "mri" and inside[:2] != ("pacs", "incoming") and inside != ("pacs_subjects.csv",):
                assert [s for s in SECRETS if s.encode() in path.read_bytes()] == [], path
        return code, text

    return run


@pytest.fixture
def fetched(study: Path) -> Callable[[], list[bytes]]:
    """Contents of the images in mri/, sorted."""
    return lambda: sorted(path.read_bytes() for path in (study / "mri").rglob("*.dcm"))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make(tmp_path_factory.mktemp("certificates"))
