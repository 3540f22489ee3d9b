"""A phantom scan: a head, the disease of one visit and one acquisition, with the truth beside the pictures."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmresp.simulate.anatomy import Anatomy, make_subject
from lmresp.simulate.disease import Disease, Film, Nodule, apply
from lmresp.simulate.regions import Region
from lmresp.simulate.scanner import Acquisition, acquire
from lmresp.simulate.template import Volume
from lmresp.simulate.tissues import Tissue

__all__ = [
    "Acquisition",
    "Anatomy",
    "Disease",
    "Film",
    "Nodule",
    "PhantomScan",
    "Region",
    "Tissue",
    "make_scan",
    "make_subject",
    "truth_maps",
]


@dataclasses.dataclass(frozen=True)
class PhantomScan:
    """Pictures of one scan by sequence name (``T1_PRE``, ``T1_POST``, ``FLAIR``, ``T2``) and the truth."""

    images: dict[str, Any]
    truth: dict[str, Any]


def _rounded(value: Any) -> Any:
    """Round floats to 9 significant digits, so that the truth file does not depend on the last bit."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return value


def make_scan(anatomy: Anatomy, disease: Disease, acquisition: Acquisition) -> PhantomScan:
    """Make one scan of a subject.

    Parameters
    ----------
    anatomy : Anatomy
        From :func:`make_subject`.
    disease : Disease
        What the visit adds to the healthy head.
    acquisition : Acquisition
        Protocol, pose and imperfections.

    Returns
    -------
    PhantomScan
        ``images`` are int16 nibabel images. ``truth`` can be written as JSON:

        - ``film_mm3``, ``nodule_mm3``, ``metastasis_mm3``, ``ventricles_mm3``, ``brain_mm3``: volumes;
        - ``evans_index``, ``frontal_occipital_horn_ratio`` and the widths behind them, as defined in
          :mod:`lmresp.simulate.widths`;
        - ``film_area_mm2`` and ``film_by_region``: extent of the film, and both by region;
        - ``nodules``, ``metastases``: ``center_mm`` in the subject's RAS mm and, under ``center_series_mm``, in that of
          every series; ``diameters_mm`` along x, y, z, ``long_mm`` and ``perp_mm`` in the axial plane, ``volume_mm3``;
        - ``poses``: subject's RAS mm to the series' RAS mm; ``gains`` by series;
        - ``enhancing``: material to concentration and T1 signal before and after; ``contrast_factor``;
        - ``traits`` of the subject and the whole ``acquisition``.

    Raises
    ------
    ValueError
        If a nodule finds no place or the phantom cannot make a series asked for.
    """
    diseased = apply(anatomy, disease)
    images, scan_truth = acquire(anatomy, diseased.maps, disease.concentrations(), acquisition)
    truth = {
        "simulated": True,
        "seed": anatomy.seed,
        "grid_mm": anatomy.grid_mm,
        "traits": dataclasses.asdict(anatomy.traits),
        "acquisition": dataclasses.asdict(acquisition) | {"series": [str(name) for name in acquisition.series]},
        **diseased.truth,
        **scan_truth,
    }
    present = {name: bool(truth[key]) for name, key in _DISEASE_VOLUME.items()}
    truth["enhancing"] = {name: v for name, v in truth["enhancing"].items() if present.get(name, True)}
    for lesion in [*truth["nodules"], *truth["metastases"]]:
        point = np.array([*lesion["center_mm"], 1.0])
        lesion["center_series_mm"] = {
            name: [round(float(c), 3) for c in (np.array(pose) @ point)[:3]] for name, pose in truth["poses"].items()
        }
    return PhantomScan(images, _rounded(truth))


TRUTH_TISSUES = ("FILM", "NODULE", "METASTASIS", "VESSEL", "CHOROID", "DURA", "GM", "WM", "CSF")


def truth_maps(anatomy: Anatomy, disease: Disease) -> dict[str, tuple[Volume, NDArray[np.float64]]]:
    """Return what fills every voxel of a head with disease.

    Parameters
    ----------
    anatomy : Anatomy
        From :func:`make_subject`.
    disease : Disease
        What the visit adds to the healthy head.

    Returns
    -------
    dict of str to (array (nx, ny, nz) float32, array (4, 4))
        Fraction of each voxel (0 to 1), and voxel to the head's own RAS mm, for ``FILM``, ``NODULE``, ``METASTASIS``,
        ``VESSEL``, ``CHOROID``, ``DURA``, ``GM``, ``WM``, ``CSF`` (with that of the ventricles) and ``VENTRICLE`` (the
        lateral and third ventricles with their choroid plexus). ``truth["poses"]`` of a scan takes the head's RAS mm
        to that of a series.

    Raises
    ------
    ValueError
        If a nodule finds no place.
    """
    diseased = apply(anatomy, disease)
    maps = {name: diseased.maps[Tissue(name)] for name in TRUTH_TISSUES}
    maps["VENTRICLE"] = diseased.ventricles * (maps["CSF"] + maps["CHOROID"])
    return {name: (part, anatomy.affine) for name, part in maps.items()}


_DISEASE_VOLUME = {"FILM": "film_mm3", "NODULE": "nodule_mm3", "METASTASIS": "metastasis_mm3"}
