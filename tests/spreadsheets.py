"""A table of cytology as a spreadsheet would hold it, for tests of the input door."""

from __future__ import annotations

from pathlib import Path

from lmresp.ingest.study import Study

HEAD = ["subject_id", "collected_dtc", "site", "method", "result", "lab", "volume_ml"]
ROW = ["S-1", "2024-02-12", "LUMBAR", "CYTOLOGY", "NEGATIVE", "Lab 1", "3.5"]


def put(study: Study, name: str, content: str | bytes) -> Path:
    """Write a file into the folder of the study's tables."""
    path = study.tables_folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
