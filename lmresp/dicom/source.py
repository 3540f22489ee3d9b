"""The source images of the DICOM objects: whose study it is, and where each slice lies."""

from __future__ import annotations

import dataclasses
import re
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, ExplicitVRLittleEndian
from pydicom.valuerep import DS, PersonName

from lmresp.ingest import archives
from lmresp.ingest.dicom import read_dataset
from lmresp.ingest.dicom_values import integer, number, text, values
from lmresp.ingest.header import valid_date
from lmresp.ingest.unreadable import UnreadableSeries

Matrix = npt.NDArray[np.float64]

# What files an object with its images (Patient and General Study modules), and whether a value must be there (type 2).
IDENTITY = {
    "PatientName": True,
    "PatientID": True,
    "IssuerOfPatientID": False,
    "PatientBirthDate": True,
    "PatientSex": True,
    "PatientIdentityRemoved": False,
    "DeidentificationMethod": False,
    "DeidentificationMethodCodeSequence": False,
    "StudyInstanceUID": True,
    "StudyDate": True,
    "StudyTime": True,
    "ReferringPhysicianName": True,
    "StudyID": True,
    "AccessionNumber": True,
    "StudyDescription": False,
}
_NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "FrameOfReferenceUID")


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """A series as the objects refer to it; no pixels.

    Attributes
    ----------
    images : list of Dataset
        What segmentation and reports need of each image, identity left empty; in the order of ``planes``, or one
        multi-frame image.
    identity : Dataset
        The elements of the first image that file an object with it, as they are; required ones that are missing are
        there and empty.
    planes : list of float64, shape (4, 4)
        For each slice, column, row and 0 to mm, RAS+.
    rows, columns : int
        Size of a slice.
    date, time : str
        Day and time of the study as DICOM writes them; empty when the header gives none that is valid.
    """

    images: list[Dataset]
    identity: Dataset
    planes: list[Matrix]
    rows: int
    columns: int
    date: str
    time: str

    @property
    def series_uid(self) -> UID:
        """SeriesInstanceUID of the source."""
        return UID(self.images[0].SeriesInstanceUID)

    @property
    def tilt_deg(self) -> float:
        """How far the stack leans from the normal of its slices, in degrees (gantry tilt)."""
        way = self.planes[-1][:3, 3] - self.planes[0][:3, 3]
        length = float(np.linalg.norm(way))
        upright = abs(float(way @ self.planes[0][:3, 2])) / length if length else 1.0
        return float(np.degrees(np.arccos(min(upright, 1.0))))


def load_source(study_folder: Path, series: Mapping[str, Any]) -> Source:
    """Read the headers of one DICOM series.

    Parameters
    ----------
    study_folder : Path
        The study.
    series : mapping
        One entry of ``series`` of a scan record.

    Returns
    -------
    Source

    Raises
    ------
    UnreadableSeries
        If the series is not DICOM, or its headers lack what another object must refer to.
    """
    if series["source"] != "dicom":
        raise UnreadableSeries("it was not delivered as DICOM")
    with tempfile.TemporaryDirectory(prefix="lmresp-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which would repeat values of headers
        paths = archives.on_disk(study_folder, series["files"], Path(folder))
        try:
            return source_of([read_dataset(path) for path in paths])
        except UnreadableSeries:
            raise
        except Exception as error:  # whatever a damaged header raises
            raise UnreadableSeries(f"its headers cannot be read ({type(error).__name__})") from None


def source_of(datasets: Sequence[Dataset]) -> Source:
    """Take the headers of one series, see :func:`load_source`.

    Parameters
    ----------
    datasets : sequence of Dataset
        Its images, in any order.
    """
    missing = sorted({name for ds in datasets for name in _NEEDED if not text(ds, name)})
    if missing:
        raise UnreadableSeries(f"its headers have no {missing[0]}")
    enhanced = "PerFrameFunctionalGroupsSequence" in datasets[0]
    if enhanced and len(datasets) > 1:
        raise UnreadableSeries("it lies in several multi-frame objects")
    first = datasets[0]
    images = [_multi_frame(first)] if enhanced else _single_frames(datasets)
    planes = _frame_planes(images[0]) if enhanced else [_plane(ds, ds, ds) for ds in images]
    _give_thickness(images[0].SharedFunctionalGroupsSequence[0].PixelMeasuresSequence if enhanced else images, planes)
    date = valid_date(text(first, "StudyDate")[:8]).replace("-", "")
    time = re.match(r"([01]\d|2[0-3])[0-5]\d[0-5]\d(?!\d)", text(first, "StudyTime"))
    return Source(
        images=images,
        identity=_identity(first),
        planes=planes,
        rows=integer(first, "Rows"),
        columns=integer(first, "Columns"),
        date=date,
        time=time.group() if time else "",
    )


def _give_thickness(places: Iterable[Dataset], planes: Sequence[Matrix]) -> None:
    """Fill in a slice thickness that the header does not give: a segmentation must have one, the way to the next slice.

    The distance between slices itself is never copied: some headers hold the gap there, and viewers believe it.
    """
    steps = [float(np.linalg.norm(b[:3, 3] - a[:3, 3])) for a, b in pairwise(planes)]
    for place in places:
        if not float(place.get("SliceThickness") or 0) > 0:
            place.SliceThickness = DS(min(steps, default=1.0), auto_format=True)


def _identity(ds: Dataset) -> Dataset:
    """Elements that file an object, copied as they are: a mended identifier would be another person's."""
    out = Dataset()
    for keyword, required in IDENTITY.items():
        element = ds.get(tag_for_keyword(keyword) or 0)  # by tag: the element, not its value
        if element is None and not required:
            continue
        value = element.value if element is not None else None
        if isinstance(value, PersonName):
            value = PersonName(str(value))  # decoded, so that it can be written in UTF-8
        # Also a value that DICOM does not allow stands in the archive, where these objects must join it.
        out[keyword] = DataElement(keyword, dictionary_VR(keyword), value, validation_mode=config.IGNORE)
    return out


def _blank(ds: Dataset) -> Dataset:
    """What an object says of its source, with an identity that cannot make a library stumble."""
    out = Dataset()
    for keyword in _NEEDED:
        out[keyword] = DataElement(keyword, "UI", text(ds, keyword), validation_mode=config.IGNORE)
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(out, keyword, "")
    out.StudyDate = out.StudyTime = out.ReferringPhysicianName = None
    out.SpecificCharacterSet = "ISO_IR 192"
    out.Modality = "MR"
    out.PositionReferenceIndicator = None
    out.Rows, out.Columns = integer(ds, "Rows"), integer(ds, "Columns")
    out.SamplesPerPixel, out.PhotometricInterpretation = 1, "MONOCHROME2"
    lossy = text(ds, "LossyImageCompression")
    if lossy == "01":
        out.LossyImageCompression = lossy
        for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if text(ds, keyword):
                out[keyword] = ds[keyword]
    out.file_meta = FileMetaDataset()
    out.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return out


def _single_frames(datasets: Sequence[Dataset]) -> list[Dataset]:
    """Images of a stack from the lowest to the highest along the normal; all take the orientation of the first."""
    first = datasets[0]
    normal = np.cross(_floats(first.ImageOrientationPatient)[:3], _floats(first.ImageOrientationPatient)[3:])
    out = []
    for ds in sorted(datasets, key=lambda one: float(_floats(one.ImagePositionPatient) @ normal)):
        image = _blank(ds)
        _copy(first, image, "ImageOrientationPatient", "PixelSpacing", "SliceThickness")
        _copy(ds, image, "ImagePositionPatient")
        image.InstanceNumber = max(integer(ds, "InstanceNumber"), 0)
        out.append(image)
    return out


def _copy(ds: Dataset, to: Dataset, *keywords: str) -> None:
    """Copy lengths and directions; some writers give them more digits than DICOM allows."""
    for keyword in keywords:
        found = [DS(float(v), auto_format=True) for v in values(ds, keyword) if number(v) is not None]
        if found:
            setattr(to, keyword, found if len(found) > 1 else found[0])


def _multi_frame(ds: Dataset) -> Dataset:
    """A multi-frame image with the planes of its frames only; what all frames share moves to the shared group."""
    image = _blank(ds)
    shared, frames = ds.SharedFunctionalGroupsSequence[0], ds.PerFrameFunctionalGroupsSequence
    image.NumberOfFrames = len(frames)
    common = Dataset()
    common.PlaneOrientationSequence, common.PixelMeasuresSequence = Items([Dataset()]), Items([Dataset()])
    direction = (shared if "PlaneOrientationSequence" in shared else frames[0]).PlaneOrientationSequence[0]
    measures = (shared if "PixelMeasuresSequence" in shared else frames[0]).PixelMeasuresSequence[0]
    _copy(direction, common.PlaneOrientationSequence[0], "ImageOrientationPatient")
    _copy(measures, common.PixelMeasuresSequence[0], "PixelSpacing", "SliceThickness")
    image.SharedFunctionalGroupsSequence = Items([common])
    kept = []
    for frame in frames:
        one = Dataset()
        one.PlanePositionSequence = Items([Dataset()])
        _copy(frame.PlanePositionSequence[0], one.PlanePositionSequence[0], "ImagePositionPatient")
        kept.append(one)
    image.PerFrameFunctionalGroupsSequence = Items(kept)
    return image


def _frame_planes(image: Dataset) -> list[Matrix]:
    common = image.SharedFunctionalGroupsSequence[0]
    direction, measures = common.PlaneOrientationSequence[0], common.PixelMeasuresSequence[0]
    frames = image.PerFrameFunctionalGroupsSequence
    return [_plane(frame.PlanePositionSequence[0], direction, measures) for frame in frames]


def _plane(position: Dataset, direction: Dataset, measures: Dataset) -> Matrix:
    """Column, row and 0 to mm, RAS+ (DICOM PS3.3 equation C.7.6.2.1-1, x and y turned from LPS)."""
    cosines, spacing = _floats(direction.ImageOrientationPatient), _floats(measures.PixelSpacing)
    out = np.eye(4)
    out[:3, 0], out[:3, 1] = cosines[:3] * spacing[1], cosines[3:] * spacing[0]
    out[:3, 2] = np.cross(cosines[:3], cosines[3:])
    out[:3, 3] = _floats(position.ImagePositionPatient)
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ out


def _floats(given: Any) -> Matrix:
    return np.array([float(v) for v in given])
