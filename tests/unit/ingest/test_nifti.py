"""NIfTI headers, BIDS names and sidecars."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from lmresp.ingest import bids, nifti
from lmresp.ingest.series import classify
from lmresp.terms import Plane, Sequence


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/sub-01_ses-x_ce-gd_T1w.nii.gz", {"sub": "01", "ses": "x", "ce": "gd", "suffix": "T1w"}),
        ("sub-01_FLAIR.nii", {"sub": "01", "suffix": "FLAIR"}),
        ("brain.nii.gz", {}),
        ("ses-x_T1w.nii.gz", {}),
        ("sub-01_run_T1w.nii.gz", {}),
        ("sub-01_ses-x.nii.gz", {}),
    ],
)
def test_bids_entities(path: str, expected: dict[str, str]) -> None:
    assert bids.entities(path) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sub-01_ce-gadolinium_T1w", Sequence.T1_POST),
        ("sub-01_ce-none_T1w", Sequence.T1_PRE),
        ("sub-01_acq-postGd_T1w", Sequence.T1_POST),
        ("sub-01_acq-pre_T1w", Sequence.T1_PRE),
        ("sub-01_T1w", Sequence.T1_UNKNOWN),
        ("sub-01_ce-gadolinium_FLAIR", Sequence.FLAIR_POST),
        ("sub-01_FLAIR", Sequence.FLAIR),
        ("sub-01_T2w", Sequence.T2),
        ("sub-01_T2starw", Sequence.OTHER),
        ("sub-01_desc-brain_mask", Sequence.OTHER),
    ],
)
def test_sequence_by_bids_name(tmp_path: Path, nifti_file: Callable[..., Path], name: str, expected: Sequence) -> None:
    path = nifti_file(tmp_path / f"{name}.nii.gz")
    assert classify(nifti.read_header(path, f"mri/{path.name}")).sequence is expected


def test_slices_follow_the_longest_voxel_edge(tmp_path: Path, nifti_file: Callable[..., Path]) -> None:
    sagittal = np.array(
        [[0, 0, 6.0, 0], [-1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1]]
    )  # third axis runs left to right
    path = nifti_file(tmp_path / "a.nii.gz", shape=(200, 180, 24), affine=sagittal)
    found = nifti.read_header(path, "mri/a.nii.gz")
    assert (found.frames, found.step_mm, found.rows, found.columns) == (24, 6.0, 180, 200)
    assert classify(found).plane is Plane.SAGITTAL
    assert classify(found).acquisition == "2D"


def test_sidecar_keeps_only_allowed_facts(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    given = {
        "EchoTime": 0.00298, "RepetitionTime": 2.3, "MRAcquisitionType": "3D", "ScanningSequence": "GR_IR",
        "AcquisitionDateTime": "2024-02-12T10:11:12.5", "SeriesDescription": "t1 mprage JANE", "PatientName": "JANE",
        "PatientBirthDate": "1970-01-02", "InstitutionName": "JANE", "ContrastBolusIngredient": "none",
        "FlipAngle": True,
    }  # fmt: skip
    path.write_text(json.dumps(given))
    found = bids.read_sidecar(path)
    assert found["echo_time_ms"] == 2.98
    assert found["repetition_time_ms"] == 2300
    assert (found["date"], found["time"], found["agent"]) == ("2024-02-12", "101112", "no")
    assert found["scanning"] == ["GR", "IR"]
    assert "JANE" not in str(found)
    assert "1970" not in str(found)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "[" * 100_000, '{"EchoTime": "x", "AcquisitionDateTime": 5, "ScanningSequence": null}']
)
def test_a_bad_sidecar_never_raises(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    assert set(bids.read_sidecar(tmp_path / "a.json")) <= {"problem"}


def test_scans_tsv_rows_without_a_date_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "sub-01_scans.tsv"
    path.write_text("filename\tacq_time\nanat/a.nii.gz\t2024-02-12T10:00:00\nanat/b.nii.gz\tn/a\n")
    assert bids.read_scans_tsv(path) == {"anat/a.nii.gz": "2024-02-12"}


def _header_only(path: Path, shape: tuple[int, ...], edges: tuple[float, float, float]) -> Path:
    header = nib.Nifti1Header()
    header.set_data_shape(shape)
    header.set_sform(np.diag([*edges, 1.0]), code=1)
    with open(path, "wb") as handle:
        header.write_to(handle)
    return path


@pytest.mark.parametrize(
    ("shape", "edges", "words"),
    [
        ((30000, 30000, 30000), (1.0, 1.0, 1.0), "more than the limit"),
        ((64, 64, 20), (1.0, 1.0, 900.0), "are not possible"),
        ((64, 64, 20), (1.0, 1.0, 0.0), "are not possible"),
        ((64, 64, 20), (1.0, np.nan, 1.0), "not numbers"),
        ((64, 64), (1.0, 1.0, 1.0), "2 dimensions"),
        ((64, 64, 0), (1.0, 1.0, 1.0), "no voxels"),
    ],
)
def test_headers_that_cannot_be_a_volume(tmp_path: Path, shape: Any, edges: Any, words: str) -> None:
    found = nifti.read_header(_header_only(tmp_path / "a.nii", shape, edges), "mri/a.nii")
    assert found.kind == "unreadable"
    assert words in found.problem


SIDECARS: dict[str, dict[str, Any]] = {
    "mri/ds/T1w.json": {"field_strength_t": 3.0, "echo_time_ms": 1.0},
    "mri/ds/task-rest_T1w.json": {"echo_time_ms": 99.0},
    "mri/ds/FLAIR.json": {"echo_time_ms": 98.0},
    "mri/ds/sub-01/sub-01_T1w.json": {"echo_time_ms": 2.0},
    "mri/ds/sub-02/sub-02_T1w.json": {"echo_time_ms": 97.0},
    "mri/ds/sub-01/ses-a/ses-a_ce-gd_T1w.json": {"agent": "yes"},
    "mri/ds/sub-01/ses-a/anat/sub-01_ses-a_ce-gd_T1w.json": {"echo_time_ms": 3.0},
    "mri/other/T1w.json": {"field_strength_t": 1.5},
    "mri/broken/T1w.json": {"problem": "the sidecar cannot be read (JSONDecodeError)"},
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "mri/ds/sub-01/ses-a/anat/sub-01_ses-a_ce-gd_T1w.nii.gz",
            {"field_strength_t": 3.0, "echo_time_ms": 3.0, "agent": "yes"},
        ),
        ("mri/ds/sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz", {"field_strength_t": 3.0, "echo_time_ms": 2.0}),
        ("mri/ds/sub-03/anat/sub-03_T1w.nii", {"field_strength_t": 3.0, "echo_time_ms": 1.0}),
        ("mri/ds/sub-01/ses-a/anat/sub-01_ses-a_FLAIR.nii.gz", {"echo_time_ms": 98.0}),
        ("mri/ds/sub-01/ses-a/anat/sub-01_ses-a_T2w.nii.gz", {}),
        ("mri/broken/sub-01_T1w.nii.gz", {}),
        ("mri/ds/brain.nii.gz", {}),
    ],
)
def test_sidecars_apply_from_the_dataset_down_to_the_image(path: str, expected: dict[str, Any]) -> None:
    """BIDS, inheritance principle: the same suffix, no entity of its own, the deeper the stronger."""
    assert bids.applicable(path, SIDECARS) == expected


def test_an_image_without_a_bids_name_has_only_its_own_sidecar() -> None:
    sidecars = {"mri/a/brain.json": {"echo_time_ms": 3.0}, "mri/a/other.json": {"echo_time_ms": 4.0}}
    assert bids.applicable("mri/a/brain.nii.gz", sidecars) == {"echo_time_ms": 3.0}
