"""A finding at a known side and slice lies there in segmentation, report and picture, however the scan was acquired."""

from __future__ import annotations

import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw, ImageFont

from lmresp.cli.dicom_pictures import finding_pictures
from lmresp.dicom.scan import objects
from lmresp.report import slices
from tests.unit.dicom.made import LEFT, RIGHT, Made, faults, made, seen_by_dcmqi, tool

ACQUIRED = [("axial", {}), ("coronal", {}), ("sagittal", {}), ("oblique", {}), ("axial", {"enhanced": True})]
ACQUIRED += [("oblique", {"enhanced": True}), ("axial", {"columns": 47})]


@pytest.fixture(scope="module", params=ACQUIRED, ids=lambda p: " ".join([p[0], *p[1]]))
def scan(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, Path]:
    kind, how = request.param
    folder = tmp_path_factory.mktemp("side")
    one = made(folder / "in", kind, **how)
    files, _ = objects(one.scan())
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return one, folder


def _middle(image: nib.Nifti1Image) -> np.ndarray:
    places = np.argwhere(np.asarray(image.dataobj) > 0)
    return np.asarray((image.affine @ [*places.mean(axis=0), 1.0])[:3])


def test_dcmqi_finds_each_nodule_at_its_place(scan: tuple[Made, Path]) -> None:
    _, folder = scan
    seen = seen_by_dcmqi(folder / "seg.dcm", folder / "dcmqi")
    labels = {s.SegmentNumber: s.SegmentLabel for s in pydicom.dcmread(folder / "seg.dcm").SegmentSequence}
    for number, label in labels.items():
        if label.startswith("Nodule"):
            # Voxels of 3 x 3.2 x 5 mm, so a sphere of 7 mm radius is hit to within a millimetre or two.
            assert np.abs(_middle(seen[number]) - (RIGHT if "11" in label else LEFT)).max() < 2.0, label
    assert sum(label.startswith("Nodule") for label in labels.values()) == 2


def test_dcmqi_reads_the_voxels_that_were_written(scan: tuple[Made, Path]) -> None:
    one, folder = scan
    ds = pydicom.dcmread(folder / "seg.dcm")
    seen = seen_by_dcmqi(folder / "seg.dcm", folder / "dcmqi2")
    assert set(seen) == {s.SegmentNumber for s in ds.SegmentSequence}
    pixels = ds.pixel_array
    orientation = [
        float(v) for v in ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient
    ]
    for number, image in seen.items():
        array, back = np.asarray(image.dataobj), np.linalg.inv(image.affine)
        counted = 0
        for frame, group in zip(pixels, ds.PerFrameFunctionalGroupsSequence, strict=True):
            if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber != number:
                continue
            place = np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
            for row, column in np.argwhere(frame):
                lps = place + column * 3.2 * np.array(orientation[:3]) + row * 3.0 * np.array(orientation[3:])
                index = np.rint((back @ [-lps[0], -lps[1], lps[2], 1.0])[:3]).astype(int)
                assert array[tuple(index)] > 0
                counted += 1
        assert counted == np.count_nonzero(array) > 0
    assert (ds.Rows, ds.Columns) == (one.source.rows, one.source.columns)


def test_the_report_names_segment_and_side(scan: tuple[Made, Path]) -> None:
    _, folder = scan
    ds = pydicom.dcmread(folder / "sr-draft.dcm")
    seg = pydicom.dcmread(folder / "seg.dcm")
    sides = {}
    for group in ds.ContentSequence[-1].ContentSequence:
        items = {i.ConceptNameCodeSequence[0].CodeMeaning: i for i in group.ContentSequence}
        if "Referenced Segment" in items and items["Finding"].ConceptCodeSequence[0].CodeMeaning == "Nodule":
            image = items["Referenced Segment"].ReferencedSOPSequence[0]
            assert image.ReferencedSOPInstanceUID == seg.SOPInstanceUID
            side = items["Finding Site"].ContentSequence[0].ConceptCodeSequence[0].CodeMeaning
            sides[seg.SegmentSequence[image.ReferencedSegmentNumber - 1].SegmentLabel] = side
            own = seg.SegmentSequence[image.ReferencedSegmentNumber - 1]
            assert own.TrackingUID == items["Tracking Unique Identifier"].UID
    assert sides == {"Nodule 11 (draft)": "Right", "Nodule 12 (draft)": "Left"}


@pytest.mark.parametrize("name", ["seg", "sr-draft", "report"])
def test_dciodvfy_finds_no_error(scan: tuple[Made, Path], name: str) -> None:
    assert faults(scan[1] / f"{name}.dcm") == []


def test_dsrdump_reads_the_report(scan: tuple[Made, Path]) -> None:
    done = subprocess.run([tool("dsrdump"), str(scan[1] / "sr-draft.dcm")], capture_output=True, text=True, check=True)
    assert "Oncology Measurement Report" in done.stdout
    assert "PARTIAL" in done.stdout


def test_a_nodule_on_the_right_is_on_the_left_of_the_picture(tmp_path: Path) -> None:
    one = made(tmp_path)
    anchor, labels = (nib.Nifti1Image(v.array, v.affine) for v in (one.anchor, one.labels))
    pictures = finding_pictures(one.result, anchor, labels)
    assert [p.name for p in pictures] == ["finding-01", "finding-02", "finding-03"]
    files, _ = objects(one.scan(pictures=pictures))
    path = tmp_path / "sc.dcm"
    for number, centre in ((1, RIGHT), (2, LEFT)):
        path.write_bytes(files[f"sc-finding-{number:02d}.dcm"])
        pixels = pydicom.dcmread(path).pixel_array
        assert np.array_equal(pixels, pictures[number - 1].pixels)
        assert faults(path) == []
        ink = np.array(slices.INK["nodule"])
        columns = np.argwhere((pixels == ink).all(axis=-1))[:, 1]
        pane = columns[columns < pixels.shape[1] / 3]  # the first pane is axial
        middle = pixels.shape[1] / 6
        assert (pane.mean() < middle) == (centre[0] > 0)
        width = pixels.shape[1] // 3
        strip = pixels[pixels.shape[0] // 3 :, :, 0]
        assert _letter(strip[:, : slices.MARGIN]) == "R"
        assert _letter(strip[:, width - slices.MARGIN : width]) == "L"


def test_picture_of_a_scan_that_was_not_judged_says_so_and_no_text_is_cut(tmp_path: Path) -> None:
    one = made(tmp_path)
    anchor, labels = (nib.Nifti1Image(v.array, v.affine) for v in (one.anchor, one.labels))
    one.result["findings"] = []
    [picture] = finding_pictures(one.result, anchor, labels)
    assert (picture.name, picture.title) == ("no-finding", "DRAFT - not for diagnosis; no finding")
    one.result["measures"] = []
    [unjudged] = finding_pictures(one.result, anchor, labels)
    assert unjudged.name == "not-judged"
    assert "no finding" not in unjudged.title
    one.result["subject_id"] = "X" * 300
    [long] = finding_pictures(one.result, anchor, labels)
    assert long.pixels.shape[0] > unjudged.pixels.shape[0]
    assert long.pixels[:100, -4:].max() == 0  # no letter touches the edge


def test_window_of_the_picture_is_that_of_the_brain(tmp_path: Path) -> None:
    one = made(tmp_path)
    anchor, labels = (nib.Nifti1Image(v.array, v.affine) for v in (one.anchor, one.labels))
    brain = nib.Nifti1Image(((one.anchor.array > 250) & (one.anchor.array < 350)).astype(np.uint8), one.anchor.affine)
    one.result["findings"] = []
    [picture] = finding_pictures(one.result, anchor, labels, brain)
    # Grey matter of 300 under a window of 0 to 345 (1.15 times the brightest of the brain) is 222 of 255.
    greys = picture.pixels[80:][(np.ptp(picture.pixels[80:].astype(int), axis=-1) == 0)][:, 0]
    assert np.count_nonzero(abs(greys.astype(int) - 222) <= 2) > 0.2 * greys.size


def _letter(strip: np.ndarray) -> str:
    """Which letter stands in a strip of a picture: the one whose drawing it is."""
    found = np.argwhere(strip > 100)
    (top, left), (bottom, right) = found.min(axis=0), found.max(axis=0)
    seen = strip[top : bottom + 1, left : right + 1] > 100
    for letter in "RLAPSI":
        image = Image.new("L", (40, 40))
        ImageDraw.Draw(image).text((20, 20), letter, fill=239, font=ImageFont.load_default(13), anchor="mm")
        drawn = np.array(image) > 100
        places = np.argwhere(drawn)
        (a, b), (c, d) = places.min(axis=0), places.max(axis=0)
        drawn = drawn[a : c + 1, b : d + 1]
        if drawn.shape == seen.shape and (drawn == seen).mean() > 0.9:
            return letter
    return ""
