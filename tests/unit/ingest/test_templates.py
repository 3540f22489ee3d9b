"""The empty study of ``lmresp init`` opens, is empty, offers the closed lists, and reads back when filled in."""

import csv
import dataclasses
import datetime
from pathlib import Path

import openpyxl
import pytest

from lmresp.errors import StudyError
from lmresp.ingest import spec, units
from lmresp.ingest.dictionary import data_dictionary
from lmresp.ingest.spreadsheet import write_raw_tables
from lmresp.ingest.study import open_study
from lmresp.ingest.tables import check_table, ingest_table
from lmresp.ingest.templates import template_workbook, write_templates
from lmresp.store import read_csv, workbook_bytes


def test_the_template_opens_and_holds_nothing(tmp_path):
    written = write_templates(tmp_path / "new")
    study = open_study(tmp_path / "new")
    assert all(path.is_file() for path in written)
    present, queries = write_raw_tables(study)
    assert present == []
    assert [query.code for query in queries] == ["IN033"]


def test_a_filled_workbook_reads_back_without_a_query(tmp_path):
    write_templates(tmp_path)
    path = tmp_path / "tables" / "tables.xlsx"
    book = openpyxl.load_workbook(path)
    columns = [cell.value for cell in book["subjects"][1]]
    given = {"study_id": "MY-STUDY", "subject_id": "007", "ref_start_dtc": "2024-02-01", "sex": "F"}
    book["subjects"].append([given.get(column) for column in columns])
    book.save(path)
    study = open_study(tmp_path)
    present, queries = write_raw_tables(study)
    assert (present, queries) == (["subjects"], [])
    rows, queries = check_table("subjects", read_csv(study.results / "work" / "raw" / "subjects.csv"))
    assert queries == []
    assert rows[0]["subject_id"] == "007"


def example_row(table: spec.Table) -> dict[str, str]:
    """A row with every cell filled in: the first code of each list, a date, a number."""
    plain = {
        "str": "x1",
        "int": "7",
        "num": "1.5",
        "dtc": "2024-02-12",
        "datetime": "2024-02-12T10:00:00Z",
        "flag": "Y",
    }
    row = {name: column.codes[0] if column.codes else plain[column.type] for name, column in table.columns.items()}
    for name, column in table.columns.items():
        if column.by:
            rule = column.by["rules"][row[column.by["column"]]]
            row[name] = rule["codes"][0] if "codes" in rule else "1"
        if column.quantity:
            row[f"{name}_unit"] = units.standard_unit(column.quantity)
        if name == "study_id":
            row[name] = "MY-STUDY"
    return row


def as_typed(column: spec.Column, text: str) -> object:
    """The cell as a spreadsheet holds it once someone has typed it in: numbers and days are no text."""
    if column.type in ("num", "int"):
        return float(text)
    return datetime.datetime.fromisoformat(text) if column.type == "dtc" else text


def fill_csv(tables: Path, table: spec.Table) -> None:
    with (tables / f"{table.name}.csv").open("a", newline="", encoding="utf-8") as handle:
        csv.DictWriter(handle, list(table.columns)).writerow(example_row(table))


def fill_workbook(tables: Path, table: spec.Table) -> None:
    book = openpyxl.load_workbook(tables / "tables.xlsx")
    row = example_row(table)
    book[table.name].append([as_typed(column, row[name]) for name, column in table.columns.items()])
    book.save(tables / "tables.xlsx")


@pytest.mark.parametrize("name", spec.TABLES)
def test_a_filled_template_gives_the_same_table_from_both_doors(tmp_path, name):
    table, results = spec.table_spec(name), []
    for door, fill in (("csv", fill_csv), ("xlsx", fill_workbook)):
        write_templates(tmp_path / door)
        fill(tmp_path / door / "tables", table)
        study = open_study(tmp_path / door)
        present, queries = write_raw_tables(study)
        assert (present, {query.code for query in queries} - {"IN033"}) == ([name], set())
        raw, out, asked = study.results / "work" / "raw" / f"{name}.csv", tmp_path / "out.csv", tmp_path / "asked.csv"
        ingest_table(raw, name, out, asked, data_cut=study.data_cut)
        assert read_csv(asked) == []
        place = {"csv": f"{name}.csv:2", "xlsx": f"tables.xlsx/{name}:2"}[
            door
        ]  # the one cell that tells the doors apart
        results.append(out.read_bytes().replace(place.encode(), b"HERE"))
    assert results[0] == results[1]
    assert results[0].count(b"HERE") == 1


def offers(book: openpyxl.Workbook, table: str) -> dict[str, tuple[tuple[str, ...], bool]]:
    """What each column of a sheet offers to choose from, and whether other values are refused."""
    found = {}
    for rule in book[table].data_validations.dataValidation:
        (area,) = rule.sqref.ranges
        cells = book["lists"][rule.formula1.removeprefix("lists!").replace("$", "")]
        column = book[table].cell(row=1, column=area.min_col).value
        assert (area.min_row, area.max_row) == (2, 5000)
        found[column] = (tuple(cell.value for (cell,) in cells), bool(rule.showErrorMessage))
    return found


@pytest.mark.parametrize("name", spec.TABLES)
def test_closed_lists_are_offered_in_full_and_closed(name):
    columns = spec.table_spec(name).columns.values()
    closed = {c.name: ("Y", "N") if c.type == "flag" else c.codes for c in columns if c.codes or c.type == "flag"}
    offered = offers(template_workbook(), name)
    assert {column: values for column, (values, _) in offered.items() if column in closed} == closed
    assert {column for column, (_, refuses) in offered.items() if refuses} == closed.keys()


def test_a_list_that_depends_on_another_column_is_offered_open():
    values, refuses = offers(template_workbook(), "mri_reads")["value"]
    assert {"PRESENT", "ABSENT", "WORSE", "CR", "PD", "NE"} <= set(values)
    assert not refuses  # a diameter in mm stands in the same column


def test_a_new_column_and_a_new_code_are_in_both_templates(tmp_path, monkeypatch):
    known = spec.table_spec("csf")
    new = spec.Column("colour", "code", "O", "Colour of the sample.", codes=("CLEAR", "XANTHOCHROMIC"))
    site = dataclasses.replace(known.columns["site"], codes=(*known.columns["site"].codes, "THORACIC"))
    changed = dataclasses.replace(known, columns={**known.columns, "site": site, "colour": new})
    monkeypatch.setattr(
        spec, "table_spec", lambda name, before=spec.table_spec: changed if name == "csf" else before(name)
    )
    write_templates(tmp_path)
    assert (tmp_path / "tables" / "csf.csv").read_text().rstrip().endswith(",colour")
    offered = offers(openpyxl.load_workbook(tmp_path / "tables" / "tables.xlsx"), "csf")
    assert offered["colour"] == (("CLEAR", "XANTHOCHROMIC"), True)
    assert offered["site"][0][-1] == "THORACIC"


def test_two_workbooks_have_the_same_bytes(monkeypatch):
    import datetime

    first = workbook_bytes(template_workbook())

    class Later(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2031, 5, 6, 7, 8, 9, tzinfo=tz)

    monkeypatch.setattr("openpyxl.writer.excel.datetime.datetime", Later)
    monkeypatch.setattr("openpyxl.packaging.core.datetime.datetime", Later)
    assert workbook_bytes(template_workbook()) == first


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "study.yaml").write_text("mine\n")
    with pytest.raises(StudyError, match=r"study\.yaml exists already"):
        write_templates(tmp_path)
    assert (tmp_path / "study.yaml").read_text() == "mine\n"
    assert not (tmp_path / "tables").exists()


def test_the_data_dictionary_in_docs_is_the_one_the_checks_use(repository):
    text = (repository / "docs" / "data_dictionary.md").read_text(encoding="utf-8")
    assert text == data_dictionary()
    for name in spec.TABLES:
        for column in spec.table_spec(name).columns.values():
            assert f"| `{column.name}` |" in text
            assert column.meaning in text
