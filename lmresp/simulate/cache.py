"""A head on disk: making one takes ten seconds, reading one takes one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from lmresp.simulate.anatomy import Anatomy
from lmresp.simulate.shape import Traits
from lmresp.simulate.tissues import TISSUES, Tissue


def save(anatomy: Anatomy, path: Path) -> None:
    """Write a head to an uncompressed ``.npz`` file, about 250 MB at 1 mm; the maps by their filled voxels only.

    Parameters
    ----------
    anatomy : Anatomy
        From :func:`lmresp.simulate.anatomy.make_subject`.
    path : Path
        The file; replaced when it exists.
    """
    arrays: dict[str, Any] = {"affine": anatomy.affine, "mni": anatomy.mni, "hull": anatomy.hull_distance}
    for name, volume in [("ventricles", anatomy.ventricles), *((str(t), anatomy.fraction(t)) for t in TISSUES)]:
        filled = np.flatnonzero(volume)
        arrays[f"{name}_at"], arrays[f"{name}_is"] = filled.astype(np.int32), volume.ravel()[filled]
    about = {"seed": anatomy.seed, "grid_mm": anatomy.grid_mm, "traits": dataclasses.asdict(anatomy.traits)}
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    with open(path, "wb") as handle:
        np.savez(handle, **arrays)


def load(path: Path) -> Anatomy:
    """Read a head that :func:`save` wrote; every value is the same.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Anatomy

    Raises
    ------
    OSError, ValueError, KeyError
        If the file is not there or is none of ours.
    """
    with np.load(path, allow_pickle=False) as stored:
        about = json.loads(stored["about"].tobytes())
        mni = stored["mni"]
        shape = mni.shape[1:]
        maps = np.zeros((len(TISSUES), *shape), dtype=np.float32)
        for number, tissue in enumerate(Tissue):
            maps[number].reshape(-1)[stored[f"{tissue}_at"]] = stored[f"{tissue}_is"]
        ventricles = np.zeros(shape, dtype=np.float32)
        ventricles.reshape(-1)[stored["ventricles_at"]] = stored["ventricles_is"]
        traits = Traits(**about["traits"] | {"scale": tuple(about["traits"]["scale"])})
        return Anatomy(about["seed"], about["grid_mm"], stored["affine"], maps, mni, ventricles, stored["hull"], traits)
