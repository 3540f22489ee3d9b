"""From a simulated scanner to SEG, SR, picture and scan page: a phantom's nodule is where its truth says, in all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from lmresp import store
from lmresp.cli import main
from lmresp.cli.plan import plan_study
from lmresp.dicom import scorecard_sr
from lmresp.mri.scan import measure_scan
from lmresp.mri.subject_space import align_subject
from lmresp.report import slices
from lmresp.report.scan_page import page_of
from lmresp.simulate import demo, tables
from tests.unit.dicom.made import faults, seen_by_dcmqi
from tests.unit.report.test_scan_viewer import data_of, decoded

GRID_MM = 4.0


@pytest.mark.slow
def test_the_nodule_of_a_phantom_is_found_at_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = demo.description()
    [subject] = [one for one in study["subjects"] if one["subject_id"] == "LM-05"]  # delivered as DICOM, flat
    subject["visits"] = subject["visits"][:1]
    subject["visits"][0]["mri"]["nodules"] = {"insula": [20, 19, 18]}  # to be seen on a coarse grid
    study["subjects"] = [subject]
    monkeypatch.setattr(demo, "description", lambda: study)
    folder, results = tmp_path / "study", tmp_path / "study" / "derivatives" / "lmresp"
    demo.write_subject("LM-05", folder, GRID_MM)
    tables.write_tables(study, folder / "tables")
    store.write_text(folder / "study.yaml", 'study_id: LM-DEMO\ndata_cut: "2025-06-30"\n')
    plan_study(folder)
    record = store.read_json(results / "work" / "scans" / "sub-LM05_ses-BL.json")
    align_subject(folder, [record], results)
    measured = measure_scan(folder, record, results)
    assert measured["status"] == "measured"
    assert main(["dicom", str(folder), "--to", str(tmp_path / "out")]) == 0
    out = tmp_path / "out" / "sub-LM05_ses-BL"
    truth = store.read_json(next((folder / "truth").glob("*LM05*bl*.json")))["nodules"][0]["center_series_mm"][
        "T1_POST"
    ]
    seen = seen_by_dcmqi(out / "seg.dcm", tmp_path / "dcmqi")
    middles = {}
    for one in pydicom.dcmread(out / "seg.dcm").SegmentSequence:
        places = np.argwhere(np.asarray(seen[one.SegmentNumber].dataobj) > 0)
        if one.SegmentLabel.startswith("Nodule") and len(places):
            middles[one.SegmentLabel] = (seen[one.SegmentNumber].affine @ [*places.mean(axis=0), 1.0])[:3]
    away = {label: float(np.linalg.norm(place - np.array(truth))) for label, place in middles.items()}
    label = min(away, key=lambda one: away[one])
    assert away[label] < GRID_MM
    assert truth[0] < -20  # on the subject's left, so on the right of every picture
    number = int(label.split()[1])
    assert side_in_report(out, label) == "Left"
    picture = pydicom.dcmread(out / f"sc-finding-{number:02d}.dcm").pixel_array
    axial = picture[:, : picture.shape[1] // 3]
    ink = np.argwhere((axial == np.array(slices.INK["nodule"])).all(axis=-1))
    assert ink[:, 1].mean() > axial.shape[1] / 2
    page = page_of(results, "sub-LM05_ses-BL")
    [target] = [one["mm"] for one in data_of(page)["parts"][0]["draft"]["targets"] if one["id"] == f"finding-{number}"]
    codes, affine, _ = decoded(page, "labels")
    drawn = np.argwhere(codes == 2) @ affine[:3, :3].T + affine[:3, 3]
    near = drawn[np.linalg.norm(drawn - target, axis=1) < 20]
    assert len(near) > 0
    assert near[:, 0].mean() < -20
    assert [name.name for name in sorted(out.glob("*.dcm")) if faults(name)] == []
    assert scorecard_sr.read(out / "sr-draft.dcm")["scan"] == "sub-LM05_ses-BL"


def side_in_report(out: Path, label: str) -> str:
    """Laterality that the draft's report gives the finding of a segment."""
    segments = {one.SegmentNumber: one.SegmentLabel for one in pydicom.dcmread(out / "seg.dcm").SegmentSequence}
    for group in pydicom.dcmread(out / "sr-draft.dcm").ContentSequence[-1].ContentSequence:
        items = {one.ConceptNameCodeSequence[0].CodeMeaning: one for one in group.ContentSequence}
        image = items.get("Referenced Segment")
        if image and segments[image.ReferencedSOPSequence[0].ReferencedSegmentNumber] == label:
            return str(items["Finding Site"].ContentSequence[0].ConceptCodeSequence[0].CodeMeaning)
    return "not in the report"
