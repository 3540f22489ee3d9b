"""The phantoms of the accuracy study: which heads, which disease, which acquisition. Nothing here was tuned on results.

Every head (seed) is scanned six times: once healthy and once more; then with disease, again without change, after
growth and after response. What varies between heads: strength of the film, its places, nodules, noise, slice thickness,
dose and movement.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from lmresp.simulate.phantom import Disease, Film, Nodule, Tissue

SEEDS = tuple(range(500, 510))
FILM_MMOL = (0.35, 0.8, 0.2, 0.1, 0.35, 0.05, 0.35, 0.8, 0.2, 0.35)
NOISE = (0.02, 0.03, 0.03, 0.02, 0.05, 0.03, 0.03, 0.02, 0.04, 0.03)
VOXEL_MM = ((1.0, 1.0, 1.0),) * 6 + ((0.9, 0.9, 3.0), (1.0, 1.0, 1.0), (1.0, 1.0, 1.2), (0.9, 0.9, 5.0))
DOSE = (1.0, 0.9, 1.1, 1.0, 1.0, 1.0, 1.0, 0.7, 1.2, 1.0)
MOTION = (0.5, 0.7, 0.7, 1.0, 0.5, 0.7, 0.7, 0.5, 1.5, 0.7)  # deg and mm between the series of a session

FILM_PLACES = ((0, -68, -24), (42, 2, -2), (-42, 2, -2), (-32, -22, 62), (30, 20, 55), (0, -12, -34), (-50, -40, 25))
NODULE_PLACES = (
    (30, -60, -32), (-40, 18, 12), (-20, -78, -28), (40, 28, -8), (10, -42, 68), (-30, -20, 62), (24, -84, -22),
    (-46, -36, 20), (8, -60, -36), (-34, 40, 20), (44, -8, 40), (-8, 50, 30),
)  # fmt: skip
LONGEST_MM = (4.5, 5.5, 6.5, 8.0, 11.0)


@dataclasses.dataclass(frozen=True)
class Scan:
    """One phantom scan: its disease, its acquisition and what it is compared with."""

    name: str
    kind: str  # healthy, rescan, ill, worse, better
    disease: Disease
    acquisition: dict[str, Any]
    reference: str | None


def scans(seed: int) -> list[list[Scan]]:
    """Two subjects for a head, healthy and ill; the scans of each in order of time, the reference scan first."""
    n = SEEDS.index(seed)
    rng = np.random.default_rng([seed, 4])
    films = [
        Film(FILM_PLACES[k], float(rng.uniform(16, 26)), 1.0)
        for k in rng.choice(len(FILM_PLACES), size=3, replace=False)
    ]
    places = rng.choice(len(NODULE_PLACES), size=len(LONGEST_MM), replace=False)
    shapes = [tuple(float(x) for x in long * np.array([1.0, *rng.uniform(0.8, 1.0, 2)])) for long in LONGEST_MM]
    deep = Nodule((25, -20, 35), (9.0, 8.0, 8.0), Tissue.METASTASIS)

    def ill(size: float, reach: float, push: float) -> Disease:
        nodules = tuple(
            Nodule(NODULE_PLACES[k], tuple(size * d for d in shape)) for k, shape in zip(places, shapes, strict=True)
        )
        return Disease(
            films=tuple(Film(f.centre_mni, f.radius_mm * reach, f.thickness_mm) for f in films),
            nodules=(*nodules, *((deep,) if n % 3 == 0 else ())),
            film_concentration=FILM_MMOL[n],
            ventricle_push_mm=push,
        )

    def acquisition(k: int, dose: float) -> dict[str, Any]:
        return {
            "seed": seed * 10 + k,
            "voxel_mm": VOXEL_MM[n],
            "noise": NOISE[n],
            "contrast_factor": DOSE[n] * dose,
            "motion_deg": MOTION[n],
            "motion_mm": MOTION[n],
            "rotation_deg": tuple(float(x) for x in rng.uniform(-8, 8, 3)),
            "translation_mm": tuple(float(x) for x in rng.uniform(-8, 8, 3)),
            "gain": float(rng.uniform(0.7, 1.5)),
        }

    healthy = Disease()
    grow, shrink = float(rng.uniform(1.1, 1.4)), float(rng.uniform(0.55, 0.9))
    push = float(rng.uniform(1.5, 3.0)) if n % 2 else 0.0
    return [
        [
            Scan("healthy", "healthy", healthy, acquisition(0, 1.0), None),
            Scan("healthy-again", "rescan", healthy, acquisition(1, 0.9), "healthy"),
        ],
        [
            Scan("ill", "ill", ill(1.0, 1.0, 0.0), acquisition(2, 1.0), None),
            Scan("ill-again", "rescan", ill(1.0, 1.0, 0.0), acquisition(3, 0.88), "ill"),
            Scan("worse", "worse", ill(1.4, grow, push), acquisition(4, 1.05), "ill"),
            Scan("better", "better", ill(0.6, shrink, 0.0), acquisition(5, 0.95), "ill"),
        ],
    ]
