"""Whatever stands in a file, the tables door answers with rows and queries."""

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmresp.ingest import spec, units
from lmresp.ingest.cross_checks import check_study
from lmresp.ingest.csv_file import read_csv_file
from lmresp.ingest.study import Study
from lmresp.ingest.tables import check_table
from lmresp.ingest.workbook import read_workbook
from lmresp.queries import from_row, numbered

WORDS = ["", "S-1", "S-2", "2024-02-12", "2024-02", "--02-29", "NA", "<5", "1", "-1", "1e99", "1,5", "=1+1", "POSITIVE"]
WORDS += [
    "NE",
    "mg/dL",
    "KPS",
    "LUMBAR",
    "Y",
    "DONE",
    "2024-02-12T10:00Z",
    "a@b.example",
    "\u0000",
    "{value}",
    "%s",
    "'",
]


VALID = {"str": "x1", "int": "7", "num": "1.50", "dtc": "2024-02-12", "datetime": "2024-02-12T10:00Z", "flag": "y"}


@st.composite
def raw_rows(draw: st.DrawFn, table: str) -> list[dict[str, str]]:
    """Rows that mostly pass, with up to three cells of each replaced by anything."""
    columns = spec.table_spec(table).columns
    rows = []
    for number in range(draw(st.integers(1, 4))):
        row = {name: draw(st.sampled_from(c.codes)) if c.codes else VALID[c.type] for name, c in columns.items()}
        row |= {f"{name}_unit": units.standard_unit(c.quantity) for name, c in columns.items() if c.quantity}
        for name, column in columns.items():
            rule = column.by["rules"][row[column.by["column"]]] if column.by else {}
            row[name] = draw(st.sampled_from(rule["codes"])) if "codes" in rule else "7" if rule else row[name]
        row |= {spec.table_spec(table).key[0]: f"R-{number}", "subject_id": f"S-{number}"}
        for name in draw(st.lists(st.sampled_from(list(columns)), max_size=3)):
            row[name] = draw(st.sampled_from([*WORDS, *columns[name].codes]) | st.text(max_size=12))
        rows.append({"_file": "t.csv", "_sheet": "", "_row": str(number + 2), **row})
    return rows


@pytest.mark.parametrize("table", spec.TABLES)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_cells_give_rows_that_pass_a_second_time(table, data):
    raw = data.draw(raw_rows(table))
    rows, queries = check_table(table, raw, data_cut="2024-06-30")
    kept = {row["row_id"] for row in rows}
    errors = [query for query in queries if query.severity == "error"]
    asked = {query.row for query in errors}
    # a query about several rows names them in its message
    named = [query.message for query in errors if query.code in ("IN002", "IN038")]
    asked |= {
        n for text in named for rows in re.findall(r"rows ([0-9, and]+)", text) for n in re.findall("[0-9]+", rows)
    }
    assert {row["_row"] for row in raw if f"t.csv:{row['_row']}" not in kept} <= asked
    assert {from_row(row) for row in numbered(queries)} == set(queries)
    again, _ = check_table(table, [{**raw[0], **row} for row in rows], data_cut="2024-06-30")
    columns = list(spec.table_spec(table).columns)
    assert [[row[name] for name in columns] for row in again] == [[row[name] for name in columns] for row in rows]
    study = Study(folder=Path(), study_id="LM-1", data_cut="2024-06-30")
    check_study({table: rows, "subjects": rows if table == "subjects" else []}, study)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(content=st.binary(max_size=200) | st.text(alphabet="subject_id,;\t\"\r\n'ä1", max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "csf.csv"
        path.write_bytes(content)
        read, queries = read_csv_file(path, "csf")
        assert read is None or queries == [] or {query.code for query in queries} == {"IN029"}
        book = Path(folder) / "tables.xlsx"
        book.write_bytes(b"PK\x03\x04" + content)
        assert [query.code for query in read_workbook(book)[1]] == ["IN024"]
