"""``lmresp charter show | check | diff``, and what ``lmresp run`` does with a charter that cannot be used."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lmresp import RESEARCH_USE
from lmresp.cli import main
from lmresp.criteria import load_charter, load_scheme, read_charter
from tests.unit.criteria.test_charter import FAULTY, own_scheme_text

HEAD = "name: trial-x\nversion: '2'\ntitle: Trial X\n"
CELL = """
cells:
  - {when: {neuro: [stable], csf: [cleared], imaging: [stable]}, output: RESPONSE, source: protocol 7.3}
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "charter.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def study(folder: Path, charter: str) -> Path:
    (folder / "study.yaml").write_text("study_id: S\ndata_cut: 2025-01-01\n", encoding="utf-8")
    write(folder, charter)
    return folder


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([*map(str, arguments)]) == 0
    return capsys.readouterr().out


def rows_below(text: str, head: str) -> list[list[str]]:
    """Cells of the table that follows a line, continuation lines joined."""
    rows: list[list[str]] = []
    fresh = True
    for line in text.split(head, 1)[1].split("\n")[1:]:
        if line.startswith("+"):
            fresh = True
        elif line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if fresh:
                rows.append(cells)
            else:
                rows[-1] = [f"{before} {cell}".strip() for before, cell in zip(rows[-1], cells, strict=True)]
            fresh = False
        else:
            break
    return rows


# --- show -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("imaging", ["improved", "stable", "progressive", "not_evaluable"])
def test_show_prints_every_cell_with_its_rule_and_certainty(capsys: pytest.CaptureFixture[str], imaging: str) -> None:
    text = printed(capsys, "charter", "show")
    head, *rows = rows_below(text, f"Imaging {imaging.replace('_', ' ')}:")
    scheme = load_scheme("rano_lm_2017_overall")
    marks = {"seen": "S", "inferred": "i", "convention": "c"}
    assert len(rows) == 4
    for row in rows:
        for csf, cell in zip(head[1:], row[1:], strict=True):
            words = {"neuro": row[0], "csf": csf, "imaging": imaging}
            rule = scheme.decide_one({name: word.replace(" ", "_") for name, word in words.items()})
            assert cell == f"{rule.output.replace('_', ' ')} {rule.rule_id} {marks[rule.certainty]}"


def test_show_names_every_setting_with_value_source_and_who_set_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    own = write(
        tmp_path, HEAD + "settings:\n  confirm_days: {value: 56, certainty: seen, source: protocol 7.1}\n" + CELL
    )
    text = printed(capsys, "charter", "show", own)
    settings = text.split("Settings:\n", 1)[1]
    assert set(re.findall(r"^\| ([a-z][a-z0-9_]*) ", settings, re.MULTILINE)) - {"setting"} == set(
        load_charter().settings
    )
    assert re.search(r"^\| confirm_days +\| 56 +\| seen +\| trial-x +\|", settings, re.MULTILINE)
    assert re.search(r"^\| max_ne +\| 1 +\| convention +\| default +\|", settings, re.MULTILINE)
    assert "Protocol 7.1." in settings
    assert re.search(r"^\| trial-x\.1 +\| neuro: stable; csf: cleared; imaging: stable +\| RESPONSE +\|", text, re.M)
    assert "trial-x.1 c*" in text


def test_show_takes_a_study_a_file_or_the_default(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = study(tmp_path, HEAD + CELL)
    by_folder = printed(capsys, "charter", "show", folder)
    assert by_folder.replace("charter.yaml of the study", "charter.yaml") == printed(
        capsys, "charter", "show", folder / "charter.yaml"
    )
    (folder / "charter.yaml").unlink()
    assert "the study has none of its own" in printed(capsys, "charter", "show", folder)
    assert printed(capsys, "charter", "show") == printed(capsys, "charter", "show", "default")


def test_show_is_plain_and_the_same_wherever_it_is_printed(tmp_path: Path) -> None:
    outputs = []
    for more in ({"COLUMNS": "40"}, {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "200"}):
        command = [sys.executable, "-m", "lmresp", "charter", "show"]
        run = subprocess.run(command, capture_output=True, check=True, env={**os.environ, **more})
        outputs.append(run.stdout)
    assert outputs[0] == outputs[1]
    assert b"\x1b" not in outputs[0]
    assert outputs[0].isascii()


def test_markup_in_a_charter_is_text(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    own = write(tmp_path, HEAD + "settings:\n  confirm_days: {value: 56, source: '[red]protocol[/] :smile:'}\n")
    assert "[red]protocol[/] :smile:" in printed(capsys, "charter", "show", own)


# --- check ------------------------------------------------------------------------------------------------------------


def test_check_proves_and_prints_the_digest_that_signs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    own = write(tmp_path, HEAD + CELL)
    text = printed(capsys, "charter", "check", own)
    assert re.search(r"^\| visit_call +\| rano_lm_2017_overall +\| 96 +\| yes +\| none of 14 ", text, re.MULTILINE)
    [line] = re.findall(r"^signed: .*$", text, re.MULTILINE)
    # What it prints, pasted with a name and a date, is a signature that holds.
    write(tmp_path, HEAD + CELL + line.replace("ROLE", "chair").replace("YYYY-MM-DD", "2024-05-01") + "\n")
    assert "Signed by chair on 2024-05-01: the signature holds." in printed(capsys, "charter", "check", own)
    assert load_charter(own).is_signed


def test_check_names_the_rules_that_cells_replace(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    cells = "cells: [{when: {neuro: [worse], csf: [positive_new]}, output: PROGRESSION, source: p}]\n"  # all of RL04
    assert "cells replace: RL04." in printed(capsys, "charter", "check", write(tmp_path, HEAD + cells))


def test_a_changed_charter_can_be_read_and_compared_but_not_used(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    digest = read_charter(write(tmp_path, HEAD)).digest
    own = write(tmp_path, HEAD + CELL + f"signed: {{by: chair, date: 2024-05-01, digest: {digest}}}\n")
    assert main(["charter", "check", str(own)]) == 2
    out, err = capsys.readouterr()
    assert "the signature does NOT hold" in out
    assert err.count("\n") == 1
    assert read_charter(own).digest in err
    assert "but the signature does not hold" in printed(capsys, "charter", "show", own)
    assert main(["charter", "diff", "default", str(own)]) == 1
    assert main(["run", str(study(tmp_path, own.read_text(encoding="utf-8")))]) == 2
    assert not (tmp_path / "derivatives").exists()


@pytest.mark.parametrize("text", [text for text, _ in FAULTY])
def test_a_faulty_charter_is_one_line_exit_2_and_nothing_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str
) -> None:
    folder = study(tmp_path, text)
    before = sorted(folder.rglob("*"))
    for command in (["charter", "check"], ["charter", "show"], ["run"], ["check"], ["call"], ["report"]):
        assert main([*command, str(folder)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("lmresp: charter.yaml")
        assert err.count("\n") == 1
    assert sorted(folder.rglob("*")) == before


UNREACHABLE_CELL = HEAD + "cells:\n" + 2 * "  - {when: {csf: [missing]}, output: STABLE, source: p}\n"


@pytest.mark.parametrize(
    ("charter", "scheme", "message"),
    [
        (UNREACHABLE_CELL, "", r"charter.yaml: cell 2 \(trial-x.2\) can never answer"),
        (HEAD + "settings: {pathway: none_such}\n", "", "there is no pathway graph 'none_such'"),
        (HEAD + "settings: {scheme: ../own.yaml}\n", "", "lies elsewhere"),
        (HEAD + "settings: {scheme: own.yaml}\n", "#" * 5_000_000, "own.yaml: the file is too large"),
        (HEAD + "settings: {scheme: own.yaml}\n", "\xff", "own.yaml"),
        (
            HEAD + "settings: {scheme: own.yaml}\n",
            own_scheme_text().replace("[equivocal]", "[maybe]"),
            "csf is 'maybe'",
        ),
    ],
)
def test_a_table_that_cannot_be_used_stops_the_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, charter: str, scheme: str, message: str
) -> None:
    folder = study(tmp_path, charter)
    if scheme:
        (folder / "own.yaml").write_bytes(scheme.encode("latin-1"))
    for command in (["charter", "check"], ["run"]):
        assert main([*command, str(folder)]) == 2
        err = capsys.readouterr().err
        assert re.search(message, err)
        assert err.count("\n") == 1
    assert not (folder / "derivatives").exists()


# --- diff -------------------------------------------------------------------------------------------------------------


def test_diff_lists_settings_and_combinations_and_exits_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    own = write(tmp_path, HEAD + "settings: {confirm_days: 56}\n" + CELL)
    assert main(["charter", "diff", "default", str(own)]) == 1
    text = capsys.readouterr().out
    assert "Settings that differ: 1\n" in text
    assert re.search(r"^\| confirm_days +\| 28 \| 56 \|", text, re.MULTILINE)
    assert "Combinations of inputs that are answered differently: 1\nvisit_call: 1 of 96\n" in text
    assert re.search(r"^\| stable +\| cleared +\| stable +\| STABLE +\| RESPONSE +\| RL13 ", text, re.MULTILINE)
    assert "The two charters differ." in text


def test_diff_exits_0_when_both_decide_alike(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = printed(capsys, "charter", "diff", study(tmp_path, HEAD), "default")
    assert "The two charters decide alike." in text


def test_diff_exits_2_when_one_cannot_be_used(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["charter", "diff", "default", str(write(tmp_path, "name: x\n"))]) == 2
    assert main(["charter", "diff", "default", str(tmp_path / "none.yaml")]) == 2
    assert capsys.readouterr().err.count("\n") == 2


def test_a_name_that_the_terminal_cannot_show_is_no_traceback(tmp_path: Path) -> None:
    file = write(tmp_path, "name: trial-x\nversion: '1'\ntitle: Pr\u00fcfung\n")
    command = [sys.executable, "-m", "lmresp", "charter", "check", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Pr\\xfcfung, charter trial-x 1")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_a_full_disk_is_one_line() -> None:
    command = [sys.executable, "-m", "lmresp", "charter", "show"]
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "lmresp: No space left on device"
    assert "Traceback" not in done.stderr


def test_a_blank_name_is_no_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["charter", "check", str(write(tmp_path, "name: '  '\nversion: '1'\n"))]) == 2
    assert "($.name)" in capsys.readouterr().err


def test_every_output_is_for_research_use(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["show"], ["check"], ["diff", "default", "default"]):
        assert printed(capsys, "charter", *command).endswith(f"{RESEARCH_USE}\n")
