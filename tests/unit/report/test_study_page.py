"""The study report: complete, escaped, self-contained, and true to the tables it was made from."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html.parser
import re
from pathlib import Path
from typing import Any

import pytest

from lmresp import RESEARCH_USE, store
from lmresp.report import StudyData, load_study, study_report, write_study_report

HOSTILE = """<script>alert(1)</script>"'><img src=x onerror=alert(1)>"""
VOID = {"meta", "br", "img", "input", "col", "link"}


class Page(html.parser.HTMLParser):
    """Elements of a page with their attributes; fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element and that it is open."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that is closed at once."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element, which must be this one."""
        assert self.open.pop() == tag

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def load(study: Any, make: Any) -> StudyData:
    return load_study(study.write(), "LM-DEMO", "Demonstration", "2024-06-01", make["provenance"]())


def section(page: str, name: str) -> str:
    return page.split(f'<section aria-labelledby="{name}">', 1)[1].split("</section>", 1)[0]


def subject_part(page: str, subject: str) -> str:
    return page.split(f'<h3 id="subject-{subject}">', 1)[1].split("</article>", 1)[0]


def test_page_is_well_formed_and_needs_nothing_else(study: Any, make: Any) -> None:
    text = study_report(load(study, make))
    page = Page(text)
    for _, attributes in page.elements:
        for name in ("href", "src", "xlink:href", "action"):
            value = attributes.get(name)
            assert value is None or re.match(r"#|sub-[A-Za-z0-9]+/ses-", value), value
        assert "style" not in attributes  # the policy admits one style sheet and no style attribute
        assert not any(name.startswith("on") for name in attributes)
    assert "http://" not in text
    assert "https://" not in text
    assert RESEARCH_USE in text
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_policy_admits_exactly_the_style_and_the_script_of_the_page(study: Any, make: Any) -> None:
    text = study_report(load(study, make))
    policy = next(m["content"] for m in Page(text).of("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, flags=re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_hostile_text_in_every_cell_stays_text(study: Any, make: Any) -> None:
    data = load(study, make)
    tables = {
        field.name: [dict.fromkeys(row, HOSTILE) for row in getattr(data, field.name)]
        for field in dataclasses.fields(data)
        if isinstance(getattr(data, field.name), list)
    }
    assert len(tables) == 23
    # The numbers of a curve are drawn, not printed, and only one under the charter's policy: its text is the group.
    tables["survival_curve"] = [row | {"group": HOSTILE} for row in data.survival_curve]
    for row in tables["calls"]:
        row["would_change"] = ""  # of a closed grammar: any other text is refused
    for name in ("survival", "endpoints"):
        tables[name] += [row | {"group": HOSTILE, "interval": HOSTILE} for row in getattr(data, name)]
    text = study_report(dataclasses.replace(data, study_id=HOSTILE, title=HOSTILE, data_cut=HOSTILE, **tables))
    page = Page(text)
    assert len(page.of("script")) == 1
    assert page.of("img") == []
    assert all(not name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_a_name_from_a_table_cannot_lead_out_of_the_results(study: Any, make: Any) -> None:
    rows = study.tables["calls.csv"][0]
    rows[0]["scans"] = "../../etc_ses-x;javascript:alert(1)"
    study.scans = {}
    assert [a for a in Page(study_report(load(study, make))).of("a") if str(a["href"])[0] != "#"] == []


def test_empty_study_and_study_without_mri(study: Any, make: Any) -> None:
    page = study_report(StudyData("EMPTY"))
    Page(page)
    assert "No queries." in page
    assert "No subject in this study yet." in page
    for name in ("work/mri.csv", "measures.csv"):
        study.tables[name] = ([], study.tables[name][1])
    study.scans = {}
    text = study_report(load(study, make))
    Page(text)
    assert "Imaging progression alone" in text


def test_single_subject_without_any_date_has_a_table_but_no_timeline(study: Any, make: Any) -> None:
    for name in ("calls.csv", "work/csf.csv", "work/neuro.csv", "work/mri.csv", "pathway.csv"):
        kept = [row | {"date": ""} for row in study.tables[name][0] if row["subject_id"] == "S-02"]
        study.tables[name] = (kept, study.tables[name][1])
    for name in ("best_response.csv", "work/tables/subjects.csv", "work/tables/visits.csv", "queries.csv"):
        study.tables[name] = ([], study.tables[name][1])
    for name in ("work/tables/treatments.csv", "work/tables/procedures.csv", "work/tables/disposition.csv"):
        study.tables[name] = ([], study.tables[name][1])
    text = study_report(load(study, make))
    Page(text)
    assert "No date known: no timeline." in text
    assert "Suspected progression" in subject_part(text, "S-02")


def test_subject_set_aside_is_named_with_its_query_even_without_any_row(study: Any, make: Any) -> None:
    for name in ("work/tables/subjects.csv", "work/tables/visits.csv"):
        rows, columns = study.tables[name]
        study.tables[name] = ([row for row in rows if row["subject_id"] != "S-04"], columns)
    text = study_report(load(study, make))
    part = subject_part(text, "S-04")
    assert "Set aside" in part
    assert "Q0001" in part
    assert "result has the value" in part
    assert "Use one of: POSITIVE, NEGATIVE." in part


def test_visit_says_call_rule_certainty_what_would_change_it_and_branch(study: Any, make: Any) -> None:
    text = study_report(load(study, make))
    progression = subject_part(text, "S-01").split("<tbody>")[1].split("</tr>")[1]
    for words in (
        "Progression",
        "RL01",
        "read in the publication",
        "on a draft MRI read",
        "no radiologist has read it",
        "published: the cell was read in its source",
        "B_GENO",
        'href="sub-01/ses-wk06/sub-01_ses-wk06_page.html"',
        "doi:10.1093/neuonc/now183",
    ):
        assert words in progression, words
    missing = subject_part(text, "S-03")
    assert "<li>csf: no sample</li><li>imaging: draft (no spine; no nodule)</li>" in missing
    assert "<li>CSF cytology</li>" in missing
    add_it = subject_part(text, "S-02")
    assert "Evidence (zhong2024, fan2021)" in add_it
    assert "Zhong 2024; Fan 2021" in add_it
    assert "Certainty: case or opinion (D), provisional." in add_it


def test_draft_that_a_reader_overruled_and_alternative_cause_are_printed(study: Any, make: Any) -> None:
    read = next(row for row in study.tables["work/mri.csv"][0] if row["subject_id"] == "S-02")
    read |= {"source": "read", "status": "improved", "draft_status": "progressive"}
    study.tables["work/neuro.csv"][0][3] |= {"alternative_cause": "steroid taper"}
    part = subject_part(study_report(load(study, make)), "S-02")
    assert "The draft said: Progressive" in part
    assert "Alternative cause: steroid taper" in part
    assert part.count("The draft said") == 1


def test_charter_stands_in_header_endpoints_footer_and_on_every_printed_page(study: Any, make: Any) -> None:
    text = study_report(load(study, make))
    line = make["provenance"]()["charter"]["title_line"]
    body = text.split("<body>")[1]
    assert line in body.split("<main")[0]
    assert line in section(text, "endpoints")
    assert line in body.split("<footer")[1]
    foot = re.findall(r"@bottom-left \{ content: (\".*?\");", text)[-1]
    printed = re.sub(r"\\([0-9a-f]+) ", lambda code: chr(int(code[1], 16)), foot)
    assert printed == f'"PROVISIONAL. {line}. {RESEARCH_USE}"'
    assert "sha256 c0ffee000000" in text


def test_text_in_the_foot_cannot_leave_its_string(study: Any, make: Any) -> None:
    record = make["provenance"]()
    record["charter"]["title_line"] = '"; } </style><script>alert(1)</script>'
    text = study_report(load_study(study.write(), "LM-DEMO", "", "", record))
    assert len(Page(text).of("script")) == 1
    (style,) = re.findall("<style>(.*?)</style>", text, flags=re.S)
    assert style.endswith('"; } }')
    assert style.count('"; } }') == 1


def test_provisional_calls_are_counted_by_reason_and_by_authority(study: Any, make: Any) -> None:
    head = study_report(load(study, make)).split("<main")[0]
    assert "5 of 5 calls are provisional" in head
    assert "the rule is a project choice, not published (4 calls)" in head
    assert "no radiologist has read it (1 call)" in head
    assert "1 published, 0 protocol, 4 unverified" in head  # only RL01 of S-01 was read in its source


def test_nothing_is_provisional_where_no_call_is(study: Any, make: Any) -> None:
    for rows, _ in study.tables.values():
        for row in rows:
            if "provisional" in row:
                row["provisional"] = "N"
    assert "PROVISIONAL" not in study_report(load(study, make))


def test_flips_are_words(study: Any, make: Any) -> None:
    part = subject_part(study_report(load(study, make)), "S-01")
    assert 'MRI <strong>stable</strong>: <span class="badge same">S</span> Stable' in part
    assert (
        "CSF cytology <strong>cleared</strong> and MRI <strong>improved</strong>: "
        '<span class="badge good">R</span> Response' in part
    )


def test_disputed_values_steroids_trail_and_disagreement_are_printed(study: Any, make: Any) -> None:
    part = subject_part(study_report(load(study, make)), "S-01")
    for words in (
        "<strong>Disputed:</strong> stable, not evaluable",
        "the mean dose rose from 2 to 6",
        "<li>N1_icp: opening_pressure=normal -&gt; no sign of raised pressure</li>",
        "<li>N5_geno: genotype=T790M -&gt; found</li>",
        "The three readings of inadequate response disagree.</strong> literal finds cells",
        "the branch depends on it",
        "graded cytology only, by the rule literal, not confirmed by repetition",
    ):
        assert words in part, words


def test_parenchymal_and_systemic_disease_stand_apart(study: Any, make: Any) -> None:
    table = (
        subject_part(study_report(load(study, make)), "S-01").split('<table class="beside">')[1].split("</table>")[0]
    )
    last = table.split("<tr>")[-1]
    beside, apart = last.split('<td class="apart">', 1)
    assert "CSF cytology, lumbar" in beside
    assert "Cleared" in beside
    assert "CSF cytology, ventricular" in beside
    assert "Neurological stability" in beside
    assert "Progressive disease" in apart
    assert "Controlled" in apart
    assert "Progressive disease" not in beside
    assert "Type I, confirmed" in table


def test_both_policies_of_a_subject_stand_side_by_side(study: Any, make: Any) -> None:
    part = subject_part(study_report(load(study, make)), "S-02").split("Endpoints of S-02</caption>")[1]
    row = next(row for row in part.split("<tr>") if "LM progression-free survival" in row)
    by_charter, by_policy = row.split("<td>")[1:3]
    assert "censored (4: event after missed assessments) on 2024-02-12, day 43" in by_charter
    assert "no assessment in weeks 12 and 18" in by_charter
    assert "<strong>progression</strong> on 2024-05-06, day 127" in by_policy


def test_numbers_equal_the_tables(study: Any, make: Any) -> None:
    results = study.write()
    text = study_report(load_study(results, "LM-DEMO", "", "2024-06-01"))
    for row in store.read_csv(results / "measures.csv"):
        part = subject_part(text, row["subject_id"])
        assert f'<td class="number">{row["value"]}</td><td>{row["unit"]}</td>' in part
        assert f"{row['change_percent']} %" in part
    counts = {label: int(number) for number, label in re.findall(r"<li><strong>(\d+)</strong>([^<]+)</li>", text)}
    calls = store.read_csv(results / "calls.csv")
    assert counts["visits with a call"] == len(calls) == 5
    assert counts["Progression"] == sum(row["call"] == "PROGRESSION" for row in calls) == 1
    assert counts["calls on a draft MRI read"] == 1
    assert counts["subjects set aside"] == 1


def test_queries_keep_their_order_and_say_what_to_do(study: Any, make: Any) -> None:
    text = study_report(load(study, make))
    rows = text.split('<tbody id="query-rows">')[1].split("</tbody>")[0].split("</tr>")
    assert "Q0001" in rows[0]
    assert "csf.csv, row 12, column result" in rows[0]
    assert "Q0002" in rows[1]
    assert "Ask the site for the series." in rows[1]


def test_same_input_same_text_and_written_file(study: Any, make: Any, tmp_path: Path) -> None:
    data = load(study, make)
    assert study_report(data) == study_report(load(study, make))
    results = study.results
    store.write_json(results / "work" / "study.json", {"study_id": "LM-DEMO", "title": None, "data_cut": "2024-06-01"})
    store.write_json(results / "provenance.json", make["provenance"]())
    write_study_report(results, results / "report.html")
    assert (results / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_broken_promises_raise(study: Any) -> None:
    results = study.write()
    (results / "sub-01" / "ses-wk06" / "sub-01_ses-wk06_scan.json").unlink()
    with pytest.raises(FileNotFoundError):
        load_study(results, "LM-DEMO", "", "")
    (results / "calls.csv").unlink()
    with pytest.raises(FileNotFoundError):
        load_study(results, "LM-DEMO", "", "")


def test_subject_ids_that_differ_only_in_signs_have_their_own_anchor(study: Any, make: Any) -> None:
    rows, columns = study.tables["work/tables/subjects.csv"]
    study.tables["work/tables/subjects.csv"] = ([*rows, rows[0] | {"subject_id": "S_01"}], columns)
    page = Page(study_report(load(study, make)))
    assert len({a["aria-labelledby"] for a in page.of("article")}) == len(page.of("article")) == 5
