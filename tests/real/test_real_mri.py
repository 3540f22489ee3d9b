"""Real heads without leptomeningeal disease: the measurement runs, and where it cannot tell it abstains."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lmresp.mri.measurement import ScanMeasurement
from lmresp.mri.subject import measure_subject
from lmresp.mri.volume import Volume, checked

pytestmark = pytest.mark.slow


def _load(path: Path) -> Volume:
    image = nib.as_closest_canonical(nib.load(path))
    return checked(image.get_fdata(), image.affine)


def measure(images: dict[str, Volume]) -> ScanMeasurement:
    return measure_subject({"scan": images})["scan"]


def _items(found: object) -> dict[str, str]:
    return {row["item"]: row["presence"] for row in found.items if row["compartment"] == "BRAIN"}  # type: ignore[attr-defined]


def test_four_grids_of_a_stripped_glioma_scan(shared_data: Path) -> None:
    folder = shared_data / "mri" / "brain_prepost_glioma"
    found = measure(
        {"post": _load(folder / "tcga-du-7294_t1c.nii.gz"), "pre": _load(folder / "tcga-du-7294_t1.nii.gz")}
    )
    assert found.contrast == "prepost"
    assert _items(found)["LINEAR"] != "PRESENT"  # slices of 5 mm: vessels cannot be told from film
    assert _items(found)["NODULES"] != "PRESENT"
    upstream = _load(folder / "tcga-du-7294_t1c_brainmask.nii.gz")
    volume = float((upstream.array > 0).sum()) * upstream.voxel_mm3
    brain = next(row["value"] for row in found.measures if row["measure"] == "BRAIN_VOL")
    assert brain == pytest.approx(volume, rel=0.05)


def test_millimetre_scan_abstains_on_film_and_nodules(shared_data: Path) -> None:
    folder = shared_data / "mri" / "brain_prepost_mni"
    found = measure(
        {"post": _load(folder / "ms-patient07_t1c.nii.gz"), "pre": _load(folder / "ms-patient07_t1.nii.gz")}
    )
    assert _items(found)["LINEAR"] != "PRESENT"
    assert _items(found)["NODULES"] != "PRESENT"


def test_post_contrast_only_whole_head_gives_ventricles_and_no_finding(shared_data: Path) -> None:
    folder = shared_data / "mri" / "brain_longitudinal" / "ms-patient12"
    found = measure({"post": _load(folder / "study1_T1W.nii.gz")})
    assert found.contrast == "post_only"
    assert found.findings == []
    values = {row["measure"]: row["value"] for row in found.measures}
    assert values["LINEAR_VOL"] is None
    assert values["VENT_VOL"] > 5_000
    assert 900_000 < values["BRAIN_VOL"] < 1_900_000  # an adult brain with its CSF
    assert 0.2 < values["EVANS_INDEX"] < 0.3  # a man of 19 years; above 0.3 would be hydrocephalus
    assert np.all(np.isfinite(found.images["anchor"].array))
