"""Bad input as users meet it: one clear line, exit code 2, nothing written half; one bad subject stops nobody else."""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from lmresp import store
from tests.workflow.conftest import copied, environment, lmresp


@pytest.fixture
def study(repository: Path, tmp_path: Path) -> Path:
    """The committed study of tables, never run, without its one misspelt code."""
    folder = copied(repository / "test_data" / "tables_only", tmp_path / "study")
    table = folder / "tables" / "csf.csv"
    table.write_text(table.read_text().replace("POSITVE", "POSITIVE"))
    return folder


def rows_of(study: Path, table: str) -> list[dict[str, str]]:
    return store.read_csv(study / "tables" / f"{table}.csv")


def put(study: Path, table: str, rows: list[dict[str, str]]) -> None:
    with (study / "tables" / f"{table}.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(dict.fromkeys(name for row in rows for name in row)), restval="")
        writer.writeheader()
        writer.writerows(rows)


def change(study: Path, table: str, subject: str, place: int, **cells: str) -> None:
    """Change the subject's row at that place in its table."""
    rows = rows_of(study, table)
    [row for row in rows if row["subject_id"] == subject][place].update(cells)
    put(study, table, rows)


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# --- one subject -----------------------------------------------------------------------------------------------------


def duplicate(study: Path) -> None:
    rows = rows_of(study, "visits")
    put(study, "visits", [*rows, next(row for row in rows if row["subject_id"] == "TO-002")])


ONE_SUBJECT: dict[str, tuple[Callable[[Path], None], str, str, str]] = {
    # what is wrong: how it comes about, code, where it stands, what the line says
    "unknown code": (
        lambda study: change(study, "csf", "TO-002", 1, result="POSITVE"), "IN003", "csf.csv", "POSITIVE, SUSPICIOUS"
    ),
    "duplicate key": (duplicate, "IN002", "visits.csv", "TO-002, 1"),
    "visits out of order": (
        lambda study: change(study, "visits", "TO-002", 2, start_dtc="2024-01-02"), "IN019", "visits.csv", "2024-01-02"
    ),
    "before birth": (
        lambda study: change(study, "neuro", "TO-002", 0, exam_dtc="1924-01-16"), "IN039", "neuro.csv", "1924-01-16"
    ),
    "after death": (
        lambda study: change(study, "subjects", "TO-002", 0, death_fl="Y", death_dtc="2024-02-01", last_alive_dtc=""),
        "IN005", "visits.csv", "up to 2024-02-01",
    ),
    "cut identifier": (
        lambda study: change(study, "mri_reads", "TO-002", 0, read_id="1.23457E+11"), "IN040", "mri_reads.csv", "E+11"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ONE_SUBJECT)
def test_check_names_the_subject_and_ends_with_code_2(study: Path, kind: str) -> None:
    spoil, code, file, said = ONE_SUBJECT[kind]
    spoil(study)
    run = lmresp("check", study, "--cores", 1)
    assert run.returncode == 2, run.stderr[-2000:]
    lines = [line for line in run.stdout.splitlines() if f" {code} error" in line]
    assert lines
    assert all("TO-002" in line for line in lines)
    assert any(file in line and said in line for line in lines), lines
    assert run.stdout.splitlines()[-1].endswith("Set aside until mended: TO-002.")
    assert not (study / "derivatives" / "lmresp" / "calls.csv").exists()


def test_run_sets_every_bad_subject_aside_names_it_and_computes_the_rest(study: Path) -> None:
    change(study, "csf", "TO-002", 1, result="POSITVE")
    change(study, "visits", "TO-003", 2, start_dtc="2024-01-02")
    change(study, "neuro", "TO-004", 0, exam_dtc="1924-01-16")
    run = lmresp("run", study, "--cores", 2)
    assert run.returncode == 0, run.stderr[-2000:]
    results = study / "derivatives" / "lmresp"
    queries = store.read_csv(results / "queries.csv")
    aside = {q["subject_id"]: q["code"] for q in queries if q["sets_aside"] == "Y"}
    assert aside == {"TO-002": "IN003", "TO-003": "IN019", "TO-004": "IN039"}
    assert {row["subject_id"] for row in store.read_csv(results / "calls.csv")} == {"TO-001"}
    best = {row["subject_id"]: row for row in store.read_csv(results / "best_response.csv")}
    assert sorted(best) == ["TO-001", "TO-002", "TO-003", "TO-004"]
    assert all(best[subject]["reason"] for subject in aside)
    assert "TO-003" in run.stdout or "TO-003" in (results / "report.html").read_text()


def test_a_record_after_the_data_cut_is_named_and_nobody_is_set_aside(study: Path) -> None:
    change(study, "neuro", "TO-002", -1, exam_dtc="2024-07-01")
    run = lmresp("check", study, "--cores", 1)
    assert run.returncode == 2
    (line,) = [line for line in run.stdout.splitlines() if "IN005" in line]
    assert "neuro.csv" in line
    assert "2024-07-01" in line
    assert "data cut 2024-06-30" in line
    assert "Set aside" not in run.stdout


def test_visits_on_one_day_are_in_order(study: Path) -> None:
    first = next(row["start_dtc"] for row in rows_of(study, "visits") if row["subject_id"] == "TO-002")
    change(study, "visits", "TO-002", 1, start_dtc=first)
    run = lmresp("check", study, "--cores", 1)
    assert "IN019" not in run.stdout


def test_subjects_called_na_and_null_are_subjects(study: Path) -> None:
    for path in (study / "tables").glob("*.csv"):
        path.write_text(path.read_text().replace("TO-001", "NA").replace("TO-002", "null").replace(",TKI,", ",NA,"))
    run = lmresp("run", study, "--cores", 2)
    assert run.returncode == 0, run.stderr[-2000:]
    results = study / "derivatives" / "lmresp"
    assert {"NA", "null"} <= {row["subject_id"] for row in store.read_csv(results / "calls.csv")}
    assert {row["arm"] for row in store.read_csv(results / "work" / "tables" / "subjects.csv")} == {"NA"}
    # Nothing is asked of the tables; what else there is says that most of a small study is censored.
    assert {row["code"] for row in store.read_csv(results / "queries.csv")} <= {"DV011"}


# --- the whole study -------------------------------------------------------------------------------------------------


def sparse(path: Path) -> None:
    path.write_bytes(b"subject_id,result\n")
    os.truncate(path, 200_000_000)


def bomb(path: Path) -> None:
    book, out = openpyxl.Workbook(), io.BytesIO()
    book.save(out)
    with zipfile.ZipFile(out) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, b" " * 120_000_000 if name == "xl/styles.xml" else source.read(name))


def folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def loop(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(path.name)


def merged(path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.title = "facts"
    book.active.append(["subject_id", "visit_num"])
    book.active.append(["TO-001", 1])
    book.active.merge_cells("A2:A3")
    book.save(path)


ALIASES = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"
UNREACHABLE = """\
name: own
version: "1"
cells:
  - {when: {csf: [cleared]}, output: RESPONSE, source: "protocol 8.1"}
  - {when: {csf: [cleared], neuro: [stable]}, output: STABLE, source: "protocol 8.2"}
"""


def text(content: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(content) and None


WHOLE_STUDY: dict[str, tuple[str, Callable[[Path], None], str]] = {
    # what is wrong: file, how it comes about, what the line says
    "a table of 200 MB": ("tables/csf.csv", sparse, "larger than 100 MB"),
    "subjects of 200 MB": ("tables/subjects.csv", sparse, "larger than 100 MB"),
    "a zip bomb": ("tables/facts.xlsx", bomb, "unpacks to more than"),
    "NUL bytes": ("tables/csf.csv", lambda path: path.write_bytes(b"\0" * 5000) and None, "NUL bytes"),
    "a folder for a table": ("tables/csf.csv", folder, "it is a folder"),
    "a pipe for a table": ("tables/csf.csv", pipe, "a pipe"),
    "a link to itself": ("tables/csf.csv", loop, "symbolic links"),
    "merged cells": ("tables/book.xlsx", merged, "A2:A3"),
    "a header in German": ("tables/csf.csv", text("Proband;Ergebnis\nTO-001;POSITIVE\n"), "has no column"),
    "one column twice": ("tables/csf.csv", text("subject_id,lab,lab\nTO-001,A,B\n"), "stands more than once"),
    "an open quote": ("tables/csf.csv", text('subject_id,lab\nTO-001,"open\n'), "double quote"),
    "no subjects": ("tables/subjects.csv", lambda path: path.unlink(), "no usable table subjects"),
    "a YAML bomb for the study": ("study.yaml", text(ALIASES), "anchors, aliases and tags"),
    "a YAML bomb for the charter": ("charter.yaml", text(ALIASES), "anchors, aliases and tags"),
    "a deep study.yaml": ("study.yaml", text("[" * 50_000), "nested too deeply"),
    "a study.yaml of 1 MB": ("study.yaml", text("x: 1\n" * 200_000), "too large"),
    "a pipe for the study": ("study.yaml", pipe, "study.yaml"),
    "a pipe for the charter": ("charter.yaml", pipe, "charter.yaml"),
    "a charter that is a link to itself": ("charter.yaml", loop, "charter.yaml"),
    "a charter with an unreachable rule": ("charter.yaml", text(UNREACHABLE), "charter.yaml"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WHOLE_STUDY)
def test_run_ends_with_one_line_code_2_and_writes_nothing(study: Path, kind: str) -> None:
    name, spoil, said = WHOLE_STUDY[kind]
    spoil(study / name)
    before = everything(study)
    run = lmresp("run", study, "--cores", 1, timeout=60)
    assert run.returncode == 2, run.stderr[-2000:]
    assert run.stdout == ""
    assert run.stderr.startswith("lmresp: ")
    assert run.stderr.count("\n") == 1
    assert said in run.stderr
    assert len(run.stderr) < 800
    assert everything(study) == before


@pytest.mark.parametrize("kind", [kind for kind, (name, *_) in WHOLE_STUDY.items() if name.endswith(".yaml")])
def test_check_too_ends_with_one_line_where_there_is_no_study_to_check(study: Path, kind: str) -> None:
    name, spoil, said = WHOLE_STUDY[kind]
    spoil(study / name)
    before = everything(study)
    run = lmresp("check", study, "--cores", 1, timeout=60)
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    assert said in run.stderr
    assert everything(study) == before


def test_a_table_that_went_bad_leaves_the_results_of_the_last_run_whole(study: Path) -> None:
    assert lmresp("run", study, "--cores", 2).returncode == 0
    results = study / "derivatives" / "lmresp"
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    sparse(study / "tables" / "csf.csv")
    assert lmresp("run", study, "--cores", 2).returncode == 2
    assert {path: path.read_bytes() for path in results.rglob("*") if path.is_file()} == before


def test_check_lists_all_tables_that_cannot_be_used(study: Path) -> None:
    tables = study / "tables"
    sparse(tables / "csf.csv")
    pipe(tables / "neuro.csv")
    folder(tables / "steroids.csv")
    loop(tables / "visits.csv")
    (tables / "procedures.csv").write_bytes(b"\0")
    (tables / "treatments.csv").write_text("subject_id,name\nTO-001,drug\n")
    bomb(tables / "more.xlsx")
    run = lmresp("check", study, "--cores", 1, timeout=120)
    assert run.returncode == 2, run.stderr[-2000:]
    lines = run.stdout.splitlines()
    for name in ("csf.csv", "more.xlsx", "neuro.csv", "procedures.csv", "steroids.csv", "visits.csv"):
        assert len([line for line in lines if f" IN024 error: {name}: " in line]) == 1, name
    assert any("IN001" in line and "treatments.csv" in line for line in lines)
    assert list((study / "derivatives").rglob("*.part")) == []
    assert not (study / "derivatives" / "lmresp" / "calls.csv").exists()


def peak_of_run(study: Path) -> int:
    """Bytes of memory that ``lmresp run`` takes at most before it refuses a study."""
    code = (
        "import resource, sys; from lmresp.cli import main; code = main(['run', sys.argv[1]]);"
        "print(code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(study)], capture_output=True, text=True, check=True, env=environment()
    )
    code_text, peak = run.stdout.split()
    assert code_text == "2"
    return int(peak) * 1024  # Linux gives kilobytes


def test_a_table_of_200_mb_is_not_read_into_memory(study: Path) -> None:
    (study / "tables" / "csf.csv").write_bytes(b"\0")
    small = peak_of_run(study)
    sparse(study / "tables" / "csf.csv")
    assert peak_of_run(study) - small < 50_000_000


def as_ordinary_user() -> list[str]:
    """Command in front of which permissions hold, for root too."""
    if os.geteuid() != 0:
        return []
    command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if not shutil.which("setpriv") or subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        pytest.skip("root may read every file, and setpriv cannot take that right away")
    return command


@pytest.mark.parametrize("name", [".", "study.yaml", "tables", "tables/csf.csv", "tables/subjects.csv"])
def test_a_file_without_permission_is_named(study: Path, name: str) -> None:
    before = everything(study)
    (study / name).chmod(0)
    command = [*as_ordinary_user(), sys.executable, "-m", "lmresp", "run", str(study)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    (study / name).chmod(0o700)
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)
    assert "Permission denied" in run.stderr
    assert everything(study) == before
