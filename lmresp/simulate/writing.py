"""Phantom scans on disk: BIDS-like NIfTI with sidecars, or DICOM, with the truth beside them."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from lmresp import RESEARCH_USE, store
from lmresp.simulate import dicom
from lmresp.simulate.phantom import PhantomScan
from lmresp.terms import Sequence

BIDS_NAMES = {
    Sequence.T1_PRE: "T1w",
    Sequence.T1_POST: "ce-gadolinium_T1w",
    Sequence.FLAIR: "FLAIR",
    Sequence.T2: "T2w",
}
DICOM_FOLDER = "transfer"
FORMATS = ("nifti", "dicom")


def stem_of(subject_id: str, visit: str) -> str:
    """Name of a scan's files, such as ``sub-LM01_ses-wk06``."""
    return f"sub-{subject_id.replace('-', '')}_ses-{visit.lower()}"


def _sidecar(series: dicom.Series, identity: dicom.Identity) -> dict[str, Any]:
    """BIDS sidecar: times in seconds, and the identity that the reader has to leave behind."""
    fields = series.timing()
    seconds = {key: value / 1000 for key, value in fields.items() if key.endswith("Time")}
    rest = {key: "_".join(v) if isinstance(v, list) else v for key, v in fields.items() if key not in seconds}
    return {
        "Modality": "MR",
        "MagneticFieldStrength": 3,
        "BodyPartExamined": "HEAD",
        "ImageComments": dicom.COMMENT,
        "SeriesDescription": series.description,
        "SliceThickness": series.thickness_mm,
        "SpacingBetweenSlices": float(series.image.header.get_zooms()[2]),
        "PatientName": identity.name,
        **rest,
        **seconds,
    }


def _write_nifti(
    series: list[dicom.Series], stem: str, identity: dicom.Identity, folder: Path, truncated: Collection[str]
) -> None:
    """Write one scan as BIDS NIfTI with sidecars and the file of acquisition dates.

    The files are new, so they are written plainly: a folder of phantoms whose making dies is made again.
    """
    (folder / "anat").mkdir(parents=True, exist_ok=True)
    times = ["filename\tacq_time"]
    for one in series:
        base = f"anat/{stem}_{BIDS_NAMES[one.sequence]}"
        content = store.gzip_bytes(one.image.to_bytes())
        if one.sequence in truncated:
            content = content[: len(content) // 2]
        (folder / f"{base}.nii.gz").write_bytes(content)
        sidecar = _sidecar(one, identity)
        (folder / f"{base}.json").write_text(json.dumps(sidecar, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        date = f"{identity.date[:4]}-{identity.date[4:6]}-{identity.date[6:]}"
        times.append(f"{base}.nii.gz\t{date}T10:00:00")
    (folder / f"{stem}_scans.tsv").write_text("\n".join(times) + "\n", encoding="utf-8")


def write_scan(
    folder: Path,
    scan: PhantomScan,
    subject_id: str,
    visit: str,
    date: str,
    form: str,
    truncated: Collection[str] = (),
) -> Path:
    """Write one phantom scan below ``mri/`` and its truth below ``truth/``.

    Parameters
    ----------
    folder : Path
        The study folder.
    scan : PhantomScan
        From :func:`lmresp.simulate.phantom.make_scan`.
    subject_id, visit, date : str
        Whose scan it is and of when (YYYY-MM-DD).
    form : str
        One of ``FORMATS``; DICOM goes into one flat folder, as deliveries do.
    truncated : collection of str
        Series whose NIfTI file is cut off in the middle.

    Returns
    -------
    Path
        The file of the truth.
    """
    stem = stem_of(subject_id, visit)
    identity = dicom.Identity(subject_id, date.replace("-", ""), f"PHANTOM^{subject_id}")
    setting = scan.truth["acquisition"]
    series = []
    for name, image in scan.images.items():
        sequence = Sequence(name)
        t1 = sequence in (Sequence.T1_PRE, Sequence.T1_POST)
        thickness = setting["voxel_mm" if t1 else "other_voxel_mm"][2]
        series.append(dicom.Series(image, sequence, float(thickness), t1 and setting["black_blood"]))
    if form == "dicom":
        for one in series:
            dicom.write_series(one, identity, folder / "mri" / DICOM_FOLDER)
    else:
        subject, session = stem.split("_")
        _write_nifti(series, stem, identity, folder / "mri" / subject / session, truncated)
    truth = {"scan": stem, "subject_id": subject_id, "visit": visit, "scan_date": date, **scan.truth}
    target = folder / "truth" / f"{stem}_truth.json"
    store.write_json(target, truth | {"note": f"Simulated: a phantom, no person. {RESEARCH_USE}"})
    return target
