"""Make and measure the phantoms of one head, and the real scans; one JSON of plain facts each."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy import cases
from lmresp.ingest.convert import load_series
from lmresp.mri.measurement import ScanMeasurement
from lmresp.mri.subject import measure_subject
from lmresp.mri.volume import Volume, VolumeError, checked
from lmresp.simulate import phantom
from lmresp.terms import Sequence

ROLES = (("pre", "T1_PRE"), ("post", "T1_POST"))
REAL = {  # real scans with both contrast states, none with leptomeningeal metastasis; folder, pre, post
    "ms-1mm": ("mri/brain_prepost_mni", "ms-patient07_t1.nii.gz", "ms-patient07_t1c.nii.gz"),
    "glioma-thick": ("mri/brain_prepost_glioma", "tcga-du-7294_t1.nii.gz", "tcga-du-7294_t1c.nii.gz"),
}


def facts(found: ScanMeasurement, cpu_s: float) -> dict[str, Any]:
    """What a measurement says, as plain values."""
    return {
        "cpu_s": round(cpu_s, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "measures": {f"{m['measure']}{m['region'] and ' ' + m['region']}": m["value"] for m in found.measures},
        "uncertainty": {m["measure"]: m["uncertainty"] for m in found.measures if not m["region"]},
        "findings": found.findings,
        "items": found.items,
        "qc": {c["check"]: [c["value"], c["result"]] for c in found.qc},
        "to_common": found.geometry["to_common"],
    }


def phantom_head(seed: int) -> list[dict[str, Any]]:
    """Make and measure the six scans of one head."""
    anatomy = phantom.make_subject(seed, 1.0)
    rows = []
    for subject in cases.scans(seed):
        images: dict[str, dict[str, Volume]] = {}
        truths = {}
        for scan in subject:
            settings = phantom.Acquisition(series=(Sequence.T1_PRE, Sequence.T1_POST), **scan.acquisition)
            made = phantom.make_scan(anatomy, scan.disease, settings)
            truths[scan.name] = made.truth
            images[scan.name] = {
                role: checked(np.asanyarray(made.images[key].dataobj), made.images[key].affine) for role, key in ROLES
            }
        start = time.process_time()
        measured = measure_subject(images)
        cpu = (time.process_time() - start) / len(subject)
        for scan in subject:
            found = measured[scan.name]
            rows.append(
                {
                    "seed": seed,
                    "scan": scan.name,
                    "kind": scan.kind,
                    "reference": scan.reference,
                    "voxel_mm": list(scan.acquisition["voxel_mm"]),
                    "film_mmol": scan.disease.film_concentration if scan.disease.films else 0.0,
                    "noise": scan.acquisition["noise"],
                    "truth": truths[scan.name],
                    "found": facts(found, cpu),
                }
            )
    return rows


def real_scan(name: str, data: Path) -> list[dict[str, Any]]:
    """Measure a real pair; every leptomeningeal finding in it is false."""
    folder, pre, post = REAL[name]
    images = {}
    for role, pattern in (("pre", pre), ("post", post)):
        file = next((data / folder).glob(pattern))
        image, _ = load_series(file.parent, {"source": "nifti", "files": [file.name]})
        images[role] = checked(np.asanyarray(image.dataobj), np.asarray(image.affine))
    start = time.process_time()
    found = measure_subject({name: images})[name]
    cpu = time.process_time() - start
    return [{"seed": None, "scan": name, "kind": "real", "truth": {}, "found": facts(found, cpu)}]


def run(job: tuple[str, str, str]) -> str:
    """Measure one head or one real scan and keep its rows (a finished one is not done again)."""
    what, out, data = job
    file = Path(out) / f"{what}.json"
    if not file.is_file():
        try:
            rows = real_scan(what, Path(data)) if what in REAL else phantom_head(int(what))
        except VolumeError as error:
            rows = [{"seed": None, "scan": what, "kind": "failed", "why": str(error)}]
        file.write_text(json.dumps(rows, indent=1, default=float) + "\n", encoding="utf-8")
    return what
