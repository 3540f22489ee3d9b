"""The segmentation as a DICOM object on the grid of its source series."""

from __future__ import annotations

import warnings

from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.dataset import Dataset

from lmresp import __version__
from lmresp.dicom.codes import code
from lmresp.dicom.instance import MAKER, When, made_by, sealed
from lmresp.dicom.labels import Segment, Segmented
from lmresp.dicom.source import Source

# Okabe-Ito colours, as on the scan page; nodules share one, their labels tell them apart.
COLOURS = {"linear": (0xE6, 0x9F, 0x00), "nodule": (0xCC, 0x79, 0xA7), "ventricles": (0x56, 0xB4, 0xE9)}


def binary_is_safe(rows: int, columns: int) -> bool:
    """Whether common viewers unpack a BINARY segmentation of this size rightly: no frame or row ends inside a byte."""
    return columns % 8 == 0 and rows * columns % 8 == 0


def segmentation(segmented: Segmented, source: Source, when: When) -> Dataset:
    """Build the segmentation of a measured scan.

    Parameters
    ----------
    segmented : Segmented
        Segments on the slices of ``source``; may be empty everywhere ("looked, nothing found").
    source : Source
        The series that was measured.
    when : When
        Day and time of the content.

    Returns
    -------
    Dataset
        A complete DICOM Segmentation: BINARY where :func:`binary_is_safe`, else FRACTIONAL with occupancy 0 or 1
        (MaximumFractionalValue 1), which no viewer has to unpack from bits.
    """
    safe = binary_is_safe(source.rows, source.columns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that empty frames are kept when there are no others
        ds = Segmentation(
            source_images=source.images,
            pixel_array=segmented.array,
            segmentation_type="BINARY" if safe else "FRACTIONAL",
            fractional_type="OCCUPANCY",
            max_fractional_value=1,
            segment_descriptions=[_description(one) for one in segmented.segments],
            content_label="LM_DRAFT",
            content_description="Draft of lmresp, not read by a person; research use",
            **made_by("seg"),
        )
    ds.ContentCreatorName = None  # must be there; no person made it
    return sealed([ds], source, "seg", when)[0]


def _description(segment: Segment) -> SegmentDescription:
    abnormal = segment.kind != "ventricles"
    return SegmentDescription(
        segment_number=segment.number,
        segment_label=segment.label,
        segmented_property_category=code("category.abnormal" if abnormal else "category.anatomy"),
        segmented_property_type=code(f"type.{segment.kind}"),
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=MAKER, family=code("algorithm.family"), version=__version__
        ),
        tracking_uid=segment.tracking_uid,
        tracking_id=segment.tracking_id,
        anatomic_regions=[code(segment.site)],
        display_color=CIELabColor.from_rgb(*COLOURS[segment.kind]),
    )
