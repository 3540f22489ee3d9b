"""What enhances in a scan: what is normal, nodules and film; or why that cannot be judged."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import ndimage

from lmresp.mri import enhancement, lattice, linear, nodules, normal_structures, qc, regions, registration, vessels
from lmresp.mri.brain import TissueSignals
from lmresp.mri.methods import number
from lmresp.mri.prepare import Prepared
from lmresp.mri.volume import Float, Mask


@dataclasses.dataclass(eq=False)
class Enhancing:
    """What enhances.

    Parameters
    ----------
    why_not : str
        Why enhancement cannot be judged, or "".
    map : Enhancement or None
        E and its noise.
    full_signal : float
        Enhancement of a voxel full of enhancing tissue, from the dural sinuses; 0 if not known.
    nodules : nodules.Found or None
        Compact lesions.
    film : linear.Found or None
        Linear enhancement.
    open_ : bool
        Where change of enhancement is drafted: the brain without zones of normal enhancement.
    """

    why_not: str
    map: enhancement.Enhancement | None = None
    full_signal: float = 0.0
    nodules: nodules.Found | None = None
    film: linear.Found | None = None
    open_: Mask | None = None

    @property
    def judged(self) -> bool:
        """Whether enhancement could be judged."""
        return not self.why_not


def find_enhancing(scan: Prepared, csf: Float, signals: TissueSignals, ventricle: Mask) -> Enhancing:
    """Find what enhances in a scan.

    Parameters
    ----------
    scan : Prepared
        The scan; its checks and its quality are added to.
    csf : float32
        CSF fraction before contrast.
    signals : TissueSignals
        Of the scan before contrast.
    ventricle : bool
        Lateral and third ventricles.

    Returns
    -------
    Enhancing
    """
    if scan.contrast != "prepost":
        return Enhancing(
            "no scan before contrast: enhancement cannot be told from what was bright before"
            if scan.contrast == "post_only"
            else "no scan after contrast"
        )
    depth = normal_structures.surface_depth(scan.mask, scan.anchor)
    inner = depth > number("enhancement.erode_mm")
    check = qc.check("pre_to_post", registration.correlation(scan.anchor, scan.images["pre"], inner))
    scan.checks.append(check)
    if check["result"] == "FAIL":
        return Enhancing("the images before and after contrast could not be aligned")
    if check["result"] == "WARN":
        scan.quality *= number("quality.doubt")
    try:
        measured = enhancement.measure(scan.anchor, scan.images["pre"], inner)
    except enhancement.EnhancementError as error:
        return Enhancing(str(error))
    scan.images["enhancement"] = measured.map
    noisy = qc.check("noise", measured.noise)
    scan.checks.append(noisy)
    zones = normal_structures.zones(scan.anchor, scan.to_template, depth)
    veins = _veins(measured, zones, depth)
    if veins is None:
        return Enhancing(_without_contrast(scan, zones, signals, depth), measured)
    failed = [c["check"] for c in (*scan.checks, noisy) if c["check"] in _NEEDED and c["result"] == "FAIL"]
    if failed:
        return Enhancing(f"enhancement cannot be judged: {', '.join(sorted(set(failed)))}", measured)
    surface = regions.label(scan.anchor, scan.to_template, scan.mask, csf, depth, ventricle)
    white = scan.images["pre"].array > 0.5 * (signals.grey + signals.white)
    tissue = nodules.Tissue(depth, csf, white, ventricle, _lumpy(zones, ventricle))
    worth = min(scan.quality, number("nodules.thick_quality")) if lattice.is_thick(scan.anchor) else scan.quality
    lumps = nodules.find(measured, tissue, worth, scan.edge_mm)
    away = ndimage.binary_dilation(lumps.at_least(number("draft.doubtful")), iterations=2)
    head = linear.Surroundings(scan.mask, csf, depth, ventricle, zones, surface)
    fine_t2 = scan.images["t2"] if scan.fine_t2 else None
    voids = None if fine_t2 is None else vessels.flow_voids(fine_t2.array, csf, scan.mask)
    film = linear.find(measured, head, away, veins, scan.quality, scan.to_template, voids)
    return Enhancing(
        why_not="",
        map=measured,
        full_signal=number("linear.full_signal") * veins,
        nodules=lumps,
        film=film,
        open_=scan.mask & (depth > number("linear.least_depth_mm")) & ~(zones.vessels | zones.sheets),
    )


_NEEDED = ("noise of the enhancement map", "motion artefact", "coverage of the brain")


def _veins(measured: enhancement.Enhancement, zones: normal_structures.Zones, depth: Float) -> float | None:
    """Enhancement of the large dural sinuses, else of all vessel zones; None where nothing enhances."""
    e = enhancement.smooth(measured.map, number("enhancement.smooth_mm"))
    near = depth > -number("enhancement.near_mm")
    found = normal_structures.sinus_signal(e, zones.sinuses, near)
    return normal_structures.sinus_signal(e, zones.vessels, near) if found is None else found


def _without_contrast(scan: Prepared, zones: normal_structures.Zones, signals: TissueSignals, depth: Float) -> str:
    """Why no vessel enhances: none was given, or both series were made after it."""
    before = scan.images["pre"].array[zones.sinuses & (depth > -number("enhancement.sinus_mm"))]
    bright = before.size and float(np.percentile(before, 95)) > number("enhancement.both_bright") * signals.white
    if bright:
        return "vessels are bright in both T1 series: both seem to have been made after contrast"
    return "no vessel enhances: contrast was not given, or did not arrive"


def _lumpy(zones: normal_structures.Zones, ventricle: Mask) -> dict[str, Mask]:
    """Where a compact lump may be normal, by the name a reader is told."""
    return {
        "dural sinus": zones.sinuses,
        "vessel or gland": zones.vessels & ~zones.sinuses,
        "choroid plexus": ventricle,
    }


def labelled(scan: Prepared, found: Enhancing, ventricle: Mask, values: tuple[int, int, int, int]) -> Float:
    """Segmentation of a scan: normal enhancement below ventricles below film below nodules.

    Parameters
    ----------
    scan, found : Prepared, Enhancing
        The scan and what enhances in it.
    ventricle : bool
        Ventricles.
    values : (int, int, int, int)
        Labels of film, nodules, ventricles and normal enhancement.
    """
    linear_, nodule, spaces, normal = values
    out = np.zeros(scan.anchor.shape, np.float32)
    if found.film is not None:
        out[found.film.normal] = normal
    out[ventricle] = spaces
    if found.film is not None:
        out[found.film.mask] = linear_
    if found.nodules is not None:
        out[found.nodules.mask] = nodule
    return out
