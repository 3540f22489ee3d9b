"""The explanation of a subject as data, and the words made from it."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lmresp import RESEARCH_USE, store
from lmresp.cli.show import BESIDE, NEEDED, explanation_lines, print_explanation
from lmresp.criteria import charter_record, load_charter, load_scheme, schemes
from lmresp.criteria.timeline import BASELINE, BEFORE_BASELINE
from lmresp.errors import StudyError
from lmresp.flags import flag_meanings
from lmresp.pathway.branches import COLUMNS
from lmresp.pathway.graph import load_graph
from lmresp.pathway.wording import vocabulary
from lmresp.response.explanation import FORMAT, explanation, explanations
from lmresp.response.explanation_text import explanation_text

STRAND = {
    "subject_id": "S1",
    "visit_num": "1",
    "visit": "V1",
    "date": "2024-02-10",
    "reason": "because",
    "rule_id": "XX",
    "flags": "",
    "certainty": "convention",
    "row_ids": "csf.csv:2",
    "disputed": "",
}
CALL = {
    "subject_id": "S1",
    "visit_num": "1",
    "visit": "V1",
    "date": "2024-02-12",
    "call": "NOT_EVALUABLE",
    "rule_id": "RL01",
    "certainty": "seen",
    "authority": "published",
    "provisional": "Y",
    "provisional_reason": "charter is not signed; imaging is an automated draft",
    "missing": "neuro: not done; no reason given; csf: no sample",
    "criteria": "rano_lm_2017_overall",
    "charter": "c 1",
    "citation": "a paper",
    "note": "",
    "row_ids": "csf.csv:2",
    "scans": "s",
    "flags": "low_volume;strands_far_apart",
    "would_change": "csf=cleared & neuro=stable -> RESPONSE; csf=positive_new -> SUSPECTED_PROGRESSION",
}
BRANCH = dict.fromkeys(COLUMNS, "") | {
    "subject_id": "S1",
    "visit": "V1",
    "visit_num": "1",
    "date": "2024-02-12",
    "branch": "B_PLATINUM;B_RT",
    "branch_label": "one; two",
    "nodes": "N0_entry;N1_icp",
    "reason": "a reason",
    "certainty": "C",
    "trail": "N0_entry: lm_certainty=confirmed -> entry conditions met > N1_icp: hydrocephalus=absent -> none",
    "certainty_words": "small series (C)",
    "evidence_keys": "zhong2024;rano_lm2017",
    "collect": "CSF; an MRI",
    "inadequate": "Y",
    "inadequate_rule": "literal",
    "inadequate_grade": "cytology_only",
    "inadequate_confirmed": "N",
    "inadequate_literal": "Y",
    "inadequate_both": "N",
    "rules_disagree": "Y",
    "inadequate_call_based": "CANNOT DECIDE",
    "disagreement": "They differ. It matters.",
    "parallel_branch": "B_SYSTEMIC",
    "parallel_reason": "discordant",
    "provisional": "Y",
}
BEST = dict.fromkeys(["date", "visit", "confirmed_response", "confirmed_date", "provisional", "calls", "reason"], "")
TABLES: dict[str, list[dict[str, str]]] = {
    "csf": [
        {
            **STRAND,
            "status": "missing",
            "flags": "low_volume",
            "disputed": "cleared;positive_new",
            "by_site": "LUMBAR:cleared;SHUNT:missing",
        },
        {**STRAND, "visit": "V0", "visit_num": "0", "flags": "baseline", "status": "negative"},
        {**STRAND, "subject_id": "S2", "visit": "V1", "visit_num": "10", "status": "negative"},
    ],
    "neuro": [{**STRAND, "status": "not_evaluable", "row_ids": "neuro.csv:10;neuro.csv:9;neuro.csv:11;neuro.csv:4"}],
    "mri": [
        {
            **STRAND,
            "status": "stable",
            "source": "read",
            "draft_status": "improved",
            "draft_overall": "PR",
            "scans": "s",
        }
    ],
    "steroids": [{**STRAND, "status": "INCREASED", "rule_id": "", "certainty": "", "dex_eq_mg_day": "8"}],
    "components": [
        {
            "subject_id": "S1",
            "visit": "V1",
            "visit_num": "1",
            "date": "",
            "component": "parenchymal",
            "value": "SD",
            "scheme": "rano_bm_2015_parenchymal",
            "rule_id": "BM3",
            "certainty": "seen",
            "authority": "published",
            "row_ids": "",
            "note": "apart",
        }
    ],
    "endpoints": [
        {
            "subject_id": "S1",
            "arm": "A",
            "parameter": "OS",
            "policy": "charter",
            "start_date": "2024-01-01",
            "date": "2024-03-31",
            "days": "91",
            "censored": "0",
            "event": "death",
            "reason": "",
            "visit": "",
            "source": "subjects.csv:2",
            "provisional": "N",
        }
    ],
    "calls": [CALL],
    "pathway": [BRANCH],
    "best_response": [{**BEST, "subject_id": "S1", "best_response": "NOT_EVALUABLE", "confirmed_response": "N"}],
    "queries": [
        {
            "subject_id": "S1",
            "visit": "V1",
            "query_id": "Q0001",
            "code": "IN010",
            "severity": "warning",
            "message": "look",
            "action": "do",
        }
    ],
    "charter": [{"title_line": "modified RANO-LM, a charter"}],
    "words": [
        *vocabulary(load_graph("egfr_lm")),
        {"kind": "call", "key": "RESPONSE", "text": "Response"},
        {"kind": "component", "key": "csf", "text": "CSF cytology"},
        {"kind": "certainty", "key": "convention", "text": "project choice, not published"},
    ],
}


def visit_of(told: dict[str, Any], name: str) -> dict[str, Any]:
    [found] = [each for each in told["visits"] if each["visit"] == name]
    return dict(found)


def test_the_structure() -> None:
    told = explanation("S1", TABLES)
    assert (told["format"], told["subject_id"], told["charter"]) == (FORMAT, "S1", "modified RANO-LM, a charter")
    assert [each["visit"] for each in told["visits"]] == ["V0", "V1"]
    assert visit_of(told, "V0")["no_call"] == "reference visit"
    assert visit_of(told, "V0")["call"] is None
    visit = visit_of(told, "V1")
    csf = visit["strands"][0]
    assert (csf["strand"], csf["title"], csf["status"]) == ("csf", "CSF cytology", "missing")
    assert csf["certainty_words"] == "project choice, not published"
    assert csf["flags"] == [{"flag": "low_volume", "meaning": flag_meanings()["low_volume"]}]
    assert [other["status"] for other in csf["disputed"]] == ["cleared", "positive_new"]
    assert [each["strand"] for each in visit["strands"]] == ["csf", "neuro", "imaging", "steroids"]
    assert visit["strands"][2]["draft"] == {"status": "improved", "overall": "PR"}
    call = visit["call"]
    assert call["would_change"][0]["if"] == {"csf": "cleared", "neuro": "stable"}
    assert [flip["call"] for flip in call["would_change"]] == ["RESPONSE", "SUSPECTED_PROGRESSION"]
    assert call["missing"] == ["neuro: not done; no reason given", "csf: no sample"]
    assert call["provisional_reasons"] == ["charter is not signed", "imaging is an automated draft"]
    path = visit["pathway"]
    assert path["branch"] == ["B_PLATINUM", "B_RT"]
    assert path["trail"][0]["facts"] == {"lm_certainty": "confirmed"}
    assert path["trail"][1]["label"] == "Raised intracranial pressure or hydrocephalus"
    assert [source["key"] for source in path["evidence"]] == ["zhong2024", "rano_lm2017"]
    assert "38711856" in path["evidence"][0]["citation"]
    answers = {each["rule"]: each["answer"] for each in path["inadequate"]["by_rule"]}
    assert answers == {"literal": "Y", "both": "N", "call_based": "CANNOT DECIDE"}
    assert path["parallel"]["label"] == "systemic axis to be addressed, LM axis unchanged"
    assert told["research_use"] == RESEARCH_USE


def test_all_subjects_in_one_pass_are_the_same_as_one_by_one() -> None:
    assert list(explanations(TABLES)) == [explanation(subject, TABLES) for subject in ("S1", "S2")]


def test_visits_are_in_the_order_of_their_numbers() -> None:
    rows = [
        {**STRAND, "visit": f"V{number}", "visit_num": number, "status": "negative"} for number in ("10", "9", "3.1")
    ]
    assert [each["visit"] for each in explanation("S1", {"csf": rows})["visits"]] == ["V3.1", "V9", "V10"]


def test_tables_that_are_not_there_yet() -> None:
    few = {name: TABLES[name] for name in ("calls", "csf", "neuro", "mri")}
    told = explanation("S1", few)
    assert (told["best_response"], told["endpoints"], told["charter"]) == (None, [], "c 1")
    assert visit_of(told, "V1")["pathway"] is None
    assert "RL01" in explanation_text(told)


def test_the_words_come_from_the_structure_alone() -> None:
    told = explanation("S1", TABLES)
    assert explanation_text(json.loads(json.dumps(told))) == explanation_text(told)


def test_the_chain_is_told_from_rows_to_branch() -> None:
    text = explanation_text(explanation("S1", TABLES))
    for part in (
        "Visit V0: no call (reference visit)",
        "rows neuro.csv: 4, 9-11",
        "by site: lumbar cleared, shunt missing",
        "the sample was smaller than the charter asks for (low_volume)",
        "it might as well be: cleared, positive new (positive_new)",
        "The automated draft says improved (PR)",
        "rule RL01",
        "Provisional because charter is not signed",
        "Missing or not evaluable: neuro: not done; no reason given; csf: no sample.",
        "with CSF cytology cleared and neuro stable: Response",
        "Beside the call, never part of it:",
        "with confirmed or probable LM (N0_entry): certainty of LM confirmed; entry conditions met.",
        "Inadequate response: yes, for the cytology alone, not seen again yet.",
        "They differ. It matters.",
        "Beside it: systemic axis",
        "91 days, 2024-01-01 to 2024-03-31; death",
        "Q0001",
    ):
        assert part in text
    assert text.endswith(RESEARCH_USE)
    assert text.count("low_volume") == 1  # the call repeats a strand's flag; the text does not


def test_one_visit_only() -> None:
    told = explanation("S1", TABLES)
    assert "V1" not in explanation_text(told, "V0").replace("Q0001", "")
    assert "Q0001" not in explanation_text(told, "V0")
    assert "Visit V1, " in explanation_text(told, "1")
    assert "Visit V1, " in explanation_text(told, "v1")


def test_an_unknown_visit_says_so() -> None:
    with pytest.raises(StudyError, match=r"no visit 'V9' of subject S1\.? Allowed: V0, V1\."):
        explanation_text(explanation("S1", TABLES), "V9")


def test_a_subject_set_aside_is_told_why() -> None:
    aside = {
        "csf": [{**STRAND, "status": "negative"}],
        "best_response": [{**BEST, "subject_id": "S1", "best_response": "", "reason": "set aside: no first dose"}],
    }
    text = explanation_text(explanation("S1", aside))
    assert "No best response: set aside: no first dose." in text
    assert "Visit V1: no call (subject set aside)" in text


def raised(module: Path) -> set[str]:
    """Names that a module raises as flags: ``flag(where, name)`` and ``np.where(where, name, "")``."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        values = [
            arg.value if isinstance(arg, ast.Constant) else constants.get(getattr(arg, "id", "")) for arg in node.args
        ]
        if called == "flag" or (called == "where" and values[2:] == [""]):
            found.add(str(values[1]))
    return {name for name in found if re.fullmatch("[a-z]{2,}(_[a-z]+)*", name)}  # no sentence, no Y


def test_every_flag_has_a_meaning(repository: Path) -> None:
    rules = [rule for scheme in schemes() for rule in load_scheme(scheme, switched_on=schemes()).rules]
    emitted = {flag for rule in rules for flag in rule.flags} | {BASELINE, BEFORE_BASELINE}
    for part in ("csf", "neuro", "mri", "steroids", "response"):
        for module in sorted((repository / "lmresp" / part).glob("*.py")):
            emitted |= raised(module)
    assert {"clearance_unconfirmed", "spine_not_assessed", "repeat_csf", "strands_far_apart"} <= emitted
    assert emitted - set(flag_meanings()) == set()
    # and no meaning is left of a flag that nothing raises, but for two that are put together otherwise
    assert set(flag_meanings()) - emitted == {"ecog", "compartment_missing"}


def test_meanings_are_words() -> None:
    for name, meaning in flag_meanings().items():
        assert " " in meaning, name
        assert "_" not in meaning, name


def results(folder: Path) -> Path:
    for name, file in {**NEEDED, **BESIDE}.items():
        rows = TABLES[name]
        columns = list(dict.fromkeys(column for row in rows for column in row))
        store.write_csv(folder / file, rows, columns)
    store.write_json(folder / "work" / "charter.json", charter_record(load_charter()))
    return folder


def test_the_command_prints_words_and_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = results(tmp_path)
    assert print_explanation(folder, "S1", "V1") == 0
    text = capsys.readouterr().out
    assert load_charter().title_line in text
    assert "Not evaluable (NOT_EVALUABLE)" in text
    assert print_explanation(folder, "S1", "V1", as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["visit"] for each in told["visits"]] == ["V1"]
    assert explanation_text(told) == text.rstrip("\n")
    with pytest.raises(StudyError, match="no subject 'S9'"):
        print_explanation(folder, "S9", None)
    (folder / "calls.csv").unlink()
    with pytest.raises(StudyError, match="no results yet"):
        print_explanation(folder, "S1", None)


def test_one_line_for_every_subject(tmp_path: Path) -> None:
    lines = list(explanation_lines(results(tmp_path)))
    assert [json.loads(line)["subject_id"] for line in lines] == ["S1", "S2"]
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in lines)
    assert lines == list(explanation_lines(tmp_path))


def test_flags_are_one_plain_mapping(repository: Path) -> None:
    text = (repository / "lmresp" / "flags.yaml").read_text(encoding="utf-8")
    names = re.findall(r"^(\w+):", text, flags=re.MULTILINE)
    assert len(names) == len(set(names)) == len(yaml.safe_load(text))
