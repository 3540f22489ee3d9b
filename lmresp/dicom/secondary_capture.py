"""Pictures of findings as Secondary Capture: what every viewer shows, also where it shows no segmentation."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from highdicom.sc import SCImage
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from lmresp.dicom.instance import When, made_by, sealed
from lmresp.dicom.source import Source


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """One picture.

    Attributes
    ----------
    name : str
        Part of the file name, such as ``finding-01``.
    pixels : uint8, shape (rows, columns, 3)
        RGB, with side letters, state, visit and place burned in.
    title : str
        What it shows, in words.
    """

    name: str
    pixels: npt.NDArray[np.uint8]
    title: str


def captures(pictures: Sequence[Picture], source: Source, when: When) -> list[Dataset]:
    """Build one series of pictures.

    Parameters
    ----------
    pictures : sequence of Picture
        At least one.
    source : Source
        The series that was measured.
    when : When
        Day and time of the content.

    Returns
    -------
    list of Dataset
        Secondary Capture images, RGB, RLE compressed, in the order of ``pictures``.
    """
    return sealed([_capture(one, source) for one in pictures], source, "sc", when)


def _capture(picture: Picture, source: Source) -> Dataset:
    ds = SCImage.from_ref_dataset(
        source.images[0],
        pixel_array=np.ascontiguousarray(picture.pixels),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        transfer_syntax_uid=RLELossless,
        **made_by("sc"),
    )
    ds["PatientOrientation"].value = None  # three planes stand side by side; each bears its letters
    ds.ConversionType = "WSD"
    ds.BodyPartExamined = "HEAD"
    ds.BurnedInAnnotation = "YES"
    ds.RecognizableVisualFeatures = "YES"  # a face can be known from its profile
    ds.DerivationDescription = picture.title[:1024]
    return ds
