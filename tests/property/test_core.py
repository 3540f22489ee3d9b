"""What must hold for any course: row order, missing rows, confirmation, time shifts."""

from __future__ import annotations

import datetime

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from lmresp.criteria import charter_from_record, charter_record, load_charter, load_scheme
from lmresp.csf.cytology import grade_csf
from lmresp.mri.scorecard import grade_mri
from lmresp.neuro.examination import grade_neuro
from lmresp.response.best import best_response
from lmresp.response.call import call_visits
from lmresp.terms import Call, Csf, Imaging, Neuro

CHARTER = load_charter()
START = datetime.date(2024, 1, 1)
FEW = settings(max_examples=12, deadline=None, derandomize=True)

RESULTS = st.sampled_from(["POSITIVE", "SUSPICIOUS", "ATYPICAL", "NEGATIVE", "NOT EVALUABLE", "NOT DONE"])
STATUSES = st.sampled_from(["IMPROVED", "STABLE", "WORSENED", "NE"])
OVERALLS = st.sampled_from(["CR", "PR", "SD", "PD", "NE"])
VISIT = st.tuples(st.none() | RESULTS, st.none() | STATUSES, st.none() | OVERALLS)
COURSES = st.lists(st.lists(VISIT, min_size=1, max_size=4), min_size=1, max_size=3)

Tables = dict[str, pd.DataFrame]


def tables(courses: list[list[tuple[str | None, str | None, str | None]]], shift: int = 0) -> Tables:
    names = ("subjects", "visits", "csf", "neuro", "mri_reads")
    rows: dict[str, list[dict[str, str]]] = {name: [] for name in names}
    for who, course in enumerate(courses):
        first = (START + datetime.timedelta(days=shift)).isoformat()
        rows["subjects"].append({"subject_id": f"S{who}", "ref_start_dtc": first})
        for n, (result, status, overall) in enumerate(course):
            day = (START + datetime.timedelta(days=42 * n + shift)).isoformat()
            key = {"subject_id": f"S{who}", "visit_num": str(n), "row_id": f"{who}.{n}"}
            rows["visits"].append({**key, "visit": f"V{n}", "start_dtc": day, "status": "DONE"})
            if result:
                kind = {"site": "LUMBAR", "method": "CYTOLOGY"}
                rows["csf"].append({**key, **kind, "collected_dtc": day, "result": result})
            if status:
                exam = {"instrument": "LM_NEURO_EXAM", "item": "overall", "score": ""}
                rows["neuro"].append({**key, **exam, "exam_dtc": day, "status": status})
            if overall:
                reader = {"reader_id": "RADIOLOGIST 1", "role": "INDEPENDENT ASSESSOR", "compartment": "WHOLE"}
                times = {"scan_dtc": day, "read_dtc": f"{day}T10:00Z", "locked_dtc": f"{day}T11:00Z"}
                read = {"read_id": f"R{who}.{n}", "item": "OVERALL", "value": overall}
                rows["mri_reads"].append({**key, **reader, **times, **read})
    return {name: pd.DataFrame(found) for name, found in rows.items()}


def run(t: Tables) -> tuple[pd.DataFrame, pd.DataFrame]:
    csf, _ = grade_csf(t["csf"], t["subjects"], t["visits"], CHARTER)
    neuro, _ = grade_neuro(t["neuro"], t["subjects"], t["visits"], CHARTER)
    mri, _ = grade_mri(t["mri_reads"], [], t["subjects"], t["visits"], CHARTER)
    calls = call_visits(csf, neuro, mri, CHARTER)
    return calls, best_response(calls, {"csf": csf, "neuro": neuro, "mri": mri}, t, CHARTER)


@FEW
@given(COURSES, st.randoms(use_true_random=False))
def test_row_order_changes_nothing(courses: list, random: object) -> None:
    ordered = tables(courses)
    mixed = {name: frame.sample(frac=1, random_state=random.randint(0, 9999)) for name, frame in ordered.items()}
    for one, other in zip(run(ordered), run(mixed), strict=True):
        pd.testing.assert_frame_equal(one, other)


@FEW
@given(COURSES)
def test_every_visit_after_baseline_has_a_call_and_every_subject_a_row(courses: list) -> None:
    calls, best = run(tables(courses))
    assert len(calls) == sum(len(course) - 1 for course in courses)
    assert set(calls["call"]) <= {call.value for call in Call}
    assert best["subject_id"].tolist() == [f"S{n}" for n in range(len(courses))]
    assert set(best["best_response"]) <= {*(call.value for call in Call), "MISSING"}


@FEW
@given(COURSES, st.integers(0, 99))
def test_a_missing_row_never_creates_a_response(courses: list, which: int) -> None:
    """A follow-up visit that loses a row is neither response nor stable, and no other visit becomes a response."""
    calls, _ = run(tables(courses))
    who = which % len(courses)
    visit = 1 + which % max(1, len(courses[who]) - 1)
    if visit >= len(courses[who]):
        return
    for strand in range(3):
        fewer = [list(course) for course in courses]
        row = list(fewer[who][visit])
        row[strand] = None
        fewer[who][visit] = tuple(row)
        after, _ = run(tables(fewer))
        mine = (after["subject_id"] == f"S{who}") & (after["visit_num"] == str(visit))
        assert after.loc[mine, "call"].tolist()[0] not in ("RESPONSE", "STABLE")
        assert not ((after["call"] == "RESPONSE") & (calls["call"] != "RESPONSE")).any()


@FEW
@given(COURSES, st.integers(-1000, 1000))
def test_shifting_all_dates_shifts_the_results(courses: list, days: int) -> None:
    _, best = run(tables(courses))
    _, moved = run(tables(courses, shift=days))
    assert best["best_response"].tolist() == moved["best_response"].tolist()
    assert best["confirmed_response"].tolist() == moved["confirmed_response"].tolist()
    dated = pd.to_datetime(best["date"]) + pd.Timedelta(days=days)
    pd.testing.assert_series_equal(dated, pd.to_datetime(moved["date"]), check_names=False, check_dtype=False)


@FEW
@given(COURSES, st.integers(0, 120))
def test_a_longer_confirmation_never_confirms_more(courses: list, days: int) -> None:
    t = tables(courses)
    calls, best = run(t)
    record = charter_record(CHARTER)
    record["settings"]["confirm_days"]["value"] = 28 + days
    stricter = best_response(calls, {}, t, charter_from_record(record))
    assert not ((best["confirmed_response"] == "N") & (stricter["confirmed_response"] == "Y")).any()


@FEW
@given(st.sampled_from(list(Neuro)), st.sampled_from(list(Csf)), st.sampled_from(list(Imaging)))
def test_progressive_imaging_is_always_progression(neuro: Neuro, csf: Csf, imaging: Imaging) -> None:
    rule = load_scheme("rano_lm_2017_overall").decide_one(
        {"neuro": neuro.value, "csf": csf.value, "imaging": imaging.value}
    )
    if imaging is Imaging.PROGRESSIVE:
        assert rule.output == "PROGRESSION"
    if neuro is Neuro.STABLE and csf in (Csf.NEGATIVE, Csf.CLEARED) and imaging is Imaging.PROGRESSIVE:
        assert rule.certainty == "seen"
    if rule.output == "RESPONSE":
        assert csf in (Csf.CLEARED, Csf.NEGATIVE)
        assert imaging is Imaging.IMPROVED
