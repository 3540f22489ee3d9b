"""What spreadsheet programs and their users do to a table, each handled on purpose."""

import io
import zipfile

import openpyxl
import pytest

from lmresp.errors import StudyError
from lmresp.ingest import workbook
from lmresp.ingest.cells import NO_RESULT, is_failed, is_shortened_number
from lmresp.ingest.spreadsheet import stop_if_unusable, write_raw_tables
from lmresp.ingest.study import Study
from lmresp.ingest.tables import check_table
from lmresp.ingest.workbook import read_workbook
from lmresp.store import read_csv
from tests.spreadsheets import HEAD, ROW, put


@pytest.fixture
def study(tables_study: Study) -> Study:
    return tables_study


def checked(study: Study, table: str = "csf"):
    """Rows and queries of a table after both steps of the door."""
    _, found = write_raw_tables(study)
    rows, asked = check_table(table, read_csv(study.results / "work" / "raw" / f"{table}.csv"), data_cut="2024-06-30")
    return rows, [query for query in (*found, *asked) if query.code != "IN033"]


def with_row(study: Study, **cells: str) -> None:
    row = dict(zip(HEAD, ROW, strict=True)) | cells
    put(study, "csf.csv", ",".join(HEAD) + "\n" + ",".join(row[name] for name in HEAD) + "\n")


@pytest.fixture
def page(study: Study):
    """The sheet csf of a workbook, and a function that saves it into the study."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "csf"
    sheet.append(HEAD)
    sheet.append(ROW)
    return sheet, lambda: book.save(study.tables_folder / "tables.xlsx")


# --- words, blanks and signs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["NA", "N/A", "null", "None", "nan", "TRUE"])
def test_words_that_programs_take_for_missing_are_words(study, word):
    put(study, "subjects.csv", f"study_id,subject_id,site_id,ref_start_dtc\nLM-1,{word},{word},2024-01-08\n")
    ((row,), queries) = checked(study, "subjects")
    assert (row["subject_id"], row["site_id"], queries) == (word, word, [])


def test_na_is_no_result_no_number_and_no_date(study):
    with_row(study, result="NA", volume_ml="NA", collected_dtc="NA")
    rows, queries = checked(study)
    assert rows == []
    assert sorted((q.code, q.column) for q in queries) == [
        ("IN003", "result"),
        ("IN004", "collected_dtc"),
        ("IN027", "volume_ml"),
    ]


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u3000", "\t", "\u200b", "\ufeff", "\u200e"])
def test_blanks_of_every_kind_around_a_cell_are_no_part_of_it(study, blank):
    with_row(study, **{name: f"{blank}{cell}{blank}" for name, cell in zip(HEAD, ROW, strict=True)})
    ((row,), queries) = checked(study)
    assert [row[name] for name in HEAD] == ROW
    assert queries == []


def test_a_non_breaking_space_inside_a_code_is_a_blank(study):
    put(study, "csf.csv", ",".join([*HEAD, "reason_ne"]) + "\n" + ",".join([*ROW, "LOW\u00a0VOLUME"]))
    ((row,), queries) = checked(study)
    assert (row["reason_ne"], queries) == ("LOW VOLUME", [])


@pytest.mark.parametrize(("column", "code"), [("collected_dtc", "IN004"), ("volume_ml", "IN027")])
def test_full_width_digits_are_not_digits(study, column, code):
    with_row(study, **{column: "２０２４-02-12"})
    rows, (query,) = checked(study)
    assert (rows, query.code, query.column, query.sets_aside) == ([], code, column, "Y")


# --- dates and numbers as spreadsheets show them ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["05/01/2024", "5.1.2024", "05-Jan-2024", "2024/01/05", "Jan-24", "1/5/24", "20240105"]
)
def test_a_date_as_text_is_not_guessed(study, page, text):
    sheet, save = page
    sheet["B2"] = text
    save()
    rows, (query,) = checked(study)
    assert (rows, query.code, query.value) == ([], "IN004", text)
    assert "YYYY-MM-DD" in query.action


@pytest.mark.parametrize("text", ["1.23457E+11", "1,23457E+11", "1E+05", "2.0e+17"])
def test_an_identifier_that_a_spreadsheet_has_cut_is_refused(study, text):
    put(study, "subjects.csv", f"study_id;subject_id;ref_start_dtc\nLM-1;{text};2024-01-08\n")
    rows, (query,) = checked(study, "subjects")
    assert (rows, query.code, query.column, query.value) == ([], "IN040", "subject_id", text)
    assert "text" in query.action


@pytest.mark.parametrize("text", ["S-1", "E+11", "12E", "1E5", "1.2E-3", "12E+4A"])
def test_identifiers_that_only_resemble_one_pass(text):
    assert not is_shortened_number(text)


def test_a_long_number_of_a_workbook_keeps_the_fifteen_digits_that_it_has(study, page):
    sheet, save = page
    sheet["A2"] = 123456789012345
    save()
    ((row,), _) = checked(study)
    assert row["subject_id"] == "123456789012345"


# --- formulas --------------------------------------------------------------------------------------------------------


def test_a_formula_without_a_stored_result_sets_its_subject_aside(study, page):
    sheet, save = page
    sheet["G2"] = "=1+2"  # openpyxl writes formulas without results, as programs that never calculate do
    save()
    rows, (query,) = checked(study)
    assert rows == []
    assert (query.code, query.subject_id, query.sheet, query.row) == ("IN036", "S-1", "csf", "2")
    assert (query.column, query.value, query.sets_aside) == ("volume_ml", NO_RESULT, "Y")


def test_a_formula_with_a_result_is_its_result(study, page):
    sheet, save = page
    sheet["G2"] = "=1+2"
    save()
    path = study.tables_folder / "tables.xlsx"
    source = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
    with zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(
                name, source.read(name).replace(b"<v /></c>", b"<v>3</v></c>").replace(b"<v></v>", b"<v>3</v>")
            )
    ((row,), queries) = checked(study)
    assert (row["volume_ml"], queries) == ("3", [])


@pytest.mark.parametrize("text", ["#N/A", "#REF!", "#DIV/0!", "#NAME?", "#NV", "#BEZUG!", "########"])
@pytest.mark.parametrize("column", ["subject_id", "collected_dtc", "result", "lab", "volume_ml"])
def test_what_a_failed_formula_shows_is_no_value(study, text, column):
    with_row(study, **{column: text})
    rows, (query,) = checked(study)
    assert (rows, query.code, query.column, query.value) == ([], "IN036", column, text)


def test_a_hash_in_a_text_is_a_text():
    assert not any(map(is_failed, ("", "#1", "# 3", "##", "see #N/A", "NA")))


# --- sheets ----------------------------------------------------------------------------------------------------------


def test_merged_cells_make_the_sheet_unusable(study, page):
    sheet, save = page
    sheet.append(["S-1", *ROW[1:]])
    sheet.merge_cells("A2:A3")
    save()
    _, (query,) = checked(study)
    assert (query.code, query.file, query.sheet, query.severity) == ("IN024", "tables.xlsx", "csf", "error")
    assert "A2:A3" in query.value
    with pytest.raises(StudyError, match="A2:A3"):
        stop_if_unusable(study)


def test_merged_cells_are_found_wherever_the_parts_of_the_file_are_cut(study, page, monkeypatch):
    sheet, save = page
    sheet.merge_cells("A4:B4")
    save()
    for size in (16, 61, 999):
        monkeypatch.setattr(workbook, "_CHUNK", size)
        assert [q.code for q in read_workbook(study.tables_folder / "tables.xlsx")[1]] == ["IN024"]


def test_merged_cells_of_another_sheet_do_not_matter(study, page):
    sheet, save = page
    notes = sheet.parent.create_sheet("Notes")
    notes.merge_cells("A1:C1")
    save()
    rows, queries = checked(study)
    assert (len(rows), [q.code for q in queries]) == (1, ["IN032"])


def test_hidden_sheets_rows_and_columns_are_read(study, page):
    sheet, save = page
    sheet.parent.create_sheet("Notes")
    sheet.append(["S-2", *ROW[1:]])
    sheet.sheet_state, sheet.row_dimensions[3].hidden, sheet.column_dimensions["E"].hidden = "hidden", True, True
    save()
    rows, _ = checked(study)
    assert [(row["subject_id"], row["result"]) for row in rows] == [("S-1", "NEGATIVE"), ("S-2", "NEGATIVE")]


def test_empty_rows_count_and_are_passed_over(study, page):
    sheet, save = page
    for row in ([], [None, " "], ["S-2", *ROW[1:]]):
        sheet.append(row or [None])
    save()
    rows, queries = checked(study)
    assert [row["row_id"] for row in rows] == ["tables.xlsx/csf:2", "tables.xlsx/csf:5"]
    assert queries == []


# --- headers ---------------------------------------------------------------------------------------------------------


def test_headers_in_any_case_with_blanks(study):
    put(study, "csf.csv", ",".join(f" {name.upper()}\u00a0" for name in HEAD) + "\n" + ",".join(ROW))
    ((row,), queries) = checked(study)
    assert ([row[name] for name in HEAD], queries) == (ROW, [])


@pytest.mark.parametrize("header", ["volume_ml (mL)", "Volume ml", "volume-ml", "Volume_ml [2024]"])
def test_a_header_with_a_remark_is_not_read_and_said(study, header):
    put(study, "csf.csv", ",".join([*HEAD[:-1], header]) + "\n" + ",".join(ROW))
    ((row,), (query,)) = checked(study)
    assert row["volume_ml"] == ""
    assert (query.code, query.severity, query.value, query.allowed) == ("IN041", "warning", header, "volume_ml")


@pytest.mark.parametrize("header", ["protein (g/L)", "Protein g/L", "protein_mg_dl"])
def test_a_header_with_a_unit_is_not_read_and_said(study, header):
    put(study, "csf.csv", ",".join([*HEAD, header]) + "\n" + ",".join([*ROW, "45"]))
    (_, (query,)) = checked(study)
    assert (query.code, query.allowed) == ("IN041", "protein")


def test_another_column_is_for_information_only(study):
    put(study, "csf.csv", ",".join([*HEAD, "protein_comment", "visit date"]) + "\n" + ",".join([*ROW, "a", "b"]))
    (_, (query,)) = checked(study)
    assert (query.code, query.severity, query.value) == ("IN022", "info", "protein_comment, visit date")


@pytest.mark.parametrize(
    "header", ["Proband;Entnahme;Ort;Verfahren;Ergebnis;Labor;Menge (ml)", "被験者,採取日,部位,方法,結果,施設,量"]
)
def test_headers_in_another_language_name_every_column_that_is_missing(study, header):
    separator = ";" if ";" in header else ","
    put(study, "csf.csv", header + "\n" + separator.join(ROW))
    rows, queries = checked(study)
    assert rows == []
    assert [q.column for q in queries if q.code == "IN001"] == HEAD[:5]
    with pytest.raises(StudyError, match="IN001") as caught:
        stop_if_unusable(study)
    assert "\n" not in str(caught.value)
