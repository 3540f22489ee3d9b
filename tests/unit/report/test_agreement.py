"""The section of the agreement of readers: tables in words, figures and letters; hostile text stays text."""

from __future__ import annotations

import dataclasses
import re

import pandas as pd
import pytest

from lmresp.report import StudyData, study_report
from lmresp.report.agreement import agreement_view
from lmresp.report.agreement_figures import LEFT, RIGHT, chart, dot_plot
from lmresp.report.study_data import Row
from lmresp.statistics.adjudication import adjudication
from lmresp.statistics.agreement import agreement
from lmresp.statistics.drift import drift
from lmresp.statistics.first_progression import first_progression
from lmresp.statistics.review_list import review_list
from tests.unit.report.test_study_page import HOSTILE, Page, section
from tests.unit.statistics.test_agreement import DRAFT, R1, R2, answers, numbers


def rows(frame: pd.DataFrame) -> list[Row]:
    return [{str(name): str(value) for name, value in row.items()} for row in frame.to_dict("records")]


def data_of(rated: pd.DataFrame, measured: pd.DataFrame) -> StudyData:
    table, counts = agreement(rated, measured, [*first_progression(rated), *adjudication(rated)])
    return StudyData(
        "LM-DEMO",
        agreement=rows(table),
        agreement_counts=rows(counts),
        agreement_cases=rows(review_list(rated)),
        drift=rows(drift(rated)),
    )


@pytest.fixture
def double() -> StudyData:
    one = answers(R1, *(["SD"] * 10 + ["PD"] * 10 + ["PR"] * 4))
    two = answers(R2, *(["SD"] * 8 + ["PD"] * 14 + ["PR"] * 2))
    draft = answers(DRAFT, *(["SD"] * 12 + ["PD"] * 12))
    judge = answers("ADJUDICATOR", *[""] * 8, *["PD"] * 2, kind="adjudicator")
    measured = pd.concat([numbers(R1, [1.0, 2, 3, 4, 5]), numbers(DRAFT, [3.0, 4, 5, 6, 7.5])])
    return data_of(pd.concat([one, two, draft, judge]), measured)


def test_ours_stands_beside_the_published(double: StudyData) -> None:
    page = study_report(double)
    Page(page)
    text = section(page, "agreement")
    assert "No double reads" not in text
    view = agreement_view(double)
    assert [line.item.value for line in view.lines] == ["OVERALL"]
    assert view.lines[0].published == "0.44"
    assert [one.letter for one in view.lines[0].compared] == ["A", "B", "C"]
    for one in view.lines[0].compared:
        assert f"<strong>{one.kappa['value']}</strong>" in text
        assert f"{one.kappa['low']} to {one.kappa['high']}" in text
    assert "PMC9527515" in text
    assert "<strong>P</strong> published" in text


def test_the_confusion_matrix_holds_every_pair(double: StudyData) -> None:
    matrix = next(m for m in agreement_view(double).matrices if (m.first, m.second) == (R1, DRAFT))
    assert matrix.total == 24
    # CR, PR, SD, PD, NE: the reader's 10 SD are all SD in the draft; 2 of 10 PD are SD; all 4 PR are PD.
    assert [list(row) for row in matrix.cells] == [
        [0, 0, 0, 0, 0],
        [0, 0, 0, 4, 0],
        [0, 0, 10, 0, 0],
        [0, 0, 2, 8, 0],
        [0, 0, 0, 0, 0],
    ]


def test_tables_are_marked_up_for_everybody(double: StudyData) -> None:
    text = section(study_report(double), "agreement")
    assert text.count("<table") == text.count("<caption>")
    assert all("scope=" in head for head in re.findall(r"<th\b[^>]*>", text))
    assert all('aria-label="' in drawing for drawing in re.findall(r"<svg\b[^>]*>", text))
    assert "style=" not in text
    assert "<script" not in text


def test_review_list_and_drift(double: StudyData) -> None:
    text = section(study_report(double), "agreement")
    assert f"Cases to look at again ({len(double.agreement_cases)})" in text
    assert "draft PD, not read as PD" in text
    assert "10 of 10 = 100.0 %" in text  # the first batch of reader 1 and the draft
    assert text.count('<figure class="plot">') == len(agreement_view(double).charts) > 0


def test_a_study_with_one_reader_says_so() -> None:
    alone = data_of(pd.concat([answers(R1, "SD", "PD"), answers(DRAFT, "SD", "PD")]), numbers(R1, []))
    text = section(study_report(alone), "agreement")
    assert "No double reads" in text
    assert "RADIOLOGIST 1 v draft" in text
    assert "fewer than 5 pairs" in text


def test_a_study_without_reads() -> None:
    text = section(study_report(StudyData("EMPTY")), "agreement")
    assert "No double reads" in text
    assert "<table" not in text


def test_hostile_names_stay_text() -> None:
    one, two = (answers(HOSTILE + who, *["SD", "PD", "PR"] * 9) for who in ("a", "b"))
    draft = answers(DRAFT, *["PD", "SD", "PR"] * 9).assign(source=HOSTILE, visit=HOSTILE)
    given = pd.concat([numbers(HOSTILE, [1.0, 2, 3, 4, 5]), numbers(DRAFT, [1.0, 2, 3, 4, 6])])
    page = Page(study_report(data_of(pd.concat([one, two, draft]), given)))
    assert page.of("img") == []
    assert len(page.of("script")) == 1
    assert all(not name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_places_of_the_dot_plot_by_hand() -> None:
    plot = dot_plot([("Overall", [("A", "one v two", "0.400", "0.151", "0.649")], "0.46 to 0.63")])
    assert plot is not None
    dot, width = plot.blocks[0].dots[0], RIGHT - LEFT
    # The axis runs from -0.2 to 1: kappa 0.4 stands in its middle.
    assert dot.x == pytest.approx(LEFT + width / 2)
    assert dot.low == pytest.approx(LEFT + width * 0.351 / 1.2, abs=0.05)
    assert list(plot.blocks[0].published) == pytest.approx(
        [LEFT + width * 0.66 / 1.2, LEFT + width * 0.83 / 1.2], abs=0.1
    )
    worse = dot_plot([("Overall", [("A", "one v two", "-0.500", "", "")], "")])
    assert worse is not None
    assert worse.blocks[0].dots[0].x == pytest.approx(LEFT + width * 0.1 / 1.6)  # the axis then begins at -0.6
    assert worse.blocks[0].dots[0].low is None
    assert dot_plot([("Overall", [], "0.44")]) is None


def test_a_batch_outside_the_limits_is_marked() -> None:
    base = {"reader": R1, "against": "draft", "first_read": "2024-01-01", "last_read": "2024-02-01", "n": "10"}
    base |= {"agreed": "9", "centre": "70.0", "low": "26.5", "high": "100.0", "trend_z": "-2.00", "trend_p": "0.046"}
    found = chart(
        [
            base | {"batch": "1", "percent": "100.0", "outside": "", "note": ""},
            base | {"batch": "2", "percent": "0.0", "outside": "below", "note": ""},
        ]
    )
    assert [batch.outside for batch in found.batches] == [False, True]
    assert found.batches[0].y < found.centre < found.batches[1].y  # better is higher
    assert "p = 0.046" in found.trend


def test_a_case_links_to_its_scan_page_and_nowhere_else() -> None:
    draft = answers(DRAFT, "PD").assign(source="sub-S00_ses-V1;../../etc_ses-x")
    found = data_of(pd.concat([answers(R1, "SD"), draft]), numbers(R1, []))
    links = Page(section(study_report(found), "agreement")).of("a")
    assert links == []  # the scan is not one of the study
    known = dataclasses.replace(found, scans={"sub-S00_ses-V1": {}, "../../etc_ses-x": {}})
    links = Page(section(study_report(known), "agreement")).of("a")
    assert [link["href"] for link in links] == ["sub-S00/ses-V1/sub-S00_ses-V1_page.html"]
