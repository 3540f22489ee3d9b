"""The charter: default, a study's own, its signature, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from lmresp.criteria import (
    Charter,
    charter_from_record,
    charter_record,
    load_charter,
    load_scheme,
    path,
    read_charter,
    schemes,
)
from lmresp.errors import CriteriaError, LmrespError

HEAD = "name: trial-x\nversion: '2'\n"
ONE_CELL = """
cells:
  - when: {neuro: [stable], csf: [cleared], imaging: [stable]}
    output: RESPONSE
    source: protocol 7.3
"""


def write(folder: Path, text: str, name: str = "charter.yaml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def loaded(folder: Path, text: str) -> Charter:
    return load_charter(write(folder, text))


def sign(charter: Charter) -> Charter:
    return dataclasses.replace(charter, signed={"by": "committee", "date": "2024-05-01", "digest": charter.digest})


def through_json(charter: Charter) -> Charter:
    # Sorted keys, as the file of the results has them.
    return charter_from_record(json.loads(json.dumps(charter_record(charter), sort_keys=True)))


def own_scheme_text() -> str:
    """The shipped table under another name, as a study would start from it."""
    text = path("schemes/rano_lm_2017_overall.yaml").read_text(encoding="utf-8")
    return text.replace("id: rano_lm_2017_overall", "id: trial_table")


def test_default_settings() -> None:
    charter = load_charter()
    assert (charter.name, charter.version, charter.is_signed) == ("modified-rano-lm", "1.0", False)
    assert charter.number("confirm_days") == 28
    assert charter.number("sd_min_days") == 42
    assert charter.number("max_ne") == 1
    assert charter.text("inadequate_rule") == "literal"
    assert charter.number("icp_flag_mmh2o") == 250
    assert all(setting.certainty and setting.meaning for setting in charter.settings.values())


def test_the_line_says_who_signed_and_how_much_was_read() -> None:
    # Of the 96 cells 2 were read in the abstract and 6 follow from them (criteria.md, section 0).
    charter = load_charter()
    assert charter.title_line == (
        f"Modified RANO-LM, charter modified-rano-lm 1.0 (sha256 {charter.digest[:12]}), not signed, "
        "8 of 96 cells read in the source or following from it (2 read, 6 inferred)"
    )
    assert sign(charter).title_line == charter.title_line.replace("not signed", "signed by committee on 2024-05-01")


def test_a_study_overrides(tmp_path: Path) -> None:
    charter = loaded(tmp_path, HEAD + "settings: {confirm_days: 56}\n")
    assert charter.label == "trial-x 2"
    assert charter.number("confirm_days") == 56
    assert charter.settings["confirm_days"].set_by == "trial-x"
    assert charter.settings["confirm_days"].meaning == load_charter().settings["confirm_days"].meaning
    assert charter.number("sd_min_days") == 42
    assert charter.digest != load_charter().digest


def test_authority() -> None:
    charter = load_charter()
    words = ["seen", "seen_secondary", "inferred", "recalled", "convention"]
    assert [charter.authority(word) for word in words] == ["published"] * 2 + ["unverified"] * 3
    assert [sign(charter).authority(word) for word in words] == ["published"] * 2 + ["protocol"] * 3
    stale = dataclasses.replace(charter, signed={"by": "committee", "date": "2024-05-01", "digest": "0" * 64})
    assert stale.authority("convention") == "unverified"
    with pytest.raises(ValueError, match="sure"):
        charter.authority("sure")


def test_signing_leaves_the_origin_of_the_cells_alone() -> None:
    assert sign(load_charter()).scheme.cells_by_certainty() == load_charter().scheme.cells_by_certainty()


# --- the signature ----------------------------------------------------------------------------------------------------


def test_a_signature_holds_until_something_that_decides_changes(tmp_path: Path) -> None:
    text = HEAD + "settings:\n  confirm_days: {value: 56, source: protocol 7.1}\n" + ONE_CELL
    signature = f"signed: {{by: steering committee, date: 2024-05-01, digest: {loaded(tmp_path, text).digest}}}\n"
    assert loaded(tmp_path, text + signature).is_signed
    # Only words about the choices change: the signature holds.
    for old, new in [("source: protocol 7.1", "note: n"), ("protocol 7.3", "page 4"), ("2024-05-01", "2024-06-01")]:
        assert loaded(tmp_path, (text + signature).replace(old, new)).is_signed, old
    # A choice changes, or what a cell claims to be: it does not, and the line says what would.
    assert "certainty: convention" not in text
    claim = ("source: protocol 7.3", "certainty: seen\n    source: protocol 7.3")
    for old, new in [claim, ("56", "28"), ("output: RESPONSE", "output: STABLE"), ("[cleared]", "[cleared, negative]")]:
        changed = text.replace(old, new)
        with pytest.raises(CriteriaError) as caught:
            loaded(tmp_path, changed + signature)
        assert loaded(tmp_path, changed).digest in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not read_charter(write(tmp_path, changed + signature)).is_signed  # it can still be read


def test_a_setting_written_out_as_the_default_has_it_decides_nothing(tmp_path: Path) -> None:
    left_alone = loaded(tmp_path, HEAD)
    written = loaded(tmp_path, HEAD + "settings: {confirm_days: 28, cytology_min_volume_ml: 5.0}\n")
    assert written.digest == left_alone.digest


@pytest.mark.parametrize("name", schemes())
def test_the_digest_covers_every_table_in_force(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = dataclasses.replace(load_charter())
    scheme = load_scheme(name, switched_on=schemes())
    if not scheme.enabled_by_default:
        assert name not in before.tables
        return
    key = "visit_call" if name == before.text("scheme") else name
    last = scheme.rules[-1]
    other = next(output for output in scheme.outputs if output != last.output)
    altered = dataclasses.replace(scheme, rules=(*scheme.rules[:-1], dataclasses.replace(last, output=other)))
    after = dataclasses.replace(load_charter())
    after.__dict__["tables"] = {**before.tables, key: altered}
    assert after.digest != before.digest
    reworded = dataclasses.replace(scheme, rules=(*scheme.rules[:-1], dataclasses.replace(last, note="other words")))
    same = dataclasses.replace(load_charter())
    same.__dict__["tables"] = {**before.tables, key: reworded}
    assert same.digest == before.digest


def test_signed_without_a_digest_is_refused_with_the_way_to_one(tmp_path: Path) -> None:
    with pytest.raises(CriteriaError, match=r"without a digest.*lmresp charter check"):
        loaded(tmp_path, HEAD + "signed: {by: committee, date: 2024-05-01}\n")


def test_a_record_signed_for_other_content_is_refused() -> None:
    record = charter_record(sign(load_charter()))
    record["settings"]["confirm_days"]["value"] = 7
    with pytest.raises(CriteriaError, match="signed for other content"):
        charter_from_record(record)


# --- the record -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "settings: {draft_may_stand: {value: false, note: n}}\n",
        ONE_CELL,
        "settings: {scheme: own.yaml}\n",
        "settings: {scheme: own.yaml, switched_on: [eano_esmo_followup]}\n" + ONE_CELL,
    ],
)
def test_a_record_rebuilds_the_charter_without_the_study_folder(tmp_path: Path, text: str) -> None:
    scheme_file = write(tmp_path, own_scheme_text(), "own.yaml")
    file = write(tmp_path, HEAD + text)
    charter = load_charter(file)
    signature = f"signed: {{by: committee, date: 2024-05-01, digest: {charter.digest}}}\n"
    charter = load_charter(write(tmp_path, HEAD + text + signature))
    record = json.loads(json.dumps(charter_record(charter), sort_keys=True))
    file.unlink()
    scheme_file.unlink()
    again = charter_from_record(record)
    assert again.scheme == charter.scheme
    assert (again.digest, again.title_line, again.is_signed) == (charter.digest, charter.title_line, True)
    assert charter_record(again) == charter_record(charter)


def test_the_record_says_what_a_report_prints() -> None:
    record = charter_record(load_charter())
    assert record["title_line"] == load_charter().title_line
    assert record["digest"] == load_charter().digest
    assert record["criteria"]["cells_by_certainty"] == {"seen": 2, "inferred": 6, "convention": 88}


# --- a scheme of the study's own --------------------------------------------------------------------------------------


def test_a_scheme_file_beside_the_charter_needs_no_python(tmp_path: Path) -> None:
    write(tmp_path, own_scheme_text().replace("output: RESPONSE", "output: STABLE"), "own.yaml")
    text = own_scheme_text().replace("outputs: [RESPONSE, ", "outputs: [").replace("output: RESPONSE", "output: STABLE")
    write(tmp_path, text, "own.yaml")
    charter = loaded(tmp_path, HEAD + "settings: {scheme: own.yaml}\n")
    rule = charter.scheme.decide_one({"neuro": "improved", "csf": "cleared", "imaging": "improved"})
    assert (charter.scheme.scheme_id, rule.output) == ("trial_table", "STABLE")
    assert through_json(charter).scheme == charter.scheme


UNREACHABLE = "  - {id: RL12b, when: {csf: [missing]}, output: STABLE, certainty: seen, citation: c}\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("stable, worse, not_evaluable]", "stable, worse]", "own.yaml: the input neuro lacks the word 'not_evaluable'"),
        ("stable, worse, not_evaluable]", "stable, bad, worse, not_evaluable]", "has the unknown word 'bad'"),
        ("  imaging:\n    values", "  mri:\n    values", "own.yaml: the input 'imaging' is missing"),
        ("outputs: [RESPONSE", "outputs: [CR, RESPONSE", "own.yaml: the output 'CR' is not a call"),
        ("when: {imaging: [progressive]}", "when: {imaging: [PD]}", "own.yaml: rule RL03: imaging is 'PD'"),
        ("  - id: RL13\n", f"{UNREACHABLE}  - id: RL13\n", "own.yaml: rule RL12b can never answer"),
        (
            "imaging: [stable], csf: [cleared, negative]",
            "imaging: [stable], csf: [cleared]",
            "no answer, first: neuro=",
        ),
        ("id: trial_table", "id: rano_lm_2017_overall", "own.yaml: takes the id rano_lm_2017_overall"),
        ("enabled_by_default: true", "enabled_by_default: false", "trial_table is off"),
        ("completeness: ", "completenes: ", "unknown key 'completenes'"),
        ("certainty: seen", "certainty: sure", "sure"),
        ("  neuro:\n", "  neuro: &a\n", "own.yaml line .*anchors"),
    ],
)
def test_a_faulty_scheme_file_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in own_scheme_text()
    write(tmp_path, own_scheme_text().replace(old, new, 1), "own.yaml")
    with pytest.raises(LmrespError, match=message) as caught:
        loaded(tmp_path, HEAD + "settings: {scheme: own.yaml}\n")
    assert "\n" not in str(caught.value)


def test_a_table_of_any_size_is_refused_before_it_is_unfolded(tmp_path: Path) -> None:
    words = ", ".join(f"w{n}" for n in range(100))
    inputs = "".join(f"  i{n}: {{values: [{words}], meaning: m}}\n" for n in range(20))  # 10^40 combinations
    text = "format: lmresp-scheme/1\nid: big\ntitle: t\nkind: k\ncompleteness: c\nenabled_by_default: true\n"
    text += f"inputs:\n{inputs}"
    text += "outputs: [STABLE]\nrules: [{id: A, when: {}, output: STABLE, certainty: seen, citation: c}]\n"
    write(tmp_path, text, "own.yaml")
    with pytest.raises(CriteriaError, match=r"own.yaml: the input 'csf' is missing"):
        loaded(tmp_path, HEAD + "settings: {scheme: own.yaml}\n")


@pytest.mark.parametrize(
    "named", ["../own.yaml", "sub/own.yaml", "{absolute}", "link.yaml", "..\\own.yaml", "./../own.yml"]
)
def test_a_scheme_file_outside_the_folder_of_the_charter_is_refused(tmp_path: Path, named: str) -> None:
    (tmp_path / "study" / "sub").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "study" / "sub"):
        write(folder, own_scheme_text(), "own.yaml")
    (tmp_path / "study" / "link.yaml").symlink_to(tmp_path / "own.yaml")
    named = named.format(absolute=tmp_path / "own.yaml")
    with pytest.raises(CriteriaError, match="lies elsewhere") as caught:
        loaded(tmp_path / "study", HEAD + f"settings: {{scheme: '{named}'}}\n")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("named", ["none.yaml", "folder.yaml", "loop.yaml", "a" * 300 + ".yaml"])
def test_a_scheme_file_that_is_no_file_is_refused(tmp_path: Path, named: str) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    with pytest.raises(CriteriaError, match=r"charter\.yaml: "):
        loaded(tmp_path, HEAD + f"settings: {{scheme: '{named}'}}\n")


# --- what is refused --------------------------------------------------------------------------------------------------

BOMB = "settings:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
FAULTY: list[tuple[str, str]] = [
    (HEAD + "settings: {confirm_dyas: 28}\n", "unknown key 'confirm_dyas'. Allowed: for example confirm_days"),
    (HEAD + "setings: {confirm_days: 28}\n", "unknown key 'setings'. Allowed: cells, .*settings"),
    (HEAD + "settings: {confirm_days: four weeks}\n", "confirm_days.*four weeks"),
    (HEAD + "settings: {confirm_days: -1}\n", "-1"),
    (HEAD + "settings: {confirm_days: true}\n", "True is not accepted. Allowed: a whole number"),
    (HEAD + "settings: {cytology_sites: []}\n", "too few entries. Allowed: at least 1"),
    (HEAD + f"settings: {{confirm_days: 1{'0' * 30}}}\n", "confirm_days"),
    (HEAD + "settings: {cytology_max_hours: .nan}\n", "nan"),
    (HEAD + "settings: {cytology_max_hours: .inf}\n", "inf"),
    (HEAD + "settings: {inadequate_rule: loose}\n", "loose"),
    (HEAD + "settings: {best_first: [RESPONSE, STABLE]}\n", "best_first"),
    (HEAD + "settings: {worst_first: [PD, SD, PR, CR, NE]}\n", "PD"),
    (HEAD + "settings: {cytology_positive: [POSITIVE, POSITIVE]}\n", "twice"),
    (HEAD + "settings: {pathway: ../../secret}\n", "pathway"),
    (HEAD + "settings: {scheme: nano_2017_overall}\n", "does not take neuro, csf, imaging"),
    (HEAD + "settings: {scheme: eano_esmo_followup}\n", "is off"),
    (HEAD + "settings: {scheme: rano_lm_2018}\n", "charter.yaml: there is no scheme 'rano_lm_2018'. Allowed: "),
    (HEAD + "settings: {switched_on: [eano]}\n", "switched_on names the unknown scheme 'eano'"),
    (HEAD + "settings:\n", "settings"),
    (HEAD + "settings: {confirm_days: {value: 28, set_by: me}}\n", "unknown key 'set_by'"),
    (HEAD + "signed: yes\n", "signed"),
    (HEAD + "signed: {by: me, date: '2024-02-30', digest: " + "a" * 64 + "}\n", "2024-02-30"),
    (HEAD + "signed: {by: me, date: 2024-02-03, digest: abc}\n", "64 hexadecimal digits"),
    (HEAD + "signed: {by: me, digest: " + "a" * 64 + "}\n", "date"),
    ("name: x\n", "version"),
    ("name: default\nversion: '1'\n", "the name default belongs to"),
    ("name: modified-rano-lm\nversion: '1'\n", "the name modified-rano-lm belongs to"),
    ('name: "x\\e[31m"\nversion: "1"\n', "printable"),
    ('name: "x\\ud800"\nversion: "1"\n', "printable"),
    ("name: |\n  two\n  lines\nversion: '1'\n", "one line"),
    ("- a list\n", "mapping"),
    ("", "mapping"),
    ("name: [\n", "YAML"),
    ("name: x\nname: y\nversion: '1'\n", "twice"),
    ("2024-01-01: x\nname: x\nversion: '1'\n", "2024-01-01"),
    (HEAD + "cells: " + "[" * 500 + "]" * 500 + "\n", "nested too deeply"),
    (HEAD + "settings: !!python/object/apply:os.getcwd []\n", "tags"),
    (HEAD + BOMB, "anchors"),
]


@pytest.mark.parametrize(("text", "message"), FAULTY)
def test_a_faulty_charter_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LmrespError, match=message) as caught:
        loaded(tmp_path, text)
    line = str(caught.value)
    assert line.startswith("charter.yaml")
    assert line.isprintable()
    assert len(line) < 700


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00name", "UTF-8"),
        (b"name: x\nversion: '1'\n#" + b"x" * 5_000_000, "too large"),
        (b"a\x00b", "YAML"),
    ],
)
def test_a_charter_that_is_not_small_text(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "charter.yaml"
    file.write_bytes(content)
    with pytest.raises(LmrespError, match=message):
        load_charter(file)


def test_a_list_that_would_be_compared_pair_by_pair_does_not_stall(tmp_path: Path) -> None:
    many: Any = ", ".join(f"{{a: {n}}}" for n in range(10_000))  # a comparison of all pairs takes minutes
    with pytest.raises(CriteriaError, match=r"charter\.yaml"):
        loaded(tmp_path, HEAD + f"cells: [{{when: {{neuro: [{many}]}}, output: STABLE, source: s}}]\n")
