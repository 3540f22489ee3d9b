"""Files of reads, whatever wrote them, as rows of the table ``mri_reads`` (edge)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lmresp import store
from lmresp.ingest.csv_file import read_csv_file
from lmresp.ingest.spreadsheet import raw_rows
from lmresp.ingest.table_file import ReadTable, UnreadableError, check_file, shown_name
from lmresp.ingest.workbook import read_sheet, read_workbook
from lmresp.reads import offline_form, redcap
from lmresp.reads.rows import reasons_text, seconds

KINDS = (
    "CSV like mri_reads or from REDCap (.csv), a workbook with the sheet mri_reads or our form (.xlsx), DICOM SR (.dcm)"
)
_SIGNATURE = b"DICM"
_PREAMBLE = 128  # bytes before the signature of a DICOM file


@dataclasses.dataclass(frozen=True)
class Given:
    """What a file gives.

    Attributes
    ----------
    source : str
        ``csv``, ``xlsx``, ``redcap`` or ``sr``.
    sha256 : str
        Digest of the file.
    rows : list of dict
        ``_file, _sheet, _row`` and columns of ``mri_reads``.
    refused, notes : tuple of str
        Why nothing of the file can be taken; what was left aside and is no fault.
    """

    source: str
    sha256: str
    rows: list[dict[str, str]]
    refused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_file(path: Path, study_id: str) -> Given:
    """Read one file of reads.

    Parameters
    ----------
    path : Path
    study_id : str
        A form written for another study is refused.

    Returns
    -------
    Given
        Never raises for what a file holds.
    """
    name = shown_name(path)
    try:
        check_file(path)
        digest = store.sha256_file(path)
        kind = _kind(path)
    except (UnreadableError, OSError) as error:
        return Given("csv", "", [], (f"{name}: {error}. Allowed: {KINDS}.",))
    if kind is None:
        return Given("csv", digest, [], (f"{name}: this is no file of reads. Allowed: {KINDS}.",))
    return kind(path, name, digest, study_id)


def _kind(path: Path) -> Callable[[Path, str, str, str], Given] | None:
    with open(path, "rb") as handle:
        start = handle.read(_PREAMBLE + len(_SIGNATURE))
    if start[_PREAMBLE:] == _SIGNATURE or path.suffix.lower() == ".dcm":
        return _from_sr
    return {".csv": _from_csv, ".xlsx": _from_workbook}.get(path.suffix.lower())


def _from_csv(path: Path, name: str, digest: str, _study_id: str) -> Given:
    table, asked = read_csv_file(path, "mri_reads")
    refused = tuple(f"{query.message} {query.action}" for query in asked if query.severity == "error")
    if table is None or refused:
        return Given("csv", digest, [], refused or (f"{name}: the file is empty. Allowed: {KINDS}.",))
    if redcap.EVENT in table.header:
        rows, problems = redcap.rows_of(_dicts(table))
        return Given("redcap", digest, rows, tuple(problems))
    return _of_table(table, "csv", digest)


def _of_table(table: ReadTable, source: str, digest: str) -> Given:
    rows, asked = raw_rows(table)
    return Given(source, digest, rows, tuple(f"{query.message} {query.action}" for query in asked))


def _dicts(table: ReadTable) -> list[dict[str, str]]:
    meta = {"_file": table.file, "_sheet": table.sheet}
    return [
        {**meta, "_row": str(number), **dict(zip(table.header, cells, strict=False))} for number, cells in table.rows
    ]


def _from_workbook(path: Path, name: str, digest: str, study_id: str) -> Given:
    try:
        about = read_sheet(path, offline_form.ABOUT)
        if about:
            sheet = read_sheet(path, offline_form.FORM)
            rows, refused, notes = offline_form.rows_of(name, about, sheet, study_id)
            return Given("xlsx", digest, rows, tuple(refused), tuple(notes))
    except UnreadableError as error:
        return Given("xlsx", digest, [], (f"{name}: {error}. Allowed: {KINDS}.",))
    tables, asked = read_workbook(path)
    refused = [f"{query.message} {query.action}" for query in asked if query.severity == "error"]
    found = [table for table in tables if table.table == "mri_reads"]
    if refused or not found:
        return Given("xlsx", digest, [], tuple(refused) or (f"{name}: there is no sheet mri_reads. Allowed: {KINDS}.",))
    return _of_table(found[0], "xlsx", digest)


def _from_sr(path: Path, name: str, digest: str, _study_id: str) -> Given:
    from lmresp.dicom.scorecard_sr import read  # brings DICOM packages that no other door needs

    report = read(path)
    problems = [f"{name}: {problem}" for problem in report["problems"]]
    if not report["locked"] and not problems:
        problems.append(f"{name}: it is not locked. Allowed: COMPLETE and VERIFIED by a named observer.")
    notes = tuple(f"{name}: not understood and left aside: {what}" for what in report["unknown"])
    if problems:
        return Given("sr", digest, [], tuple(problems), notes)
    return Given("sr", digest, _sr_rows(report, name), (), notes)


def _sr_rows(report: Mapping[str, Any], name: str) -> list[dict[str, str]]:
    common = {
        "_file": name,
        "_sheet": "",
        "subject_id": report["subject_id"],
        "visit_num": report["visit_num"],
        "scan_dtc": report["scan_date"],
        "reader_id": report["reader"],
        "role": report["role"],
        "read_dtc": seconds(report["utc"]),
        "locked_dtc": seconds(report["locked_utc"]),
        "session_id": report["session"],
        "blinded": "Y" if report["blinded_to"] else "N",
        "comparator": report["comparator"],
        "reasons": reasons_text(report["reasons"]),
    }
    return [
        {
            **common,
            **row,
            "_row": str(number),
            "read_id": f"{report['read'] or 'SR'}.{row['compartment']}.{row['item']}",
        }
        for number, row in enumerate(report["answers"], start=1)
    ]
