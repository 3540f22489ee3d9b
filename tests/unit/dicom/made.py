"""A small head in DICOM, made from geometry alone, with lesions whose places are known in the scanner's coordinates.

The scan lies in the scanner as ``DIRECTIONS`` says; the common space is another one, turned by ``TO_COMMON``, as after
an alignment. Everything is drawn analytically in both, so that no code under test is needed to know the truth.
"""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from lmresp.dicom.scan import Scan
from lmresp.dicom.source import Source, source_of
from lmresp.mri.volume import Volume

RIGHT, LEFT, SMALL = np.array([36.0, 18.0, 12.0]), np.array([-30.0, -24.0, -10.0]), np.array([-40.0, 10.0, 30.0])
"""Centres of nodules in mm of the scanner: right, anterior, superior."""
RADIUS = {1: 9.0, 2: 7.0}
STUDY = "LM-TEST"


def _turn(axis: int, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    out = np.eye(3)
    first, second = [a for a in range(3) if a != axis]
    out[first, first] = out[second, second] = c
    out[first, second], out[second, first] = -s, s
    return out


# Directions of rows and of columns in LPS (DICOM ImageOrientationPatient).
DIRECTIONS = {
    "axial": np.array([[1.0, 0, 0], [0, 1, 0]]),
    "coronal": np.array([[1.0, 0, 0], [0, 0, -1]]),
    "sagittal": np.array([[0.0, 1, 0], [0, 0, -1]]),
    "oblique": np.array([[1.0, 0, 0], [0, 1, 0]]) @ (_turn(0, 20) @ _turn(2, 12)).T,
}
TO_COMMON = np.eye(4)
TO_COMMON[:3, :3] = _turn(2, 7) @ _turn(0, -5)
TO_COMMON[:3, 3] = 4.0, -6.0, 9.0
FINE = 3.0  # mm of the lattice in the common space


@dataclasses.dataclass
class Made:
    """The files of a series, its headers, and what the measurement would have said of it."""

    files: list[Path]
    source: Source
    labels: Volume
    anchor: Volume
    result: dict[str, Any]

    def scan(self, **changes: Any) -> Scan:
        """All of it, as the objects are built from it."""
        given: dict[str, Any] = {
            "study_id": STUDY,
            "data_cut": "2025-06-30",
            "charter": "c" * 64,
            "result": self.result,
            "source": self.source,
            "labels": self.labels,
        }
        return Scan(**(given | changes))


def head_kind(world: np.ndarray) -> np.ndarray:
    """Label of places (..., 3) in mm of the scanner: 0, film 1, nodule 2, ventricles 3."""
    out = np.zeros(world.shape[:-1], np.uint8)
    radius = np.linalg.norm(world, axis=-1)
    out[np.linalg.norm(world * [1, 0.6, 1], axis=-1) < 14] = 3
    out[(np.abs(radius - 62) < 3) & (world[..., 2] > 35)] = 1
    for number, centre in ((1, RIGHT), (2, LEFT)):
        out[np.linalg.norm(world - centre, axis=-1) < RADIUS[number]] = 2
    return out


def brightness(world: np.ndarray) -> np.ndarray:
    """A head: bright scalp, grey brain, dark ventricles, nodules brightest."""
    radius = np.linalg.norm(world, axis=-1)
    out = np.where(radius < 66, 300.0, np.where(radius < 74, 700.0, 0.0))
    return np.where(head_kind(world) == 2, 900.0, np.where(head_kind(world) == 3, 80.0, out))


def _grid(size: int, affine: np.ndarray) -> np.ndarray:
    index = np.stack(np.meshgrid(*[np.arange(size)] * 3, indexing="ij"), axis=-1)
    return index @ affine[:3, :3].T + affine[:3, 3]


def common_volumes() -> tuple[Volume, Volume]:
    """Labels and T1 in the common space."""
    affine = np.diag([FINE, FINE, FINE, 1.0])
    affine[:3, 3] = -85.0, -90.0, -80.0
    world = (_grid(58, affine) - TO_COMMON[:3, 3]) @ TO_COMMON[:3, :3]  # the inverse of a rotation is its transpose
    return Volume(head_kind(world).astype(np.float32), affine), Volume(brightness(world).astype(np.float32), affine)


def header(number: int, **tags: Any) -> Dataset:
    """Patient, study and series of one image; a tag given as None is left out."""
    ds = Dataset()
    given = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4",
        "SOPInstanceUID": generate_uid(entropy_srcs=["image", str(number)]),
        "StudyInstanceUID": generate_uid(entropy_srcs=["study"]),
        "SeriesInstanceUID": generate_uid(entropy_srcs=["series"]),
        "FrameOfReferenceUID": generate_uid(entropy_srcs=["frame"]),
        "PatientName": "DOE^JANE",
        "PatientID": "HOSPITAL-4711",
        "PatientBirthDate": "19600203",
        "PatientSex": "F",
        "StudyDate": "20240503",
        "StudyTime": "101500",
        "StudyID": "77",
        "AccessionNumber": "ACC-1",
        "ReferringPhysicianName": "WHO^DOCTOR",
        "Modality": "MR",
        "Manufacturer": "made",
        "SeriesNumber": 3,
        "InstanceNumber": number + 1,
        "SliceThickness": 5,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 0,
        **tags,
    }
    for name, value in given.items():
        if value is not None:
            setattr(ds, name, value)
    return ds


def frames(kind: str, rows: int, columns: int, lean_mm: float = 0.0) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Positions (LPS) and pixels of the slices of a stack; ``lean_mm`` shifts each against the last."""
    row_way, column_way = DIRECTIONS[kind]
    normal = np.cross(row_way, column_way)
    middle = 3.2 * (columns - 1) / 2 * row_way + 3.0 * (rows - 1) / 2 * column_way
    places = [5.0 * (k - 15.5) * normal + lean_mm * (k - 15.5) * column_way - middle for k in range(32)]
    i, j = np.meshgrid(np.arange(columns), np.arange(rows))
    flat = i[..., None] * 3.2 * row_way + j[..., None] * 3.0 * column_way
    pixels = np.stack([brightness((p + flat) * [-1, -1, 1]) for p in places]).astype("<u2")
    return places, pixels, np.array([*row_way, *column_way])


def write(
    folder: Path, kind: str = "axial", *, rows: int = 56, columns: int = 48, lean_mm: float = 0.0, **tags: Any
) -> list[Path]:
    """Write a series of 32 slices of 3.0 x 3.2 mm (rows, columns), 5 mm apart, one file each."""
    folder.mkdir(parents=True, exist_ok=True)
    places, pixels, directions = frames(kind, rows, columns, lean_mm)
    files = []
    for number, place in enumerate(places):
        ds = header(number, **tags)
        ds.Rows, ds.Columns, ds.PixelSpacing = rows, columns, [3.0, 3.2]
        ds.ImageOrientationPatient = [f"{v:.8g}" for v in directions]
        ds.ImagePositionPatient = [f"{v:.8g}" for v in place]
        ds.PixelData = pixels[number].tobytes()
        files.append(save(ds, folder / f"{(number * 7) % 32:02d}.dcm"))  # names say nothing of the order
    return files


def write_enhanced(folder: Path, kind: str = "axial", *, rows: int = 56, columns: int = 48) -> list[Path]:
    """Write the same as one multi-frame object, frames in no order."""
    folder.mkdir(parents=True, exist_ok=True)
    places, pixels, directions = frames(kind, rows, columns)
    ds = header(0, SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1", SliceThickness=None)
    ds.Rows, ds.Columns, ds.NumberOfFrames = rows, columns, len(places)
    shared, measures, direction = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [3.0, 3.2], 5
    direction.ImageOrientationPatient = [f"{v:.8g}" for v in directions]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([direction])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    order = [(number * 7) % 32 for number in range(32)]
    each = []
    for number in order:
        frame, position = Dataset(), Dataset()
        position.ImagePositionPatient = [f"{v:.8g}" for v in places[number]]
        frame.PlanePositionSequence = Sequence([position])
        each.append(frame)
    ds.PerFrameFunctionalGroupsSequence = Sequence(each)
    ds.PixelData = pixels[order].tobytes()
    return [save(ds, folder / "all.dcm")]


def save(ds: Dataset, path: Path) -> Path:
    """Write a dataset as a DICOM file."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.preamble = b"\0" * 128
    dcmwrite(path, ds, enforce_file_format=True)
    return path


def to_common(world: np.ndarray) -> list[float]:
    """A place of the scanner in the common space."""
    return [float(v) for v in (TO_COMMON @ [*world, 1.0])[:3]]


def nodule(number: int, centre: np.ndarray, **changes: Any) -> dict[str, Any]:
    """A finding: a nodule at a place of the scanner."""
    long_mm = 2 * RADIUS.get(number, 4.0)
    return {
        "id": number,
        "kind": "nodule",
        "track": 10 + number,
        "region": "",
        "long_mm": long_mm,
        "perp_mm": long_mm - 1,
        "uncertainty_mm": 2.1,
        "volume_mm3": 1234.5,
        "area_mm2": None,
        "center_mm": to_common(centre),
        "measurable": True,
        "lm_related": True,
        "confidence": 0.91,
        "status": "new",
        "note": "",
    } | changes


def measure(name: str, value: float | None, unit: str, uncertainty: float | None = None) -> dict[str, Any]:
    """A measure of the whole brain."""
    return {
        "measure": name,
        "region": "",
        "compartment": "BRAIN",
        "value": value,
        "unit": unit,
        "qc": "PASS",
        "qc_reason": "" if value is not None else "no contrast",
        "uncertainty": uncertainty,
        "change_percent": None,
    }


def result() -> dict[str, Any]:
    """A scan result of a follow-up scan with two nodules."""
    linear = {
        **nodule(3, np.array([0.0, 0, 62])),
        "kind": "linear",
        "track": None,
        "long_mm": None,
        "perp_mm": None,
        "uncertainty_mm": None,
        "area_mm2": 321.0,
        "region": "convexity",
        "status": "grown",
    }
    item = {"compartment": "BRAIN", "nadir_change": None, "reason": "", "confidence": 0.9, "change": "WORSE"}
    return {
        "scan": "sub-LM05_ses-WK06",
        "subject_id": "LM-05",
        "visit": "WK06",
        "visit_num": "2",
        "scan_date": "2024-05-03",
        "reference": "sub-LM05_ses-BL",
        "status": "measured",
        "reason": "",
        "software": "lmresp 0.1.0",
        "contrast": "prepost",
        "files": {},
        "queries": [],
        "lost": [],
        "spine": [],
        "series": [{"series": "T1-post-1", "role": "post", "digest": "d" * 64}],
        "measures": [
            measure("LINEAR_VOL", 2500.5, "mm3", 200.0),
            measure("LINEAR_AREA", 1250.0, "mm2", 100.0),
            measure("SUM_PRODUCTS", 488.0, "mm2", 60.0),
            measure("NODULE_N", 2.0, "1", 1.0),
            measure("VENT_VOL", 30000.0, "mm3", 900.0),
            measure("EVANS_INDEX", 0.31, "1", 0.02),
        ],
        "findings": [nodule(1, RIGHT), nodule(2, LEFT, status="unchanged", note="borderline"), linear],
        "geometry": {
            "to_common": TO_COMMON.tolist(),
            "to_template": np.linalg.inv(TO_COMMON).tolist(),
            "aligned": True,
        },
        "qc": [
            {
                "check": "coverage",
                "value": 0.8,
                "unit": "",
                "limit": ">= 0.9",
                "result": "WARN",
                "meaning": "the top of the head is cut off",
            }
        ],
        "scorecard": {
            "reference": "sub-LM05_ses-BL",
            "coverage": "brain only: no spine series in this scan",
            "overall": "PD",
            "rule_id": "IM01",
            "certainty": "seen",
            "items": [
                {**item, "item": "NODULES", "presence": "PRESENT"},
                {**item, "item": "LINEAR", "presence": "PRESENT", "change": "NO CHANGE", "confidence": 0.7},
                {**item, "item": "HYDROCEPHALUS", "presence": "NE", "change": "NE", "reason": "horns not found"},
                {**item, "item": "NODULES", "compartment": "SPINE", "presence": "NE", "change": "NE"},
            ],
            "nodules": [
                {
                    "finding": 1,
                    "track": 11,
                    "long_mm": 18.0,
                    "perp_mm": 17.0,
                    "product_mm2": 306.0,
                    "borderline": False,
                },
                {
                    "finding": 2,
                    "track": 12,
                    "long_mm": 14.0,
                    "perp_mm": 13.0,
                    "product_mm2": 182.0,
                    "borderline": False,
                },
            ],
        },
    }


def made(folder: Path, kind: str = "axial", *, enhanced: bool = False, **how: Any) -> Made:
    """Write a series and gather what its objects are made from."""
    import pydicom

    files = write_enhanced(folder, kind, **how) if enhanced else write(folder, kind, **how)
    source = source_of([pydicom.dcmread(path, stop_before_pixels=True) for path in files])
    labels, anchor = common_volumes()
    return Made(files, source, labels, anchor, result())


def entry(read: str = "R000001", **changes: Any) -> dict[str, Any]:
    """An entry of the record of reads (docs of ``lmresp.reads``)."""
    return {
        "format": "lmresp-read/1",
        "kind": "read",
        "read": read,
        "seq": 1,
        "utc": "2026-11-21T20:00:00.000000Z",
        "scan": "sub-LM05_ses-WK06",
        "subject_id": "LM-05",
        "visit": "WK06",
        "visit_num": "2",
        "scan_date": "2024-05-03",
        "reader": "RADIOLOGIST 1",
        "role": "INDEPENDENT ASSESSOR",
        "account": "anna",
        "session": "S-1",
        "blinded_to": ["draft", "other reads"],
        "comparator": "BASELINE",
        "departs": [],
        "implied": "SD",
        "over": [],
        "chosen": "",
        "supersedes": "",
        "source": "reading room",
        "charter": "c" * 64,
        "software": "lmresp 0.1.0",
        "previous": "",
        "digest": "e" * 64,
        "draft": {"digest": "a" * 64, "shown": False},
        "reasons": [{"about": "contradiction", "code": "OTHER", "text": "film counts more | see <b>comment</b>"}],
        "answers": [
            answer("BRAIN", "NODULES", "WORSE", comment="Größe 日本 <script>alert(1)</script> & more"),
            answer("BRAIN", "LINEAR", "NO CHANGE"),
            answer("BRAIN", "HYDROCEPHALUS", "NE", reason_ne="MOTION"),
            answer("BRAIN", "NODULE_1_X", "18.5"),
            answer("BRAIN", "NODULE_1_Y", "12", comment="edge blurred"),
            answer("SPINE", "NODULES", "NE", reason_ne="PARTIAL COVERAGE"),
            answer("WHOLE", "OVERALL", "SD"),
        ],
    } | changes


def answer(compartment: str, item: str, value: str, reason_ne: str = "", comment: str = "") -> dict[str, str]:
    """One answer of a read."""
    return {"compartment": compartment, "item": item, "value": value, "reason_ne": reason_ne, "comment": comment}


def tool(name: str) -> str:
    """Path of a program that checks or reads DICOM independently of lmresp; the test is skipped without it."""
    beside = Path(sys.executable).with_name(name)  # what pip installed
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (dciodvfy: dicom3tools, dsrdump: dcmtk, segimage2itkimage: dcmqi)")
    return found


def faults(path: Path) -> list[str]:
    """Errors that dciodvfy reports of a file."""
    done = subprocess.run([tool("dciodvfy"), "-new", str(path)], capture_output=True, text=True, check=False)
    return [line for line in (done.stderr + done.stdout).splitlines() if line.startswith("Error")]


def seen_by_dcmqi(seg: Path, folder: Path) -> dict[int, nib.Nifti1Image]:
    """Segments of a segmentation as dcmqi reads them: number to an image in RAS+ coordinates."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [tool("segimage2itkimage"), "--inputDICOM", str(seg), "--outputDirectory", str(folder), "--prefix", "s"]
    subprocess.run([*command, "--outputType", "nifti"], capture_output=True, check=True)
    return {int(path.name[2:-7]): nib.load(path) for path in sorted(folder.glob("s-*.nii.gz"))}
