"""The charter: default, a study's own, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmresp.criteria import charter_from_record, charter_record, load_charter
from lmresp.errors import LmrespError


def write(folder: Path, text: str) -> Path:
    file = folder / "charter.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_default_settings() -> None:
    charter = load_charter()
    assert (charter.name, charter.version, charter.is_signed) == ("modified-rano-lm", "1.0", False)
    assert charter.number("confirm_days") == 28
    assert charter.number("sd_min_days") == 42
    assert charter.number("max_ne") == 1
    assert charter.text("inadequate_rule") == "literal"
    assert charter.number("icp_flag_mmh2o") == 250
    assert charter.cells_read == "2 of 96 cells read in the source"
    assert all(setting.certainty for setting in charter.settings.values())


def test_a_study_overrides_and_signs(tmp_path: Path) -> None:
    text = "name: trial-x\nversion: '2'\nsigned: {by: steering committee, date: 2024-05-01}\n"
    charter = load_charter(write(tmp_path, text + "settings: {confirm_days: 56}\n"))
    assert charter.label == "trial-x 2"
    assert charter.signed == {"by": "steering committee", "date": "2024-05-01"}
    assert charter.number("confirm_days") == 56
    assert charter.settings["confirm_days"].set_by == "trial-x"
    assert charter.number("sd_min_days") == 42
    assert charter.digest != load_charter().digest


def test_a_record_survives_json(tmp_path: Path) -> None:
    charter = load_charter(
        write(tmp_path, "name: x\nversion: '1'\nsettings: {draft_may_stand: {value: false, note: n}}\n")
    )
    again = charter_from_record(json.loads(json.dumps(charter_record(charter))))
    assert again == charter
    assert again.digest == charter.digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nversion: '1'\nsettings: {confirm_dyas: 28}\n", "confirm_dyas"),
        ("name: x\nversion: '1'\nsettings: {confirm_days: four weeks}\n", "four weeks"),
        ("name: x\nversion: '1'\nsettings: {confirm_days: -1}\n", "-1"),
        ("name: x\nversion: '1'\nsettings: {inadequate_rule: loose}\n", "loose"),
        ("name: x\nversion: '1'\nsettings: {best_first: [RESPONSE, STABLE]}\n", "best_first"),
        ("name: x\nversion: '1'\nsettings: {worst_first: [PD, SD, PR, CR, NE]}\n", "PD"),
        ("name: x\n", "version"),
        ("name: x\nversion: '1'\nsettings: {scheme: nano_2017_overall}\n", "does not take csf, neuro and imaging"),
        ("name: x\nversion: '1'\nsettings: {scheme: eano_esmo_followup}\n", "is off"),
        ("- a list\n", "mapping"),
        ("name: [\n", "YAML"),
        ("name: x\nname: y\nversion: '1'\n", "twice"),
    ],
)
def test_a_faulty_charter_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LmrespError, match=message):
        load_charter(write(tmp_path, text))


def test_a_charter_that_is_not_text(tmp_path: Path) -> None:
    file = tmp_path / "charter.yaml"
    file.write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(LmrespError, match="UTF-8"):
        load_charter(file)


def test_a_charter_that_unfolds_is_refused_at_once(tmp_path: Path) -> None:
    bomb = ["settings:", "  a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    bomb += [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    (tmp_path / "charter.yaml").write_text("\n".join(bomb))
    with pytest.raises(LmrespError, match="anchors"):
        load_charter(tmp_path / "charter.yaml")
