"""NIfTI and NRRD for export: voxels and geometry under a fresh header, and a sidecar by allow-list."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import nibabel as nib
import numpy as np

from lmresp import store
from lmresp.deidentify.pixels import Removed
from lmresp.terms import Sequence

SUFFIXES = {  # BIDS: contrast entity and suffix
    Sequence.T1_PRE.value: ("", "T1w"),
    Sequence.T1_UNKNOWN.value: ("", "T1w"),
    Sequence.T1_POST.value: ("_ce-gadolinium", "T1w"),
    Sequence.FLAIR.value: ("", "FLAIR"),
    Sequence.FLAIR_POST.value: ("_ce-gadolinium", "FLAIR"),
    Sequence.T2.value: ("", "T2w"),
}
SIDECAR = {  # fact of the scan record: BIDS field and factor (BIDS gives times in seconds); numbers only
    "echo_time_ms": ("EchoTime", 0.001),
    "repetition_time_ms": ("RepetitionTime", 0.001),
    "inversion_time_ms": ("InversionTime", 0.001),
    "field_strength_t": ("MagneticFieldStrength", 1.0),
    "slice_thickness_mm": ("SliceThickness", 1.0),
}


def stem(place: tuple[str, str], entry: Mapping[str, Any]) -> str:
    """BIDS name of a volume in the export without its ending, made from its class."""
    number = str(entry["series"]).rpartition("-")[2]
    contrast, suffix = SUFFIXES.get(str(entry["sequence"]), ("", "MRI"))
    return f"{place[0]}_{place[1]}_acq-{number}{contrast}_{suffix}"


def content(image: nib.Nifti1Image, removed: Removed | None) -> bytes:
    """Write a volume as NIfTI with a header that holds nothing but geometry and type.

    Parameters
    ----------
    image : Nifti1Image
        3-D image as :func:`lmresp.ingest.convert.load_series` gives it.
    removed : callable or None
        Tells the voxels to set to 0.

    Returns
    -------
    bytes
        The gzipped file; text fields of the header are empty and there are no extensions.
    """
    data = np.array(image.dataobj)
    affine = np.asarray(image.affine, dtype=np.float64)
    if removed is not None:
        data[removed((data.shape[0], data.shape[1], data.shape[2]), affine)] = 0
    fresh: Any = nib.Nifti1Image(data, affine)  # type: ignore[no-untyped-call]
    fresh.header.set_xyzt_units("mm")
    return store.gzip_bytes(fresh.to_bytes())


def sidecar(entry: Mapping[str, Any]) -> bytes:
    """Write the sidecar of a volume: numbers of the acquisition from the scan record."""
    facts = entry["facts"]
    values = {
        field: round(float(facts[fact]) * factor, 9)
        for fact, (field, factor) in SIDECAR.items()
        if isinstance(facts.get(fact), int | float)
    }
    return (json.dumps(values, indent=1, sort_keys=True) + "\n").encode("ascii")
