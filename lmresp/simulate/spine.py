"""A spine to test the reading aid on: a curved cord in its canal, drawn by formula, so that every truth is exact.

Sagittal T1 before and after contrast agent, and T2. The picture is averaged from points at half the pixel and a third
of the slice. Everything that enhances in health is drawn: epidural venous plexus, basivertebral veins, ganglia, dura,
a vein on the back of the cord. It is a schematic spine: no osteophytes, no swallowing, no ghosts of the aorta.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float32]
Image = tuple[Array, NDArray[np.float64]]  # voxels, and voxel to RAS mm

VOXEL_MM = (3.0, 0.9, 0.9)
SHAPE = (15, 104, 200)  # slices from left to right, then pixels to anterior and to superior
_PARTS = (3, 2, 2)  # points per voxel along each axis
_COUNTS = 400.0  # stored value of fat on T1

_SIDES = {"front": 1.0, "back": -1.0, "around": 0.0}

# Signal on T1 and T2 (fat on T1 and CSF on T2 are 1), and what a full dose adds on T1, in units of fat.
_TISSUES: dict[str, tuple[float, float, float]] = {
    "muscle": (0.40, 0.20, 0.03),
    "air": (0.0, 0.0, 0.0),
    "fat": (1.0, 0.70, 0.0),
    "marrow": (0.55, 0.42, 0.05),
    "disc": (0.38, 0.45, 0.0),
    "bone": (0.08, 0.05, 0.0),
    "ganglion": (0.42, 0.45, 0.25),
    "vein": (0.35, 0.50, 0.45),
    "dura": (0.25, 0.15, 0.12),
    "csf": (0.20, 1.0, 0.0),
    "cord": (0.50, 0.42, 0.0),
    "pial vein": (0.35, 0.50, 0.15),
    "disease": (0.45, 0.50, 0.40),
}
_NAMES = tuple(_TISSUES)
# Half axes of sac and cord (right-left, front-back), pitch of the vertebrae, bow of the curve; mm.
_REGIONS: dict[str, tuple[float, float, float, float, float, float]] = {
    "CERVICAL": (11.0, 7.0, 6.5, 3.9, 18.0, 6.0),
    "THORACIC": (9.0, 7.5, 4.5, 3.6, 25.0, -7.0),
    "LUMBAR": (9.5, 7.5, 4.6, 4.0, 34.0, 9.0),
}


@dataclasses.dataclass(frozen=True)
class Film:
    """Film on the cord or, below it, on the roots.

    Attributes
    ----------
    bottom_mm, top_mm : float
        Extent, height above the middle of the field of view.
    thick_mm : float
        Thickness.
    side : {"front", "back", "around"}
        Which half of the surface of the cord.
    """

    bottom_mm: float
    top_mm: float
    thick_mm: float
    side: str = "around"


@dataclasses.dataclass(frozen=True)
class Nodule:
    """Ball on the surface of the cord or among the roots.

    Attributes
    ----------
    height_mm : float
        Height of its centre above the middle of the field of view.
    diameter_mm : float
        Diameter; the part inside the cord is not drawn.
    side : {"front", "back"}
        Where on the cord (among the roots: of the middle of the sac).
    """

    height_mm: float
    diameter_mm: float
    side: str = "back"


@dataclasses.dataclass(frozen=True)
class Movement:
    """Place of one series against the post-contrast series.

    Attributes
    ----------
    shift_mm : tuple
        To the right, anterior and superior.
    tilt_deg : float
        Turn about the right-left axis.
    bend_mm : float
        How far the ends of the field of view bend to anterior against its middle: not rigid.
    """

    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    tilt_deg: float = 0.0
    bend_mm: float = 0.0


@dataclasses.dataclass(frozen=True)
class Spine:
    """One spine and what it carries.

    Attributes
    ----------
    seed : int
        Curve, phase of the vertebrae, roots and where veins are full.
    region : {"CERVICAL", "THORACIC", "LUMBAR"}
        Sizes; the lumbar cord ends in a conus and 14 roots.
    films, nodules : tuple
        Disease.
    """

    seed: int
    region: str = "LUMBAR"
    films: tuple[Film, ...] = ()
    nodules: tuple[Nodule, ...] = ()


def picture(
    spine: Spine, kind: str, seed: int, *, noise: float = 0.015, dose: float = 1.0, movement: Movement | None = None
) -> Image:
    """Draw one series.

    Parameters
    ----------
    spine : Spine
        What is imaged.
    kind : {"pre", "post", "t2"}
        T1 before contrast agent, T1 after it, or T2.
    seed : int
        Noise, flow of the CSF and gain.
    noise : float
        Standard deviation in units of fat on T1 (of CSF on T2).
    dose : float
        Part of the usual dose; 0 is a scan without contrast agent.
    movement : Movement, optional
        Against the coordinates in which disease is given.

    Returns
    -------
    (float32, shape (15, 104, 200); float64, shape (4, 4))
        Magnitude image and its matrix. Noise is Rician.
    """
    rng = np.random.default_rng([seed, spine.seed, ("pre", "post", "t2").index(kind)])
    x, y, z = _moved(*_points(), movement or Movement())
    labels, disease = _draw(spine, x, y, z)
    weights = np.array([_signal(name, kind, dose) for name in _NAMES], dtype=np.float32)
    fine = weights[labels]
    flow = sum(rng.normal() * np.sin(z / rng.uniform(8, 25) + y / 9 + rng.uniform(0, 6)) for _ in range(3))
    fine = np.where(labels == _NAMES.index("csf"), fine * (1 + 0.08 * flow), fine)
    fine = fine + disease * (_signal("disease", kind, dose) - fine)
    array: Any = _voxels(np.asarray(fine, dtype=np.float32))
    array = ndimage.gaussian_filter(array, (0.0, 0.42, 0.42))
    behind = np.arange(SHAPE[1], dtype=np.float32)[None, :, None] * VOXEL_MM[1]
    array = array * np.exp(-behind / 140) * 1.3  # the coil lies behind the back
    real = array + rng.normal(0, noise, array.shape)
    array = np.hypot(real, rng.normal(0, noise, array.shape)) * _COUNTS * rng.uniform(0.8, 1.25)
    return array.astype(np.float32), _affine()


def truth(spine: Spine) -> Image:
    """Fraction of disease in every voxel of a series that did not move."""
    return _voxels(_draw(spine, *_points())[1]), _affine()


def compartments(spine: Spine) -> tuple[Array, Array]:
    """Fractions of the dural sac (CSF, cord, roots and disease) and of the cord, in a series that did not move."""
    bare = dataclasses.replace(spine, films=(), nodules=())
    labels = _draw(bare, *_points())[0]
    cord = np.isin(labels, [_NAMES.index(name) for name in ("cord", "pial vein")])
    return _voxels((cord | (labels == _NAMES.index("csf"))).astype(np.float32)), _voxels(cord.astype(np.float32))


def _signal(name: str, kind: str, dose: float) -> float:
    t1, t2, added = _TISSUES[name]
    return t2 if kind == "t2" else t1 + (dose * added if kind == "post" else 0.0)


def _affine() -> NDArray[np.float64]:
    affine = np.diag([*VOXEL_MM, 1.0])
    affine[:3, 3] = -(np.array(SHAPE) - 1) / 2 * VOXEL_MM
    affine[1, 3] -= 16.0  # more is seen behind the canal than before it
    return affine


def _points() -> tuple[Array, Array, Array]:
    """World mm of the points that voxels are averaged from; each array can be broadcast to the full grid."""
    out = []
    for axis, (n, mm, parts) in enumerate(zip(SHAPE, VOXEL_MM, _PARTS, strict=True)):
        at = ((np.arange(n * parts) + 0.5) / parts - 0.5) * mm + _affine()[axis, 3]
        out.append(at.astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)]))
    return out[0], out[1], out[2]


def _voxels(fine: Array) -> Array:
    shape = [m for n, parts in zip(SHAPE, _PARTS, strict=True) for m in (n, parts)]
    return np.asarray(fine.reshape(shape).mean(axis=(1, 3, 5)), dtype=np.float32)


def _moved(x: Array, y: Array, z: Array, movement: Movement) -> tuple[Array, Array, Array]:
    """Where in the spine each point of the scanner lies."""
    right, front, up = movement.shift_mm
    forward, z = y - front - movement.bend_mm * (z / 90) ** 2, z - up
    angle = np.deg2rad(movement.tilt_deg)
    turned_y, turned_z = np.cos(angle) * forward - np.sin(angle) * z, np.sin(angle) * forward + np.cos(angle) * z
    return (x - right).astype(np.float32), turned_y.astype(np.float32), turned_z.astype(np.float32)


def _draw(spine: Spine, x: Array, y: Array, z: Array) -> tuple[NDArray[np.uint8], Array]:
    """Tissue of every point, and its fraction of disease."""
    rng = np.random.default_rng(spine.seed)
    sac_x, sac_y, _, _, pitch, bow = _REGIONS[spine.region]
    phase, sway, bow = rng.uniform(0, pitch), rng.uniform(-3, 3), bow * rng.uniform(0.6, 1.4)
    u: Any = x - sway * np.sin(z / 60)
    v: Any = y - bow * (1 - (z / 70) ** 2)
    shape = np.broadcast_shapes(u.shape, v.shape)
    labels = np.zeros(shape, dtype=np.uint8)

    def paint(where: Any, name: str) -> None:
        labels[np.broadcast_to(where, shape)] = _NAMES.index(name)

    # 0 at the middle of a disc; vertebrae grow downwards by about 4 % each and are not all alike.
    level = (z + phase - 0.0006 * z**2 + 0.8 * np.sin(z / 13 + phase)) % pitch
    disc = np.minimum(level, pitch - level) < 0.12 * pitch
    spinous = np.abs(level - 0.45 * pitch) < 0.22 * pitch
    front = v - sac_y
    paint((v < -38) & (v >= -50), "fat")
    paint(v < -50, "air")
    paint(front > 30, "fat")
    body = (front > 1.5) & (front < 28) & (np.abs(u) < 20)
    paint(body, "bone")
    paint(body & (front > 2.5) & (front < 27) & ~disc, "marrow")
    paint(body & disc & (np.minimum(level, pitch - level) < 0.12 * pitch - 0.8), "disc")
    middle = np.abs(level - 0.5 * pitch) < 1.3
    paint(middle & (np.abs(u) < 2.5) & (front > 1.5) & (front < 13), "vein")
    r = np.hypot(u / sac_x, v / sac_y)
    angle = np.abs(np.arctan2(u, v))  # 0 in front, pi behind
    outside = (r - 1) * np.hypot(sac_x * np.sin(angle), sac_y * np.cos(angle))  # mm, near the surface
    beside = (np.abs(u) > 0.7 * sac_x) & (np.abs(v) < sac_y + 1) & (r > 1)
    paint(beside & ~disc, "bone")
    paint(beside & ~disc & (outside > 3), "marrow")
    paint(beside & disc, "fat")
    paint(np.hypot(np.abs(u) - sac_x - 4.5, v + 1) + np.abs(np.minimum(level, pitch - level)) < 3.5, "ganglion")
    lamina = (v < -sac_y - 1) & (v > -sac_y - 22) & (np.abs(u) < 5) & (r > 1)
    paint(lamina, "fat")
    paint(lamina & spinous & (v < -sac_y - 2), "bone")
    paint(lamina & spinous & (v < -sac_y - 3.2) & (np.abs(u) < 3.5), "marrow")
    full = np.sin(z / 4.1 + rng.uniform(0, 6)) + np.sin(z / 9.7 + rng.uniform(0, 6)) + np.sin(u / 2 + z / 6)
    paint((outside > 0) & (outside < 1.4 + 0.5 * full) & (angle > 0.35) & (angle < 1.9), "vein")
    paint((outside > 0) & (outside < 2.5) & (angle > 2.2) & ~spinous, "fat")
    paint((outside > -0.2) & (outside < 0.3), "dura")
    paint(outside <= -0.2, "csf")
    surface, behind, roots = _neural(spine, rng, u, v, z)
    paint(roots < 0, "cord")
    vein = (np.hypot(u - 0.8 * np.sin(z / 7), v + behind) < 0.45) & (np.sin(z / 17 + rng.uniform(0, 6)) > -0.3)
    paint(vein & (surface > -0.3) & (outside < 0), "pial vein")
    near = np.minimum(surface, roots)
    disease: Any = np.zeros(shape, dtype=np.float32)
    for film in spine.films:
        reach = np.clip((z - film.bottom_mm) / 0.45, 0, 1) * np.clip((film.top_mm - z) / 0.45, 0, 1)
        half = v * _SIDES[film.side] >= 0
        disease = np.maximum(disease, np.where(half, np.clip((film.thick_mm - near) / 0.45 + 0.5, 0, 1) * reach, 0))
    for nodule in spine.nodules:
        centre = _SIDES[nodule.side] * max(_cord_depth(spine, nodule.height_mm), 2.0)
        away = np.sqrt(u**2 + (v - centre) ** 2 + (z - nodule.height_mm) ** 2)
        disease = np.maximum(disease, np.clip((nodule.diameter_mm / 2 - away) / 0.45 + 0.5, 0, 1))
    disease = np.where((near > 0) & (outside < -0.2), disease, 0)
    return labels, disease.astype(np.float32)


def _cord_depth(spine: Spine, height_mm: float) -> float:
    """Half the depth of the cord at a height (0 below the conus)."""
    depth = _REGIONS[spine.region][3]
    return float(depth * _taper(spine, np.array(height_mm)))


def _taper(spine: Spine, z: Any) -> Any:
    return np.clip((z - 20.0) / 25.0, 0, 1) if spine.region == "LUMBAR" else np.ones_like(z)


def _neural(spine: Spine, rng: np.random.Generator, u: Array, v: Array, z: Array) -> tuple[Array, Array, Array]:
    """Distance from the surface of the cord, its half depth at each height, and distance from cord or nearest root."""
    _, sac_y, cord_x, cord_y, _, _ = _REGIONS[spine.region]
    taper = _taper(spine, z)
    a, b = np.maximum(cord_x * taper, 1e-3), np.maximum(cord_y * taper, 1e-3)
    r = np.hypot(u / a, v / b)
    angle = np.arctan2(u, v)
    surface = np.where(taper > 0, (r - 1) * np.hypot(a * np.sin(angle), b * np.cos(angle)), 99.0).astype(np.float32)
    nearest = surface
    if spine.region == "LUMBAR":
        for number in range(14):  # they lie in the back half of the sac
            side = -1 if number % 2 else 1
            across, depth = rng.uniform(0.8, 6.0) * side, -rng.uniform(0.5, 0.72 * sac_y)
            depth *= np.sqrt(1 - (across / 9.5) ** 2)
            gather = np.clip((50.0 - z) / 40.0, 0.3, 1)
            root = np.hypot(u - across * gather, v - depth * gather) - 0.6
            nearest = np.minimum(nearest, np.where(z < 45, root, 99.0)).astype(np.float32)
    return surface, np.asarray(b, dtype=np.float32), nearest
