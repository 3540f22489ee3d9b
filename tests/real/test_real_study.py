"""A study assembled from real scans, with tables written for them, from delivery to report.

None of these people has leptomeningeal metastasis. What is checked is that everything usable is used for what it is,
that what is not usable is named, that nothing is found where no contrast was given, and that no identity gets through.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from lmresp import store

pytestmark = pytest.mark.slow

VISITS = {
    "GLIOMA": ["2020-01-10"],
    "MNI": ["2020-02-10"],
    "LONG": ["2020-03-01", "2020-05-21"],  # 81 days apart (demographics.csv of the source)
    "PHILIPS": ["2020-04-01"],
    "XA30": ["2020-04-02"],
    "MIXED": ["2020-04-03"],
    "REPORTS": ["2020-04-04"],
    "BROKEN": ["2020-04-05"],
}
LABELS = ("BL", "FU")
NIFTI = [  # subject, visit, file of the source, sequence (the sites name them; a NIfTI file does not)
    ("GLIOMA", 0, "brain_prepost_glioma/tcga-du-7294_t1.nii.gz", "T1_PRE"),
    ("GLIOMA", 0, "brain_prepost_glioma/tcga-du-7294_t1c.nii.gz", "T1_POST"),
    ("GLIOMA", 0, "brain_prepost_glioma/tcga-du-7294_flair.nii.gz", "FLAIR"),
    ("GLIOMA", 0, "brain_prepost_glioma/tcga-du-7294_t2.nii.gz", "T2"),
    ("MNI", 0, "brain_prepost_mni/ms-patient07_t1.nii.gz", "T1_PRE"),
    ("MNI", 0, "brain_prepost_mni/ms-patient07_t1c.nii.gz", "T1_POST"),
    ("MNI", 0, "brain_prepost_mni/ms-patient07_flair.nii.gz", "FLAIR"),
    *(
        ("LONG", visit, f"brain_longitudinal/ms-patient12/study{visit + 1}_{kind}.nii.gz", sequence)
        for visit in (0, 1)
        for kind, sequence in (("T1W", "T1_POST"), ("FLAIR", "FLAIR"), ("T2W", "T2"))
    ),
]
DICOM = {
    "PHILIPS": ("philips_ingenia_classic_t1_mprage",),
    "XA30": ("siemens_xa30_enhanced_t1",),
    "MIXED": ("siemens_15t_two_series_mixed",),
    "REPORTS": ("siemens_xa30_nonimage_sr",),
    "BROKEN": ("odd_or_broken", "charsets"),
}


@pytest.fixture(scope="module")
def results(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study, run; returns its results folder."""
    study = tmp_path_factory.mktemp("real") / "study"
    _write_study(study, shared_data)
    run = subprocess.run(
        [sys.executable, "-m", "lmresp", "run", str(study), "--cores", "2"],
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    return study / "derivatives" / "lmresp"


def _write_study(study: Path, shared: Path) -> None:
    scans = []
    for subject, visit, source, sequence in NIFTI:
        target = study / "mri" / subject / LABELS[visit] / Path(source).name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(shared / "mri" / source, target)
        path = str(target.relative_to(study))
        row = {"path": path, "subject_id": subject, "visit": LABELS[visit], "scan_dtc": VISITS[subject][visit]}
        scans.append(row | {"sequence": sequence, "body_part": "BRAIN"})
    for subject, folders in DICOM.items():
        for folder in folders:
            shutil.copytree(shared / "dicom" / folder, study / "mri" / subject / folder)
        row = {"path": f"mri/{subject}", "subject_id": subject, "visit": "BL", "scan_dtc": VISITS[subject][0]}
        scans.append(row | {"sequence": "", "body_part": ""})
    tables = study / "tables"
    first = {
        subject: {"study_id": "REAL", "subject_id": subject, "ref_start_dtc": days[0]}
        for subject, days in VISITS.items()
    }
    store.write_csv(tables / "subjects.csv", first.values(), ("study_id", "subject_id", "ref_start_dtc"))
    visits = [
        {"subject_id": s, "visit_num": n, "visit": LABELS[n], "start_dtc": day, "status": "DONE"}
        for s, days in VISITS.items()
        for n, day in enumerate(days)
    ]
    store.write_csv(tables / "visits.csv", visits, ("subject_id", "visit_num", "visit", "start_dtc", "status"))
    store.write_csv(tables / "scans.csv", scans, ("path", "subject_id", "visit", "scan_dtc", "sequence", "body_part"))
    store.write_text(study / "study.yaml", "study_id: REAL\ndata_cut: 2021-01-01\n")


def scan(results: Path, subject: str, visit: str = "BL") -> dict:
    name = f"sub-{subject}_ses-{visit}"
    return store.read_json(results / f"sub-{subject}" / f"ses-{visit}" / f"{name}_scan.json")


def measure(result: dict, name: str) -> float:
    [value] = [m["value"] for m in result["measures"] if m["measure"] == name]
    return value


def queries(results: Path, subject: str) -> list[dict[str, str]]:
    return [q for q in store.read_csv(results / "queries.csv") if q["subject_id"] == subject]


def test_the_report_is_there(results: Path) -> None:
    assert "LONG" in (results / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("subject", ["GLIOMA", "MNI"])
def test_before_and_after_contrast_on_any_grids_is_measured(results: Path, subject: str) -> None:
    result = scan(results, subject)
    assert (result["status"], result["contrast"]) == ("measured", "prepost")
    # An adult brain with its ventricles holds between 1.0 and 1.9 litres.
    assert 1.0e6 < measure(result, "BRAIN_VOL") < 1.9e6
    [registration] = [q for q in result["qc"] if q["check"] == "registration pre to post"]
    assert registration["result"] == "PASS"


def test_two_studies_81_days_apart_are_registered_and_have_no_subtraction(results: Path) -> None:
    first, second = scan(results, "LONG"), scan(results, "LONG", "FU")
    assert first["reference"] is None
    assert second["reference"] == "sub-LONG_ses-BL"
    assert [q["result"] for q in second["qc"] if q["check"] == "registration to reference"] == ["PASS"]
    for result in (first, second):  # T1 after contrast without one before it
        assert result["contrast"] == "post_only"
        items = {(i["item"], i["compartment"]): i for i in result["scorecard"]["items"]}
        assert items["NODULES", "BRAIN"]["presence"] == "NE"
        assert items["NODULES", "BRAIN"]["reason"]


@pytest.mark.parametrize("subject", ["PHILIPS", "XA30"])
def test_never_a_finding_where_no_contrast_was_given(results: Path, subject: str) -> None:
    result = scan(results, subject)
    assert result["contrast"] == "none"
    assert result["findings"] == []
    assert {m["value"] for m in result["measures"] if m["measure"] in ("LINEAR_VOL", "NODULE_VOL", "ENH_VOL")} <= {None}
    assert any(q["code"].startswith("SC") for q in queries(results, subject))


@pytest.mark.parametrize("subject", ["MIXED", "REPORTS", "BROKEN"])
def test_what_cannot_be_used_is_named(results: Path, subject: str) -> None:
    named = queries(results, subject)
    assert named
    assert all(q["message"] and q["action"] for q in named)


def test_no_identity_of_any_header_is_in_any_result(results: Path, shared_data: Path) -> None:
    fields = ("PatientName", "PatientBirthDate", "InstitutionName", "InstitutionAddress", "ReferringPhysicianName")
    found = set()
    for folders in DICOM.values():
        for folder in folders:
            for path in sorted((shared_data / "dicom" / folder).rglob("*")):
                if path.is_file():
                    try:
                        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
                        found |= {str(header.get(field, "")) for field in fields}
                    except Exception:  # noqa: S112  # broken on purpose; what cannot be read cannot be compared
                        continue
    telling = {text.encode() for text in found if len(text) >= 8}
    assert telling
    for path in results.rglob("*"):
        if path.is_file() and path.suffix != ".gz":
            content = path.read_bytes()
            assert [text for text in telling if text in content] == [], path
