"""What a phantom is made of, and what each material looks like: signal equations and relaxation times.

Relaxation times are round values for about 3 T; concentrations are those of contrast agent ten minutes after a
standard dose. They are phantom settings, chosen so that the pictures look like a head, and no measurement of anyone.
"""

from __future__ import annotations

import dataclasses
from enum import StrEnum

import numpy as np

from lmresp.terms import Sequence

BLACK_BLOOD = 0.02  # signal of blood, in units of water, in a series that suppresses it
FLOW_VOID = 0.06  # share of its signal that flowing blood keeps in a spin echo

RELAXIVITY_PER_S_MM = 4.5  # of a gadolinium chelate at clinical field, 1/(s mmol/l)


class Tissue(StrEnum):
    """Materials of the phantom; what is left of a voxel is air."""

    GM = "GM"
    WM = "WM"
    CSF = "CSF"
    VESSEL = "VESSEL"  # dural sinuses, veins, arteries
    CHOROID = "CHOROID"
    PITUITARY = "PITUITARY"
    MUCOSA = "MUCOSA"
    DURA = "DURA"
    BONE = "BONE"
    MARROW = "MARROW"
    FAT = "FAT"
    SKIN = "SKIN"
    MUSCLE = "MUSCLE"
    EYE = "EYE"
    FILM = "FILM"  # linear leptomeningeal disease
    NODULE = "NODULE"  # nodular leptomeningeal disease
    METASTASIS = "METASTASIS"  # parenchymal, not leptomeningeal


TISSUES = tuple(Tissue)
INDEX = {tissue: n for n, tissue in enumerate(TISSUES)}
DISEASED = (Tissue.FILM, Tissue.NODULE, Tissue.METASTASIS)


@dataclasses.dataclass(frozen=True)
class Material:
    """Proton density (water = 1), T1 and T2 in seconds, contrast agent after injection in mmol/l."""

    pd: float
    t1: float
    t2: float
    contrast: float = 0.0


MATERIALS = {
    Tissue.GM: Material(0.84, 1.30, 0.098, 0.005),
    Tissue.WM: Material(0.72, 0.83, 0.068, 0.002),
    Tissue.CSF: Material(1.00, 4.00, 1.500),
    Tissue.VESSEL: Material(0.85, 1.60, 0.040, 0.80),
    Tissue.CHOROID: Material(0.90, 1.50, 0.120, 0.45),
    Tissue.PITUITARY: Material(0.85, 1.10, 0.080, 0.55),
    Tissue.MUCOSA: Material(0.90, 1.20, 0.110, 0.50),
    Tissue.DURA: Material(0.60, 1.00, 0.035, 0.12),
    Tissue.BONE: Material(0.05, 0.40, 0.005),
    Tissue.MARROW: Material(0.55, 0.50, 0.060),
    Tissue.FAT: Material(0.90, 0.36, 0.070),
    Tissue.SKIN: Material(0.75, 0.80, 0.040),
    Tissue.MUSCLE: Material(0.80, 1.30, 0.040, 0.02),
    Tissue.EYE: Material(0.98, 3.60, 1.000),
    Tissue.FILM: Material(0.90, 1.50, 0.120, 0.35),
    Tissue.NODULE: Material(0.88, 1.40, 0.110, 0.40),
    Tissue.METASTASIS: Material(0.86, 1.40, 0.110, 0.40),
}

# Seconds: inversion (or echo) and repetition times of the simulated protocol.
T1_TI, T1_TR, T1_TE = 0.95, 2.3, 0.003
FLAIR_TI, FLAIR_TR, FLAIR_TE = 1.8, 5.0, 0.11
T2_TR, T2_TE = 4.5, 0.10


def _flowing(material: Material) -> float:
    return FLOW_VOID if material is MATERIALS[Tissue.VESSEL] else 1.0


def signal(material: Material, sequence: Sequence, concentration: float) -> float:
    """Signal of one material in one series.

    Parameters
    ----------
    material : Material
        Proton density and relaxation times.
    sequence : Sequence
        ``T1_PRE`` and ``T1_POST`` (inversion-prepared gradient echo), ``FLAIR`` or ``T2``.
    concentration : float
        Contrast agent in mmol/l; used by the T1-weighted series only.

    Returns
    -------
    float
        Signal in units of fully relaxed water.

    Raises
    ------
    ValueError
        For a sequence that the phantom cannot make.

    Notes
    -----
    Inversion recovery, magnitude: ``pd * |1 - 2 exp(-TI/T1) + exp(-TR/T1)|``, for FLAIR times ``exp(-TE/T2)``;
    spin echo: ``pd * (1 - exp(-TR/T1)) * exp(-TE/T2)``; contrast agent: ``1/T1' = 1/T1 + r1 * C``. Blood that flows
    keeps 0.06 of its signal in a spin echo (flow void).
    """
    t1 = material.t1
    if sequence in (Sequence.T1_PRE, Sequence.T1_POST):
        t1 = 1 / (1 / t1 + RELAXIVITY_PER_S_MM * concentration)
    if sequence in (Sequence.T1_PRE, Sequence.T1_POST):
        return float(material.pd * abs(1 - 2 * np.exp(-T1_TI / t1) + np.exp(-T1_TR / t1)))
    if sequence is Sequence.FLAIR:
        recovered = abs(1 - 2 * np.exp(-FLAIR_TI / t1) + np.exp(-FLAIR_TR / t1))
        return float(_flowing(material) * material.pd * recovered * np.exp(-FLAIR_TE / material.t2))
    if sequence is Sequence.T2:
        return float(_flowing(material) * material.pd * (1 - np.exp(-T2_TR / t1)) * np.exp(-T2_TE / material.t2))
    raise ValueError(f"the phantom has no sequence {sequence}")
