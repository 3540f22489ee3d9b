"""Names of the files of a scan's results (BIDS derivatives; ``space-subject`` is the subject's common space)."""

from __future__ import annotations

from pathlib import Path

LABELS = ("brain", "labels", "reference_labels")
_NAMES = {
    "pre": "space-subject_desc-preproc_T1w",
    "flair": "space-subject_desc-preproc_FLAIR",
    "t2": "space-subject_desc-preproc_T2w",
    "brain": "space-subject_desc-brain_mask",
    "labels": "space-subject_desc-lm_dseg",
    "enhancement": "space-subject_desc-enhancement_map",
    "change": "space-subject_desc-change_map",
    "reference_anchor": "space-subject_res-reference_desc-preproc_T1w",
    "reference_labels": "space-subject_res-reference_desc-lm_dseg",
}


def scan_folder(results: Path, scan: str) -> Path:
    """Folder of a scan's results: ``sub-<label>/ses-<label>``."""
    subject, session = scan.split("_", 1)
    return results / subject / session


def space_file(results: Path, subject: str) -> Path:
    """File of a subject's common space."""
    return results / subject / f"{subject}_space.json"


def image_file(scan: str, role: str, contrast: str) -> str:
    """File of one image, relative to the scan's folder; ``anchor`` is the T1 that carries the scan."""
    name = _NAMES.get(role, "")
    if role == "anchor":
        name = _NAMES["pre"] if contrast == "none" else f"ce-gadolinium_{_NAMES['pre']}"
    return f"anat/{scan}_{name}.nii.gz"
