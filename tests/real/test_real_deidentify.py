"""De-identification and defacing of real files."""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from scipy import ndimage

from lmresp import store
from lmresp.cli import main
from lmresp.deidentify import judge, pixels
from lmresp.deidentify.attributes import UnfitError, Whose, deidentified
from lmresp.deidentify.export import dicom_bytes
from lmresp.deidentify.keys import Key
from lmresp.ingest.assemble import assemble
from lmresp.ingest.dicom import read_dataset, read_header
from lmresp.ingest.header import Header
from lmresp.mri import brain
from lmresp.mri.volume import checked, world_axes

KEY = Key(b"k" * 32)
IDENTIFYING = (
    *(
        "InstitutionName",
        "InstitutionAddress",
        "PatientBirthDate",
        "PatientID",
        "PatientName",
        "StationName",
        "StudyDate",
    ),
    *(
        "DeviceSerialNumber",
        "OperatorsName",
        "StudyDescription",
        "ProtocolName",
        "StudyInstanceUID",
        "SeriesInstanceUID",
    ),
    *("SOPInstanceUID", "FrameOfReferenceUID", "PerformingPhysicianName", "ReferringPhysicianName", "AccessionNumber"),
)


def test_an_enhanced_object_keeps_its_picture_and_loses_its_hospital(shared_data: Path) -> None:
    (path,) = (shared_data / "dicom" / "siemens_xa30_enhanced_t1").iterdir()
    old = pydicom.dcmread(path)
    secrets = {str(e.value) for e in old.iterall() if e.keyword in IDENTIFYING and len(str(e.value)) > 3}
    assert len(secrets) >= 8
    out, _ = dicom_bytes(path, KEY, "S-01", {"series": "T1-1"}, None)
    assert [s for s in sorted(secrets) if s.encode() in out] == []
    new = pydicom.dcmread(io.BytesIO(out))
    assert np.array_equal(new.pixel_array, old.pixel_array)
    assert not any(element.tag.is_private for element in new.iterall())
    before, after = read_header(path), _header(out)
    for name in (
        "kind",
        "words",
        "scanning",
        "echo_time_ms",
        "inversion_time_ms",
        "locations",
        "orientation",
        "spacing",
        "agent",
    ):
        assert getattr(after, name) == getattr(before, name), name


def _header(content: bytes) -> Header:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        return read_header(Path(file.name))


def test_names_in_any_alphabet_go(shared_data: Path) -> None:
    checked_names = 0
    for path in sorted((shared_data / "dicom" / "charsets").iterdir()):
        ds = read_dataset(path)
        raw = [e.value for e in ds.values() if getattr(e, "VR", "") == "PN" and isinstance(e.value, bytes)]
        names = [part for value in raw for part in value.replace(b"^", b"=").strip().split(b"=") if len(part) > 2]
        out, _ = deidentified(ds, Whose(KEY, "S-01", {}), faceless=False)
        buffer = io.BytesIO()
        out.save_as(buffer, implicit_vr=False, little_endian=True)
        assert [n for n in names if n in buffer.getvalue()] == [], path.name
        checked_names += len(names)
    assert checked_names > 15


def test_odd_and_broken_files_end_in_a_reason(shared_data: Path) -> None:
    for path in sorted((shared_data / "dicom" / "odd_or_broken").iterdir()):
        with pytest.raises(UnfitError) as why:
            dicom_bytes(path, KEY, "S-01", {"series": "T1-1"}, None)
        assert path.stem.lower() not in str(why.value).lower()


def test_compressed_pixels_come_out_the_same(shared_data: Path) -> None:
    for path in sorted((shared_data / "dicom" / "siemens_xa30_jpeglossless_fragments").iterdir())[:3]:
        out, _ = dicom_bytes(path, KEY, "S-01", {"series": "T1-1"}, None)
        assert np.array_equal(pydicom.dcmread(io.BytesIO(out)).pixel_array, pydicom.dcmread(path).pixel_array)


def test_reports_and_mosaics_stay(shared_data: Path) -> None:
    for folder, reason in (("siemens_xa30_nonimage_sr", "structured report"), ("uih_umr770_mosaic_dti", "a mosaic")):
        for path in sorted((shared_data / "dicom" / folder).iterdir()):
            assert judge.reason(read_dataset(path, pixels=True)).startswith(reason)


def test_slices_lie_where_the_series_is_assembled(shared_data: Path) -> None:
    paths = sorted((shared_data / "dicom" / "philips_ingenia_classic_t1_mprage").glob("*.dcm"))[:12]
    _, affine = assemble(paths)
    places = [pixels.slices(read_dataset(path, pixels=True))[0] for path in paths]
    first = min(places, key=lambda a: np.linalg.norm(a[:3, 3] - affine[:3, 3]))
    assert np.allclose(first[:3, 3], affine[:3, 3], atol=1e-3)
    assert np.allclose(first[:3, :2], affine[:3, :2], atol=1e-4)


@pytest.fixture(scope="module")
def exported(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The real head as a study, and its export by the command."""
    study, out = tmp_path_factory.mktemp("real") / "study", tmp_path_factory.mktemp("out") / "export"
    (study / "tables").mkdir(parents=True)
    (study / "study.yaml").write_text('study_id: LM-1\ndata_cut: "2025-12-31"\n')
    (study / "tables" / "subjects.csv").write_text("subject_id\nS-01\n")
    (study / "tables" / "visits.csv").write_text(
        "subject_id,visit,visit_num,start_dtc,status\nS-01,BL,1,2021-09-02,DONE\n"
    )
    shutil.copytree(shared_data / "dicom" / "philips_ingenia_classic_t1_mprage", study / "mri" / "S-01")
    assert main(["export", str(study), "--to", str(out)]) == 0
    return study, out


@pytest.mark.slow
def test_a_real_face_goes_and_the_brain_stays(exported: tuple[Path, Path]) -> None:
    study, out = exported
    rows = [row for row in store.read_csv(out / "manifest.csv") if row["status"] != "note"]
    assert [(row["status"], row["face"]) for row in rows] == [("exported", "removed")] * 170
    old = checked(*assemble(sorted((study / "mri" / "S-01").iterdir())))
    new = checked(*assemble(sorted(out.rglob("*.dcm"))))
    assert np.allclose(old.affine, new.affine)
    changed = old.array != new.array
    assert (new.array[changed] == 0).all()

    mask = brain.mask(old).mask
    assert mask.sum() > 1_000_000
    assert not changed[mask].any()
    x, y, z = world_axes(old)
    away = ndimage.distance_transform_edt(~mask, sampling=old.spacing)
    assert away[changed].min() >= 4.0  # of the margin of 5 mm, up to a voxel for resampling

    head = ndimage.binary_opening(old.array > 60, iterations=2)
    tip = np.unravel_index(int(np.argmax(np.where(head, y, -np.inf))), head.shape)  # the tip of the nose
    for place in (old.affine @ [*tip, 1.0])[:3], (-30, 67, 17), (30, 67, 17):  # the globes, read off an axial slice
        near = (x - place[0]) ** 2 + (y - place[1]) ** 2 + (z - place[2]) ** 2 < 10**2
        assert old.array[near].max() > 100
        assert (new.array[near] == 0).mean() > 0.85  # the top of a globe lies near the frontal lobe


@pytest.mark.slow
def test_no_identifier_of_a_real_series_leaves(exported: tuple[Path, Path]) -> None:
    study, out = exported
    secrets: set[bytes] = set()
    for path in sorted((study / "mri" / "S-01").iterdir())[::40]:
        ds = pydicom.dcmread(path)
        secrets |= {str(e.value).encode() for e in ds.iterall() if e.keyword in IDENTIFYING and len(str(e.value)) > 5}
    assert len(secrets) > 5
    for path in sorted(out.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            assert [s for s in sorted(secrets) if s in content] == []
