"""What a result was made from: software, study, charter, criteria and the digests of every input.

Nothing here depends on the machine, the time or the folder, so that two runs on the same input agree byte by byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from lmresp import RESEARCH_USE, __version__, store

PACKAGES = (
    "dcm2niix",
    "nibabel",
    "nilearn",
    "numpy",
    "pandas",
    "pydicom",
    "scikit-image",
    "scipy",
    "SimpleITK",
    "snakemake",
)


def provenance(
    study: Mapping[str, Any],
    charter: Mapping[str, Any],
    raw_tables: Iterable[Path],
    scan_records: Path,
    scans: Iterable[Mapping[str, Any]],
    reads: Mapping[str, Any],
) -> dict[str, Any]:
    """Build the provenance record of a study.

    Parameters
    ----------
    study, charter : mapping
        The study record (``work/study.json``) and the charter record (``work/charter.json``).
    raw_tables : iterable of Path
        The raw tables of the index; a table that is not in the study has a header only.
    scan_records : Path
        Folder of the scan records, which hold the digest of every series.
    scans : iterable of mapping
        Scan results, which name the digest of every image written.
    reads : mapping
        How the record of reads stands (``work/reads.json``): its head digest tells when lines were cut off its end.

    Returns
    -------
    dict
        Ready for JSON; ``inputs_digest`` stands for all inputs together.
    """
    tables = {path.name: store.sha256_file(path) for path in raw_tables}
    series: dict[str, dict[str, str]] = {}
    outputs: dict[str, Any] = {}
    for scan in scans:
        name = str(scan["scan"])
        record = store.read_json(scan_records / f"{name}.json")
        series[name] = {entry["series"]: entry["digest"] for entry in record["series"]}
        outputs[name] = {"status": scan["status"], "files": scan["files"]}
    inputs = {"study": dict(study), "tables": tables, "series": series}
    return {
        "format": "lmresp-provenance/1",
        "software": {"lmresp": __version__, **{name: metadata.version(name) for name in PACKAGES}},
        "study_id": study["study_id"],
        "data_cut": study["data_cut"],
        "charter": dict(charter),
        "inputs": inputs,
        "reads": dict(reads),
        "inputs_digest": store.sha256_text(repr(sorted(_leaves(inputs)))),
        "scans": outputs,
        "research_use": RESEARCH_USE,
    }


def dataset_description(study: Mapping[str, Any]) -> dict[str, Any]:
    """Build what BIDS asks of a folder of derivatives (``dataset_description.json``)."""
    return {
        "Name": f"lmresp results of {study['title'] or study['study_id']}",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "lmresp", "Version": __version__, "Description": RESEARCH_USE}],
    }


def _leaves(value: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, f"{path}/{key}")]
    return [(path, str(value))]
