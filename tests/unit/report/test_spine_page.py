"""The page of the spine: both visits in one world, candidates as a reading aid, nothing stale, nothing when blinded."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from lmresp import RESEARCH_USE, store
from lmresp.report.slices import Volume
from lmresp.report.spine_page import spine_page, spine_page_of, write_spine_page
from lmresp.report.spine_view import images_of, labels_on

AFFINE = np.diag([3.0, 1.5, 1.5, 1.0])
AFFINE[:3, 3] = [-12, -20, -40]
PLACE = (3.0, 4.0, 5.0)  # voxel 5, 16, 30
SHIFT = np.eye(4)
SHIFT[:3, 3] = (2.0, -3.0, 24.0)  # post of this scan to post of the reference scan


def candidate(**changed: Any) -> dict[str, Any]:
    return {
        "number": 1,
        "world_mm": list(PLACE),
        "voxel": [5, 16, 30],
        "level_mm": 44.0,
        "length_mm": 6.0,
        "long_mm": 4.2,
        "perp_mm": 2.5,
        "peak": 0.57,
        "note": "for the reader",
    } | changed


def region(name: str = "CERVICAL", **changed: Any) -> dict[str, Any]:
    check = {"check": "spine registration to reference", "value": 0.96, "unit": "1", "limit": ">= 0.85", "meaning": "m"}
    return {
        "region": name,
        "why": [],
        "checks": [check | {"result": "PASS"}],
        "matrices": {"reference": SHIFT.tolist()},
        "candidates": [candidate()],
    } | changed


def result(visit: str, reference: str | None, rows: list[dict[str, Any]]) -> dict[str, Any]:
    known = {"scan": f"sub-01_ses-{visit}", "subject_id": "S-01", "visit": visit, "scan_date": "2024-01-01"}
    return known | {"reference": reference, "software": "lmresp 0.1.0", "spine": rows}


def column(affine: Any = AFFINE, value: float = 800) -> Volume:
    """A grey block with one bright voxel at PLACE (in the world of the affine it is given)."""
    array = np.full((9, 40, 60), 300, np.float32)
    i, j, k = np.rint(np.linalg.solve(affine, [*PLACE, 1])[:3]).astype(int)
    array[i, j, k] = value
    return Volume(array, np.asarray(affine))


def found() -> dict[str, Volume]:
    canal = np.zeros((9, 40, 60), np.uint8)
    canal[3:7, 14:20] = 1
    candidates = np.zeros_like(canal)
    candidates[5, 16, 30] = 1
    difference = np.zeros(canal.shape, np.float32)
    difference[5, 16, 30] = 0.6
    arrays = {"canal": canal, "candidates": candidates, "difference": difference, "enhancement": difference}
    return {name: Volume(array, AFFINE) for name, array in arrays.items()}


def data_of(page: str) -> dict[str, Any]:
    match = re.search(r'id="page-data">([^<]*)</script>', page)
    assert match is not None
    data: dict[str, Any] = json.loads(match[1])
    return data


def page_with(row: dict[str, Any], *, blinded: bool = False, region_name: str = "CERVICAL") -> str:
    images = images_of(row, {"post": column()}, found(), region(), {"post": column()})
    return spine_page(
        result("wk", "sub-01_ses-bl", [row]),
        {region_name: images},
        result("bl", None, [region()]),
        blinded=blinded,
    )


def test_reference_lies_where_its_matrix_puts_it() -> None:
    # A point x of this scan is at SHIFT x in the reference scan: the bright voxel of the reference, at SHIFT x in its
    # own world, must come to lie on x.
    moved_affine = SHIFT @ AFFINE
    array = column().array  # bright at voxel 5, 16, 30 of any lattice
    images = images_of(region(), {"post": column()}, {}, region(), {"post": Volume(array, moved_affine)})
    assert images.linked
    assert np.allclose(images.before["post"].affine @ [5, 16, 30, 1], [*PLACE, 1])


def test_pre_and_t2_lie_where_their_matrices_put_them() -> None:
    row = region(matrices={"pre": SHIFT.tolist()})
    images = images_of(row, {"post": column(), "pre": Volume(column().array, SHIFT @ AFFINE)}, {}, None, {})
    assert np.allclose(images.now["pre"].affine, AFFINE)
    assert np.allclose(images.now["post"].affine, AFFINE)


@pytest.mark.parametrize(
    "changed",
    [
        {"matrices": {}},
        {"checks": [region()["checks"][0] | {"result": "FAIL"}]},
    ],
)
def test_a_reference_that_does_not_match_is_not_linked(changed: dict[str, Any]) -> None:
    page = page_with(region(**changed))
    part = data_of(page)["parts"][0]
    assert not part["linked"]
    assert [row["view"] for row in part["rows"]] == [0, 1]
    assert "could not be aligned" in page


def test_sagittal_comes_first_and_candidates_lead_to_their_place() -> None:
    page = page_with(region())
    part = data_of(page)["parts"][0]
    assert part["planes"][0] == "sagittal"
    assert part["linked"]
    assert part["draft"]["targets"] == [
        {"id": "candidate-cervical-1", "mm": list(PLACE), "words": "candidate 1, cervical"}
    ]
    assert 'data-target="candidate-cervical-1"' in page
    assert part["draft"]["start"] == "candidate-cervical-1"
    for words in ("no draft", "Nothing marked never means absent", RESEARCH_USE, "R 3, A 4, S 5"):
        assert words in page


def test_subtraction_of_both_visits_can_be_shown(tmp_path: Path) -> None:
    before = {"post": column(), "enhancement": found()["enhancement"]}
    stored(tmp_path, result("bl", None, [region(matrices={})]), before)
    stored(tmp_path, result("wk", "sub-01_ses-bl", [region()]), {"post": column(), **found()})
    page = spine_page_of(tmp_path, "sub-01_ses-wk")
    assert page is not None
    data = data_of(page)
    names = data["parts"][0]["series"][-1]["volumes"]
    assert names == ["cervical_0_enhancement", "cervical_1_enhancement"]
    # Voxel 5, 16, 30 of the reference lies where the matrix takes it back to.
    affine = np.vstack([np.reshape(data["volumes"][names[1]]["affine"], (3, 4)), [0, 0, 0, 1]])
    shift = np.linalg.inv(affine) @ np.linalg.inv(SHIFT) @ [*PLACE, 1]
    assert np.allclose(shift, np.rint(shift), atol=0.01)
    blinded = spine_page_of(tmp_path, "sub-01_ses-wk", blinded=True)
    assert blinded is not None
    assert "enhancement" not in "".join(data_of(blinded)["volumes"])


def test_labels_of_another_lattice_come_to_the_right_voxel() -> None:
    fine = np.diag([3.0, 0.75, 0.75, 1.0])
    fine[:3, 3] = AFFINE[:3, 3]
    labels = labels_on(Volume(np.zeros((9, 80, 120), np.float32), fine), found())
    assert labels is not None
    at = labels.voxel(PLACE)
    assert labels.array[at] == 1  # candidate
    assert labels.array[3, 30, 30] == 3  # canal
    assert labels_on(column(), {}) is None


def test_blinded_page_has_nothing_that_was_found() -> None:
    noise = {"check": "noise of the enhancement in the canal", "value": 0.04, "unit": "", "limit": "", "meaning": "m"}
    row = region(why=["SECRETWHY"], candidates=[candidate(note="SECRETNOTE", peak=0.777)])
    row["checks"] = [*row["checks"], noise | {"result": "PASS"}]
    page = page_with(row, blinded=True)
    assert "SECRETWHY" in page_with(row)
    visible = re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.DOTALL).lower()
    for secret in ("secretwhy", "secretnote", "0.777", "candidate", "dural", "reading aid", "noise of the enhancement"):
        assert secret not in visible, secret
    assert set(data_of(page)["volumes"]) == {"cervical_0_post", "cervical_1_post"}
    assert "spine registration to reference" in visible


def test_hostile_text_stays_text() -> None:
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    page = page_with(region(why=[hostile], candidates=[candidate(note=hostile)]))
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert page.count("</script") == page.count("<script")


def stored(results: Path, record: dict[str, Any], images: dict[str, Volume]) -> None:
    folder = results / "sub-01" / record["scan"].split("_")[1]
    (folder / "anat").mkdir(parents=True, exist_ok=True)
    store.write_json(folder / f"{record['scan']}_scan.json", record)
    kinds = {"post": "T1w", "canal": "dseg", "candidates": "dseg", "difference": "map", "enhancement": "map"}
    for name, volume in images.items():
        file = f"{record['scan']}_acq-cervical_space-spine_desc-{name}_{kinds[name]}.nii.gz"
        nib.save(nib.Nifti1Image(volume.array, volume.affine), folder / "anat" / file)


def test_written_page_is_the_same_every_time_and_goes_with_its_series(tmp_path: Path) -> None:
    stored(tmp_path, result("bl", None, [region(matrices={})]), {"post": column()})
    record = result("wk", "sub-01_ses-bl", [region()])
    stored(tmp_path, record, {"post": column(), **found()})
    page = write_spine_page(tmp_path, "sub-01_ses-wk")
    assert page == tmp_path / "sub-01" / "ses-wk" / "sub-01_ses-wk_spine.html"
    first = page.read_bytes()
    assert str(tmp_path).encode() not in first
    assert len(data_of(first.decode())["parts"][0]["rows"]) == 2
    assert write_spine_page(tmp_path, "sub-01_ses-wk") == page
    assert page.read_bytes() == first
    stored(tmp_path, record | {"spine": []}, {})  # the series has left the study
    assert write_spine_page(tmp_path, "sub-01_ses-wk") is None
    assert not page.exists()
    assert spine_page_of(tmp_path, "sub-01_ses-wk") is None
    with pytest.raises(ValueError, match="not the name of a scan"):
        spine_page_of(tmp_path, "../x")


def test_region_without_any_image_leaves_a_page_that_says_so() -> None:
    page = spine_page(result("bl", None, [region(why=["T1-1: cannot be read"], candidates=None)]), {})
    assert "No pictures" in page
    assert "<canvas" not in page
