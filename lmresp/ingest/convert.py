"""One series as a volume: a NIfTI image in memory, float32 or int16, in RAS+ order, with nothing of the header's text.

DICOM goes through dcm2niix (Li et al., J Neurosci Methods 2016;264:47-56, doi 10.1016/j.jneumeth.2016.03.001); what it
cannot turn into exactly one volume is put together with pydicom (:mod:`lmresp.ingest.assemble`).
"""

from __future__ import annotations

import resource
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dcm2niix
import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from lmresp.ingest import archives, nifti, nrrd, right_angles
from lmresp.ingest.assemble import assemble
from lmresp.ingest.header import limit
from lmresp.ingest.unreadable import UnreadableSeries

__all__ = ["UnreadableSeries", "load_series"]


def load_series(study_folder: Path, series_record: Mapping[str, Any]) -> tuple[nib.Nifti1Image, list[str]]:
    """Read the volume of one series.

    Parameters
    ----------
    study_folder : Path
        The study; ``files`` of the record are relative to it.
    series_record : mapping
        One entry of ``series`` of a scan record.

    Returns
    -------
    tuple of Nifti1Image and list of str
        A 3-D image, axes in RAS+ order, mm, int16 or float32, whose header holds only geometry; and notes on how it was
        read.

    Raises
    ------
    UnreadableSeries
        If the files hold no single, finite, evenly spaced volume; its text is the reason.

    Notes
    -----
    Nothing larger than ``max_voxels`` of ``series_rules.yaml`` is read, and a conversion that takes longer than
    ``convert_seconds`` is stopped.
    """
    with tempfile.TemporaryDirectory(prefix="lmresp-") as folder:
        paths = archives.on_disk(study_folder, series_record["files"], Path(folder))
        if series_record["source"] == "nifti":
            return _canonical(*nifti.read_volume(paths[0]), [])
        if series_record["source"] == "nrrd":
            return _canonical(*nrrd.read_volume(paths[0]), [])
        return _read_dicom(paths, series_record["facts"])


def _read_dicom(paths: Sequence[Path], facts: Mapping[str, Any]) -> tuple[nib.Nifti1Image, list[str]]:
    claimed = int(facts.get("rows") or 0) * int(facts.get("columns") or 0) * int(facts.get("slices") or 0)
    if claimed > limit("limits", "max_voxels"):
        raise UnreadableSeries(
            f"the headers claim {claimed} voxels, more than the limit of {limit('limits', 'max_voxels')}"
        )
    leaning = float(facts.get("gantry_tilt_deg") or 0) > limit("geometry", "min_tilt_deg")
    data, affine, why = (None, np.eye(4), "its slices lean") if leaning else _dcm2niix(paths)
    if data is None or data.size != claimed:
        why = why or f"it gave {0 if data is None else data.size} voxels, the headers say {claimed}"
        data, affine = assemble(paths)
        return _canonical(data, affine, [f"put together with pydicom, as dcm2niix did not give one volume ({why})"])
    return _canonical(data, affine, ["converted with dcm2niix"])


def _dcm2niix(paths: Sequence[Path]) -> tuple[NDArray[Any] | None, NDArray[Any], str]:
    """Volume and affine from dcm2niix, or None and the reason."""
    nothing = np.eye(4)
    with tempfile.TemporaryDirectory(prefix="lmresp-") as folder:
        source, out = Path(folder) / "in", Path(folder) / "out"
        source.mkdir()
        out.mkdir()
        for number, path in enumerate(paths):  # neutral names, and nothing but this series
            (source / f"{number:06d}.dcm").symlink_to(path.resolve())
        # No defaults file of the user (-g i), no sidecar (-b n), no cropping (-x n), no merging (-m n), and the
        # rescaled values of the standard also for Philips (-p n), so that both ways of reading agree.
        options = ["-g", "i", "-b", "n", "-ba", "y", "-z", "n", "-p", "n", "-x", "n", "-m", "n", "-f", "s"]
        try:
            done = subprocess.run(  # noqa: S603  # a fixed program on paths of our own making
                [dcm2niix.bin, *options, "-o", str(out), str(source)],
                capture_output=True,
                check=False,
                preexec_fn=_bound_memory,
                timeout=limit("limits", "convert_seconds"),
            )
        except subprocess.TimeoutExpired:
            return None, nothing, "it took too long"
        except OSError as error:
            return None, nothing, f"it could not be started: {error.strerror}"
        made = sorted(out.glob("*.nii"))
        if len(made) != 1:
            return None, nothing, f"it made {len(made)} images, exit code {done.returncode}"
        try:
            data, affine = nifti.read_volume(made[0])
        except UnreadableSeries as error:
            return None, nothing, str(error)
        return np.array(data), affine, ""


def _bound_memory() -> None:
    """Keep a converter that a damaged file leads astray within its memory limit."""
    wanted, hard = int(limit("limits", "convert_bytes")), resource.getrlimit(resource.RLIMIT_AS)[1]
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _canonical(data: NDArray[Any], affine: NDArray[Any], notes: list[str]) -> tuple[nib.Nifti1Image, list[str]]:
    """Check the values and give the volume in RAS+ order under a fresh header."""
    if min(data.shape) < 2:
        raise UnreadableSeries(f"{' x '.join(map(str, data.shape))} voxels are no volume")
    if data.dtype.kind == "f":
        bad = int(data.size - np.isfinite(data).sum())
        if bad:
            raise UnreadableSeries(f"{bad} of {data.size} voxels are not finite (NaN or infinity)")
        if float(np.abs(data).max()) > 1e30:
            raise UnreadableSeries("voxel values beyond 1e30 are no grey values")
    low, high = data.min(), data.max()
    if low == high:
        raise UnreadableSeries("all voxels have the same value")
    if right_angles.leans(affine):
        data, affine = right_angles.upright(data, affine)
        notes = [*notes, "its slices lean against their stack (gantry tilt): resampled to right angles"]
    whole = data.dtype.kind in "iu" and low >= -32768 and high <= 32767
    kept = data.astype(np.int16 if whole else np.float32)
    nibabel: Any = nib  # which has no types
    image = nibabel.as_closest_canonical(nibabel.Nifti1Image(kept, affine))
    clean: nib.Nifti1Image = nibabel.Nifti1Image(
        np.ascontiguousarray(image.dataobj), image.affine
    )  # a fresh header: no text, no extensions
    nibabel.Nifti1Header.set_xyzt_units(clean.header, "mm")
    return clean, notes
