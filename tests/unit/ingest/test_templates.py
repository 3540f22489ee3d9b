"""The empty study of ``lmresp init`` opens, is empty, offers the closed lists, and reads back when filled in."""

import openpyxl
import pytest

from lmresp.errors import StudyError
from lmresp.ingest import spec
from lmresp.ingest.dictionary import data_dictionary
from lmresp.ingest.spreadsheet import write_raw_tables
from lmresp.ingest.study import open_study
from lmresp.ingest.tables import check_table
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


def test_closed_lists_are_offered_in_full():
    book = template_workbook()
    for name in spec.TABLES:
        rules = {str(rule.sqref): rule for rule in book[name].data_validations.dataValidation}
        for place, column in enumerate(spec.table_spec(name).columns.values(), start=1):
            codes = ("Y", "N") if column.type == "flag" else column.codes
            letter = openpyxl.utils.get_column_letter(place)
            rule = rules.get(f"{letter}2:{letter}5000")
            assert (rule is not None) == bool(codes)
            if rule:
                offered = [
                    cell.value for (cell,) in book["lists"][rule.formula1.removeprefix("lists!").replace("$", "")]
                ]
                assert tuple(offered) == codes


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
