"""Real DICOM of seven scanner families: facts from the data folder's own description and from the headers' makers."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest

from lmresp import store
from lmresp.ingest import convert, dicom
from lmresp.ingest.assemble import _frames, assemble
from lmresp.ingest.headers import read_files
from lmresp.ingest.inventory import build_index
from lmresp.ingest.series import Class, classify
from lmresp.ingest.stacks import Stack, build_stacks
from lmresp.ingest.study import Study
from lmresp.terms import BodyPart, Plane, Sequence


@pytest.fixture
def dicom_data(shared_data: Path) -> Path:
    folder = shared_data / "dicom"
    if not folder.is_dir():
        pytest.skip(f"real DICOM not found: {folder}")
    return folder


def stacks_of(folder: Path, tmp_path: Path) -> list[tuple[Stack, Class]]:
    files, _ = read_files(folder, tmp_path / "cache.json")
    found = build_stacks([f for f in files if f.header and f.header.kind == "image"])
    return [(stack, classify(stack.header, stack.extents)) for stack in found]


def record_of(stack: Stack) -> dict[str, Any]:
    return {"source": "dicom", "files": [f.removeprefix("mri/") for f in stack.files], "facts": stack.facts}


def test_philips_mprage_is_170_slices_of_1_mm(dicom_data: Path, tmp_path: Path) -> None:
    folder = dicom_data / "philips_ingenia_classic_t1_mprage"
    ((stack, one),) = stacks_of(folder, tmp_path)
    assert (stack.slices, stack.step_mm, stack.problem) == (170, 1.0, "")
    assert stack.facts["spacing_mm"] == [1.0, 1.0, 1.0]
    assert (stack.facts["rows"], stack.facts["columns"], stack.facts["field_strength_t"]) == (256, 256, 3.0)
    assert (one.sequence, one.body_part) == (Sequence.T1_UNKNOWN, BodyPart.BRAIN)
    assert (one.plane, one.acquisition) == (Plane.SAGITTAL, "3D")


def test_philips_dcm2niix_and_pydicom_agree(dicom_data: Path, tmp_path: Path) -> None:
    folder = dicom_data / "philips_ingenia_classic_t1_mprage"
    ((stack, _),) = stacks_of(folder, tmp_path)
    image, notes = convert.load_series(folder, record_of(stack))
    assert notes == ["converted with dcm2niix"]
    assert image.shape == (170, 256, 256)
    assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    data, affine = assemble([folder / f for f in record_of(stack)["files"]])
    own, _ = convert._canonical(data, affine, [])
    assert own.shape == image.shape
    assert np.allclose(own.affine, image.affine, atol=1e-3)
    assert np.array_equal(np.asarray(own.dataobj), np.asarray(image.dataobj))
    # One slice by hand: stored value times slope plus intercept, as its own header gives them.
    ds = pydicom.dcmread(folder / "1301_0085.dcm")
    values = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
    world = np.array([*ds.ImagePositionPatient, 1.0]) * [-1, -1, 1, 1]
    i, j, k = np.rint(np.linalg.solve(image.affine, world)[:3]).astype(int)
    assert np.isclose(np.asarray(image.dataobj)[i, j, k], values[0, 0], atol=1e-3)
    assert np.isclose(np.asarray(image.dataobj)[i].max(), values.max(), rtol=1e-5)


def test_siemens_enhanced_is_96_frames_of_2_mm(dicom_data: Path, tmp_path: Path) -> None:
    folder = dicom_data / "siemens_xa30_enhanced_t1"
    ((stack, one),) = stacks_of(folder, tmp_path)
    assert (stack.slices, stack.facts["spacing_mm"]) == (96, [2.0, 2.0, 2.0])
    assert (stack.facts["rows"], stack.facts["columns"]) == (128, 128)
    assert (one.sequence, one.body_part, one.plane) == (Sequence.T1_UNKNOWN, BodyPart.BRAIN, Plane.SAGITTAL)
    assert "TI 900 ms" in one.reason
    image, _ = convert.load_series(folder, record_of(stack))
    data, affine = assemble([folder / record_of(stack)["files"][0]])
    own, _ = convert._canonical(data, affine, [])
    assert image.shape == own.shape == (96, 128, 128)
    assert np.allclose(image.affine, own.affine, atol=1e-3)
    assert np.array_equal(np.asarray(image.dataobj), np.asarray(own.dataobj))


def test_siemens_two_series_in_one_folder_are_told_apart(dicom_data: Path, tmp_path: Path) -> None:
    found = {one.sequence: stack for stack, one in stacks_of(dicom_data / "siemens_15t_two_series_mixed", tmp_path)}
    assert set(found) == {Sequence.T1_UNKNOWN, Sequence.DWI}
    assert all(len(stack.files) == 2 and stack.problem for stack in found.values())
    assert found[Sequence.T1_UNKNOWN].header.date == ""


@pytest.mark.parametrize(
    ("name", "sequence", "slices", "volumes"),
    [
        ("ge_mr750_classic_epi", Sequence.OTHER, 15, 10),
        ("canon_galan_enhanced_dti", Sequence.DWI, 40, 13),
        ("toshiba_galan_classic_b0", Sequence.DWI, 40, 1),
        ("siemens_xa30_jpeglossless_fragments", Sequence.T1_UNKNOWN, 24, 1),
    ],
)
def test_other_scanners(
    dicom_data: Path, tmp_path: Path, name: str, sequence: Sequence, slices: int, volumes: int
) -> None:
    ((stack, one),) = stacks_of(dicom_data / name, tmp_path)
    assert (one.sequence, stack.slices, stack.volumes) == (sequence, slices, volumes)
    if volumes > 1:
        with pytest.raises(convert.UnreadableSeries, match="at one slice position"):
            convert.load_series(dicom_data / name, record_of(stack))


def test_uih_mosaic_is_not_measured(dicom_data: Path, tmp_path: Path) -> None:
    for stack, one in stacks_of(dicom_data / "uih_umr770_mosaic_dti", tmp_path):
        assert one.sequence is Sequence.DWI
        assert stack.problem
        assert stack.header.date == ""
        with pytest.raises(convert.UnreadableSeries):
            convert.load_series(dicom_data / "uih_umr770_mosaic_dti", record_of(stack))


def test_fragmented_jpeg_lossless_agrees_between_readers(dicom_data: Path, tmp_path: Path) -> None:
    folder = dicom_data / "siemens_xa30_jpeglossless_fragments"
    ((stack, _),) = stacks_of(folder, tmp_path)
    image, _ = convert.load_series(folder, record_of(stack))
    own, _ = convert._canonical(*assemble([folder / f for f in record_of(stack)["files"]]), [])
    assert image.shape == (24, 128, 128)
    assert np.array_equal(np.asarray(image.dataobj), np.asarray(own.dataobj))


def test_eight_encodings_of_one_slice_are_one_image(dicom_data: Path, tmp_path: Path) -> None:
    ((stack, one),) = stacks_of(dicom_data / "transfer_syntaxes", tmp_path)
    assert (len(stack.files), stack.repeated, one.sequence) == (1, 7, Sequence.T2)


@pytest.mark.filterwarnings("ignore:The pixel data is")  # one of the eight is padded on purpose
def test_eight_encodings_decode_to_the_same_pixels(dicom_data: Path) -> None:
    frames = {p.name: _frames(dicom.read_dataset(p, pixels=True)) for p in (dicom_data / "transfer_syntaxes").iterdir()}
    assert len(frames) == 8
    plain = frames["MR_small.dcm"][0][0]
    for name, ((pixels, *_),) in frames.items():
        assert np.array_equal(pixels, plain), name


def test_a_zip_of_a_real_series_is_the_series(dicom_data: Path, tmp_path: Path) -> None:
    folder, root = dicom_data / "siemens_xa30_jpeglossless_fragments", tmp_path / "study" / "mri"
    root.mkdir(parents=True)
    with zipfile.ZipFile(root / "a.zip", "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(folder.iterdir()):
            out.write(path, f"DICOM/{path.name}")
    ((packed, _),) = stacks_of(root, tmp_path)
    ((plain, _),) = stacks_of(folder, tmp_path / "other")
    assert (packed.digest, packed.slices, packed.facts) == (plain.digest, 24, plain.facts)
    image, _ = convert.load_series(
        tmp_path / "study", {"source": "dicom", "files": packed.files, "facts": packed.facts}
    )
    expected, _ = convert.load_series(folder, record_of(plain))
    assert np.array_equal(np.asarray(image.dataobj), np.asarray(expected.dataobj))


def test_no_real_stack_leans(dicom_data: Path, tmp_path: Path) -> None:
    """Oblique acquisitions among them: their slices follow their normal."""
    for name in ("philips_ingenia_classic_t1_mprage", "siemens_xa30_enhanced_t1", "toshiba_galan_classic_b0"):
        for stack, _ in stacks_of(dicom_data / name, tmp_path / name):
            assert stack.tilt_deg < 0.1, name
            assert stack.problem == ""


def test_odd_files_give_a_kind_and_never_raise(dicom_data: Path, tmp_path: Path) -> None:
    folder = dicom_data / "odd_or_broken"
    files, _ = read_files(folder, tmp_path / "cache.json")
    kinds = {Path(f.path).name: f.header.kind if f.header else "not DICOM" for f in files}
    assert len(kinds) == 18
    assert {n for n, k in kinds.items() if k == "image"} == {"MR_truncated.dcm"}
    assert {"CT_small.dcm", "J2K_pixelrep_mismatch.dcm"} <= {n for n, k in kinds.items() if k == "other_image"}
    assert {"rtstruct.dcm", "test-SR.dcm", "rtplan_truncated.dcm"} <= {n for n, k in kinds.items() if k == "non_image"}
    ((stack, _),) = stacks_of(folder, tmp_path)
    with pytest.raises(convert.UnreadableSeries):
        convert.load_series(folder, record_of(stack))


# What the makers of the files put into the headers, and what must stay there.
IDENTITY = {
    "siemens_xa30_enhanced_t1": (
        "19910101",
        "1991-01-01",
        "hucheng",
        "XAtest",
        "Indiana",
        "Bloomington",
        "Cheng",
        "67093.2022",
    ),
    "philips_ingenia_classic_t1_mprage": ("d2n_Philips",),
    "charsets": ("قباني", "山田", "Jérôme", "Rüdiger", "Wang"),
}


def test_a_study_of_real_headers_keeps_no_identity(dicom_data: Path, tmp_path: Path) -> None:
    study = Study(folder=tmp_path / "study", study_id="LM-1", data_cut="2025-12-31")
    sources = {
        "S-01": ["siemens_xa30_enhanced_t1", "siemens_xa30_nonimage_sr"],
        "S-02": ["philips_ingenia_classic_t1_mprage"],
        "S-03": ["siemens_15t_two_series_mixed", "odd_or_broken", "charsets", "uih_umr770_mosaic_dti"],
    }
    for subject, names in sources.items():
        for name in names:
            for number, path in enumerate(sorted((dicom_data / name).iterdir())):
                target = study.mri_folder / subject / "BL" / name / f"{number:04d}"  # file names hold UIDs, too
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    tables = {
        "subjects": [{"subject_id": s} for s in sources],
        "visits": [
            {"subject_id": s, "visit": "BL", "visit_num": "1", "start_dtc": "2022-07-11", "status": "DONE"}
            for s in sources
        ],
    }
    build_index(study, tables)
    planted = {word for words in IDENTITY.values() for word in words}
    raw = b"".join(p.read_bytes() for p in study.mri_folder.rglob("*") if p.is_file() and p.stat().st_size < 4_000_000)
    assert sum(word.encode() in raw for word in planted) >= 7
    for path in sorted(p for p in study.results.rglob("*") if p.is_file()):
        text = path.read_text(encoding="utf-8")
        assert [word for word in planted if word in text] == [], path.name
    work = study.results / "work"
    assert [p.stem for p in sorted((work / "scans").iterdir())] == [
        "sub-S01_ses-BL",
        "sub-S02_ses-BL",
        "sub-S03_ses-BL",
    ]
    queries = store.read_csv(work / "index.queries.csv")
    reports = [q for q in queries if q["code"] == "SC004" and "nonimage_sr" in q["file"]]
    assert [(q["severity"], q["value"]) for q in reports] == [("info", "2 files")]
    no_contrast = {q["subject_id"] for q in queries if q["code"] == "SC012"}
    assert no_contrast == {"S-01", "S-02"}
    assert {q["subject_id"] for q in queries if q["code"] == "SC014"} == {"S-03"}


def test_a_header_keeps_only_a_hash_of_the_patient_id(dicom_data: Path) -> None:
    path = next((dicom_data / "siemens_xa30_enhanced_t1").iterdir())
    found = dicom.read_header(path)
    assert found.identifier == hashlib.sha256(b"12343@hucheng").hexdigest()[:16]
    assert "hucheng" not in str(found).casefold()
