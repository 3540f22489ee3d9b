"""Files of tables that are refused, what they cost, and when a study must stop for them."""

import io
import os
import zipfile
from pathlib import Path

import openpyxl
import pytest

from lmresp.errors import StudyError
from lmresp.ingest import spec, table_file, workbook
from lmresp.ingest.csv_file import read_csv_file
from lmresp.ingest.spreadsheet import read_tables, stop_if_unusable, write_raw_tables
from lmresp.ingest.study import Study
from lmresp.ingest.workbook import read_workbook
from tests.spreadsheets import HEAD, ROW, put


@pytest.fixture
def study(tables_study: Study) -> Study:
    return tables_study


@pytest.fixture
def page(study: Study):
    """The sheet csf of a workbook, and a function that saves it into the study."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "csf"
    sheet.append(HEAD)
    sheet.append(ROW)
    return sheet, lambda: book.save(study.tables_folder / "tables.xlsx")


# --- files that are not opened ---------------------------------------------------------------------------------------


def test_what_is_no_plain_file_is_refused_before_it_is_opened(study, monkeypatch):
    folder = study.tables_folder
    (folder / "csf.csv").mkdir()
    os.mkfifo(folder / "neuro.csv")  # opening it would wait for ever
    (folder / "visits.csv").symlink_to("visits.csv")
    (folder / "facts.csv").symlink_to("gone.csv")
    (folder / "scans.csv").symlink_to("/dev/zero")
    os.mkfifo(folder / "tables.xlsx")
    tables, queries = read_tables(study)
    assert tables == {}
    assert {q.file: q.value for q in queries if q.code == "IN024"} == {
        "csf.csv": "it is a folder",
        "neuro.csv": "it is a pipe, a socket or a device",
        "visits.csv": "it cannot be opened (Too many levels of symbolic links)",
        "facts.csv": "it cannot be opened (No such file or directory)",
        "scans.csv": "it is a pipe, a socket or a device",
        "tables.xlsx": "it is a pipe, a socket or a device",
    }


@pytest.mark.parametrize("name", ["csf.csv", "tables.xlsx"])
def test_a_file_above_the_limit_is_never_opened(study, monkeypatch, name):
    path = put(study, name, "subject_id\n")
    os.truncate(path, 200_000_000)
    opened = lambda *_, **__: pytest.fail("it was opened")  # noqa: E731
    for target in ("read_bytes", "read_text", "open"):
        monkeypatch.setattr(Path, target, opened)
    monkeypatch.setattr(zipfile, "ZipFile", opened)
    _, (query, *_) = read_tables(study)
    assert (query.code, query.value) == ("IN024", "it is larger than 100 MB")
    assert "at most 100 MB" in query.action


def test_a_file_of_the_limit_is_read(study, monkeypatch):
    path = put(study, "csf.csv", "subject_id\nS-1\n")
    monkeypatch.setattr(table_file, "MAX_BYTES", path.stat().st_size)
    assert read_csv_file(path, "csf")[1] == []
    monkeypatch.setattr(table_file, "MAX_BYTES", path.stat().st_size - 1)
    assert [q.code for q in read_csv_file(path, "csf")[1]] == ["IN024"]


@pytest.mark.parametrize("name", ["csf.csv", "tables.xlsx"])
def test_a_file_without_permission_is_named(study, monkeypatch, name):
    put(study, name, "subject_id\n")

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    monkeypatch.setattr(zipfile, "ZipFile", denied)
    (query,) = read_tables(study)[1]
    assert (query.code, query.file, query.value) == ("IN024", name, "it cannot be opened (Permission denied)")


def test_a_folder_of_tables_that_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "tables").symlink_to("tables")
    (query,) = read_tables(Study(folder=tmp_path, study_id="LM-1", data_cut="2024-06-30"))[1]
    assert (query.code, query.file) == ("IN024", "tables")


@pytest.mark.parametrize("name", ["csf.xls", "csf.tsv", "CSF.ods", "csf"])
def test_a_table_in_another_format_is_not_passed_over(study, name):
    put(study, name, "subject_id\nS-1\n")
    (query,) = read_tables(study)[1]
    assert (query.code, query.file) == ("IN024", name)
    put(
        study, "csf.csv", ",".join(HEAD) + "\n" + ",".join(ROW) + "\n"
    )  # saved again as CSV: then the other file is only mentioned
    assert [q.code for q in read_tables(study)[1]] == ["IN032"]


def test_names_of_files_cannot_break_a_line_or_the_encoding(study):
    (study.tables_folder / "a\nb.xlsx").write_bytes(b"")
    (study.tables_folder / os.fsdecode(b"\xff.xlsx")).write_bytes(b"")
    _, queries = write_raw_tables(study)
    assert sorted(q.file for q in queries if q.code == "IN024") == ["?.xlsx", "a b.xlsx"]


# --- bombs -----------------------------------------------------------------------------------------------------------


def rezipped(study: Study, save, parts: dict[str, bytes]) -> Path:
    """Save the workbook with some of its parts exchanged."""
    save()
    path = study.tables_folder / "tables.xlsx"
    source = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, parts.get(name, source.read(name)))
    return path


SHEET = "xl/worksheets/sheet1.xml"
XML = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>'
)


def test_a_workbook_that_unpacks_without_end_is_refused_unopened(study, page, monkeypatch):
    path = rezipped(study, page[1], {"xl/styles.xml": b" " * 101_000_000})
    assert path.stat().st_size < 1_000_000
    monkeypatch.setattr(openpyxl, "load_workbook", lambda *_, **__: pytest.fail("it was opened"))
    tables, (query,) = read_workbook(path)
    assert (tables, query.code, query.value) == ([], "IN024", "it unpacks to more than 500 MB")


def test_text_that_multiplies_itself_is_refused(study, page):
    levels = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    cell = '<row r="1"><c r="A1" t="inlineStr"><is><t>&a11;</t></is></c></row>'
    bomb = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "lol">{levels}]>' + XML.format(cell)
    tables, (query,) = read_workbook(rezipped(study, page[1], {SHEET: bomb.encode()}))
    assert (tables, query.code) == ([], "IN024")
    assert "broken" in query.value


def test_a_row_beyond_the_last_of_a_spreadsheet_is_refused(study, page, monkeypatch):
    monkeypatch.setattr(workbook, "MAX_ROWS", 1000)
    rows = '<row r="1"><c r="A1" t="str"><v>subject_id</v></c></row><row r="99999999999"><c r="A2"><v>1</v></c></row>'
    tables, (query,) = read_workbook(rezipped(study, page[1], {SHEET: XML.format(rows).encode()}))
    assert (tables, query.code, query.value) == ([], "IN024", "it has more than 1000 rows")


def test_a_row_of_too_many_cells_is_refused_and_empty_ones_do_not_count(study, page):
    sheet, save = page
    sheet["ALM2"] = "far out"  # column 1001
    save()
    _, (query,) = read_workbook(study.tables_folder / "tables.xlsx")
    assert (query.code, query.row, query.value) == ("IN024", "2", "a row has more than 1000 cells")
    path = put(study, "csf.csv", ",".join(HEAD) + "\n" + "," * 2000 + "x\n")
    assert [q.row for q in read_csv_file(path, "csf")[1]] == ["2"]
    path = put(study, "csf.csv", ",".join(HEAD) + "," * 2000 + "\n" + ",".join(ROW) + "," * 2000 + "\n")
    read, queries = read_csv_file(path, "csf")
    assert (read.rows, queries) == (((2, tuple(ROW)),), [])


# --- when a study must stop ------------------------------------------------------------------------------------------


SUBJECTS = "study_id,subject_id,ref_start_dtc\nLM-1,S-1,2024-01-08\n"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("csf.csv", b"\0" * 1000, "IN024"),
        ("csf.csv", b"subject_id,result\nS-1,POSITIVE\n", "IN001"),
        ("csf.csv", b"subject_id,result,Result\nS-1,POSITIVE,NEGATIVE\n", "IN030"),
        ("facts.csv", b'"', "IN024"),
        ("subjects.csv", b"study_id,subject_id,ref_start_dtc\n", "IN033"),
        ("subjects.csv", b"study_id,subject_id,ref_start_dtc,\xe4\n", "IN033"),
        ("subjects.csv", b"", "IN033"),
        ("book.xlsx", b"PK", "IN024"),
    ],
)
def test_a_table_that_cannot_be_used_at_all_stops_the_study(study, name, content, code):
    put(study, "subjects.csv", SUBJECTS)
    stop_if_unusable(study)
    put(study, name, content)
    with pytest.raises(StudyError) as caught:
        stop_if_unusable(study)
    assert code in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not study.results.exists()


def test_bad_rows_and_foreign_files_do_not_stop_the_study(study):
    put(study, "subjects.csv", SUBJECTS)
    put(study, "csf.csv", ",".join(HEAD) + "\n" + ",".join(["S-1", "?", "?", "?", "?", "?", "?"]))
    put(study, "notes.txt", "x")
    put(study, "neuro.csv", "subject_id\n")  # a header without rows is a template
    stop_if_unusable(study)


def test_every_table_may_be_the_one_that_stops_it(study):
    put(study, "subjects.csv", SUBJECTS)
    for table in spec.TABLES[1:]:
        path = put(study, f"{table}.csv", b"\0")
        with pytest.raises(StudyError, match=f"IN024 {table}.csv"):
            stop_if_unusable(study)
        path.unlink()
