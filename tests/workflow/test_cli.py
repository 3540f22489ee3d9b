"""The commands, as a coordinator or a scheduler types them, on a study of tables only."""

from __future__ import annotations

import fcntl
import json
import socket
import subprocess
from pathlib import Path

import pytest

from lmresp.cli.run import snakemake_command, workflow_folder
from lmresp.errors import StudyError
from tests.workflow.conftest import copied, lmresp


@pytest.fixture(scope="module")
def study(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed study of tables, run once."""
    folder = copied(repository / "test_data" / "tables_only", tmp_path_factory.mktemp("cli") / "study")
    run = lmresp("run", folder, "--cores", 2)
    assert run.returncode == 0, run.stderr[-2000:]
    return folder


def test_run_ends_with_the_calls_and_where_the_report_is(study: Path) -> None:
    run = lmresp("run", study, "--cores", 1)
    lines = run.stdout.splitlines()
    assert lines[0].split() == ["subject", "visit", "call", "rule", "certainty", "provisional", "branch"]
    assert lines[-1] == f"Report: {(study / 'derivatives/lmresp/report.html').as_uri()}"
    assert "Research use only" in run.stdout


def test_check_names_file_row_column_value_and_what_is_allowed(repository: Path, tmp_path: Path) -> None:
    fresh = copied(repository / "test_data" / "tables_only", tmp_path / "study")
    run = lmresp("check", fresh, "--cores", 1)
    assert run.returncode == 2
    [line] = [line for line in run.stdout.splitlines() if "IN003" in line]
    for word in ("TO-004", "csf.csv, row 12", "column result", "POSITVE", "POSITIVE", "SUSPICIOUS"):
        assert word in line
    assert not (fresh / "derivatives" / "lmresp" / "calls.csv").exists()


def test_call_prints_the_calls_without_a_report(repository: Path, tmp_path: Path) -> None:
    fresh = copied(repository / "test_data" / "tables_only", tmp_path / "study")
    run = lmresp("call", fresh, "--cores", 1)
    assert run.returncode == 0
    assert "PROGRESSION" in run.stdout
    assert not (fresh / "derivatives" / "lmresp" / "report.html").exists()


def test_explain_tells_rows_rule_certainty_and_branch(study: Path) -> None:
    run = lmresp("explain", study, "TO-002", "WK12")
    assert run.returncode == 0
    for word in ("PROGRESSION", "RL02", "inferred", "csf.csv:", "neuro.csv:", "Research use only"):
        assert word in run.stdout
    unknown = lmresp("explain", study, "TO-999")
    assert unknown.returncode == 2
    assert "TO-001" in unknown.stderr


def test_init_writes_a_study_that_can_be_checked_at_once(tmp_path: Path) -> None:
    assert lmresp("init", tmp_path / "new").returncode == 0
    run = lmresp("check", tmp_path / "new", "--cores", 1)
    assert run.returncode == 2  # no subjects yet
    assert "IN033" in run.stdout
    again = lmresp("init", tmp_path / "new")
    assert again.returncode == 2  # nothing of the user's is overwritten
    assert again.stderr.count("\n") == 1


def test_json_logs_are_one_object_a_line(repository: Path, tmp_path: Path) -> None:
    fresh = copied(repository / "test_data" / "tables_only", tmp_path / "study")
    run = lmresp("run", fresh, "--cores", 2, "--json-logs")
    assert run.returncode == 0
    events = [json.loads(line) for line in run.stderr.splitlines() if line.startswith("{")]
    assert {"run_info", "job_info", "job_finished", "progress"} <= {event["event"] for event in events}
    last = [event for event in events if event["event"] == "progress"][-1]
    assert last["done"] == last["total"]
    assert "call_visits" in {event.get("rule") for event in events}


def test_quiet_prints_no_progress(repository: Path, tmp_path: Path) -> None:
    fresh = copied(repository / "test_data" / "tables_only", tmp_path / "study")
    run = lmresp("run", fresh, "--cores", 2, "--quiet")
    assert (run.returncode, run.stdout) == (0, "")
    assert "[" not in run.stderr


def test_one_log_per_job(study: Path) -> None:
    logs = study / "derivatives" / "lmresp" / "logs"
    for name in ("ingest/csf.log", "csf/grade_csf.log", "response/call_visits.log", "report/write_report.log"):
        assert (logs / name).is_file()


def test_a_second_run_beside_a_living_one_is_refused(study: Path) -> None:
    records = study / "derivatives" / "lmresp" / ".snakemake"
    with (records / "lmresp-run.lock").open("a+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        run = lmresp("run", study, "--cores", 1)
    assert run.returncode == 1
    assert "another run is working on this study" in run.stderr
    assert run.stderr.count("\n") == 1


def test_the_lock_of_a_dead_run_is_cleared_and_nobody_elses(study: Path) -> None:
    records = study / "derivatives" / "lmresp" / ".snakemake"
    (records / "locks").mkdir(exist_ok=True)
    lock, owner = records / "locks" / "0.input.lock", records / "lmresp-run.lock"
    dead = subprocess.Popen(["true"])
    dead.wait()
    host = socket.gethostname()
    for left, code in (
        ("", 1),  # a plain Snakemake is at work
        ("process 1 on another-host", 1),
        (f"process {dead.pid} on {host}", 0),
    ):
        lock.write_text("calls.csv\n")
        owner.write_text(left)
        run = lmresp("run", study, "--cores", 1)
        assert run.returncode == code, (left, run.stderr)
        assert lock.exists() == (code != 0)


@pytest.mark.parametrize(
    "text", ["settings: {foo: {value: 1}}", "[1, 2]", "name: x\nversion: 1\nmood: good", "!!python/object:os.x {}"]
)
def test_a_charter_that_cannot_be_used_ends_with_code_2_and_one_line(
    repository: Path, tmp_path: Path, text: str
) -> None:
    study = copied(repository / "test_data" / "tables_only", tmp_path / "study")
    (study / "charter.yaml").write_text(text)
    run = lmresp("run", study, "--cores", 1)
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "charter.yaml" in run.stderr
    assert not (study / "derivatives").exists()


def test_options_reach_snakemake_and_profiles_are_found_by_name(tmp_path: Path) -> None:
    command = snakemake_command(tmp_path, cores="3", profile="slurm", extra=("--until", "measure_scan"))
    assert command[-2:] == ["--until", "measure_scan"]
    assert str(workflow_folder() / "profiles" / "slurm") in command
    (tmp_path / "site").mkdir()
    assert str(tmp_path / "site") in snakemake_command(tmp_path, cores="3", profile=str(tmp_path / "site"))
    with pytest.raises(StudyError, match="slurm-plugin"):  # a mistyped name must not run on the login node
        snakemake_command(tmp_path, cores=None, profile="slrum")


def test_the_study_comes_first_and_a_dry_run_prints_no_calls(study: Path) -> None:
    swallowed = lmresp("run", "--resources", "mem_mb=9000", study)
    assert swallowed.returncode == 2
    assert "STUDY comes before" in swallowed.stderr
    dry = lmresp("call", study, "--cores", "all", "--dry-run", "--forceall")
    assert dry.returncode == 0
    assert "would run call_visits: 1" in dry.stderr
    assert "PROGRESSION" not in dry.stdout
