"""The committed study without images, through every step of the tables door."""

import shutil

from lmresp.ingest import spec
from lmresp.ingest.cross_checks import check_study_files
from lmresp.ingest.spreadsheet import write_raw_tables
from lmresp.ingest.study import open_study
from lmresp.ingest.tables import collect_queries, ingest_table, set_aside_subjects
from lmresp.store import read_csv


def test_one_misspelt_code_sets_one_subject_aside(repository, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(repository / "test_data" / "tables_only", folder, ignore=shutil.ignore_patterns("derivatives"))
    study = open_study(folder)
    inputs = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    present, queries = write_raw_tables(study)
    assert queries == []
    assert set(spec.TABLES) - set(present) == {"mri_measures", "decisions", "facts", "scans"}
    work = study.results / "work"
    for table in spec.TABLES:
        out = work / "tables" / table
        ingest_table(work / "raw" / f"{table}.csv", table, f"{out}.csv", f"{out}.queries.csv", data_cut=study.data_cut)
    check_study_files(study, work / "tables" / "study.queries.csv")
    queries = collect_queries(sorted((work / "tables").glob("*.queries.csv")))
    assert set_aside_subjects(queries) == {"TO-004": ["IN003"]}
    (query,) = queries
    assert (query.file, query.row, query.column, query.value) == ("csf.csv", "12", "result", "POSITVE")
    assert len(read_csv(work / "tables" / "csf.csv")) == 4 * 3 - 1
    assert len(read_csv(work / "tables" / "subjects.csv")) == 4
    assert {path: path.read_bytes() for path in inputs} == inputs
