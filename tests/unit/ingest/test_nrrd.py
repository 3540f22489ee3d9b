"""NRRD files: read by the format's definition, refused when the grid or its place is not told."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from lmresp.ingest import nrrd
from lmresp.ingest.convert import load_series
from lmresp.ingest.series import plane_of
from lmresp.ingest.unreadable import UnreadableSeries
from lmresp.terms import Plane

FIELDS = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "12 14 10",
    "space directions": "(9,0,0) (0,9,0) (0,0,9)",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(-50,-60,-45)",
}
VOXELS = np.arange(12 * 14 * 10, dtype="<i2").reshape((12, 14, 10), order="F")


def write(path: Path, content: bytes | None = None, **changes: str | None) -> Path:
    fields = FIELDS | {name.replace("_", " "): value for name, value in changes.items()}
    lines = ["NRRD0004", "# made for a test", *(f"{k}: {v}" for k, v in fields.items() if v is not None)]
    lines.append("patient:=CANARY^JANE")
    data = VOXELS.tobytes(order="F") if content is None else content
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + data)
    return path


def test_voxels_and_world_by_hand(tmp_path: Path) -> None:
    data, affine = nrrd.read_volume(write(tmp_path / "a.nrrd"))
    assert np.array_equal(data, VOXELS)
    assert np.allclose(affine @ [0, 0, 0, 1], [50, 60, -45, 1])  # LPS (-50, -60, -45) in RAS
    assert np.allclose(affine @ [1, 2, 3, 1], [41, 42, -18, 1])


def test_gzip_and_byte_order(tmp_path: Path) -> None:
    packed = write(tmp_path / "a.nrrd", gzip.compress(VOXELS.tobytes(order="F")), encoding="gzip")
    assert np.array_equal(nrrd.read_volume(packed)[0], VOXELS)
    swapped = write(tmp_path / "b.nrrd", VOXELS.astype(">i2").tobytes(order="F"), endian="big")
    assert np.array_equal(nrrd.read_volume(swapped)[0], VOXELS)


def test_agrees_with_simpleitk_on_a_turned_grid(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(VOXELS.transpose(2, 1, 0))
    image.SetSpacing((1.5, 2.0, 4.0))
    image.SetOrigin((10.0, -20.0, 30.0))
    image.SetDirection((0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0))
    SimpleITK.WriteImage(image, str(tmp_path / "a.nrrd"))
    data, affine = nrrd.read_volume(tmp_path / "a.nrrd")
    assert np.array_equal(data, VOXELS)
    for index in ((0, 0, 0), (11, 0, 0), (3, 13, 9)):
        x, y, z = image.TransformIndexToPhysicalPoint(index)
        assert np.allclose(affine @ [*index, 1], [-x, -y, z, 1])
    found = nrrd.read_header(tmp_path / "a.nrrd", "mri/a.nrrd")
    assert (found.frames, found.step_mm, found.kind) == (10, 4.0, "image")
    assert plane_of(found) is Plane.SAGITTAL


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"space": None}, "no patient space"),
        ({"space": "scanner-xyz"}, "no patient space"),
        ({"data_file": "/etc/passwd"}, "another file"),
        ({"data_file": "LIST"}, "another file"),
        ({"space_units": '"mm" "mm" "m"'}, "not in mm"),
        ({"dimension": "4", "sizes": "3 12 14 10", "space_directions": "none (9,0,0) (0,9,0) (0,0,9)"}, "4 axes"),
        ({"sizes": "65535 65535 65535"}, "more than the limit"),
        ({"sizes": "12 14 0"}, "no voxels"),
        ({"sizes": "12 14 x"}, "not numbers"),
        ({"space_directions": "(9,0,0) (0,9,0) (0,0,nan)"}, "not numbers"),
        ({"space_directions": "(9,0,0) (0,9,0) (0,0,0)"}, "are not possible"),
        ({"space_directions": "(9,0,0) (9,0,0) (0,0,9)"}, "not independent"),
        ({"type": "block"}, "are not read"),
        ({"encoding": "bzip2"}, "neither raw nor gzip"),
        ({"endian": None}, "byte order"),
        ({"byte_skip": "-1"}, "skips"),
        ({"line_skip": "3"}, "skips"),
    ],
)
def test_headers_that_are_no_volume_are_refused(tmp_path: Path, changes: dict[str, str | None], words: str) -> None:
    path = write(tmp_path / "a.nrrd", **changes)
    header = nrrd.read_header(path, "mri/a.nrrd")
    assert header.kind == "unreadable"
    assert words in header.problem
    with pytest.raises(UnreadableSeries, match=words):
        nrrd.read_volume(path)


@pytest.mark.parametrize("content", [b"", b"NRRD", b"NRRD0004\ntype: short\n", b"NRRD0009\n\n", b"\0" * 400])
def test_what_is_no_nrrd_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.nrrd").write_bytes(content)
    assert nrrd.read_header(tmp_path / "a.nrrd", "mri/a.nrrd").kind == "unreadable"


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_voxels_cut_short_are_refused(tmp_path: Path, encoding: str) -> None:
    whole = VOXELS.tobytes(order="F")
    content = whole[:-10] if encoding == "raw" else gzip.compress(whole)[:-20]
    with pytest.raises(UnreadableSeries, match="cut short"):
        nrrd.read_volume(write(tmp_path / "a.nrrd", content, encoding=encoding))


def test_a_series_is_turned_to_ras_and_keeps_no_text(tmp_path: Path) -> None:
    write(tmp_path / "a.nrrd")
    image, _ = load_series(tmp_path, {"source": "nrrd", "files": ["a.nrrd"], "facts": {}})
    assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    assert np.array_equal(np.asarray(image.dataobj), VOXELS[::-1, ::-1])
    assert b"CANARY" not in image.to_bytes()
