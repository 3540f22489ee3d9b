"""Segments: which there are, what they are called, when nothing is found, and what a viewer can unpack."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from lmresp.dicom.instance import encoded, when_of
from lmresp.dicom.labels import Segmented, on_planes, owners, segment
from lmresp.dicom.scan import objects
from lmresp.dicom.seg import binary_is_safe, segmentation
from lmresp.mri.volume import Volume
from tests.unit.dicom.made import RIGHT, SMALL, STUDY, Made, faults, made, measure, nodule, seen_by_dcmqi, to_common


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made(tmp_path_factory.mktemp("seg"))


def _segmented(one: Made, **changes: object) -> Segmented:
    return segment(one.labels, {**one.result, **changes}, STUDY, one.source)


def _built(one: Made, segmented: Segmented) -> Dataset:
    return segmentation(segmented, one.source, when_of(one.source, "", "2025-06-30"))


def test_one_segment_for_film_one_for_each_nodule_one_for_the_ventricles(one: Made) -> None:
    labels = [s.label for s in _segmented(one).segments]
    assert labels == [
        "Linear leptomeningeal enhancement (draft)",
        "Nodule 11 (draft)",
        "Nodule 12 (draft)",
        "Ventricles (draft)",
    ]


def test_volumes_are_those_of_the_shapes(one: Made) -> None:
    found = _segmented(one)
    voxel = 3.0 * 3.2 * 5.0
    # Spheres of 9 and 7 mm, cut into voxels of 3 mm and then of 48 mm3.
    for number, radius in ((2, 9.0), (3, 7.0)):
        assert found.voxels(found.segments[number - 1]) * voxel == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.15)


def test_thin_film_keeps_its_volume(one: Made) -> None:
    # A sheet one voxel (3 mm) thick in the common space, seen on slices of 5 mm that cross it at an angle.
    labels = np.zeros(one.labels.shape, np.float32)
    labels[10:48, 10:48, 30] = 1
    found = segment(Volume(labels, one.labels.affine), {**one.result, "findings": []}, STUDY, one.source)
    assert found.voxels(found.segments[0]) * 48.0 == pytest.approx(38 * 38 * 27.0, rel=0.05)


def test_a_lesion_keeps_its_identifiers_over_visits(one: Made) -> None:
    later = {"scan": "sub-LM05_ses-WK12", "visit": "WK12", "findings": [nodule(1, RIGHT, id=7, track=11)]}
    first, second = _segmented(one).segments[1], _segmented(one, **later).segments[1]
    assert (first.tracking_uid, first.tracking_id) == (second.tracking_uid, second.tracking_id)
    assert first.tracking_uid != _segmented(one).segments[2].tracking_uid
    other = _segmented(one, subject_id="LM-06").segments[1]
    assert other.tracking_uid != first.tracking_uid


def test_a_nodule_that_is_not_followed_has_an_identifier_of_its_own_scan(one: Made) -> None:
    loose = [nodule(1, RIGHT, track=None)]
    first = _segmented(one, findings=loose).segments[1]
    second = _segmented(one, findings=loose, scan="sub-LM05_ses-WK12").segments[1]
    assert first.tracking_uid != second.tracking_uid


def test_a_lesion_inside_the_brain_is_not_called_leptomeningeal(one: Made) -> None:
    ds = _built(one, _segmented(one, findings=[nodule(1, RIGHT, lm_related=False)]))
    own = ds.SegmentSequence[1]
    assert own.SegmentLabel == "Nodule 11, not leptomeningeal (draft)"
    assert own.AnatomicRegionSequence[0].CodeMeaning == "Brain"


def test_nothing_found_is_written_as_an_empty_segmentation(one: Made, tmp_path: Path) -> None:
    empty = Volume(np.zeros(one.labels.shape, np.float32), one.labels.affine)
    nothing = {**one.result, "findings": [], "measures": [measure("LINEAR_VOL", 0.0, "mm3")]}
    path = tmp_path / "seg.dcm"
    path.write_bytes(encoded(_built(one, segment(empty, nothing, STUDY, one.source))))
    ds = pydicom.dcmread(path)
    assert ds.SegmentSequence[0].SegmentLabel == "Linear leptomeningeal enhancement (draft)"
    assert not ds.pixel_array.any()
    assert faults(path) == []
    assert all(not np.asarray(image.dataobj).any() for image in seen_by_dcmqi(path, tmp_path / "q").values())


def test_an_empty_segment_beside_a_full_one_is_kept(one: Made, tmp_path: Path) -> None:
    only_ventricles = Volume(np.where(one.labels.array == 3, 3, 0).astype(np.float32), one.labels.affine)
    path = tmp_path / "seg.dcm"
    none = {**one.result, "findings": []}
    path.write_bytes(encoded(_built(one, segment(only_ventricles, none, STUDY, one.source))))
    assert pydicom.dcmread(path).SegmentSequence[0].SegmentLabel.startswith("Linear")
    assert faults(path) == []


def test_what_was_not_looked_for_has_no_segment(one: Made) -> None:
    found = _segmented(one, measures=[measure("LINEAR_VOL", None, "mm3")])
    assert [s.kind for s in found.segments] == ["ventricles"]
    assert found.orphans == 0


def test_a_scan_that_was_not_measured_has_no_segmentation_and_says_why(one: Made) -> None:
    result = {**copy.deepcopy(one.result), "status": "not_measured", "reason": "no head in it", "geometry": {}}
    files, found = objects(one.scan(result=result, labels=None))
    assert sorted(files) == ["report.dcm"]
    assert [q.code for q in found] == ["DI002"]
    assert "no head in it" in found[0].message


@pytest.mark.parametrize(
    ("rows", "columns", "safe"),
    [(200, 240, True), (197, 233, False), (256, 256, True), (7, 8, True), (16, 12, False), (8, 20, False)],
)
def test_binary_only_where_rows_and_frames_fill_bytes(rows: int, columns: int, safe: bool) -> None:
    # 200 x 240 and 197 x 233 are the sizes on which viewers were tried.
    assert binary_is_safe(rows, columns) == safe


def test_other_sizes_are_fractional_with_the_same_voxels(tmp_path: Path) -> None:
    odd = made(tmp_path / "odd", columns=47)
    files, found = objects(odd.scan())
    (tmp_path / "seg.dcm").write_bytes(files["seg.dcm"])
    ds = pydicom.dcmread(tmp_path / "seg.dcm")
    assert (ds.SegmentationType, ds.SegmentationFractionalType, ds.MaximumFractionalValue) == (
        "FRACTIONAL", "OCCUPANCY", 1,
    )  # fmt: skip
    assert set(np.unique(ds.pixel_array)) == {0, 1}
    assert [q.code for q in found] == ["DI004"]
    assert "56 x 47" in found[0].message
    assert faults(tmp_path / "seg.dcm") == []


def test_a_finding_without_a_voxel_is_named(one: Made, tmp_path: Path) -> None:
    labels = one.labels.array.copy()
    voxel = np.rint((np.linalg.inv(one.labels.affine) @ [*to_common(SMALL), 1.0])[:3]).astype(int)
    labels[tuple(voxel)] = 2  # 3 mm wide, on slices of 5 mm
    world = np.linalg.inv(np.array(one.result["geometry"]["to_common"])) @ one.labels.affine @ [*voxel, 1.0]
    slice_at = (world[2] + 77.5) / 5.0
    small = nodule(5, SMALL, center_mm=[float(v) for v in (one.labels.affine @ [*voxel, 1.0])[:3]], long_mm=3.0)
    result = {**one.result, "findings": [*one.result["findings"], small]}
    found = segment(Volume(labels, one.labels.affine), result, STUDY, one.source)
    assert abs(slice_at - round(slice_at)) > 0.3  # the centre lies between two slices
    assert [s.label for s in found.vanished] == ["Nodule 15 (draft)"]
    files, named = objects(one.scan(labels=Volume(labels, one.labels.affine), result=result))
    assert [(q.code, "Nodule 15" in q.message) for q in named] == [("DI003", True)]
    (tmp_path / "sr.dcm").write_bytes(files["sr-draft.dcm"])
    assert b"too small to be shown" in files["sr-draft.dcm"]
    assert faults(tmp_path / "sr.dcm") == []


def test_nodules_that_touch_are_parted_between_their_centres() -> None:
    mask = np.zeros((20, 9, 9), bool)
    mask[2:18, 3:6, 3:6] = True
    rows = [
        nodule(1, RIGHT, center_mm=[5.0, 4.0, 4.0], long_mm=8.0),
        nodule(2, RIGHT, center_mm=[14.0, 4, 4], long_mm=8.0),
    ]
    owner = owners(mask, np.eye(4), rows)
    assert set(owner[2:9, 4, 4]) == {1}
    assert set(owner[11:18, 4, 4]) == {2}
    assert (owner > 0).sum() == mask.sum()


def test_a_piece_far_from_every_finding_belongs_to_none(one: Made) -> None:
    labels = one.labels.array.copy()
    labels[2:5, 2:5, 2:5] = 2
    found = segment(Volume(labels, one.labels.affine), one.result, STUDY, one.source)
    assert found.orphans == 27
    _, named = objects(one.scan(labels=Volume(labels, one.labels.affine)))
    assert [(q.code, q.value) for q in named] == [("DI005", "27")]


def test_places_outside_of_the_labels_are_empty(one: Made) -> None:
    tiny = np.ones((2, 2, 2), np.uint8)
    away = np.eye(4)
    away[:3, 3] = 1e4
    assert not on_planes(tiny, away, one.source).any()


def test_a_leaning_stack_keeps_the_place_of_every_slice(tmp_path: Path) -> None:
    # Gantry tilt: each slice 1 mm further along its columns. Positions of the frames are those of the source images.
    leaning = made(tmp_path, lean_mm=1.0)
    found = _segmented(leaning)
    ds = _built(leaning, found)
    known = {tuple(float(v) for v in image.ImagePositionPatient) for image in leaning.source.images}
    used = {
        tuple(float(v) for v in g.PlanePositionSequence[0].ImagePositionPatient)
        for g in ds.PerFrameFunctionalGroupsSequence
    }
    assert used <= known
    (tmp_path / "seg.dcm").write_bytes(encoded(ds))
    assert faults(tmp_path / "seg.dcm") == []
    _, named = objects(leaning.scan())
    assert [(q.code, q.value) for q in named] == [("DI007", "11.3 degrees")]  # arctan of 1 mm in 5
    number = 2
    places = [leaning.source.planes[k] @ [c, r, 0, 1] for k, r, c in np.argwhere(found.array == number)]
    assert np.abs(np.mean(places, axis=0)[:3] - RIGHT).max() < 2.0
