"""Brain, skull, scalp, face and what lies at the base of the skull."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from lmresp.simulate import template
from lmresp.simulate.canvas import Canvas, Point
from lmresp.simulate.shape import LATTICE, STEP_MM, Traits, random_field, upsample
from lmresp.simulate.template import Volume
from lmresp.simulate.tissues import INDEX, Tissue

# Outer borders of the shells around the brain, mm from its closed surface, for bone and scalp of average thickness.
CSF_MM, DURA_MM, INNER_TABLE_MM, MARROW_MM, BONE_MM, HEAD_MM = 1.8, 2.8, 4.4, 7.4, 9.0, 15.0
SKIN_MM, FAT_MM = 2.0, 6.0
SHARPEN = 3.5  # power that turns average maps into crisp sulci
SULCUS_WAVE_MM, SULCUS_WAVE = 6.0, 0.25  # a sulcus is deeper here and shallower there: log of the fluid's share
FALX_MM, TENTORIUM_MM = 1.0, 0.9
# Seventh and eighth nerves from the brain stem into the internal auditory canal; x is mirrored.
NERVE: tuple[Point, ...] = ((12, -34, -36), (19, -33, -35), (28, -32, -34))
NERVE_MM, CANAL_MM = 0.9, 2.6


def brain(canvas: Canvas, traits: Traits, seed: int) -> None:
    """Fill grey matter, white matter and fluid, and the ventricles' membership."""
    base = template.load()
    grid, shape = canvas.grid, canvas.hull.shape
    inside = canvas.hull < CSF_MM + 1.5
    placed = [canvas.mni[a][inside] - np.float32(base.affine[a, 3]) for a in range(3)]
    placed[2] = np.maximum(placed[2], np.float32(template.LOWEST_Z_MM - base.affine[2, 3]))
    gm, wm, member = (
        ndimage.map_coordinates(volume, placed, order=1, mode="constant")
        for volume in (base.gm, base.wm, base.ventricles)
    )
    rng = np.random.default_rng([seed, 3])
    wave = upsample(SULCUS_WAVE * random_field(rng, LATTICE, SULCUS_WAVE_MM / STEP_MM), STEP_MM, grid, shape)[inside]
    wider = np.exp((1 - member) * (wave + np.float32(np.log(traits.sulci))))
    fluid = (np.clip(1 - gm - wm, 0, 1) * wider) ** SHARPEN
    gm, wm = gm**SHARPEN, wm**SHARPEN
    total = gm + wm + fluid
    empty = total < 1e-6
    total[empty] = 1
    within = np.clip(1 - (canvas.hull[inside] - CSF_MM) / 2 - 0.5, 0, 1)
    canvas.maps[INDEX[Tissue.GM]][inside] = within * gm / total
    canvas.maps[INDEX[Tissue.WM]][inside] = within * wm / total
    canvas.maps[INDEX[Tissue.CSF]][inside] = within * np.where(empty, 1, fluid / total)
    canvas.ventricles[inside] = member


def shells(canvas: Canvas, traits: Traits) -> None:
    """Dura, skull, scalp, face and neck around the brain."""
    hull, maps, z = canvas.hull, canvas.maps, canvas.mni[2]
    inner, marrow, bone = (DURA_MM + (edge - DURA_MM) * traits.bone for edge in (INNER_TABLE_MM, MARROW_MM, BONE_MM))
    everywhere = (slice(0, hull.shape[0]), slice(0, hull.shape[1]), slice(0, hull.shape[2]))
    face, _ = canvas.ellipsoid((0, 32, -62), (64, 62, 62), everywhere)
    neck, _ = canvas.ellipsoid((0, -32, -110), (58, 62, 260), everywhere)
    nose, _ = canvas.ellipsoid((0, 92, -52), (12, 16, 22), everywhere)
    thick = bone + (HEAD_MM - BONE_MM) * traits.scalp
    head = np.minimum(np.minimum(hull - np.float32(thick), nose), np.minimum(face, np.maximum(neck, z + 50)))
    depth = ndimage.gaussian_filter(head, 3.0 / canvas.grid)
    skull = canvas.soft(hull, bone)
    soft_part = canvas.soft(depth) * (1 - skull)
    below_skin = canvas.soft(depth, -SKIN_MM)
    below_fat = canvas.soft(depth, -SKIN_MM - FAT_MM * traits.scalp)
    maps[INDEX[Tissue.SKIN]] = soft_part * (1 - below_skin)
    maps[INDEX[Tissue.FAT]] = soft_part * (below_skin - below_fat)
    maps[INDEX[Tissue.MUSCLE]] = soft_part * below_fat
    dura, table, spongy = canvas.soft(hull, DURA_MM), canvas.soft(hull, inner), canvas.soft(hull, marrow)
    maps[INDEX[Tissue.DURA]] = dura - canvas.soft(hull, CSF_MM)
    maps[INDEX[Tissue.MARROW]] = spongy - table
    maps[INDEX[Tissue.BONE]] = table - dura + skull - spongy


def cavities(canvas: Canvas) -> None:
    """Eyes in orbital fat, and air spaces lined with mucosa, kept out of the skull."""
    globes: list[tuple[Tissue, Point, Point]] = [
        (Tissue.FAT, (31, 50, -36), (18, 24, 17)),
        (Tissue.MUSCLE, (31, 64, -36), (13, 13, 13)),
        (Tissue.EYE, (31, 64, -36), (12, 12, 12)),
    ]
    for side in (-1, 1):
        for tissue, (x, y, z), semi in globes:
            border, box = canvas.ellipsoid((side * x, y, z), semi)
            canvas.put(tissue, canvas.soft(border) * (1 - canvas.soft(canvas.hull[box], BONE_MM)), box)
    spaces: list[tuple[Point, Point]] = [
        ((0, 58, -58), (9, 26, 20)),  # nose
        ((-27, 52, -64), (13, 15, 14)),  # maxillary sinuses
        ((27, 52, -64), (13, 15, 14)),
        ((0, 14, -46), (12, 12, 8)),  # sphenoid sinus
        ((0, 10, -92), (14, 12, 34)),  # pharynx
    ]
    for centre, semi in spaces:
        border, box = canvas.ellipsoid(centre, semi)
        outside = 1 - canvas.soft(canvas.hull[box], BONE_MM)
        canvas.put(Tissue.MUCOSA, canvas.soft(border, 2.0) * outside, box)
        canvas.clear(canvas.soft(border) * outside, box)


def folds_of_dura(canvas: Canvas) -> None:
    """Falx and tentorium: sheets of dura in the fluid between the hemispheres and above the cerebellum."""
    fluid = canvas.maps[INDEX[Tissue.CSF]]
    box = canvas.box([(-60, -105, -30), (60, 75, 85)], 0)
    x, y, z = canvas.mni[(slice(None), *box)]
    hull = canvas.hull[box]
    above = z > np.interp(y, (-60, -30, 10, 40, 60), (12, 34, 42, 12, -8)).astype(np.float32)
    falx = canvas.soft(np.abs(x), FALX_MM / 2) * (above & (hull < CSF_MM))
    crest = 2 + (y + 38) * np.float32(0.3)  # along the straight sinus
    slope = np.abs(z - (crest - np.float32(0.36) * np.abs(x)))
    roof = (y < -38) & (hull < CSF_MM) & (np.abs(x) < 58)
    tentorium = canvas.soft(slope, TENTORIUM_MM / 2) * roof
    canvas.put(Tissue.DURA, np.maximum(falx, tentorium) * fluid[box], box)


def base_of_skull(canvas: Canvas) -> None:
    """Petrous bone in the gap of the closed hull, and the internal auditory canals with their nerves."""
    for side in (-1, 1):
        ridge: list[Point] = [(side * 18, -20, -44), (side * 34, -30, -38), (side * 54, -34, -32)]
        distance, box = canvas.tube(ridge, 12)
        fluid = canvas.maps[INDEX[Tissue.CSF]][box]
        deep = ndimage.gaussian_filter(fluid, 1.5 / canvas.grid) > 0.8  # leaves a little fluid along the brain
        canvas.put(Tissue.BONE, canvas.soft(distance, 8.0) * fluid * deep, box)
        path: list[Point] = [(side * a, b, c) for a, b, c in NERVE]
        distance, box = canvas.tube(path, 6)
        bone = canvas.maps[INDEX[Tissue.BONE]][box]
        canvas.put(Tissue.CSF, canvas.soft(distance, CANAL_MM) * bone, box)
        fluid = canvas.maps[INDEX[Tissue.CSF]][box]
        canvas.put(Tissue.WM, canvas.soft(distance, NERVE_MM) * fluid, box)


def glands(canvas: Canvas) -> None:
    """Choroid plexus in the lateral and third ventricles, and the pituitary."""
    for side in (-1, 1):
        path: list[Point] = [(side * 3, -2, 12), (side * 14, -26, 16), (side * 24, -40, 6), (side * 36, -32, -8)]
        distance, box = canvas.tube(path, 5)
        room: Volume = np.minimum(canvas.ventricles[box], canvas.maps[INDEX[Tissue.CSF]][box])
        canvas.put(Tissue.CHOROID, canvas.soft(distance, 2.6) * room, box)
    border, box = canvas.ellipsoid((0, 3, -32), (6, 5, 4))
    canvas.put(Tissue.PITUITARY, canvas.soft(border), box)
