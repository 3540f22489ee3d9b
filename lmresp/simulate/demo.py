"""The demo study: tables, MRI phantoms and truth in one folder, from ``demo_study.yaml``."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from lmresp import store
from lmresp.errors import StudyError
from lmresp.simulate import tables
from lmresp.simulate.phantom import Acquisition, Disease, Film, Nodule, Tissue, make_scan, make_subject
from lmresp.simulate.writing import write_scan
from lmresp.terms import Sequence


def description() -> dict[str, Any]:
    """Load ``demo_study.yaml``: who is in the study and what happens to them."""
    loaded: dict[str, Any] = yaml.safe_load(files("lmresp.simulate").joinpath("demo_study.yaml").read_text("utf-8"))
    return loaded


def disease_of(subject: dict[str, Any], mri: dict[str, Any]) -> Disease:
    """Disease of one visit: the subject's named lesions in the sizes that the visit gives them."""
    films = tuple(
        Film(tuple(subject["films"][name]["centre_mni"]), subject["films"][name]["radius_mm"], thickness)
        for name, thickness in mri.get("films", {}).items()
    )
    nodules = tuple(
        Nodule(tuple(subject[kind][name]["near_mni"]), tuple(size), tissue)
        for kind, tissue in (("nodules", Tissue.NODULE), ("metastases", Tissue.METASTASIS))
        for name, size in mri.get(kind, {}).items()
    )
    return Disease(films, nodules, ventricle_push_mm=mri.get("ventricle_push_mm", 0.0))


def acquisition_of(subject: dict[str, Any], number: int, series: list[str], grid_mm: float) -> Acquisition:
    """Protocol of one visit; pose, dose and gain are drawn from the subject's seed and the visit number."""
    rng = np.random.default_rng([subject["seed"], number])
    turn, shift = rng.uniform(-6, 6, 3).round(3), rng.uniform(-6, 6, 3).round(3)
    return Acquisition(
        seed=subject["seed"] * 100 + number,
        series=tuple(Sequence(name) for name in series),
        voxel_mm=(grid_mm, grid_mm, grid_mm),
        other_voxel_mm=(grid_mm, grid_mm, 2 * grid_mm),
        rotation_deg=(float(turn[0]), float(turn[1]), float(turn[2])),
        translation_mm=(float(shift[0]), float(shift[1]), float(shift[2])),
        contrast_factor=round(float(rng.uniform(0.92, 1.05)), 3),
        gain=round(float(rng.uniform(0.8, 1.25)), 3),
    )


def write_subject(subject_id: str, folder: Path, grid_mm: float) -> int:
    """Make and write all scans of one subject, with their truth; return how many."""
    study = description()
    subject = next(s for s in study["subjects"] if s["subject_id"] == subject_id)
    anatomy = make_subject(subject["seed"], grid_mm)
    count = 0
    for visit in subject["visits"]:
        if "mri" not in visit:
            continue
        mri, number = visit["mri"], study["schedule"][visit["visit"]][0]
        series = [s for s in subject.get("series", study["series"]) if s not in mri.get("missing", [])]
        scan = make_scan(anatomy, disease_of(subject, mri), acquisition_of(subject, number, series, grid_mm))
        date, form = tables.date_of(subject, visit["day"]), subject.get("delivery", "nifti")
        write_scan(folder, scan, subject_id, visit["visit"], date, form, mri.get("truncated", []))
        count += 1
    return count


def write_demo(folder: Path, cores: int = 1, grid_mm: float = 2.0) -> None:
    """Write the demo study: ``study.yaml``, ``tables/``, ``mri/``, and ``truth/`` (which is no input).

    Parameters
    ----------
    folder : Path
        Study folder; made when absent.
    cores : int
        Processes; the bytes do not depend on it.
    grid_mm : float
        Voxel size of heads and T1-weighted series, mm.

    Raises
    ------
    StudyError
        If the folder already holds something, so that nobody's files are mixed with the demo.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StudyError("the folder is not empty", where=str(folder), allowed="a new or empty folder")
    study = description()
    subjects = [subject["subject_id"] for subject in study["subjects"]]
    if cores > 1:
        # Fresh processes, not copies: the parent may hold threads of the imaging libraries.
        with concurrent.futures.ProcessPoolExecutor(
            min(cores, len(subjects)), mp_context=multiprocessing.get_context("spawn")
        ) as pool:
            list(pool.map(write_subject, subjects, [folder] * len(subjects), [grid_mm] * len(subjects)))
    else:
        for subject in subjects:
            write_subject(subject, folder, grid_mm)
    tables.write_tables(study, folder / "tables")
    # Last: a folder with a study.yaml is a whole study.
    store.write_text(folder / "study.yaml", yaml.safe_dump(study["study"], sort_keys=False, allow_unicode=True))
