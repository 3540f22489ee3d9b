"""Every dialect a spreadsheet saves, and files that are none."""

import datetime
import io
import zipfile
from pathlib import Path

import openpyxl
import pytest

from lmresp.ingest import spec
from lmresp.ingest.csv_file import read_csv_file
from lmresp.ingest.spreadsheet import write_raw_tables
from lmresp.ingest.study import Study
from lmresp.ingest.workbook import read_workbook
from lmresp.store import read_csv


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / "tables").mkdir()
    return Study(folder=tmp_path, study_id="LM-1", data_cut="2024-06-30")


def put(study: Study, name: str, content: bytes) -> Path:
    path = study.tables_folder / name
    path.write_bytes(content)
    return path


def raw(study: Study, table: str) -> list[dict[str, str]]:
    return read_csv(study.results / "work" / "raw" / f"{table}.csv")


def codes(queries) -> list[str]:
    return [query.code for query in queries]


TEXT = "subject_id,result_verbatim,wbc\nS-1,Größe fraglich,3\n"


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        (TEXT.encode(), []),
        (TEXT.encode("utf-8-sig"), []),
        (TEXT.encode("cp1252"), ["IN029"]),
        (TEXT.replace(",", ";").encode(), []),
        (TEXT.replace(",", "\t").encode(), []),
        (TEXT.replace("\n", "\r\n").encode(), []),
        (TEXT.replace("\n", "\r").encode(), []),
        (("\n" + TEXT).encode(), []),
        (TEXT.replace("Größe fraglich", '"Größe fraglich"').encode(), []),
        (TEXT.rstrip("\n").encode(), []),
        (TEXT.replace("subject_id,", '"subject_id",').encode(), []),
    ],
)
def test_csv_dialects_give_the_same_cells(tmp_path, content, asked):
    path = tmp_path / "csf.csv"
    path.write_bytes(content)
    read, queries = read_csv_file(path, "csf")
    assert read is not None
    assert read.header == ("subject_id", "result_verbatim", "wbc")
    assert [cells for _, cells in read.rows] == [("S-1", "Größe fraglich", "3")]
    assert codes(queries) == asked


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (TEXT.encode("utf-16"), "UTF-16"),
        (TEXT.encode("utf-16-le"), "NUL"),
        (b"subject_id\nS\x00-1\n", "NUL"),
        (b"subject_id\n\x81\x8d\n", "neither UTF-8 nor Windows-1252"),
        (b'subject_id,lab\nS-1,"open\nS-2,b\n', "double quote"),
        (b'subject_id,lab\nS-1,"a"b\nS-2,b\n', "double quote"),
        (b"subject_id\n" + b"x" * 200_000 + b"\n", "larger than 131072"),
    ],
)
def test_files_that_are_no_table_are_refused_in_words(tmp_path, content, named):
    path = tmp_path / "csf.csv"
    path.write_bytes(content)
    read, queries = read_csv_file(path, "csf")
    assert read is None
    assert codes(queries) == ["IN024"]
    assert named in queries[0].message
    assert "csf.csv" in queries[0].message
    assert "CSV (UTF-8)" in queries[0].action


def test_an_empty_file_is_no_table_and_no_problem(tmp_path):
    for content in (b"", b"\n\n", b"\xef\xbb\xbf", b" , ,\n"):
        path = tmp_path / "csf.csv"
        path.write_bytes(content)
        assert read_csv_file(path, "csf") == (None, [])


def test_row_numbers_are_those_of_a_spreadsheet(study):
    put(study, "csf.csv", b'subject_id,lab\nS-1,"two\nlines"\n\nS-2,b\n')
    write_raw_tables(study)
    assert [(row["_row"], row["subject_id"]) for row in raw(study, "csf")] == [("2", "S-1"), ("4", "S-2")]


def test_decimal_commas_of_semicolon_files(study):
    put(study, "csf.csv", b"subject_id;wbc;protein;result_verbatim\nS-1;1,234;0,45;1,234 cells\n")
    write_raw_tables(study)
    row = raw(study, "csf")[0]
    assert (row["wbc"], row["protein"], row["result_verbatim"]) == ("1.234", "0.45", "1,234 cells")


def test_a_comma_stays_where_the_same_file_also_has_decimal_points(study):
    put(study, "csf.csv", b"subject_id;wbc;protein\nS-1;1,234;0.45\n")
    write_raw_tables(study)
    assert raw(study, "csf")[0]["wbc"] == "1,234"


def test_short_rows_are_filled_and_long_rows_left_out(study):
    put(study, "csf.csv", b"subject_id,wbc,lab\nS-1,3\nS-2,3,a,b\nS-3,3,a,,\n")
    _, queries = write_raw_tables(study)
    assert [row["subject_id"] for row in raw(study, "csf")] == ["S-1", "S-3"]
    (long,) = [query for query in queries if query.code == "IN025"]
    assert (long.subject_id, long.row, long.sets_aside) == ("S-2", "3", "Y")
    assert "csf.csv row 3" in long.message


def workbook(study: Study, name: str = "tables.xlsx", sheet: str = "CSF", rows=()) -> Path:
    book = openpyxl.Workbook()
    page = book.active
    page.title = sheet
    for row in rows:
        page.append(row)
    path = study.tables_folder / name
    book.save(path)
    return path


def test_workbook_cells_become_text(study):
    day = datetime.datetime(2024, 2, 12)
    workbook(
        study,
        rows=[
            ["subject_id", "collected_dtc", "visit_num", "wbc", "protein", "lab", "result_verbatim"],
            ["S-1", day, 2, 3.0, 0.1 + 0.2, "NA", True],
            ["S-2", day.replace(hour=9, minute=5), 3.1, None, 1e-05, "x", datetime.date(2024, 1, 5)],
            [None, None, None, None, None, None, None],
            ["0003", "2024-02", "1", "7", 12, datetime.time(9, 30), "ö"],
        ],
    )
    present, _ = write_raw_tables(study)
    rows = raw(study, "csf")
    assert present == ["csf"]
    assert [row["_row"] for row in rows] == ["2", "3", "5"]
    assert rows[0]["_sheet"] == "CSF"
    assert [rows[0][name] for name in ("collected_dtc", "visit_num", "wbc", "lab", "result_verbatim")] == [
        "2024-02-12",
        "2",
        "3",
        "NA",
        "TRUE",
    ]
    assert rows[1]["collected_dtc"] == "2024-02-12T09:05:00"
    assert float(rows[1]["protein"]) == 1e-05
    assert rows[2]["subject_id"] == "0003"
    assert rows[2]["collected_dtc"] == "2024-02"


def test_a_date_serial_is_a_date_when_formatted_in_either_epoch(study):
    for epoch, serial in ((openpyxl.utils.datetime.WINDOWS_EPOCH, 45334), (openpyxl.utils.datetime.MAC_EPOCH, 43872)):
        book = openpyxl.Workbook()
        book.epoch = epoch
        page = book.active
        page.title = "csf"
        page.append(["subject_id", "collected_dtc"])
        page.append(["S-1", serial])
        page["B2"].number_format = "dd/mm/yyyy"
        book.save(study.tables_folder / "tables.xlsx")
        write_raw_tables(study)
        assert raw(study, "csf")[0]["collected_dtc"] == "2024-02-12"  # both serials are this day in their epoch


def test_a_wrong_sheet_size_does_not_cut_rows_off(study):
    """Some programs write a <dimension> that is smaller than the sheet."""
    path = workbook(study, rows=[["subject_id", "wbc"], ["S-1", 3], ["S-2", 4]])
    source = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
    with zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            part = source.read(name)
            target.writestr(name, part.replace(b'<dimension ref="A1:B3"', b'<dimension ref="A1:A2"'))
    assert b'ref="A1:A2"' in zipfile.ZipFile(path).read("xl/worksheets/sheet1.xml")
    (read,), _ = read_workbook(path)
    assert [cells for _, cells in read.rows] == [("S-1", "3"), ("S-2", "4")]


def broken_workbooks() -> dict[str, bytes]:
    book = openpyxl.Workbook()
    book.active.title = "csf"
    for number in range(200):
        book.active.append([f"S-{number}", number])
    out = io.BytesIO()
    book.save(out)
    whole = out.getvalue()
    middle = len(whole) // 3
    return {
        "truncated": whole[: len(whole) // 2],
        "text": b"subject_id,wbc\nS-1,3\n",
        "empty": b"",
        "old": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
        "flipped": whole[:middle] + bytes(255 - byte for byte in whole[middle : middle + 900]) + whole[middle + 900 :],
        "zip": b"PK\x05\x06" + b"\0" * 18,
    }


@pytest.mark.parametrize("kind", ["truncated", "text", "empty", "old", "flipped", "zip"])
def test_broken_or_fake_workbooks_are_refused_in_words(tmp_path, kind):
    path = tmp_path / "tables.xlsx"
    path.write_bytes(broken_workbooks()[kind])
    tables, queries = read_workbook(path)
    assert tables == []
    assert codes(queries) == ["IN024"]
    assert "tables.xlsx" in queries[0].message


def test_a_table_given_twice_is_not_used(study):
    put(study, "csf.csv", b"subject_id\nS-1\n")
    workbook(study, rows=[["subject_id"], ["S-2"]])
    _, queries = write_raw_tables(study)
    assert raw(study, "csf") == []
    (twice,) = [query for query in queries if query.code == "IN023"]
    assert twice.value == "csf.csv, tables.xlsx sheet CSF"


def test_a_template_beside_a_filled_table_does_not_count(study):
    put(study, "csf.csv", b"subject_id,wbc\n")
    workbook(study, rows=[["subject_id"], ["S-2"]])
    _, queries = write_raw_tables(study)
    assert [row["subject_id"] for row in raw(study, "csf")] == ["S-2"]
    assert "IN023" not in codes(queries)


def test_case_of_names_and_unknown_files(study):
    put(study, "CSF.CSV", b"Subject_ID\nS-1\n")
    put(study, "lab.csv", b"a\n1\n")
    put(study, "old.xls", b"x")
    put(study, "~$tables.xlsx", b"lock")
    put(study, ".hidden.csv", b"x")
    (study.tables_folder / "folder.csv").mkdir()
    present, queries = write_raw_tables(study)
    assert present == ["csf"]
    assert sorted(query.file for query in queries if query.code == "IN032") == ["folder.csv", "lab.csv", "old.xls"]


def test_one_header_twice_refuses_the_table(study):
    put(study, "csf.csv", b"subject_id,result,RESULT \nS-1,POSITIVE,NEGATIVE\n")
    put(study, "neuro.csv", b"subject_id,score,score\nS-1,1,2\n")
    _, queries = write_raw_tables(study)
    assert raw(study, "csf") == raw(study, "neuro") == []
    assert [(q.file, q.value) for q in queries if q.code == "IN030"] == [("csf.csv", "result"), ("neuro.csv", "score")]


def test_identity_never_reaches_the_results_folder(study):
    canary = "Zebediah"
    header = "subject_id,last_name,lab,accession,result_verbatim"
    cells = f"S-1,{canary},Mr. {canary},ACC-{canary},{canary}@a.example"
    put(study, "csf.csv", f"{header}\n{cells}\n".encode())
    write_raw_tables(study)
    content = b"".join(path.read_bytes() for path in study.results.rglob("*") if path.is_file())
    assert canary.encode() not in content
    row = raw(study, "csf")[0]
    assert row["last_name"] == ""
    assert row["accession"].startswith("sha256:")
    assert row["lab"] == "[withheld: name]"


def test_raw_files_change_only_when_their_bytes_do(study):
    put(study, "csf.csv", b"subject_id,wbc,remark\nS-1,3,a\n")
    write_raw_tables(study)
    folder = study.results / "work" / "raw"
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    put(study, "csf.csv", b"subject_id,wbc,remark\r\nS-1,3,another remark\r\n")
    write_raw_tables(study)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert len(before) == len(spec.TABLES)
    assert (folder / "visits.csv").read_text() == "_file,_sheet,_row\n"


def test_a_study_without_tables_says_so(tmp_path):
    present, queries = write_raw_tables(Study(folder=tmp_path, study_id="LM-1", data_cut="2024-06-30"))
    assert present == []
    assert codes(queries) == ["IN033"]


def test_one_quoted_decimal_comma_file_of_redcap(shared_data, study):
    """The export quotes its decimal commas and separates by commas."""
    source = (shared_data / "clinical" / "redcap" / "decimal-comma" / "data.csv").read_bytes()
    put(study, "csf.csv", source.replace(b"record_id,name,height,weight", b"subject_id,name,protein,volume_ml"))
    write_raw_tables(study)
    rows = raw(study, "csf")
    assert [row["protein"] for row in rows] == ["1,54", "1,84", "1,95", "1,61"]
    assert {row["name"] for row in rows} == {""}


@pytest.mark.parametrize(
    "name",
    [
        "redcap/clinical-trial-1/data.csv",
        "redcap/longitudinal/data.csv",
        "redcap/longitudinal/dictionary.csv",
        "redcap/repeating-instruments/data.csv",
        "csf_biomarkers/csf_biomarkers_multisite.csv",
        "pharmaverse_onco_sdtm/dm.csv",
        "pharmaverse_onco_sdtm/rs_onco_recist.csv",
        "cdisc_msg_sdtm/dm.xpt",
    ],
)
def test_real_files_of_another_kind_end_in_queries(shared_data, study, name):
    put(study, "subjects.csv", (shared_data / "clinical" / name).read_bytes())
    write_raw_tables(study)
    rows = raw(study, "subjects")
    assert not any(row.get("subject_id") for row in rows)
