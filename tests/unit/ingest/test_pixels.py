"""Voxels as a tie-break: a head of three layers made by hand, and what is done with what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from lmresp import store
from lmresp.ingest import pixels, tie_break
from lmresp.ingest.inventory import build_index
from lmresp.terms import BodyPart

TABLES = {
    "subjects": [{"subject_id": "S-01"}],
    "visits": [{"subject_id": "S-01", "visit": "BL", "visit_num": "1", "start_dtc": "2024-01-02", "status": "DONE"}],
}
SHAPE = (64, 76, 68)
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])


def head(white: float, grey: float, fluid: float, *, spot: float = 0.0, noise: int = 1) -> Any:
    """An ellipsoid of 165 x 195 x 177 mm: white matter, folds of fluid in grey matter, and a spot that may enhance."""
    axes = np.meshgrid(*[(np.arange(n) - n / 2) * 3.0 for n in SHAPE], indexing="ij")
    radius = np.sqrt(sum((a / r) ** 2 for a, r in zip(axes, (82.5, 97.5, 88.5), strict=True)))
    data = np.where(radius < 1, white, 0.0)
    fold = np.minimum(np.abs(np.mod(axes[1], 39) - 19.5), 50)  # planes of fluid every 39 mm
    data = np.where((radius < 0.9) & (fold < 7.5), grey, data)
    data = np.where((radius < 0.9) & (fold < 3.0), fluid, data)
    data = np.where((np.abs(axes[0]) < 12) & (np.abs(axes[1] - 60) < 6) & (np.abs(axes[2]) < 40), data + spot, data)
    data = data + np.random.default_rng(noise).normal(0, 12, SHAPE)
    return nib.Nifti1Image(np.clip(data, 0, None).astype(np.int16), AFFINE)


T1 = (900.0, 700.0, 250.0)
T2 = (400.0, 500.0, 1200.0)
FLAIR = (500.0, 620.0, 120.0)


@pytest.mark.parametrize(("tissue", "expected"), [(T1, "T1"), (T2, "T2"), (FLAIR, "FLAIR")])
def test_fluid_and_grey_matter_tell_the_weighting(tissue: tuple[float, float, float], expected: str) -> None:
    found = pixels.look(pixels.coarse(head(*tissue), 2.0))
    assert pixels.weightings(found) == {expected}
    assert pixels.body_part(found) is BodyPart.BRAIN


def test_a_ball_of_one_signal_tells_nothing() -> None:
    found = pixels.look(pixels.coarse(head(800, 800, 800), 2.0))
    assert pixels.weightings(found) == {"T1", "T2", "FLAIR"}


def test_a_column_through_the_whole_image_is_a_spine_and_a_box_is_neither() -> None:
    column = np.random.default_rng(2).normal(20, 5, (20, 60, 90))
    column[4:16, 20:40] += 800
    look = pixels.look(pixels.Coarse(column.astype(np.float32), np.diag([4.0, 3.0, 3.0, 1.0])))
    assert pixels.body_part(look) is BodyPart.SPINE
    box = np.random.default_rng(2).normal(20, 5, (40, 40, 40))
    box[15:25, 15:25, 15:25] += 800
    assert pixels.body_part(pixels.look(pixels.Coarse(box.astype(np.float32), AFFINE))) is BodyPart.UNKNOWN


def test_contrast_is_told_from_a_rescan_a_gain_and_a_movement() -> None:
    pre, post = pixels.coarse(head(*T1), 3.0), pixels.coarse(head(*T1, spot=900, noise=2), 3.0)
    assert pixels.contrast(pixels.brighter(post, pre)) == "one"
    assert pixels.contrast(pixels.brighter(pre, post)) == "other"
    assert pixels.contrast(pixels.brighter(pixels.coarse(head(*T1, noise=3), 3.0), pre)) == ""
    louder = pixels.Coarse(pre.array * np.float32(1.7), pre.affine)
    assert pixels.contrast(pixels.brighter(louder, pre)) == ""
    moved = np.array(pre.affine)
    moved[:3, 3] += (0, 1.0, 0)  # across the folds
    assert pixels.contrast(pixels.brighter(pixels.Coarse(pre.array, moved), pre)) == ""


def test_two_places_of_the_body_are_not_compared() -> None:
    one = pixels.coarse(head(*T1), 3.0)
    away = np.array(one.affine)
    away[:3, 3] += 500
    assert pixels.brighter(one, pixels.Coarse(one.array, away)) is None


def bids(study: Any, **images: Any) -> list[dict[str, Any]]:
    folder = study.mri_folder / "sub-S01/ses-BL/anat"
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        nib.save(image, folder / f"sub-S01_ses-BL_{name.replace('__', '-')}.nii.gz")
    build_index(study, TABLES)
    record: dict[str, Any] = store.read_json(study.results / "work/scans/sub-S01_ses-BL.json")
    return list(record["series"])


def contradict(study: Any) -> None:
    """A sidecar whose times are those of T1 for an image named T2w."""
    times = '{"EchoTime": 0.003, "RepetitionTime": 2.0, "InversionTime": 0.9, "ScanningSequence": "GR"}'
    (study.mri_folder / "T2w.json").write_text(times)


def test_voxels_choose_between_headers_that_contradict_each_other(study: Any) -> None:
    contradict(study)
    (series,) = bids(study, T2w=head(*T2))
    assert (series["sequence"], series["use"], series["confidence"]) == ("T2", True, 0.6)
    assert "contradict" in series["reason"]
    assert "the voxels look like T2" in series["reason"]
    assert "SC030" in {q["code"] for q in store.read_csv(study.results / "work/index.queries.csv")}


def test_voxels_that_fit_neither_reading_choose_nothing(study: Any) -> None:
    contradict(study)
    (series,) = bids(study, T2w=head(*FLAIR))
    assert (series["sequence"], series["use"]) == ("OTHER", False)


def test_two_t1_of_unknown_contrast_are_told_apart_by_what_enhances(study: Any) -> None:
    images = {"run__1_T1w": head(*T1), "run__2_T1w": head(*T1, spot=900, noise=2)}
    found = {s["files"][0].split("_run-")[1][0]: s for s in bids(study, **images)}
    assert (found["1"]["sequence"], found["2"]["sequence"]) == ("T1_PRE", "T1_POST")
    assert found["2"]["confidence"] == 0.6
    assert "brighter" in found["2"]["reason"]


def test_two_alike_t1_stay_unknown(study: Any) -> None:
    found = bids(study, run__1_T1w=head(*T1), run__2_T1w=head(*T1, noise=2))
    assert {s["sequence"] for s in found} == {"T1_UNKNOWN"}


def test_scans_table_goes_before_the_voxels(study: Any) -> None:
    bids(study, run__1_T1w=head(*T1), run__2_T1w=head(*T1, spot=900, noise=2))
    rows = [{"path": "*run-2*", "sequence": "T1_PRE"}]
    build_index(study, TABLES | {"scans": rows})
    record = store.read_json(study.results / "work/scans/sub-S01_ses-BL.json")
    assert {s["sequence"] for s in record["series"]} == {"T1_PRE"}


def test_what_was_seen_is_kept_and_no_file_is_read_again(study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bids(study, run__1_T1w=head(*T1), run__2_T1w=head(*T1, spot=900, noise=2))

    def refuse(*args: Any) -> None:
        raise AssertionError("a volume was read again")

    monkeypatch.setattr(tie_break, "load_series", refuse)
    build_index(study, TABLES)
    assert store.read_json(study.results / "work/scans/sub-S01_ses-BL.json")["series"] == first


def test_series_whose_headers_tell_are_never_read(
    study: Any, dicom_series: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError("a volume was read")

    monkeypatch.setattr(tie_break, "load_series", refuse)
    dicom_series(study.mri_folder / "S-01", "a", ContrastBolusAgent="gadobutrol")
    build_index(study, TABLES)
    assert not (study.results / "work/cache/pixels.json").exists()


def test_a_volume_that_cannot_be_read_leaves_the_choice_open(study: Any) -> None:
    contradict(study)
    image = head(*T2)
    bids(study, T2w=image)
    path: Path = study.mri_folder / "sub-S01/ses-BL/anat/sub-S01_ses-BL_T2w.nii.gz"
    path.write_bytes(path.read_bytes()[:-2000])
    build_index(study, TABLES)
    (series,) = store.read_json(study.results / "work/scans/sub-S01_ses-BL.json")["series"]
    assert series["sequence"] == "OTHER"
