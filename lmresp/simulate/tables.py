"""Tables of the demo study: rows from its description, one XLSX with a sheet for each table, CSV for the reads.

Columns and codes are those of the input tables (docs: data dictionary).
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from openpyxl import Workbook

from lmresp import store

Row = dict[str, Any]
UNITS = {"wbc": "/uL", "protein": "g/L", "glucose": "mmol/L", "opening_pressure": "cmH2O"}
SPINE_ITEMS = ("NODULES", "LINEAR")
TABLES = (
    "subjects",
    "visits",
    "csf",
    "neuro",
    "steroids",
    "treatments",
    "procedures",
    "disposition",
    "facts",
    "mri_reads",
)


def date_of(subject: Row, day: int) -> str:
    """ISO date of a study day: day 1 is the first dose, there is no day 0."""
    start = datetime.date.fromisoformat(subject["start"])
    return (start + datetime.timedelta(days=day - 1 if day > 0 else day)).isoformat()


def _visit_rows(study: Row, subject: Row) -> list[Row]:
    rows = []
    for visit in subject["visits"]:
        number, planned, before, after = study["schedule"][visit["visit"]]
        done = "day" in visit
        rows.append(
            {
                "subject_id": subject["subject_id"],
                "visit_num": number,
                "visit": visit["visit"],
                "planned_day": planned,
                "window_minus": before,
                "window_plus": after,
                "start_dtc": date_of(subject, visit["day"]) if done else None,
                "status": "DONE" if done else "NOT DONE",
                "reason_not_done": visit.get("reason_not_done"),
            }
        )
    return rows


def _csf_rows(study: Row, subject: Row) -> list[Row]:
    rows = []
    for visit in subject["visits"]:
        if "csf" not in visit:
            continue
        sample = study["csf"] | visit["csf"]
        row: Row = {
            "subject_id": subject["subject_id"],
            "visit_num": study["schedule"][visit["visit"]][0],
            "collected_dtc": date_of(subject, visit["day"] + study["csf_delay_days"]),
            "site": sample["site"],
            "volume_ml": sample["volume_ml"],
            "hours_to_lab": sample["hours_to_lab"],
            "method": "CYTOLOGY",
            "result": sample["result"],
            "reason_ne": sample.get("reason_ne"),
        }
        for name, unit in UNITS.items():
            row[name] = sample.get(name)
            row[f"{name}_unit"] = None if row[name] is None else unit
        rows.append(row)
    return rows


def _neuro_rows(study: Row, subject: Row) -> list[Row]:
    rows = []
    for visit in subject["visits"]:
        if "day" not in visit:
            continue
        common = {
            "subject_id": subject["subject_id"],
            "visit_num": study["schedule"][visit["visit"]][0],
            "exam_dtc": date_of(subject, visit["day"]),
            "examiner": "NEUROLOGIST",
        }
        scores = [("NANO", domain, visit["nano"].get(domain, 0)) for domain in study["nano"]]
        for instrument, item, score in [*scores, ("KPS", "KPS", visit["kps"])]:
            rows.append(common | {"instrument": instrument, "item": item, "score": score})
    return rows


def _read_rows(study: Row, subject: Row) -> list[Row]:
    rows: list[Row] = []
    days = {visit["visit"]: visit["day"] for visit in subject["visits"] if "day" in visit}
    for read in subject.get("reads", []):
        visit, items = read["visit"], read["items"]
        scanned = date_of(subject, days[visit])
        spine = "ABSENT" if visit == "BL" else "NO CHANGE"
        values = [("WHOLE" if item == "OVERALL" else "BRAIN", item, value) for item, value in items.items()]
        values += [("SPINE", item, spine) for item in SPINE_ITEMS]
        for number, (compartment, item, value) in enumerate(values, start=1):
            rows.append(
                {
                    "read_id": f"{subject['subject_id']}-{visit}-{number:02d}",
                    "subject_id": subject["subject_id"],
                    "visit_num": study["schedule"][visit][0],
                    "scan_dtc": scanned,
                    "reader_id": "RADIOLOGIST 1",
                    "role": "INDEPENDENT ASSESSOR",
                    "read_dtc": date_of(subject, days[visit] + 10) + "T09:00:00Z",
                    "locked_dtc": date_of(subject, days[visit] + 11) + "T12:00:00Z"
                    if read.get("locked", True)
                    else None,
                    "session_id": f"{subject['subject_id']}-{visit}",
                    "blinded": "Y",
                    "compartment": compartment,
                    "item": item,
                    "value": value,
                }
            )
    return rows


def _subject_row(study: Row, subject: Row) -> Row:
    death: Row | None = subject.get("death")
    last = max(visit["day"] for visit in subject["visits"] if "day" in visit) + 14
    return {
        "study_id": study["study"]["study_id"],
        "subject_id": subject["subject_id"],
        "site_id": "01",
        "ref_start_dtc": subject["start"],
        "death_dtc": date_of(subject, death["day"]) if death else None,
        "death_fl": "Y" if death else "N",
        "last_alive_dtc": date_of(subject, death["day"] if death else subject.get("last_alive_day", last)),
        "age": subject["age"],
        "sex": subject["sex"],
        "primary_tumour": study["tumour"],
        "lm_type": subject["lm_type"],
    }


def _course(subject: Row, course: Row) -> Row:
    last = course.get("last_day")
    return {
        "drug": course["drug"],
        "dose": course["dose"],
        "unit": "mg",
        "freq": course["freq"],
        "start_dtc": date_of(subject, course["first_day"]),
        "end_dtc": None if last is None else date_of(subject, last),
        "ongoing": "Y" if last is None else None,
        "route": "ORAL",
        "indication": "LM symptoms",
    }


def _start(subject: Row, day: int) -> Row:
    return {"start_dtc": date_of(subject, day)}


def rows(study: Row) -> dict[str, list[Row]]:
    """Rows of every table of the demo study.

    Parameters
    ----------
    study : dict
        The content of ``demo_study.yaml``.

    Returns
    -------
    dict
        Table name to rows (column to text, number or None).
    """
    out: dict[str, list[Row]] = {name: [] for name in TABLES}
    for subject in study["subjects"]:
        who = {"subject_id": subject["subject_id"]}
        out["subjects"].append(_subject_row(study, subject))
        out["visits"] += _visit_rows(study, subject)
        samples = _csf_rows(study, subject)
        out["csf"] += samples
        out["neuro"] += _neuro_rows(study, subject)
        out["mri_reads"] += _read_rows(study, subject)
        out["facts"] += [
            who | {"visit_num": study["schedule"][visit["visit"]][0]} | visit["facts"]
            for visit in subject["visits"]
            if "facts" in visit
        ]
        for course in subject.get("steroids", []):
            out["steroids"].append(who | _course(subject, course))
        drug = {"kind": "STUDY_DRUG", **study["drug"], "start_dtc": subject["start"], "line": "ON STUDY"}
        out["treatments"].append(who | drug | {"target": "BOTH"})
        out["treatments"] += [
            who | {name: value for name, value in other.items() if name != "day"} | _start(subject, other["day"])
            for other in subject.get("treatments", [])
        ]
        punctures = [
            {"kind": "LUMBAR PUNCTURE", "start_dtc": sample["collected_dtc"]}
            for sample in samples
            if sample["site"] == "LUMBAR" and sample["result"] != "NOT DONE"
        ]
        others = [{"kind": p["kind"]} | _start(subject, p["day"]) for p in subject.get("procedures", [])]
        out["procedures"] += [who | procedure for procedure in punctures + others]
        out["disposition"] += [
            who | {name: value for name, value in end.items() if name != "day"} | {"dtc": date_of(subject, end["day"])}
            for end in subject.get("disposition", [])
        ]
    return out


def workbook_bytes(sheets: dict[str, list[Row]]) -> bytes:
    """XLSX with one sheet for each table, the same bytes for the same rows (no clock inside)."""
    book = Workbook()
    book.remove(book.worksheets[0])
    for name, content in sheets.items():
        sheet = book.create_sheet(name)
        columns = _columns(content)
        sheet.append(columns)
        for row in content:
            sheet.append([row.get(column) for column in columns])
    return store.workbook_bytes(book)


def _columns(content: list[Row]) -> list[str]:
    """Columns of all rows, in the order in which they first appear."""
    return list(dict.fromkeys(column for row in content for column in row))


def write_tables(study: Row, folder: Path) -> None:
    """Write ``demo.xlsx`` and ``mri_reads.csv``."""
    tables = rows(study)
    reads = tables.pop("mri_reads")
    store.write_bytes(folder / "demo.xlsx", workbook_bytes(tables))
    store.write_csv(folder / "mri_reads.csv", reads, _columns(reads))
