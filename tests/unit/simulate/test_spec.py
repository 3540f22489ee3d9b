"""``lmresp simulate``: one command, a checked description, images with their truth."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import pydicom
import pytest

from lmresp import RESEARCH_USE
from lmresp.cli import main
from lmresp.errors import StudyError
from lmresp.simulate.phantom import Region
from lmresp.simulate.spec import acquisition_of, disease_of, read_spec

VISIT = "visit: BL, date: 2024-01-05"


def written(folder: Path, text: str) -> Path:
    path = folder / "spec.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("visits: []", "spec.yaml visits: [] is not accepted. Allowed: 1 to 50 of them."),
        ("visits: [{visit: BL}]", "spec.yaml visits[0]: field 'date' is missing. Allowed: visit, date, films"),
        (f"visits: [{{{VISIT}, nodule: 1}}]", "spec.yaml visits[0]: unknown field 'nodule'. Allowed: visit, date"),
        (
            f"visits: [{{{VISIT}, films: [{{centre_mni: [1, 2], radius_mm: 3}}]}}]",
            "visits[0].films[0].centre_mni: [1, 2] is not accepted. Allowed: 3 values.",
        ),
        (
            f"visits: [{{{VISIT}, films: [{{centre_mni: [1, 2, 3], radius_mm: 3, region: brain}}]}}]",
            'visits[0].films[0].region: "brain" is not accepted. Allowed: cerebral convexity sulci, basal cisterns',
        ),
        (
            f"visits: [{{{VISIT}, acquisition: {{voxel_mm: [1, 1, 0]}}}}]",
            "visits[0].acquisition.voxel_mm[2]: 0 is not accepted. Allowed: 0.3 to 10.",
        ),
        (f"visits: [{{{VISIT}, acquisition: {{black_blood: 3}}}}]", "black_blood: 3 is not accepted. Allowed: true or"),
        (f"visits: [{{{VISIT}, film_concentration: bright}}]", "film_concentration: \"bright\" is not accepted."),
        ("visits: [{visit: BL, date: '2024-13-05'}]", "visits[0].date: '2024-13-05' is no date. Allowed: YYYY-MM-DD."),
        (f"visits: [{{{VISIT}}}, {{visit: bl, date: 2024-02-05}}]", "visits[1].visit: visit bl is given twice"),
        ("just words", "spec.yaml: \"just words\" is not accepted. Allowed: a mapping."),
        ("visits: &a [*a]", "anchors, aliases and tags are not accepted"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_file_field_and_what_is_allowed(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(StudyError) as caught:
        read_spec(written(tmp_path, text))
    assert message in str(caught.value)


def test_description_becomes_disease_and_acquisition(tmp_path: Path) -> None:
    text = f"""
visits:
  - {{{VISIT}, film_concentration: 0.05, films: [{{centre_mni: [0, 0, 0], radius_mm: 9, region: ependyma}}],
     nodules: [{{near_mni: [1, 2, 3], diameters_mm: [6, 5, 4], kind: METASTASIS}}],
     acquisition: {{series: [T2], voxel_mm: [0.47, 0.47, 5], seed: 12}}}}
"""
    visit = read_spec(written(tmp_path, text))["visits"][0]
    disease = disease_of(visit)
    assert disease.films[0].region is Region.EPENDYMA
    assert disease.film_concentration == 0.05
    assert disease.nodules[0].diameters_mm == (6, 5, 4)
    settings = acquisition_of(visit["acquisition"], 3, 1.0)
    assert (settings.seed, settings.voxel_mm, settings.other_voxel_mm) == (12, (0.47, 0.47, 5), (1.0, 1.0, 2.0))


def test_shipped_description_is_valid() -> None:
    assert [visit["visit"] for visit in read_spec(None)["visits"]] == ["BL", "WK06"]


def test_one_command_makes_visits_with_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["simulate", str(out), "--seed", "3", "--grid-mm", "4"]) == 0
    assert RESEARCH_USE in capsys.readouterr().out
    assert "Simulated" in (out / "README.txt").read_text()
    truths = sorted((out / "truth").iterdir())
    assert [p.name for p in truths] == ["sub-PH01_ses-bl_truth.json", "sub-PH01_ses-wk06_truth.json"]
    before, after = (json.loads(p.read_text()) for p in truths)
    assert before["simulated"] is True
    assert before["film_mm3"] > after["film_mm3"] > 0
    assert (len(before["metastases"]), len(after["metastases"])) == (1, 0)
    for truth, session in ((before, "bl"), (after, "wk06")):
        for name in ("T1w", "ce-gadolinium_T1w", "FLAIR"):
            stem = out / "mri" / "sub-PH01" / f"ses-{session}" / "anat" / f"sub-PH01_ses-{session}_{name}"
            assert nib.load(f"{stem}.nii.gz").ndim == 3
            assert "SIMULATED" in json.loads(Path(f"{stem}.json").read_text())["ImageComments"]
        assert set(truth["poses"]) == {"T1_PRE", "T1_POST", "FLAIR"}
    assert main(["simulate", str(out)]) == 2  # never into a folder that holds something
    assert "not empty" in capsys.readouterr().err


def test_as_dicom_with_gap(tmp_path: Path) -> None:
    settings = "series: [T1_POST], voxel_mm: [4, 4, 5], gap_mm: 3, black_blood: true"
    spec = written(tmp_path, f"visits: [{{{VISIT}, acquisition: {{{settings}}}}}]")
    out = tmp_path / "out"
    assert main(["simulate", str(out), "--grid-mm", "4", "--spec", str(spec), "--format", "dicom"]) == 0
    headers = [pydicom.dcmread(p, stop_before_pixels=True) for p in (out / "mri" / "transfer").iterdir()]
    assert len(headers) == 25  # 200 mm in steps of 5 + 3 mm
    for ds in headers:
        assert (ds.SliceThickness, ds.SpacingBetweenSlices) == (5, 8)
        assert "SIMULATED" in ds.ImageComments
        assert list(ds.ScanningSequence) == ["SE", "IR"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--grid-mm", "0.2"], "Allowed: 1 to 4"),
        (["--seed", "-4"], "0 or more"),
        (["--spec", "none.yaml"], "none.yaml"),
    ],
)
def test_arguments_that_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["simulate", str(tmp_path / "out"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_nodule_without_a_place_stops_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodule = "nodules: [{near_mni: [0, -120, 90], diameters_mm: [8, 8, 8]}]"
    spec = written(tmp_path, f"visits: [{{visit: A, date: 2024-01-01}}, {{{VISIT}, {nodule}}}]")
    assert main(["simulate", str(tmp_path / "out"), "--grid-mm", "4", "--spec", str(spec)]) == 2
    assert "visits[1].nodules: no place" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
