"""Every conformance check on input, IN001 to IN018, raised by a minimal bad study through both doors.

The ids, their order and their severities are those of the study's data specification; they are never renumbered.
"""

import csv
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from lmresp.ingest import spec
from lmresp.ingest.cross_checks import check_study_files
from lmresp.ingest.spreadsheet import write_raw_tables
from lmresp.ingest.study import Study
from lmresp.ingest.tables import collect_queries, ingest_table, set_aside_subjects, write_queries
from lmresp.queries import catalogue, make
from lmresp.store import read_csv

SEVERITY = {
    "IN001": "error",  # missing required column
    "IN002": "error",  # duplicate key
    "IN003": "error",  # value not in list
    "IN004": "error",  # bad date text
    "IN005": "error",  # date after data cut or death
    "IN006": "warning",  # assessment outside every visit window
    "IN007": "error",  # unit missing or unknown
    "IN008": "warning",  # outside the plausible range
    "IN009": "error",  # subject absent from subjects
    "IN010": "warning",  # two CSF results conflict within 72 h
    "IN011": "error",  # read not locked
    "IN012": "error",  # incomplete read form
    "IN013": "warning",  # overall read not implied by items
    "IN014": "warning",  # MRI within 14 days after a lumbar puncture
    "IN015": "error",  # identifier-like text
    "IN016": "error",  # reader saw another read or the draft in a blinded session
    "IN017": "warning",  # steroid intervals overlap
    "IN018": "warning",  # baseline MRI, CSF or examination missing
}
OF_THE_READS = {"IN012", "IN013", "IN016"}  # raised where reads are graded, tested with the scorecard

Tables = dict[str, list[dict[str, str]]]


def good() -> Tables:
    """Two subjects with nothing to ask about; the first rows are those of S-1."""
    tables: Tables = {name: [] for name in ("subjects", "visits", "csf", "neuro", "mri_reads")}
    for s in ("S-1", "S-2"):
        one = {"subject_id": s, "visit_num": "1"}
        tables["subjects"].append({"study_id": "LM-1", "subject_id": s, "ref_start_dtc": "2024-02-01", "age": "57"})
        for number, label, day, date in (("1", "BL", "-1", "2024-01-31"), ("2", "WK06", "43", "2024-03-14")):
            window = {"planned_day": day, "window_minus": "7", "window_plus": "7", "start_dtc": date, "status": "DONE"}
            tables["visits"].append({"subject_id": s, "visit_num": number, "visit": label, **window})
        sample = {"collected_dtc": "2024-01-30", "site": "VENTRICULAR", "method": "CYTOLOGY", "result": "POSITIVE"}
        tables["csf"].append(one | sample | {"result_verbatim": "", "protein": "0.5", "protein_unit": "g/L"})
        tables["neuro"].append(one | {"exam_dtc": "2024-01-30", "instrument": "NANO", "item": "gait", "score": "1"})
        reader = {"reader_id": "RADIOLOGIST 1", "role": "INDEPENDENT ASSESSOR", "read_dtc": "2024-02-03T09:00Z"}
        read = {"scan_dtc": "2024-01-30", "compartment": "WHOLE", "item": "LINEAR", "value": "PRESENT"}
        tables["mri_reads"].append({"read_id": f"R-{s}", **one, **reader, **read, "locked_dtc": "2024-02-03T10:00Z"})
    return tables


def as_csv(folder: Path, tables: Tables) -> None:
    for name, rows in tables.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(handle, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def as_workbook(folder: Path, tables: Tables) -> None:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in tables.items():
        sheet = book.create_sheet(name)
        sheet.append(list(rows[0]))
        for row in rows:
            sheet.append([row[column] or None for column in rows[0]])
    book.save(folder / "study.xlsx")


DOORS = {"csv": as_csv, "xlsx": as_workbook}


def queries_of(folder: Path, tables: Tables, door: Callable[[Path, Tables], None]) -> list[dict[str, str]]:
    """Take a study through every step of the door and return its rows of queries.csv."""
    study = Study(folder=folder, study_id="LM-1", data_cut="2024-06-30")
    study.tables_folder.mkdir()
    door(study.tables_folder, tables)
    work = study.results / "work"
    write_queries(work / "raw.queries.csv", write_raw_tables(study)[1])
    for table in spec.TABLES:
        out = work / "tables" / table
        ingest_table(work / "raw" / f"{table}.csv", table, f"{out}.csv", f"{out}.queries.csv", data_cut=study.data_cut)
    check_study_files(study, work / "study.queries.csv")
    files = [work / "raw.queries.csv", work / "study.queries.csv", *sorted((work / "tables").glob("*.queries.csv"))]
    write_queries(folder / "queries.csv", collect_queries(files))
    return read_csv(folder / "queries.csv")


# code: table, row to change (as in the sheet), what to change; then column, value, allowed and sets_aside of the query
KEY = "subject_id+collected_dtc+site+method+accession"
MAIL = "[withheld: e-mail address]"
CASES = {
    "IN002": ("csf", 3, {"subject_id": "S-1"}, KEY, "S-1, ", "one row", "Y"),
    "IN003": ("csf", 2, {"result": "POSITVE"}, "result", "POSITVE", "POSITIVE, SUSPICIOUS", "Y"),
    "IN004": ("csf", 2, {"collected_dtc": "30/01/2024"}, "collected_dtc", "30/01/2024", "YYYY-MM-DD", "Y"),
    "IN005": ("neuro", 2, {"exam_dtc": "2024-07-01"}, "exam_dtc", "2024-07-01", "up to 2024-06-30", "N"),
    "IN006": ("csf", 2, {"collected_dtc": "2024-01-10"}, "collected_dtc", "2024-01-10", "2024-01-24 to 2024-02-0", "N"),
    "IN007": ("csf", 2, {"protein_unit": "mg%"}, "protein_unit", "mg%", "g/L, g/dL, mg/dL, mg/L", "Y"),
    "IN008": ("csf", 2, {"protein": "50"}, "protein", "50 g/L", "0.1 to 20 g/L", "N"),
    "IN009": ("csf", 2, {"subject_id": "S-9"}, "subject_id", "S-9", "a subject_id of the table subjects", "Y"),
    "IN011": ("mri_reads", 2, {"locked_dtc": ""}, "locked_dtc", "R-S-1", "YYYY-MM-DDThh:mm", "N"),
    "IN014": ("csf", 2, {"site": "LUMBAR", "collected_dtc": "2024-01-29"}, "scan_dtc", "2024-01-30", "14 days", "N"),
    "IN015": ("csf", 2, {"result_verbatim": "ask ann@clinic.example"}, "result_verbatim", MAIL, "text", "N"),
    "IN018": ("neuro", 2, {"exam_dtc": "2024-02-02"}, "ref_start_dtc", "2024-02-01", "2024-01-04 to 2024-02-01", "N"),
}  # fmt: skip
ELSEWHERE = {"IN014": ("mri_reads", 2), "IN018": ("subjects", 2)}  # where the query stands, if not where the change is


@pytest.mark.parametrize("door", DOORS)
def test_the_good_study_is_quiet(tmp_path, door):
    assert queries_of(tmp_path, good(), DOORS[door]) == []


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("code", CASES)
def test_a_bad_row_is_named_by_its_id_with_all_that_is_needed_to_mend_it(tmp_path, code, door):
    table, row, change, column, value, allowed, aside = CASES[code]
    tables = good()
    tables[table][row - 2] |= change
    found = [q for q in queries_of(tmp_path, tables, DOORS[door]) if q["code"] == code]
    assert len(found) == 1
    (query,) = found
    stands, row = ELSEWHERE.get(code, (table, row))
    place = {"csv": (f"{stands}.csv", ""), "xlsx": ("study.xlsx", stands)}[door]
    # a key given twice is said where it stands first
    assert (query["file"], query["sheet"], query["row"]) == (*place, "2" if code == "IN002" else str(row))
    assert (query["severity"], query["column"], query["sets_aside"]) == (SEVERITY[code], column, aside)
    assert query["value"].startswith(value)
    assert allowed in query["allowed"]
    assert f"row {query['row']}" in query["message"] or code == "IN002"
    assert query["action"]
    assert set_aside_subjects(collect_queries([tmp_path / "queries.csv"])).keys() == (
        {query["subject_id"]} if aside == "Y" else set()
    )


@pytest.mark.parametrize("door", DOORS)
def test_a_missing_required_column(tmp_path, door):
    tables = good()
    tables["csf"] = [{name: cell for name, cell in row.items() if name != "method"} for row in tables["csf"]]
    (query,) = [q for q in queries_of(tmp_path, tables, DOORS[door]) if q["code"] == "IN001"]
    assert (query["row"], query["column"], query["severity"]) == ("1", "method", "error")
    assert query["allowed"] == "CYTOLOGY, FLOW, CTC, CFDNA"


@pytest.mark.parametrize("door", DOORS)
def test_two_results_that_conflict(tmp_path, door):
    tables = good()
    tables["csf"].append(tables["csf"][0] | {"collected_dtc": "2024-01-31", "result": "NEGATIVE"})
    (query,) = queries_of(tmp_path, tables, DOORS[door])
    assert (query["code"], query["severity"], query["row"], query["column"]) == ("IN010", "warning", "2", "result")
    assert "POSITIVE of 2024-01-30" in query["message"]
    assert "NEGATIVE of 2024-01-31" in query["message"]


@pytest.mark.parametrize("door", DOORS)
def test_steroid_intervals_that_overlap(tmp_path, door):
    dose = {"subject_id": "S-1", "drug": "dexamethasone", "dose": "4", "unit": "mg", "freq": "QD"}
    days = (("2024-01-01", "2024-01-10"), ("2024-01-09", "2024-01-20"))
    tables = good() | {"steroids": [dose | {"start_dtc": first, "end_dtc": last} for first, last in days]}
    (query,) = queries_of(tmp_path, tables, DOORS[door])
    assert (query["code"], query["severity"], query["row"], query["column"]) == ("IN017", "warning", "2", "end_dtc")
    assert query["allowed"] == "an end_dtc up to 2024-01-09"


def test_every_id_exists_with_its_severity_and_is_tested():
    assert {code: catalogue()[code]["severity"] for code in SEVERITY} == SEVERITY
    assert {*CASES, "IN001", "IN010", "IN017"} == SEVERITY.keys() - OF_THE_READS


@pytest.mark.parametrize(
    ("row_id", "place"),
    [
        ("steroids.csv:4", ("steroids.csv", "", "4")),
        ("tables.xlsx/steroids:4", ("tables.xlsx", "steroids", "4")),
        ("steroids.csv:4;steroids.csv:5", ("steroids", "", "")),  # several rows: no one place
        ("mri:sub-01_ses-BL", ("steroids", "", "")),
    ],
)
def test_a_row_id_says_where(row_id, place):
    query = make("DV034", file="steroids", value="4 or 8", drug="dexamethasone", row_id=row_id)
    assert (query.file, query.sheet, query.row) == place


def test_every_wording_says_what_to_do():
    for code, entry in catalogue().items():
        assert entry["severity"] in ("error", "warning", "info"), code
        assert entry["message"].endswith("."), code
        assert entry["action"].endswith("."), code
        if code.startswith("IN0") and code not in OF_THE_READS and int(code[2:]) <= 41:
            assert "{allowed}" in entry["action"] or code in ("IN001", "IN002"), code


def test_the_coordinators_page_lists_every_id_of_the_specification(repository):
    text = (repository / "docs" / "coordinator.md").read_text(encoding="utf-8")
    listed = {line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| IN0")}
    assert SEVERITY.keys() <= listed
    assert {code for code in listed if len(code) == 5} <= catalogue().keys()
