"""Images of the spine that a scan stores for its reader: as acquired, about the canal, at their place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from lmresp.mri.spine_scan import write_aids
from lmresp.simulate.spine import Nodule, Spine, picture, truth

ILL = Spine(1, "CERVICAL", (), (Nodule(10, 5),))


def record(folder: Path, kinds: dict[str, str], body_part: str = "CERVICAL") -> dict[str, Any]:
    """Write series as files in a storage order of their own (superior, posterior, left) and return the scan record."""
    series = []
    for kind, sequence in kinds.items():
        image: Any = nib.Nifti1Image(*picture(ILL, kind, 5))
        turn = nib.orientations.ornt_transform(
            nib.orientations.io_orientation(image.affine), nib.orientations.axcodes2ornt("SPL")
        )
        nib.save(image.as_reoriented(turn), folder / f"{kind}.nii.gz")
        one = {"series": kind, "source": "nifti", "files": [f"{kind}.nii.gz"], "sequence": sequence}
        series.append(one | {"body_part": body_part, "use": True, "facts": {}})
    return {"scan": "sub-01_ses-wk", "series": series}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]], dict[str, str]]:
    folder = tmp_path_factory.mktemp("spine")
    (folder / "out" / "anat").mkdir(parents=True)
    scan = record(folder, {"pre": "T1_PRE", "post": "T1_POST", "t2": "T2"})
    rows, files = write_aids(folder, scan, None, folder / "out")
    return folder / "out", rows, files


def named(name: str, kind: str) -> str:
    return f"anat/sub-01_ses-wk_acq-cervical_space-spine_desc-{name}_{kind}.nii.gz"


def test_every_series_is_stored_for_the_reader(written: tuple[Path, list[dict[str, Any]], dict[str, str]]) -> None:
    folder, _, files = written
    for file in (named("post", "T1w"), named("pre", "T1w"), named("t2", "T2w")):
        assert file in files
        image: Any = nib.load(folder / file)
        assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
        assert np.allclose(image.header.get_zooms()[:3], nib.Nifti1Image(*picture(ILL, "post", 5)).header.get_zooms())


def test_stored_voxels_are_those_acquired_at_their_place(
    written: tuple[Path, list[dict[str, Any]], dict[str, str]],
) -> None:
    folder, _, _ = written
    image: Any = nib.load(folder / named("post", "T1w"))
    stored = image.get_fdata()
    array, affine = picture(ILL, "post", 5)
    low = np.rint(np.linalg.solve(affine, image.affine[:, 3])[:3]).astype(int)
    part = array[tuple(slice(a, a + n) for a, n in zip(low, stored.shape, strict=True))]
    assert np.allclose(stored, part, atol=array.max() / 30_000)
    assert stored.size < array.size  # cut to the surroundings of the canal
    disease, _ = truth(ILL)
    kept = disease[tuple(slice(a, a + n) for a, n in zip(low, stored.shape, strict=True))]
    assert kept.sum() == disease.sum()  # the nodule is in it


def test_series_without_a_canal_is_stored_whole(tmp_path: Path) -> None:
    (tmp_path / "out" / "anat").mkdir(parents=True)
    noise = np.random.default_rng(0).normal(100, 10, (9, 30, 40)).astype(np.float32)
    nib.save(nib.Nifti1Image(noise, np.diag([3.0, 1.0, 1.0, 1.0])), tmp_path / "t2.nii.gz")
    one = {"series": "t2", "source": "nifti", "files": ["t2.nii.gz"], "sequence": "T2", "body_part": "LUMBAR"}
    scan = {"scan": "sub-01_ses-wk", "series": [one | {"use": True, "facts": {}}]}
    rows, files = write_aids(tmp_path, scan, None, tmp_path / "out")
    assert rows[0]["candidates"] is None
    assert list(files) == ["anat/sub-01_ses-wk_acq-lumbar_space-spine_desc-t2_T2w.nii.gz"]
    image: Any = nib.load(tmp_path / "out" / next(iter(files)))
    assert image.shape == (9, 30, 40)
