"""Scans that are not what they should be: each ends in a query that names it, and the subject's others are measured."""

from __future__ import annotations

from typing import Any

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from lmresp.mri.scan import measure_scan
from lmresp.mri.subject_space import align_subject
from lmresp.simulate import phantom
from lmresp.terms import Sequence

pytestmark = pytest.mark.slow

GRID_MM = 3.0


def _head(seed: int, **how: Any) -> dict[str, Any]:
    settings = phantom.Acquisition(
        seed=seed, series=(Sequence.T1_PRE, Sequence.T1_POST), voxel_mm=(GRID_MM,) * 3, **how
    )
    return phantom.make_scan(phantom.make_subject(seed, GRID_MM), phantom.Disease(), settings).images


def _fruit() -> dict[str, Any]:
    """A round body with pips, as large as a head."""
    rng = np.random.default_rng(3)
    x, y, z = np.meshgrid(*(np.arange(-96, 96, GRID_MM),) * 3, indexing="ij")
    flesh = 300.0 * (x**2 + y**2 + z**2 < 75**2)
    flesh += 150 * ndimage.gaussian_filter(rng.standard_normal(flesh.shape), 1.5) * (flesh > 0)
    image = nib.Nifti1Image(np.clip(flesh + 8 * rng.standard_normal(flesh.shape), 0, None).astype(np.int16),
                            np.diag([GRID_MM, GRID_MM, GRID_MM, 1.0]))  # fmt: skip
    return {"T1_PRE": image, "T1_POST": image}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    study = tmp_path_factory.mktemp("study")
    visits = {
        "bl": _head(11),
        "stranger": _head(12),
        "fruit": _fruit(),
        "both": _head(11, pre_contrast_factor=1.0),
        "none": _head(11, contrast_factor=0.0),
    }
    records = []
    for number, (name, images) in enumerate(visits.items()):
        series = []
        for role in ("T1_PRE", "T1_POST"):
            file = f"{name}_{role}.nii.gz"
            nib.save(images[role], study / file)
            series.append(
                {
                    "series": role, "source": "nifti", "files": [file], "digest": "", "sequence": role,
                    "body_part": "BRAIN", "plane": "AXIAL", "acquisition": "3D", "reason": "", "confidence": 1.0,
                    "overruled": False, "use": True, "facts": {"spacing_mm": [GRID_MM] * 3},
                }
            )  # fmt: skip
        first = number == 0
        records.append(
            {
                "scan": f"sub-01_ses-{name}", "subject_id": "S-01", "visit": name, "visit_num": str(number),
                "scan_date": "2024-01-01", "series": series,
                "reference": None if first else "sub-01_ses-bl", "is_reference": first,
            }
        )  # fmt: skip
    out = study / "results"
    align_subject(study, records, out)
    return {
        record["visit"]: measure_scan(study, record, out, [] if record["is_reference"] else ["sub-01_ses-bl"])
        for record in records
    }


def _queries(result: dict[str, Any]) -> dict[str, str]:
    return {row["code"]: row["message"] for row in result["queries"]}


def test_the_good_scan_is_measured(results: dict[str, dict[str, Any]]) -> None:
    assert results["bl"]["status"] == "measured"
    assert not {"SC041", "SC050", "SC051"} & set(_queries(results["bl"]))


def test_another_person_is_named_and_not_compared(results: dict[str, dict[str, Any]]) -> None:
    assert "SC050" in _queries(results["stranger"])
    assert {item["change"] for item in results["stranger"]["scorecard"]["items"]} == {"NE"}


def test_a_fruit_is_not_measured(results: dict[str, dict[str, Any]]) -> None:
    assert results["fruit"]["status"] == "not_measured"
    assert "SC041" in _queries(results["fruit"])


def test_contrast_in_both_series_is_told(results: dict[str, dict[str, Any]]) -> None:
    assert "after contrast" in _queries(results["both"])["SC051"]
    assert results["both"]["findings"] == []


def test_contrast_in_neither_series_is_told(results: dict[str, dict[str, Any]]) -> None:
    assert "contrast was not given" in _queries(results["none"])["SC051"]
    assert results["none"]["findings"] == []
