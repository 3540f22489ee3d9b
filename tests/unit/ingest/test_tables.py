"""Row checks: each query names file, row, column, value and what is allowed; a bad subject goes, the others stay."""

import pytest

from lmresp.ingest import spec
from lmresp.ingest.csv_file import read_csv_file
from lmresp.ingest.spreadsheet import write_raw_tables
from lmresp.ingest.study import Study
from lmresp.ingest.tables import (
    check_table,
    collect_queries,
    ingest_table,
    set_aside_subjects,
    with_visit_labels,
    write_queries,
)
from lmresp.queries import make
from lmresp.store import read_csv

CSF = {
    "subject_id": "S-1",
    "collected_dtc": "2024-02-12",
    "site": "LUMBAR",
    "method": "CYTOLOGY",
    "result": "POSITIVE",
}
SUBJECT = {"study_id": "LM-1", "subject_id": "S-1", "ref_start_dtc": "2024-01-08"}
READ = {
    "read_id": "R1",
    "subject_id": "S-1",
    "visit_num": "2",
    "scan_dtc": "2024-02-12",
    "reader_id": "RADIOLOGIST 1",
    "role": "INDEPENDENT ASSESSOR",
    "read_dtc": "2024-02-14T10:00Z",
    "locked_dtc": "2024-02-14T11:00Z",
    "compartment": "WHOLE",
    "item": "LINEAR",
    "value": "WORSE",
}
NEURO = {
    "subject_id": "S-1",
    "visit_num": "2",
    "exam_dtc": "2024-02-12",
    "instrument": "NANO",
    "item": "gait",
    "score": "1",
}


def at(row: dict[str, str], number: int = 2, **cells: str) -> dict[str, str]:
    return {"_file": "table.csv", "_sheet": "", "_row": str(number), **row, **cells}


def check(table, *rows, data_cut="2024-06-30"):
    names = list(dict.fromkeys(name for row in rows for name in row))
    return check_table(table, [{name: row.get(name, "") for name in names} for row in rows], data_cut=data_cut)


def only(queries, code):
    (query,) = [query for query in queries if query.code == code]
    return query


def test_a_good_row_passes_and_is_spelt_in_one_way():
    rows, queries = check(
        "csf",
        at(CSF, site=" lumbar ", result="not  evaluable", Reason_NE="low volume", visit_num="2.0", volume_ml="7,5"),
    )
    assert queries == []
    (row,) = rows
    assert (row["site"], row["result"], row["reason_ne"]) == ("LUMBAR", "NOT EVALUABLE", "LOW VOLUME")
    assert (row["visit_num"], row["volume_ml"], row["row_id"]) == ("2", "7.5", "table.csv:2")
    assert tuple(row) == spec.table_spec("csf").output_columns


WITHHELD = "[withheld: not in the list]"
FAR_OFF = {("csf", "iCR"), ("csf", "NA"), ("mri_reads", "PD"), ("subjects", "TRUE")}  # no code is like these
CASES = [
    ("IN003", "csf", {"result": "iCR"}, "result", "POSITIVE, SUSPICIOUS, ATYPICAL, NEGATIVE"),
    ("IN003", "csf", {"result": "NA"}, "result", "POSITIVE, SUSPICIOUS"),
    ("IN003", "mri_reads", {"item": "OVERALL", "value": "iCR"}, "value", "CR, PR, SD, PD, NE"),
    ("IN003", "mri_reads", {"value": "PD"}, "value", "IMPROVED, NO CHANGE, WORSE, NE"),
    ("IN003", "neuro", {"score": "4"}, "score", "0, 1, 2, 3"),
    ("IN003", "neuro", {"instrument": "KPS", "item": "KPS", "score": "75"}, "score", "70, 80"),
    ("IN003", "subjects", {"death_fl": "TRUE"}, "death_fl", "Y, N"),
    ("IN004", "csf", {"collected_dtc": "12/02/2024"}, "collected_dtc", "YYYY-MM-DD"),
    ("IN004", "csf", {"collected_dtc": "2024-02"}, "collected_dtc", "YYYY-MM-DD"),
    ("IN004", "csf", {"collected_dtc": "45334"}, "collected_dtc", "YYYY-MM-DD"),
    ("IN004", "subjects", {"death_dtc": "UN-JAN-2024"}, "death_dtc", "YYYY-MM"),
    ("IN004", "subjects", {"death_dtc": "--05-10"}, "death_dtc", "YYYY-MM"),
    ("IN004", "mri_reads", {"read_dtc": "2024-02-14"}, "read_dtc", "Thh:mm"),
    ("IN007", "csf", {"protein": "45"}, "protein_unit", "g/L, g/dL, mg/dL, mg/L"),
    ("IN007", "csf", {"protein": "45", "protein_unit": "mmol/L"}, "protein_unit", "mg/dL"),
    ("IN020", "csf", {"result": ""}, "result", "POSITIVE"),
    ("IN021", "csf", {"result": "NOT EVALUABLE"}, "reason_ne", "ACELLULAR, BLOODY"),
    ("IN021", "subjects", {"death_fl": "Y"}, "death_dtc", "YYYY"),
    ("IN021", "mri_reads", {"value": "NE"}, "reason_ne", "MOTION, NO CONTRAST"),
    ("IN021", "neuro", {"score": ""}, "score", "text of at most 40"),
    ("IN026", "subjects", {"subject_id": "S" * 41}, "subject_id", "at most 40 characters"),
    ("IN026", "csf", {"result_verbatim": "x" * 201}, "result_verbatim", "at most 200 characters"),
    ("IN027", "csf", {"wbc": "1,234", "wbc_unit": "/uL"}, "wbc", "a number"),
    ("IN027", "csf", {"wbc": "-3", "wbc_unit": "/uL"}, "wbc", "0 or more"),
    ("IN027", "csf", {"volume_ml": "0"}, "volume_ml", "0.01 to 200"),
    ("IN027", "mri_reads", {"item": "NODULE_1_X", "value": "big"}, "value", "0 to 300"),
    ("IN027", "subjects", {"age": "NaN"}, "age", "0 to 120"),
]


@pytest.mark.parametrize(("code", "table", "cells", "column", "allowed"), CASES)
def test_an_error_names_its_place_and_leaves_the_row_out(code, table, cells, column, allowed):
    row = {"csf": CSF, "subjects": SUBJECT, "mri_reads": READ, "neuro": NEURO}[table]
    other = {"read_id": "R2"} if table == "mri_reads" else {}
    rows, queries = check(table, at(row, 7, **cells), at(row, 8, subject_id="S-2", **other))
    query = only(queries, code)
    assert (query.file, query.row, query.column) == ("table.csv", "7", column)
    assert query.severity == "error"
    assert query.sets_aside == "Y"
    assert allowed in query.allowed
    given = cells.get(column, "")
    assert query.value == (WITHHELD if code == "IN003" and (table, given) in FAR_OFF else given[:200])
    assert "table.csv row 7" in query.message
    assert allowed.split(",")[0] in query.action + query.allowed
    assert [one["subject_id"] for one in rows] == ["S-2"]
    assert list(set_aside_subjects(queries)) == [cells.get("subject_id", "S-1")]


def test_lengths_at_the_limit_pass():
    rows, queries = check("subjects", at(SUBJECT, subject_id="S" * 40))
    assert (len(rows), queries) == (1, [])
    rows, queries = check("csf", at(CSF, result_verbatim="ü" * 200))
    assert (len(rows), queries) == (1, [])


def test_a_duplicate_key_leaves_every_copy_out_and_is_asked_for_once():
    rows, queries = check("csf", at(CSF, 2), at(CSF, 4, subject_id="S-2"), at(CSF, 6, site="Lumbar"))
    assert [row["subject_id"] for row in rows] == ["S-2"]
    query = only(queries, "IN002")
    assert (query.subject_id, query.row, query.sets_aside) == ("S-1", "2", "Y")
    assert "rows 2 and 6" in query.message
    assert "S-1, 2024-02-12" in query.value


def test_a_key_without_the_subject_sets_every_subject_of_it_aside():
    rows = [at({"path": "mri/x", "subject_id": name}, n) for n, name in enumerate(("S-1", "S-2", "S-1"), start=2)]
    left, queries = check("scans", *rows)
    assert left == []
    assert [(q.code, q.subject_id) for q in queries] == [("IN002", "S-1"), ("IN002", "S-2")]
    assert all("rows 2, 3 and 4" in q.message for q in queries)


VISIT = {"subject_id": "S-1", "visit_num": "1", "visit": "BL", "start_dtc": "2024-01-08", "status": "DONE"}


@pytest.mark.parametrize(("one", "other"), [("BL", "BL"), ("WK06", "WK-06"), ("WK06", "wk 06")])
def test_a_label_for_two_visits_sets_the_subject_aside(one, other):
    rows, queries = check(
        "visits",
        at(VISIT, 2, visit=one),
        at(VISIT, 3, subject_id="S-2", visit=one),
        at(VISIT, 5, visit=other, visit_num="2", start_dtc="2024-02-12"),
        at(VISIT, 6, visit="WK12", visit_num="3", start_dtc="2024-03-25"),
    )
    assert [(row["subject_id"], row["visit"]) for row in rows] == [("S-2", one), ("S-1", "WK12")]
    (query,) = queries
    assert (query.code, query.subject_id, query.row, query.severity) == ("IN038", "S-1", "2", "error")
    assert list(set_aside_subjects(queries)) == ["S-1"]
    assert "rows 2 and 5" in query.message


def test_a_visit_given_twice_is_a_key_twice_and_nothing_else():
    _, queries = check("visits", at(VISIT, 2), at(VISIT, 3))
    assert [query.code for query in queries] == ["IN002"]


def test_missing_columns_are_all_named_and_the_table_is_not_used():
    rows, queries = check("csf", at({"subject_id": "S-1", "result": "POSITIVE"}))
    assert rows == []
    assert [q.column for q in queries if q.code == "IN001"] == ["collected_dtc", "site", "method"]
    assert "LUMBAR" in next(q for q in queries if q.column == "site").allowed


def test_unknown_columns_are_said_and_columns_of_identity_refused():
    rows, queries = check("csf", at(CSF, remark="", birth_date=""))
    assert len(rows) == 1
    assert only(queries, "IN022").value == "remark"
    assert only(queries, "IN022").severity == "info"
    refused = only(queries, "IN015")
    assert refused.message == "table.csv, column birth_date: a column that identifies people is not taken over."


def test_identity_in_free_text_is_withheld_and_the_row_goes_on():
    rows, queries = check("csf", at(CSF, result_verbatim="call ann@clinic.example"))
    assert rows[0]["result_verbatim"] == ""
    query = only(queries, "IN015")
    assert "ann@" not in str(query)
    assert (query.column, query.row, query.severity, query.sets_aside) == ("result_verbatim", "2", "error", "N")


def test_identity_as_subject_id_stops_the_row_and_is_not_repeated():
    rows, queries = check("csf", at(CSF, subject_id="ann@clinic.example"))
    assert rows == []
    assert "ann@" not in str(queries)
    assert only(queries, "IN015").column == "subject_id"


def test_a_bare_long_number_as_subject_is_a_warning():
    rows, queries = check("subjects", at(SUBJECT, subject_id="00123456"))
    assert len(rows) == 1
    assert only(queries, "IN028").severity == "warning"


def test_subjects_whose_image_folders_would_mix_are_set_aside():
    rows, queries = check(
        "subjects",
        *(at(SUBJECT, n, subject_id=name) for n, name in enumerate(("S-1", "S1", "s_2", "S-12", "ΩΨ"), start=2)),
    )
    assert [row["subject_id"] for row in rows] == ["s_2", "S-12"]
    assert [(q.code, q.row, q.sets_aside) for q in queries] == [("IN037", str(n), "Y") for n in (2, 3, 6)]


def test_laboratory_values_keep_what_was_given():
    rows, _ = check(
        "csf", at(CSF, protein="45", protein_unit="MG/DL", opening_pressure="250", opening_pressure_unit="mmH2O")
    )
    row = rows[0]
    assert (row["protein"], row["protein_unit"]) == ("0.45", "g/L")
    assert (row["protein_given"], row["protein_unit_given"]) == ("45", "MG/DL")
    assert (row["opening_pressure"], row["opening_pressure_unit"]) == ("25", "CMH2O")


def test_implausible_values_are_warned_of_in_the_standard_unit():
    rows, queries = check("csf", at(CSF, protein="45", protein_unit="g/L"))
    assert rows[0]["protein"] == "45"
    assert only(queries, "IN008").allowed == "0.1 to 20 g/L"
    rows, queries = check("csf", at(CSF, protein="45", protein_unit="mg/dL"))
    assert queries == []


def test_a_value_below_the_limit_of_detection_is_not_a_number_and_not_an_error():
    rows, queries = check("csf", at(CSF, wbc="<1", wbc_unit="/uL"))
    assert (rows[0]["wbc"], rows[0]["wbc_given"]) == ("", "<1")
    assert only(queries, "IN035").severity == "warning"


def test_a_record_after_the_data_cut_is_left_out_but_its_subject_goes_on():
    rows, queries = check(
        "csf", at(CSF, 2), at(CSF, 3, collected_dtc="2024-07-01"), at(CSF, 4, collected_dtc="2024-06-30")
    )
    assert [row["row_id"] for row in rows] == ["table.csv:2", "table.csv:4"]
    query = only(queries, "IN005")
    assert (query.row, query.value, query.sets_aside) == ("3", "2024-07-01", "N")
    assert "data cut 2024-06-30" in query.message


def test_a_death_after_the_data_cut_is_not_yet_known():
    rows, queries = check("subjects", at(SUBJECT, death_fl="Y", death_dtc="2024-08"))
    assert (rows[0]["death_fl"], rows[0]["death_dtc"]) == ("", "")
    assert only(queries, "IN005").column == "death_dtc"
    rows, queries = check("subjects", at(SUBJECT, death_fl="Y", death_dtc="2024"))  # may lie before the cut
    assert (rows[0]["death_dtc"], queries) == ("2024", [])


def test_an_unlocked_read_is_left_out():
    rows, queries = check("mri_reads", at(READ, 2), at(READ, 3, read_id="R2", locked_dtc=""))
    assert [row["read_id"] for row in rows] == ["R1"]
    assert only(queries, "IN011").sets_aside == "N"


def test_an_unlocked_session_is_one_query_over_all_its_compartments():
    whole = [at(READ, n, read_id=f"R{n}", locked_dtc="", compartment=c) for n, c in ((2, "BRAIN"), (3, "SPINE"))]
    other = at(READ, 4, read_id="R4", locked_dtc="", reader_id="RADIOLOGIST 2")
    rows, queries = check("mri_reads", *whole, other)
    assert rows == []
    assert [(q.code, q.row, q.value) for q in queries] == [("IN011", "2", "R2..R3"), ("IN011", "4", "R4")]


@pytest.mark.parametrize(("result", "shown"), [("Jane Doe", WITHHELD), ("POSTIVE", "POSTIVE"), ("7", "7")])
def test_a_name_in_a_coded_cell_reaches_no_output(tmp_path, result, shown):
    study = Study(folder=tmp_path, study_id="LM-1", data_cut="2024-06-30")
    study.tables_folder.mkdir()
    (study.tables_folder / "csf.csv").write_text(",".join(CSF) + "\n" + ",".join((CSF | {"result": result}).values()))
    reads = [READ | {"value": result}, READ | {"read_id": "R2", "item": result, "value": result}]
    lines = [",".join(READ), *(",".join(read.values()) for read in reads)]
    (study.tables_folder / "mri_reads.csv").write_text("\n".join(lines))
    write_raw_tables(study)
    work = study.results / "work"
    for table in ("csf", "mri_reads"):
        out = work / "tables" / f"{table}.csv"
        ingest_table(work / "raw" / f"{table}.csv", table, out, out.with_suffix(".queries.csv"))
    (query,) = collect_queries([work / "tables" / "csf.queries.csv"])
    assert (query.code, query.value, query.sets_aside) == ("IN003", shown, "Y")
    assert read_csv(work / "raw" / "csf.csv")[0]["result"] == shown
    content = "".join(path.read_text() for path in study.results.rglob("*.csv"))
    assert "Jane" not in content


def test_identity_in_a_coded_cell_is_one_query():
    rows, queries = check("csf", at(CSF, result="Mrs Smith"), at(CSF, 3, subject_id="S-2"))
    assert [row["subject_id"] for row in rows] == ["S-2"]
    (query,) = queries
    assert (query.code, query.value, query.sets_aside) == ("IN015", "[withheld: name]", "Y")
    assert query.message == "table.csv row 2, column result: text like a name is not taken over."


def test_visits_are_named_by_label_where_it_is_known():
    visits = [
        {"subject_id": "S-1", "visit_num": "2", "visit": "WK06"},
        {"subject_id": "S-1", "visit_num": "10", "visit": "3"},
        {"subject_id": "S-2", "visit_num": "2", "visit": "WK08"},
    ]
    given = [("S-1", "2.0"), ("S-1", "WK06"), ("S-1", "3"), ("S-1", "10"), ("S-2", "2"), ("S-2", "9"), ("S-3", "2")]
    found = with_visit_labels([make("IN032", subject_id=s, visit=v) for s, v in given], visits)
    assert [q.visit for q in found] == ["WK06", "WK06", "3", "3", "WK08", "9", "2"]


def test_formulas_are_neutral_in_tables_and_queries(tmp_path):
    rows, queries = check("csf", at(CSF, 2, result="=POSITIVE"), at(CSF, 3, lab="=HYPERLINK(1)"))
    assert rows[0]["lab"] == "'=HYPERLINK(1)"
    assert only(queries, "IN003").value == "'=POSITIVE"


def test_a_table_that_is_not_there_is_no_problem():
    assert check_table("visits", []) == ([], [])


def test_unknown_tables_raise():
    with pytest.raises(KeyError):
        check_table("labs", [])


def test_sheet_is_part_of_the_row_id():
    row = {"_file": "t.xlsx", "_sheet": "csf", "_row": "12", **CSF}
    assert check_table("csf", [row])[0][0]["row_id"] == "t.xlsx/csf:12"
    (query,) = check_table("csf", [row | {"result": "?"}])[1]
    assert (query.file, query.sheet, query.row) == ("t.xlsx", "csf", "12")


def test_ingest_table_writes_both_files_and_queries_come_back(tmp_path):
    study = Study(folder=tmp_path, study_id="LM-1", data_cut="2024-06-30")
    study.tables_folder.mkdir()
    head = ",".join(CSF)
    bad = ",".join((CSF | {"subject_id": "S-2", "result": "POSITVE"}).values())
    (study.tables_folder / "csf.csv").write_text(f"{head}\n{','.join(CSF.values())}\n{bad}\n")
    write_raw_tables(study)
    for table in spec.TABLES:
        out = tmp_path / "out" / f"{table}.csv"
        ingest_table(study.results / "work" / "raw" / f"{table}.csv", table, out, out.with_suffix(".queries.csv"))
    assert [row["subject_id"] for row in read_csv(tmp_path / "out" / "csf.csv")] == ["S-1"]
    header = (tmp_path / "out" / "neuro.csv").read_text()
    assert header == ",".join(spec.table_spec("neuro").output_columns) + "\n"
    queries = collect_queries(sorted((tmp_path / "out").glob("*.queries.csv")))
    assert set_aside_subjects(queries) == {"S-2": ["IN003"]}
    write_queries(tmp_path / "again.csv", queries)
    assert collect_queries([tmp_path / "again.csv", tmp_path / "not-there.csv"]) == queries


def test_a_real_table_of_another_standard_is_refused_column_by_column(shared_data):
    path = shared_data / "clinical" / "pharmaverse_onco_sdtm" / "dm.csv"
    read, _ = read_csv_file(path, "subjects")
    assert read is not None
    raw = [at({}, number) | dict(zip(read.header, cells, strict=False)) for number, cells in read.rows]
    rows, queries = check_table("subjects", raw)
    assert rows == []
    assert {q.column for q in queries if q.code == "IN001"} == {"study_id", "subject_id", "ref_start_dtc"}
    assert only(queries, "IN015").column == "BRTHDTC"
    assert "1950-12-26" not in str(queries)


def test_every_table_spec_is_closed_and_consistent():
    import json
    from importlib.resources import files

    import yaml
    from jsonschema import Draft202012Validator

    from lmresp.ingest import units

    folder = files("lmresp.ingest")
    schema = Draft202012Validator(json.loads(folder.joinpath("columns.schema.json").read_text()))
    for name in spec.TABLES:
        schema.validate(yaml.safe_load(folder.joinpath("columns", f"{name}.yaml").read_text()))
        table = spec.table_spec(name)
        named = {*table.key, *(rule["column"] for rule in table.required_when)} | (
            {table.date} if table.date else set()
        )
        named |= {condition for rule in table.required_when for condition in rule["when"]}
        assert named <= set(table.columns)
        for column in table.columns.values():
            assert bool(column.codes) == (column.type == "code")
            if column.quantity:
                assert f"{column.name}_unit" in table.columns
                assert units.standard_unit(column.quantity) in units.accepted_units(column.quantity)
            if column.by:
                codes = table.columns[column.by["column"]].codes
                assert set(column.by["rules"]) == set(codes)
