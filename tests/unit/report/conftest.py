"""A small study as the stages leave it: three subjects with calls, one set aside, two scans of a synthetic head."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from lmresp import queries, store


def _names(text: str) -> list[str]:
    return text.split(",")


CALL_COLUMNS = _names(
    "subject_id,visit,visit_num,date,call,rule_id,certainty,authority,provisional,provisional_reason,csf,neuro,mri,"
    "mri_source,steroids,criteria,charter,missing,would_change,row_ids,dates,scans,flags,citation,note"
)
BEST_COLUMNS = _names(
    "subject_id,best_response,date,visit,confirmed_best,confirmed_best_date,confirmation,confirmed_response,"
    "confirmed_date,progression_date,progression_by,provisional,calls,reason"
)
PATHWAY_COLUMNS = _names(
    "subject_id,visit,visit_num,date,branch,branch_label,nodes,trail,reason,evidence,evidence_keys,certainty,certainty_words,collect,"
    "inadequate,inadequate_rule,inadequate_grade,inadequate_confirmed,inadequate_literal,inadequate_both,"
    "inadequate_call_based,rules_disagree,disagreement,parallel_branch,provisional,research_use"
)
STRAND_COLUMNS = _names(
    "subject_id,visit_num,visit,date,status,reason,row_ids,flags,rule_id,certainty,disputed,source,draft_status,"
    "alternative_cause"
)
MEASURE_COLUMNS = _names(
    "subject_id,visit_num,visit,scan,scan_date,measure,compartment,value,unit,method,qc,qc_reason,uncertainty,"
    "reference_value,change_percent"
)

VISITS = (("1", "BL", "2024-01-01"), ("2", "WK06", "2024-02-12"), ("3", "WK12", "2024-03-25"))
CITE = "Chamberlain M, et al. Neuro-Oncology 2017;19:484-492. doi:10.1093/neuonc/now183 (abstract)"


def call(subject: str, visit: int, word: str, csf: str, neuro: str, mri: str, **other: str) -> dict[str, str]:
    """One row of ``calls.csv``."""
    number, name, date = VISITS[visit]
    row = dict.fromkeys(CALL_COLUMNS, "")
    row |= {"subject_id": subject, "visit": name, "visit_num": number, "date": date, "call": word}
    row |= {
        "rule_id": "RL09",
        "certainty": "convention",
        "authority": "unverified",
        "provisional": "Y",
        "csf": csf,
        "neuro": neuro,
        "mri": mri,
    }
    row |= {"provisional_reason": "the rule is a project choice, not published", "mri_source": "read"}
    row |= {"criteria": "rano_lm_2017_overall", "charter": "modified-rano-lm 0.1", "citation": "none read"}
    return row | other


def strand(subject: str, visit: int, status: str, **other: str) -> dict[str, str]:
    """One row of ``csf.csv``, ``neuro.csv`` or ``mri.csv``."""
    number, name, date = VISITS[visit]
    row = dict.fromkeys(STRAND_COLUMNS, "")
    return row | {"subject_id": subject, "visit_num": number, "visit": name, "date": date, "status": status} | other


def branch(subject: str, visit: int, code: str, label: str, **other: str) -> dict[str, str]:
    """One row of ``pathway.csv``."""
    number, name, date = VISITS[visit]
    row = dict.fromkeys(PATHWAY_COLUMNS, "")
    row |= {"subject_id": subject, "visit": name, "visit_num": number, "date": date, "branch": code}
    row |= {"branch_label": label, "certainty": "D", "provisional": "Y", "rules_disagree": "N"}
    return row | other


def stored(name: str) -> tuple[list[dict[str, str]], list[str]]:
    """Rows and columns of a table of the folder ``study``.

    By hand: S-01 progresses on day 85, S-02 after missed assessments, S-03 dies on day 57. One of three has limits of
    0.84 to 90.57 % (Clopper-Pearson) and 6.15 to 79.23 % (Wilson), none of three 0 to 70.76 and 0 to 56.15.
    """
    rows = store.read_csv(Path(__file__).parent / "study" / f"{name}.csv")
    return rows, list(rows[0])


def finding(**changed: Any) -> dict[str, Any]:
    """One finding of a scan result."""
    return {
        "id": 1,
        "kind": "nodule",
        "long_mm": 9.24,
        "perp_mm": 6.6,
        "volume_mm3": 312.5,
        "center_mm": [30.0, 10.0, 12.0],
        "voxel": [60, 50, 42],
        "measurable": True,
        "lm_related": True,
        "confidence": 0.8,
        "status": "new",
        "note": "",
    } | changed


def scan_result(scan: str, **changed: Any) -> dict[str, Any]:
    """One scan result, measured, with a nodule on the subject's right."""
    measure = {
        "measure": "LINEAR_VOL",
        "compartment": "BRAIN",
        "value": 1234.5,
        "unit": "mm3",
        "method": "lmresp enhancement 1",
        "qc": "PASS",
        "qc_reason": "",
        "uncertainty": 61.7,
        "reference_value": 1000.0,
        "change_percent": 23.45,
    }
    failed = measure | {"measure": "EVANS_INDEX", "value": None, "unit": "1", "qc": "FAIL", "uncertainty": None}
    failed |= {"qc_reason": "the frontal horns are not covered", "reference_value": None, "change_percent": None}
    item = {"item": "NODULES", "compartment": "BRAIN", "presence": "PRESENT", "change": "WORSE", "confidence": 0.8}
    nerve = {"item": "CRANIAL_NERVE", "compartment": "BRAIN", "presence": "NE", "change": "NE", "confidence": 0.0}
    series = {
        "series": "T1-post-1",
        "source": "dicom",
        "digest": "a" * 64,
        "sequence": "T1_POST",
        "body_part": "BRAIN",
        "plane": "AXIAL",
        "acquisition": "3D",
        "reason": "T1-weighted gradient echo, contrast agent named in the header",
        "confidence": 0.95,
        "overruled": False,
        "use": True,
        "facts": {},
        "role": "post",
        "shape": [100, 120, 90],
        "note": "",
    }
    return {
        "format": "lmresp-scan-result/1",
        "scan": scan,
        "subject_id": "S-01",
        "visit": "WK06",
        "visit_num": "2",
        "scan_date": "2024-02-12",
        "reference": "sub-01_ses-bl",
        "status": "measured",
        "reason": "",
        "software": "lmresp 0.1.0",
        "contrast": "prepost",
        "geometry": {"aligned": True},
        "series": [series],
        "measures": [measure, failed],
        "findings": [finding()],
        "scorecard": {
            "coverage": "brain only: no spine series in this scan",
            "reference": "sub-01_ses-bl",
            "items": [
                item | {"reason": "one nodule is new"},
                nerve | {"reason": "cranial nerves are not assessed by this version"},
            ],
            "overall": "PD",
            "rule_id": "SC01",
            "certainty": "seen",
        },
        "qc": [
            {
                "check": "registration pre to post",
                "value": 0.93,
                "unit": "",
                "limit": ">= 0.6",
                "result": "PASS",
                "meaning": "the images before and after contrast lie on one another",
            }
        ],
        "queries": [],
        "files": {f"anat/{scan}_desc-lm_dseg.nii.gz": "b" * 64},
    } | changed


def head(shape: tuple[int, int, int] = (100, 120, 90)) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Ellipsoid head, darker ventricles in the middle, some texture; RAS order, 1.6 mm voxels."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij")
    inside = sum((axis / 0.85) ** 2 for axis in axes) < 1
    array = np.where(inside, 600 + 60 * np.sin(9 * axes[0]) * np.cos(7 * axes[1]) * np.cos(8 * axes[2]), 0)
    array[ventricles(shape)] = 150
    return array.astype(np.float32)


def ventricles(shape: tuple[int, int, int] = (100, 120, 90)) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Two bars beside the middle."""
    mask = np.zeros(shape, bool)
    i, j, k = (n // 2 for n in shape)
    mask[i - 8 : i - 3, j - 18 : j + 18, k - 4 : k + 4] = True
    mask[i + 3 : i + 8, j - 18 : j + 18, k - 4 : k + 4] = True
    return mask


AFFINE = np.array([[1.6, 0, 0, -79.2], [0, 1.6, 0, -95.2], [0, 0, 1.6, -71.2], [0, 0, 0, 1]])


def block(array: np.ndarray[Any, Any], world: tuple[float, float, float], value: float, half: int = 3) -> None:
    """Write a cube around a world position (mm, RAS+) into an array of the synthetic head, in place."""
    i, j, k = np.rint(np.linalg.solve(AFFINE, [*world, 1])[:3]).astype(int)
    array[i - half : i + half + 1, j - half : j + half + 1, k - half : k + half + 1] = value


def images() -> dict[str, nib.Nifti1Image]:
    """Images of a follow-up scan: a nodule at R 30, A 10, S 12 mm that the reference scan does not have."""
    before = head()
    post, enhancement = head(), np.zeros(before.shape, np.float32)
    labels = np.zeros(before.shape, np.uint8)
    labels[ventricles()] = 3
    reference_labels = labels.copy()
    block(post, (30, 10, 12), 1500)
    block(enhancement, (30, 10, 12), 1.4)
    block(labels, (30, 10, 12), 2)
    labels[20:80, 14, 40:44], post[20:80, 14, 40:44] = 1, 1100
    labels[48:53, 100:104, 60:64] = 4
    arrays = {"t1": post, "pre": before, "enhancement": enhancement, "labels": labels}
    arrays |= {"compared": post, "compared_labels": labels, "reference": before, "reference_labels": reference_labels}
    brain = (before > 0).astype(np.uint8)
    arrays |= {"brain": brain, "reference_brain": brain}
    change = np.zeros(before.shape, np.float32)
    block(change, (30, 10, 12), 0.9)
    arrays |= {"change": change, "flair": before * 2, "reference_flair": before * 2, "reference_pre": before}
    return {name: nib.Nifti1Image(array, AFFINE) for name, array in arrays.items()}


@dataclasses.dataclass
class Study:
    """A results folder in the making; ``write`` puts every table in its place."""

    results: Path
    tables: dict[str, tuple[list[dict[str, str]], list[str]]]
    scans: dict[str, dict[str, Any]]

    def write(self) -> Path:
        """Write tables, index and scan results."""
        for name, (rows, columns) in self.tables.items():
            store.write_csv(self.results / name, rows, columns)
        index = {"scans": [{"scan": scan, "reference": None} for scan in sorted(self.scans)]}
        store.write_json(self.results / "work" / "index.json", index)
        for scan, result in self.scans.items():
            subject, session = scan.split("_")
            store.write_json(self.results / subject / session / f"{scan}_scan.json", result)
        return self.results


def provenance() -> dict[str, Any]:
    """The parts of ``provenance.json`` that the report prints."""
    criteria = {"title": "RANO-LM 2017 overall call from the three elements", "cells_read": 2, "cells": 96}
    charter = {"name": "modified-rano-lm", "version": "0.1", "signed": None, "criteria": criteria}
    line = "Modified RANO-LM, charter modified-rano-lm 1.0 (sha256 0123456789ab), not signed, "
    line += "8 of 96 cells read in the source"
    charter |= {"digest": "0123456789ab" + "0" * 52, "title_line": line}
    return {"inputs_digest": "c0ffee" + "0" * 58, "charter": charter, "software": {"lmresp": "0.1.0", "numpy": "2.4"}}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """S-01 progresses (on a draft), S-02 responds and is alive, S-03 died without an MRI, S-04 is set aside."""
    calls = [
        call("S-01", 1, "STABLE", "positive_persistent", "stable", "stable", scans="sub-01_ses-bl"),
        call(
            *("S-01", 2, "PROGRESSION", "negative", "stable", "progressive"),
            scans="sub-01_ses-wk06",
            mri_source="draft",
            rule_id="RL01",
            certainty="seen",
            authority="published",
            citation=CITE,
            provisional_reason="the MRI read is a draft; no radiologist has read it",
            note="Imaging progression alone, with negative CSF and a stable examination.",
            would_change="imaging=stable -> STABLE; csf=cleared & imaging=improved -> RESPONSE",
            steroids="INCREASED",
        ),
        call("S-02", 1, "RESPONSE", "cleared", "improved", "improved"),
        call("S-02", 2, "SUSPECTED_PROGRESSION", "equivocal", "worse", "stable"),
        call(
            "S-03",
            1,
            "NOT_EVALUABLE",
            "missing",
            "stable",
            "not_evaluable",
            missing="csf: no sample; imaging: draft (no spine; no nodule)",
            mri_source="",
        ),
    ]
    best = dict.fromkeys(BEST_COLUMNS, "")
    bests = [
        best
        | {"subject_id": "S-01", "best_response": "STABLE", "confirmed_best": "STABLE", "confirmed_response": "N"}
        | {"calls": "2", "provisional": "Y", "reason": "no response"}
        | {"progression_date": "2024-03-25", "progression_by": "imaging"},
        best
        | {"subject_id": "S-02", "best_response": "RESPONSE", "visit": "WK06", "date": "2024-02-12", "calls": "2"}
        | {"confirmed_best": "STABLE", "confirmation": "PENDING", "confirmed_response": "PENDING"},
        best
        | {"subject_id": "S-03", "best_response": "NOT_EVALUABLE", "confirmed_best": "NOT_EVALUABLE", "calls": "1"}
        | {"confirmed_response": "N"},
    ]
    add_it = branch("S-02", 2, "B_ADD_IT", "addition of intrathecal therapy is the pathway's next stage")
    add_it |= {"reason": "two samples in a row with malignant cells", "evidence": "Zhong 2024; Fan 2021"}
    add_it |= {"evidence_keys": "zhong2024;fan2021", "certainty_words": "case or opinion (D)"}
    pathway = [
        branch("S-01", 1, "B_CONTINUE", "continue and re-assess"),
        branch("S-01", 2, "B_GENO", "genotype-directed option or trial"),
        branch("S-02", 1, "B_CONTINUE", "continue and re-assess"),
        add_it,
        branch(
            "S-03", 1, "B_COLLECT", "data missing: list what to collect", collect="CSF cytology;MRI of brain and spine"
        ),
    ]
    pathway[1] |= {"inadequate": "Y", "inadequate_rule": "literal", "inadequate_grade": "cytology_only"}
    pathway[1] |= {
        "inadequate_confirmed": "N",
        "rules_disagree": "Y",
        "inadequate_literal": "Y",
        "inadequate_both": "N",
    }
    pathway[1] |= {"disagreement": "literal finds cells, both asks for symptoms as well; the branch depends on it"}
    pathway[1] |= {
        "trail": "N1_icp: opening_pressure=normal -> no sign of raised pressure > N5_geno: genotype=T790M -> found"
    }
    csf = [strand(r["subject_id"], int(r["visit_num"]) - 1, r["csf"]) for r in calls]
    csf.insert(0, strand("S-01", 0, "positive_persistent", reason="baseline"))
    neuro = [strand(r["subject_id"], int(r["visit_num"]) - 1, r["neuro"]) for r in calls]
    mri = [strand(r["subject_id"], int(r["visit_num"]) - 1, r["mri"], source=r["mri_source"]) for r in calls]
    mri[-1]["reason"] = "no scan at this visit"
    mri[1]["disputed"] = "stable;not_evaluable"
    measures = [
        dict.fromkeys(MEASURE_COLUMNS, "")
        | {"subject_id": "S-01", "visit": "WK12", "visit_num": "3", "measure": "LINEAR_VOL", "compartment": "BRAIN"}
        | {"value": "1234.5", "unit": "mm3", "qc": "PASS", "change_percent": "23.45", "method": "lmresp enhancement 1"}
    ]
    blocked = queries.Query(
        code="IN003",
        severity="error",
        message="result has the value 'weird', which is not in its list.",
        action="Use one of: POSITIVE, NEGATIVE.",
        sets_aside="Y",
        subject_id="S-04",
        visit="WK06",
        file="csf.csv",
        row="12",
        column="result",
    )
    absent = queries.Query(
        code="SC001",
        severity="warning",
        message="There is no T1 after contrast.",
        action="Ask the site for the series.",
        subject_id="S-03",
        visit="WK06",
    )
    subject_columns = ["subject_id", "arm", "ref_start_dtc", "rand_dtc", "death_dtc", "death_fl", "last_alive_dtc"]
    person = dict.fromkeys(subject_columns, "") | {"ref_start_dtc": "2024-01-01", "last_alive_dtc": "2024-05-06"}
    subjects = [person | {"subject_id": f"S-0{n}"} for n in (1, 2, 3, 4)]
    subjects[2] |= {"death_dtc": "2024-02-26", "death_fl": "Y", "last_alive_dtc": ""}
    visit_columns = ["subject_id", "visit_num", "visit", "start_dtc", "status"]
    visits = [
        {"subject_id": f"S-0{s}", "visit_num": n, "visit": v, "start_dtc": d, "status": "DONE"}
        for s in (1, 2, 4)
        for n, v, d in VISITS
    ]
    treatments = [
        {"subject_id": "S-01", "kind": "STUDY_DRUG", "name": "osimertinib", "start_dtc": "2024-01-01", "end_dtc": ""},
        {"subject_id": "S-01", "kind": "INTRATHECAL", "name": "pemetrexed", "start_dtc": "2024-03-27", "end_dtc": ""},
    ]
    procedures = [{"subject_id": "S-01", "kind": "LUMBAR PUNCTURE", "start_dtc": "2024-02-10"}]
    left = [
        {"subject_id": "S-02", "event": "WITHDRAWAL BY SUBJECT", "dtc": "2024-05-06", "scope": "STUDY PARTICIPATION"}
    ]
    tables = {
        "work/steroids.csv": stored("steroids"),
        **{f"{name}.csv": stored(name) for name in ("components", "endpoints", "rates", "survival", "survival_curve")},
        "calls.csv": (calls, CALL_COLUMNS),
        "best_response.csv": (bests, BEST_COLUMNS),
        "pathway.csv": (pathway, PATHWAY_COLUMNS),
        "measures.csv": (measures, MEASURE_COLUMNS),
        "queries.csv": (queries.numbered([blocked, absent]), list(queries.COLUMNS)),
        "work/csf.csv": (csf, STRAND_COLUMNS),
        "work/neuro.csv": (neuro, STRAND_COLUMNS),
        "work/mri.csv": (mri, STRAND_COLUMNS),
        "work/tables/subjects.csv": (subjects, subject_columns),
        "work/tables/visits.csv": (visits, visit_columns),
        "work/tables/treatments.csv": (treatments, list(treatments[0])),
        "work/tables/procedures.csv": (procedures, list(procedures[0])),
        "work/tables/disposition.csv": (left, list(left[0])),
    }
    baseline = scan_result("sub-01_ses-bl", visit="BL", visit_num="1", scan_date="2024-01-01", reference=None)
    scans = {"sub-01_ses-bl": baseline, "sub-01_ses-wk06": scan_result("sub-01_ses-wk06")}
    return Study(tmp_path / "derivatives" / "lmresp", tables, scans)


@pytest.fixture
def make() -> dict[str, Callable[..., Any]]:
    """The builders of this file, for tests that change one thing (test folders cannot import one another)."""
    return {
        "call": call,
        "scan_result": scan_result,
        "finding": finding,
        "images": images,
        "block": block,
        "head": head,
        "ventricles": ventricles,
        "provenance": provenance,
    }


@pytest.fixture
def affine() -> np.ndarray[Any, np.dtype[np.float64]]:
    """Voxel to world of the synthetic head."""
    return AFFINE.copy()
