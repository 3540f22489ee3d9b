"""Files made to harm: each ends in a named query, in bounded memory and time, and the rest of the study goes on.

The index and the loading of every series run in a process of their own, whose address space and CPU time the kernel
limits: a file that makes lmresp allocate what a header claims, or unpack what an archive holds, ends it.
"""

from __future__ import annotations

import gzip
import json
import resource
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from lmresp import store

MEMORY = 2_000_000_000  # bytes of address space; the libraries alone take about a third
SECONDS = 120  # CPU
BLOCK = bytes(1 << 20)

WORK = """
import json, sys
from pathlib import Path
from lmresp import store
from lmresp.ingest.convert import UnreadableSeries, load_series
from lmresp.ingest.inventory import build_index
from lmresp.ingest.study import Study

folder = Path(sys.argv[1])
study = Study(folder=folder, study_id="LM-1", data_cut="2025-12-31")
visit = {"subject_id": "S-01", "visit": "BL", "visit_num": "1", "start_dtc": "2024-01-02", "status": "DONE"}
scans = [
    {"path": f"S-01/{name}", "visit": "BL", "sequence": "T1_POST"}
    for name in sorted(p.name for p in (study.mri_folder / "S-01").iterdir())
]
build_index(study, {"subjects": [{"subject_id": "S-01"}], "visits": [visit], "scans": scans})
told = {}
for path in sorted((study.results / "work" / "scans").glob("*.json")):
    for series in store.read_json(path)["series"]:
        try:
            load_series(folder, series)
            told[series["files"][0]] = "read"
        except UnreadableSeries as error:
            told[series["files"][0]] = str(error)
print(json.dumps(told))
"""


def bounded(study: Any) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Index the study and load every series in a bounded process: what loading said by first file, and the queries."""

    def limits() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))

    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, "-c", WORK, str(study.folder)],
        capture_output=True,
        text=True,
        preexec_fn=limits,
        env=threads | {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[3])},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout), store.read_csv(study.results / "work/index.queries.csv")


def first(folder: Path) -> Path:
    return sorted(folder.iterdir())[0]


def spoil(path: Path, edit: Callable[[pydicom.Dataset], None]) -> None:
    ds = pydicom.dcmread(path)
    edit(ds)
    ds.save_as(path)


def huge_dicom(folder: Path, write: Callable[..., Any]) -> None:
    write(folder, "huge", Rows=65535, Columns=65535)
    for path in folder.iterdir():

        def claim(ds: pydicom.Dataset) -> None:
            ds.Rows = ds.Columns = 65535

        spoil(path, claim)


def huge_codestream(folder: Path, write: Callable[..., Any]) -> None:
    """A JPEG 2000 stream whose own header claims 65535 x 65535 in an image of 12 x 10."""
    write(folder, "codestream")
    siz = b"\xff\x4f\xff\x51\x00\x29\x00\x00" + struct.pack(">8I", 65535, 65535, 0, 0, 65535, 65535, 0, 0)

    def swap(ds: pydicom.Dataset) -> None:
        ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
        ds.PixelData = encapsulate([siz + b"\x00\x01\x0b\x01\x01\xff\xd9"])
        ds["PixelData"].VR = "OB"

    spoil(first(folder), swap)


def truncated(folder: Path, write: Callable[..., Any]) -> None:
    write(folder, "cut")
    path = first(folder)
    path.write_bytes(path.read_bytes()[:-100])


def nested(folder: Path, write: Callable[..., Any]) -> None:
    """Sequences in sequences, 20 000 deep, of undefined length."""
    write(folder, "nested")
    path = first(folder)
    content = path.read_bytes()
    place = content.find(b"\x10\x00\x10\x00PN")  # before PatientName
    opened = struct.pack("<HH2sHI", 0x0009, 0x1001, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    path.write_bytes(content[:place] + opened * 20_000 + content[place:])


def long_element(folder: Path, write: Callable[..., Any]) -> None:
    """An element whose length claims four gigabytes."""
    write(folder, "long")
    path = first(folder)
    content = path.read_bytes()
    place = content.find(b"\x10\x00\x10\x00PN")
    path.write_bytes(content[:place] + struct.pack("<HH2sHI", 0x0009, 0x1001, b"OB", 0, 0xFFFFFFF0) + content[place:])


def deflated(folder: Path, write: Callable[..., Any]) -> None:
    """A deflated object of a few megabytes that unpacks to three gigabytes of zeros."""
    write(folder, "deflated")
    path = first(folder)
    content = path.read_bytes()
    meta = content[: content.find(b"\x08\x00\x08\x00CS")].replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.1.2.1.99")
    length = int.from_bytes(meta[140:144], "little") + 2
    syntax = meta.find(b"1.2.840.10008.1.2.1.99")
    meta = meta[:140] + struct.pack("<I", length) + meta[144 : syntax - 2] + struct.pack("<H", 22) + meta[syntax:]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    with open(path, "wb") as out:
        out.write(meta)
        out.write(packer.compress(content[len(meta) - 2 :]) + packer.flush(zlib.Z_FULL_FLUSH))
        block = packer.compress(BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)  # after a full flush, the same bytes again
        out.write(block * (3 << 10) + packer.flush())


def nifti_header(shape: tuple[int, ...], dtype: Any, offset: int = 352) -> bytes:
    header = nib.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header.set_sform(np.diag([1.0, 1.0, 1.0, 1.0]), code=1)
    content = bytearray(header.binaryblock + b"\0\0\0\0")
    struct.pack_into("<f", content, 108, offset)
    content[344:348] = b"n+1\0"
    return bytes(content)


def gzip_zeros(path: Path, start: bytes, megabytes: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(start) + gzip.compress(BLOCK) * megabytes)  # members of one gzip file


def nifti_claims(folder: Path, _: Any) -> None:
    gzip_zeros(folder / "a.nii.gz", nifti_header((30000, 30000, 30000), np.int16), 1)


def nifti_bomb(folder: Path, _: Any) -> None:
    """Two gigabytes of zeros as an image of 640 x 640 x 640 numbers of eight bytes."""
    gzip_zeros(folder / "a.nii.gz", nifti_header((640, 640, 640), np.float64), 2048)


def nifti_text_bomb(folder: Path, _: Any) -> None:
    """A header extension of two gigabytes before the voxels."""
    start = bytearray(nifti_header((20, 20, 20), np.int16, 2_147_000_000))
    start[348] = 1
    gzip_zeros(folder / "a.nii.gz", bytes(start) + struct.pack("<ii", 2_146_999_600, 6), 2048)


def nifti_zero_slices(folder: Path, _: Any) -> None:
    gzip_zeros(folder / "a.nii.gz", nifti_header((64, 64, 0), np.int16), 1)


def nifti_five_axes(folder: Path, _: Any) -> None:
    gzip_zeros(folder / "a.nii.gz", nifti_header((20, 20, 20, 1, 3), np.int16), 1)


def nifti_nan(folder: Path, _: Any) -> None:
    folder.mkdir(parents=True)
    data = np.full((20, 20, 20), 7, np.float32)
    data[3], data[4] = np.nan, np.inf
    nib.save(nib.Nifti1Image(data, np.diag([9.0, 9.0, 9.0, 1.0])), folder / "a.nii.gz")


def nrrd_claims(folder: Path, _: Any) -> None:
    folder.mkdir(parents=True)
    lines = ("NRRD0004", "type: double", "dimension: 3", "space: LPS", "sizes: 65535 65535 65535", "endian: little")
    more = ("encoding: gzip", "space directions: (1,0,0) (0,1,0) (0,0,1)", "space origin: (0,0,0)")
    (folder / "a.nrrd").write_bytes("\n".join([*lines, *more]).encode() + b"\n\n" + gzip.compress(BLOCK))


def zip_bomb(folder: Path, _: Any) -> None:
    folder.mkdir(parents=True)
    with (
        zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out,
        out.open("a.dcm", "w") as target,
    ):
        for _ in range(400):
            target.write(BLOCK)


def deep_folders(folder: Path, write: Callable[..., Any]) -> None:
    inner = folder / "/".join("d" * 300)
    inner.mkdir(parents=True)
    (inner / "a").write_bytes(b"x")


EVIL: list[tuple[Callable[[Path, Any], None], str, str]] = [
    (huge_dicom, "SC009", "more voxels than the limit"),
    (huge_codestream, "read", "claim 65535 x 65535"),
    (truncated, "read", "cannot be decoded"),
    (nested, "SC001", "damaged header"),
    (long_element, "SC001", "cut short"),
    (deflated, "SC001", "unpacks to more than the limit"),
    (nifti_claims, "SC001", "more than the limit"),
    (nifti_bomb, "SC001", "more than the limit"),
    (nifti_text_bomb, "SC001", "bytes of text"),
    (nifti_zero_slices, "SC001", "no voxels"),
    (nifti_five_axes, "SC009", "3 volumes in one file"),
    (nifti_nan, "read", "not finite"),
    (nrrd_claims, "SC001", "more than the limit"),
    (zip_bomb, "SC101", "times its size"),
    (deep_folders, "SC105", "folders deep"),
]


@pytest.mark.slow
def test_files_made_to_harm_end_in_queries_within_memory_and_time(study: Any, dicom_series: Callable[..., Any]) -> None:
    """One study with all of them; a process that is ended by its limits, or by one file, fails the test."""
    folder = study.mri_folder / "S-01"
    dicom_series(folder / "good", "good", ContrastBolusAgent="gadobutrol")
    for make, _, _ in EVIL:
        make(folder / make.__name__, dicom_series)
    told, queries = bounded(study)
    assert [text for file, text in told.items() if "/good/" in file] == ["read"]
    for make, code, words in EVIL:
        mine = [q for q in queries if f"/{make.__name__}" in q["file"]]
        if code == "read":
            assert any(words in text for file, text in told.items() if f"/{make.__name__}/" in file), make.__name__
        else:
            assert any(q["code"] == code and words in q["message"] for q in mine), (make.__name__, mine)
