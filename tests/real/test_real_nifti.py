"""Real NIfTI: brains before and after contrast, two studies of one person, spines, and odd values."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from lmresp import store
from lmresp.ingest import nifti, pixels
from lmresp.ingest.convert import UnreadableSeries, load_series
from lmresp.ingest.inventory import build_index
from lmresp.ingest.roles import choose_roles
from lmresp.ingest.series import classify
from lmresp.ingest.study import Study
from lmresp.terms import BodyPart, Plane


@pytest.fixture
def mri(shared_data: Path) -> Path:
    folder = shared_data / "mri"
    if not folder.is_dir():
        pytest.skip(f"real MRI not found: {folder}")
    return folder


def record(*names: str) -> dict[str, Any]:
    return {"source": "nifti", "files": list(names), "facts": {}}


@pytest.mark.parametrize(
    ("name", "shape", "edges"),
    [
        ("brain_prepost_glioma/tcga-du-7294_t1.nii.gz", (512, 512, 34), (0.47, 0.47, 5.0)),
        ("brain_prepost_glioma/tcga-du-7294_t1c.nii.gz", (512, 512, 68), (0.47, 0.47, 2.5)),
        ("brain_prepost_glioma/tcga-du-7294_flair.nii.gz", (256, 256, 68), (0.94, 0.94, 2.5)),
        ("brain_prepost_mni/ms-patient07_t1c.nii.gz", (182, 218, 182), (1.0, 1.0, 1.0)),
        ("brain_longitudinal/ms-patient12/study1_T1W.nii.gz", (256, 256, 48), (0.91, 0.91, 3.0)),
        ("spine/lumbar_t2.nii.gz", (38, 257, 201), (1.0, 1.0, 1.0)),
    ],
)
def test_volumes_have_their_published_grid_in_ras(
    mri: Path, name: str, shape: tuple[int, ...], edges: tuple[float, ...]
) -> None:
    image, _ = load_series(mri, record(name))
    assert image.shape == shape
    assert np.allclose(image.header.get_zooms(), edges, atol=0.006)
    assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    source = nib.load(mri / name)
    assert np.isclose(float(np.asarray(image.dataobj, dtype=float).sum()), float(source.get_fdata().sum()), rtol=1e-5)
    for text in (b"elephant", b"FSL", b"TE=", b"Time="):
        assert text not in image.header.binaryblock


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mtr_has_minus_inf.nii.gz", "not finite"),
        ("tsnr_has_nan.nii.gz", "not finite"),
        ("venc_4d_single_slice.nii.gz", "more than one volume"),
        ("warp5d_has_float32_max.nii.gz", "more than one volume"),
    ],
)
def test_odd_values_are_refused_with_a_reason(mri: Path, name: str, reason: str) -> None:
    with pytest.raises(UnreadableSeries, match=reason):
        load_series(mri / "odd_values", record(name))


@pytest.mark.parametrize(
    ("name", "plane", "acquisition"),
    [
        ("brain_prepost_glioma/tcga-du-7294_t1.nii.gz", Plane.AXIAL, "2D"),
        ("spine/cervical_t2star_axial.nii.gz", Plane.AXIAL, "2D"),
        ("spine/thoracic_t2_fakelesion.nii.gz", Plane.SAGITTAL, "3D"),
    ],
)
def test_plane_and_acquisition(mri: Path, name: str, plane: Plane, acquisition: str) -> None:
    found = classify(nifti.read_header(mri / name, f"mri/{name}"))
    assert (found.plane, found.acquisition) == (plane, acquisition)


def test_nrrd_has_its_published_grid_and_agrees_with_simpleitk(mri: Path) -> None:
    """256 x 256 x 25 voxels of 0.78 x 0.78 x 6.5 mm; its lesion mask marks 4137 voxels on the same grid."""
    folder = "brain_postcontrast_nrrd"
    image, _ = load_series(mri, record(f"{folder}/brain1_image.nrrd") | {"source": "nrrd"})
    label, _ = load_series(mri, record(f"{folder}/brain1_label.nrrd") | {"source": "nrrd"})
    assert image.shape == label.shape == (256, 256, 25)
    assert np.allclose(image.header.get_zooms(), (0.78, 0.78, 6.5), atol=0.006)
    assert np.allclose(image.affine, label.affine)
    assert int((np.asarray(label.dataobj) > 0).sum()) == 4137
    other = SimpleITK.ReadImage(str(mri / folder / "brain1_image.nrrd"))
    for index in ((0, 0, 0), (100, 140, 12), (255, 255, 24)):
        x, y, z = other.TransformIndexToPhysicalPoint(index)
        place = np.rint(np.linalg.solve(image.affine, [-x, -y, z, 1])[:3]).astype(int)
        assert np.asarray(image.dataobj)[tuple(place)] == other[index]


WEIGHTING = {
    "brain_prepost_glioma/tcga-du-7294_t1.nii.gz": "T1",
    "brain_prepost_glioma/tcga-du-7294_t1c.nii.gz": "T1",
    "brain_prepost_glioma/tcga-du-7294_t2.nii.gz": "T2",
    "brain_prepost_glioma/tcga-du-7294_flair.nii.gz": "FLAIR",
    "brain_prepost_mni/ms-patient07_t1.nii.gz": "T1",
    "brain_prepost_mni/ms-patient07_t1c.nii.gz": "T1",
    "brain_prepost_mni/ms-patient07_t2.nii.gz": "T2",
    "brain_prepost_mni/ms-patient07_flair.nii.gz": "FLAIR",
    "brain_longitudinal/ms-patient12/study1_T1W.nii.gz": "T1",
    "brain_longitudinal/ms-patient12/study1_T2W.nii.gz": "T2",
    "brain_longitudinal/ms-patient12/study1_FLAIR.nii.gz": "FLAIR",
    "brain_longitudinal/ms-patient12/study2_T1W.nii.gz": "T1",
    "brain_longitudinal/ms-patient12/study2_T2W.nii.gz": "T2",
    "brain_longitudinal/ms-patient12/study2_FLAIR.nii.gz": "FLAIR",
}


def test_voxels_never_rule_out_what_a_real_series_is(mri: Path) -> None:
    """They may abstain, and must tell at least half of the series."""
    found = {}
    for name in WEIGHTING:
        found[name] = pixels.weightings(pixels.look(pixels.coarse(load_series(mri, record(name))[0], 2.0)))
    assert [name for name, kind in WEIGHTING.items() if kind not in found[name]] == []
    assert sum(len(kinds) == 1 for kinds in found.values()) >= len(WEIGHTING) / 2


@pytest.mark.parametrize("stem", ["brain_prepost_mni/ms-patient07", "brain_prepost_glioma/tcga-du-7294"])
def test_the_brighter_of_a_real_pair_is_the_one_after_contrast(mri: Path, stem: str) -> None:
    pre, post = (pixels.coarse(load_series(mri, record(f"{stem}_{n}.nii.gz"))[0], 3.0) for n in ("t1", "t1c"))
    assert pixels.contrast(pixels.brighter(post, pre)) == "one"
    assert pixels.contrast(pixels.brighter(pre, post)) == "other"
    for one in (pre, post):  # a copy moved by 1.5 mm across and 1 mm up is no contrast
        affine = np.array(one.affine)
        affine[:3, 3] += (1.5, 0, 1)
        assert pixels.contrast(pixels.brighter(pixels.Coarse(one.array, affine), one)) == ""


def test_a_real_spine_and_a_real_head_are_told_by_shape(mri: Path) -> None:
    def part(name: str) -> BodyPart:
        return pixels.body_part(pixels.look(pixels.coarse(load_series(mri, record(name))[0], 2.0)))

    assert part("spine/lumbar_t2.nii.gz") is BodyPart.SPINE
    assert part("brain_prepost_mni/ms-patient07_t1.nii.gz") is BodyPart.BRAIN
    assert part("spine/cervical_t1.nii.gz") is BodyPart.UNKNOWN  # a box of 42 x 76 x 77 mm


def test_bids_study_of_real_series(mri: Path, tmp_path: Path) -> None:
    study = Study(folder=tmp_path / "study", study_id="LM-1", data_cut="2025-12-31")
    glioma = {"t1": "T1w", "t1c": "ce-gd_T1w", "t2": "T2w", "flair": "FLAIR"}
    anat = study.mri_folder / "sub-G1/ses-BL/anat"
    anat.mkdir(parents=True)
    for source, name in glioma.items():
        shutil.copy(mri / f"brain_prepost_glioma/tcga-du-7294_{source}.nii.gz", anat / f"sub-G1_ses-BL_{name}.nii.gz")
    box = study.mri_folder / "box"
    box.mkdir()
    for number in (1, 2):
        for name in ("T1W", "T2W", "FLAIR"):
            shutil.copy(mri / f"brain_longitudinal/ms-patient12/study{number}_{name}.nii.gz", box)
    shutil.copy(mri / "spine/lumbar_t2.nii.gz", study.mri_folder / "lumbar.nii.gz")
    visits = [
        {"subject_id": s, "visit": v, "visit_num": n, "start_dtc": d, "status": "DONE"}
        for s, v, n, d in (
            ("G1", "BL", "1", "2020-01-01"),
            ("M1", "BL", "1", "2020-01-01"),
            ("M1", "WK12", "2", "2020-03-22"),
        )
    ]
    scans = [
        {"path": "box/study1_*", "subject_id": "M1", "visit": "BL"},
        {"path": "box/study2_*", "subject_id": "M1", "visit": "WK12"},
        {"path": "box/*_T1W.nii.gz", "sequence": "T1_POST"},
        {"path": "box/*_T2W.nii.gz", "sequence": "T2"},
        {"path": "box/*_FLAIR.nii.gz", "sequence": "FLAIR"},
        {"path": "lumbar.nii.gz", "subject_id": "G1", "visit": "BL", "sequence": "T2", "body_part": "LUMBAR"},
    ]
    build_index(study, {"subjects": [{"subject_id": "G1"}, {"subject_id": "M1"}], "visits": visits, "scans": scans})
    work = study.results / "work"
    records = {p.stem: store.read_json(p) for p in sorted((work / "scans").iterdir())}
    assert list(records) == ["sub-G1_ses-BL", "sub-M1_ses-BL", "sub-M1_ses-WK12"]
    assert records["sub-M1_ses-WK12"]["reference"] == "sub-M1_ses-BL"
    roles = choose_roles(records["sub-G1_ses-BL"]["series"])
    chosen = {
        r: next(s for s in records["sub-G1_ses-BL"]["series"] if s["series"] == c.series) for r, c in roles.items()
    }
    assert {r: s["files"][0].rsplit("_BL_")[-1].split("ses-BL_")[-1] for r, s in chosen.items()} == {
        "post": "ce-gd_T1w.nii.gz", "pre": "T1w.nii.gz", "flair": "FLAIR.nii.gz", "t2": "T2w.nii.gz",
    }  # fmt: skip
    assert all(s["body_part"] == BodyPart.BRAIN for s in chosen.values())
    queries = store.read_csv(work / "index.queries.csv")
    # Slices of 5 and 2.5 mm against the protocol's 1 mm; no T1 before contrast for the second subject.
    thick = {q["value"] for q in queries if q["code"] == "SC015" and q["subject_id"] == "G1"}
    assert thick == {"T1-pre-1 5 mm, T1-post-1 2.5 mm"}
    assert {q["visit"] for q in queries if q["code"] == "SC013"} == {"BL", "WK12"}
