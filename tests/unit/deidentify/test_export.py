"""The command: what leaves a study, what stays behind, and what is said of it."""

from __future__ import annotations

import gzip
import json
import stat
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest

from lmresp import store
from lmresp.cli import export as command
from lmresp.cli import main
from tests.unit.deidentify.planted import CANARY, all_bytes, image, planted, secrets_in, written

SR = "1.2.840.10008.5.1.4.1.1.88.33"


class UpperHalf:
    """A face that fills the upper half (z > 0) of the world."""

    def removed(self, shape: tuple[int, int, int], affine: np.ndarray) -> np.ndarray:
        """Voxels above the middle."""
        at = np.indices(shape).reshape(3, -1)
        return (affine[2, :3] @ at + affine[2, 3] > 0).reshape(shape)

    def misfit(self, _: Any) -> str:
        """Every series fits."""
        return ""


def head(path: Path, shape: tuple[int, ...] = (20, 24, 20)) -> np.ndarray:
    """A NIfTI of a head, with canaries in every text field of its header, an extension and a sidecar."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(3).integers(1, 900, size=shape).astype(np.int16)
    affine = np.diag([9.0, 9.0, 9.0, 1.0])
    affine[:3, 3] = -90, -108, -90
    file = nib.Nifti1Image(data, affine)
    for field in ("descrip", "aux_file", "intent_name", "db_name"):
        file.header[field] = CANARY.encode()
    file.header.extensions.append(nib.nifti1.Nifti1Extension("comment", f"{CANARY}00001".encode()))
    nib.save(file, path)
    sidecar = {
        "EchoTime": 0.1,
        "PatientName": CANARY,
        "SeriesDescription": f"{CANARY} t1",
        "AcquisitionDate": "20240229",
    }
    path.with_name(path.name.removesuffix(".nii.gz") + ".json").write_text(json.dumps(sidecar))
    return data


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study with a series of the thoracic spine, a head, and objects that must not leave."""
    folder = tmp_path / "study"
    (folder / "tables").mkdir(parents=True)
    (folder / "study.yaml").write_text('study_id: LM-1\ndata_cut: "2025-12-31"\n')
    (folder / "tables" / "subjects.csv").write_text("subject_id\nS-01\nS-02\n")
    visits = [
        "subject_id,visit,visit_num,start_dtc,status",
        "S-01,2024-02-29,1,2024-02-29,DONE",
        "S-02,BL,1,2024-02-29,DONE",
    ]
    (folder / "tables" / "visits.csv").write_text("\n".join(visits) + "\n")
    spine = folder / "mri" / "S-01" / f"{CANARY}_Doe_Jane"
    spine.mkdir(parents=True)
    for number in range(10):
        place = {"ImagePositionPatient": ["0", "0", str(3 * number)], "InstanceNumber": str(number + 1)}
        place |= {"SOPInstanceUID": f"1.2.3.4.5.{number}"}
        ds = planted(**place)[0] if number == 0 else image(**place)
        (spine / f"{CANARY}{number}.dcm").write_bytes(written(ds))
    (spine / "report.dcm").write_bytes(written(image(SOPClassUID=SR, Modality="SR", SeriesInstanceUID="1.2.3.8")))
    (spine / "capture.dcm").write_bytes(
        written(image(SOPClassUID="1.2.840.10008.5.1.4.1.1.7", SeriesInstanceUID="1.2.3.7"))
    )
    (spine / "broken.dcm").write_bytes(written(image())[:400])
    (spine / f"{CANARY}.txt").write_text(CANARY)
    head(folder / "mri" / "sub-S02" / "ses-BL" / "anat" / "sub-S02_ses-BL_T1w.nii.gz")
    return folder


def run(study: Path, to: Path, capsys: pytest.CaptureFixture[str], *more: str) -> list[dict[str, str]]:
    capsys.readouterr()
    assert main(["export", str(study), "--to", str(to), *more]) == 0
    said = capsys.readouterr()
    assert secrets_in((said.out + said.err).encode()) == []
    return [row for row in store.read_csv(to / "manifest.csv") if row["status"] != "note"]


def test_no_secret_leaves_and_everything_is_listed(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "face_of", lambda _: UpperHalf())
    before = all_bytes(study / "mri")
    out = tmp_path / "out"
    rows = run(study, out, capsys)
    assert all_bytes(study / "mri") == before  # the input is only read
    everything = all_bytes(out)
    assert secrets_in(everything) == []
    assert b"2024-02-29" not in everything  # nor the label of a visit that is a date
    assert b"S-01" not in everything
    assert len(rows) == 16  # 10 slices and a volume; report, capture, broken file, text, sidecar
    done = [row for row in rows if row["status"] == "exported"]
    assert len(done) == 11
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    listed = {row["file"] for row in done}
    assert files - {"manifest.csv"} == listed | {
        f.removesuffix(".nii.gz") + ".json" for f in listed if f.endswith(".gz")
    }
    reasons = " / ".join(row["reason"] for row in rows)
    for reason in ("structured report", "secondary capture", "not an image"):
        assert reason in reasons
    assert all(row["reason"] and row["code"] for row in rows if row["status"] == "quarantined")


def test_the_face_is_removed_where_the_world_says(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "face_of", lambda _: UpperHalf())
    rows = run(study, tmp_path / "out", capsys)
    (volume,) = [row for row in rows if row["file"].endswith(".nii.gz")]
    assert volume["face"] == "removed"
    new = nib.load(tmp_path / "out" / volume["file"])
    old = nib.load(study / "mri" / "sub-S02" / "ses-BL" / "anat" / "sub-S02_ses-BL_T1w.nii.gz")
    assert np.allclose(new.affine, old.affine)
    z = -90 + 9 * np.arange(20)
    assert (np.asarray(new.dataobj)[..., z > 0] == 0).all()
    assert np.array_equal(np.asarray(new.dataobj)[..., z <= 0], np.asarray(old.dataobj)[..., z <= 0])
    assert [bytes(new.header[f].tobytes()).strip(b"\0") for f in ("descrip", "aux_file", "intent_name", "db_name")] == [
        b""
    ] * 4
    assert len(new.header.extensions) == 0
    raw = gzip.decompress((tmp_path / "out" / volume["file"]).read_bytes())
    assert len(raw) == 352 + 2 * 20 * 24 * 20  # header and voxels, nothing before, between or after
    spine = [row for row in rows if row["file"].endswith(".dcm")]
    assert {row["face"] for row in spine} == {"none shown"}
    assert len(spine) == 10


def test_a_head_whose_face_cannot_be_told_stays(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "face_of", lambda _: "the template does not fit the head")
    rows = run(study, tmp_path / "out", capsys)
    heads = [row for row in rows if row["body_part"] == "BRAIN"]
    assert [(row["status"], row["code"]) for row in heads] == [("quarantined", "DE004")]
    assert list((tmp_path / "out").rglob("*.nii.gz")) == []


def test_noise_is_no_head(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = run(study, tmp_path / "out", capsys, "--subject", "S-02")
    assert [(row["status"], row["code"]) for row in rows] == [("quarantined", "DE004")]


def test_same_bytes_again_and_linked_over_exports(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "face_of", lambda _: UpperHalf())
    run(study, tmp_path / "a", capsys)
    run(study, tmp_path / "b", capsys)
    assert all_bytes(tmp_path / "a") == all_bytes(tmp_path / "b")
    run(study, tmp_path / "c", capsys, "--key", str(tmp_path / "other.key"))
    one, other = (pydicom.dcmread(sorted((tmp_path / name).rglob("*.dcm"))[0]) for name in ("a", "c"))
    assert one.SeriesInstanceUID != other.SeriesInstanceUID
    assert one.PatientID != other.PatientID


def test_what_links_stays_with_its_owner(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(study, tmp_path / "out", capsys, "--subject", "S-01")
    private = study / "derivatives" / "lmresp" / "private"
    for name in ("export.key", "export_crosswalk.csv", "export.queries.csv"):
        assert stat.S_IMODE((private / name).stat().st_mode) == 0o600
    crosswalk = store.read_csv(private / "export_crosswalk.csv")
    assert [row["subject_id"] for row in crosswalk] == ["S-01", "S-02"]
    key = bytes.fromhex((private / "export.key").read_text())
    out = all_bytes(tmp_path / "out")
    assert key not in out
    assert key.hex().encode() not in out


def test_exported_series_are_classed_as_before(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lmresp.ingest.dicom import read_header

    rows = run(study, tmp_path / "out", capsys, "--subject", "S-01")
    old = read_header(study / "mri" / "S-01" / f"{CANARY}_Doe_Jane" / f"{CANARY}1.dcm")
    new = read_header(tmp_path / "out" / sorted(row["file"] for row in rows if row["file"])[1])
    for name in (
        "kind",
        "words",
        "image_type",
        "scanning",
        "echo_time_ms",
        "repetition_time_ms",
        "spacing",
        "orientation",
        "agent",
    ):
        assert getattr(new, name) == getattr(old, name), name
    assert new.identifier != old.identifier


@pytest.mark.parametrize("place", ["filled", "study", "study/mri/out", "."])
def test_a_folder_that_could_do_harm_is_refused(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    (tmp_path / "filled").mkdir()
    (tmp_path / "filled" / "x").write_text("x")
    before = all_bytes(study / "mri")
    assert main(["export", str(study), "--to", str(tmp_path / place)]) == 2
    assert all_bytes(study / "mri") == before


def test_the_key_is_never_in_the_export(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["export", str(study), "--to", str(out), "--key", str(out / "key")]) == 2
    assert not out.exists()


def test_an_unknown_subject_is_refused(study: Path, tmp_path: Path) -> None:
    assert main(["export", str(study), "--to", str(tmp_path / "out"), "--subject", "S-09"]) == 2
    assert not (tmp_path / "out").exists()


def test_nothing_is_left_when_it_fails(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command.export, "manifest_text", fail)
    assert main(["export", str(study), "--to", str(tmp_path / "out"), "--subject", "S-01"]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study"]
    assert secrets_in(capsys.readouterr().err.encode()) == []


def test_a_spine_loses_what_it_shows_of_the_face(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "face_of", lambda _: UpperHalf())
    head(study / "mri" / "sub-S01" / "ses-20240229" / "anat" / "sub-S01_ses-20240229_T1w.nii.gz")
    rows = run(study, tmp_path / "out", capsys, "--subject", "S-01")
    slices = [pydicom.dcmread(tmp_path / "out" / row["file"]) for row in rows if row["file"].endswith(".dcm")]
    assert len(slices) == 10
    for ds in slices:  # rows run along y at a constant z
        assert ds.pixel_array.any() == (float(ds.ImagePositionPatient[2]) <= 0)
        assert ds.DeidentificationMethodCodeSequence[1].CodeValue == "113102"
        assert ds.RecognizableVisualFeatures == "NO"
