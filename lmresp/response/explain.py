"""Explains a subject's calls in words, from the stored rows: strand by strand, rule, certainty, branch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lmresp import RESEARCH_USE
from lmresp.errors import StudyError

Row = Mapping[str, str]
_STRANDS = (("csf", "CSF cytology"), ("neuro", "Neurological examination"), ("mri", "MRI"))


def explain(subject_id: str, visit: str | None, tables: Mapping[str, Sequence[Row]]) -> str:
    """Explain the calls of one subject.

    Parameters
    ----------
    subject_id : str
        Subject.
    visit : str or None
        Name or number of one visit; None for all.
    tables : mapping of str to sequence of rows
        ``calls``, ``best_response``, ``pathway``, ``queries``, ``csf``, ``neuro``, ``mri``; a table that is not there
        is taken as empty.

    Returns
    -------
    str
        Text, ending in the research-use statement.

    Raises
    ------
    lmresp.errors.StudyError
        If the subject has no such visit.
    """

    def mine(name: str) -> list[Row]:
        return [row for row in tables.get(name, ()) if row["subject_id"] == subject_id]

    def at_visit(rows: Iterable[Row]) -> list[Row]:
        return [row for row in rows if visit is None or visit in (row["visit"], row["visit_num"])]

    visits = [(row["visit"], row["visit_num"]) for name in ("csf", "calls") for row in mine(name)]
    if visit is not None and not any(visit in names for names in visits):
        known = ", ".join(dict.fromkeys(name for name, _ in visits)) or "none"
        raise StudyError(f"there is no visit {visit!r} of subject {subject_id}", allowed=known)
    lines = [f"Subject {subject_id}"]
    for best in mine("best_response"):
        lines += ["", *_best(best)]
    branches = {row["visit_num"]: row for row in mine("pathway")}
    strands = {name: {row["visit_num"]: row for row in mine(name)} for name, _ in _STRANDS}
    calls = at_visit(mine("calls"))
    called = {row["visit_num"] for row in calls}
    for row in at_visit(mine("csf")):
        if row["visit_num"] not in called:
            lines += ["", *_not_called(row, strands)]
    for call in calls:
        lines += ["", *_call(call, strands)]
        if call["visit_num"] in branches:
            lines += _branch(branches[call["visit_num"]])
    problems = [row for row in mine("queries") if visit is None or row.get("visit", "") in ("", visit)]
    if problems:
        lines += ["", "Open queries:"]
        lines += [f"  {row['query_id']} {row['code']} ({row['severity']}): {row['message']}" for row in problems]
    return "\n".join([*lines, "", RESEARCH_USE])


def _best(row: Row) -> list[str]:
    if not row["best_response"]:
        return [f"No best response: {row['reason']}."]
    dated = f" on {row['date']} (visit {row['visit']})" if row["date"] else ""
    confirmed = {"Y": f", confirmed, first seen {row['confirmed_date']}", "N": ", no confirmed response"}
    why = f" {row['reason'].capitalize()}." if row["reason"] else ""
    return [f"Best response: {row['best_response']}{dated}{confirmed.get(row['confirmed_response'], '')}.{why}"]


def _strand_lines(visit_num: str, strands: Mapping[str, Mapping[str, Row]]) -> list[str]:
    lines = []
    for name, title in _STRANDS:
        row = strands[name].get(visit_num)
        if row is not None:
            source = f"; rows {row['row_ids']}" if row["row_ids"] else ""
            scans = f"; scans {row['scans']}" if row.get("scans") else ""
            flags = f"; flags {row['flags']}" if row["flags"] else ""
            rule = f"rule {row['rule_id']}, {row['certainty']}"
            lines.append(f"  {title}: {row['status']} ({row['reason']}; {rule}{source}{scans}{flags})")
            if row.get("draft_status") and row.get("source") == "read":
                lines.append(f"    the automated draft says {row['draft_status']} ({row['draft_overall']})")
    return lines


def _not_called(row: Row, strands: Mapping[str, Mapping[str, Row]]) -> list[str]:
    kinds = set(row["flags"].split(";"))
    why = (
        "reference visit" if "baseline" in kinds else "before the reference visit" if "before_baseline" in kinds else ""
    )
    return [f"Visit {row['visit']}: no call ({why or 'subject set aside'})", *_strand_lines(row["visit_num"], strands)]


def _call(row: Row, strands: Mapping[str, Mapping[str, Row]]) -> list[str]:
    lines = [f"Visit {row['visit']}, {row['date']}: {row['call']}", *_strand_lines(row["visit_num"], strands)]
    note = f" {row['note']}" if row["note"] else ""
    lines.append(f"  Rule {row['rule_id']} of {row['criteria']} (charter {row['charter']}), {row['certainty']}.{note}")
    lines.append(f"  Source: {row['citation']}")
    if row["provisional"] == "Y":
        lines.append(f"  Provisional: {row['provisional_reason']}.")
    if row["missing"]:
        lines.append(f"  Missing or not evaluable: {row['missing']}.")
    if row["would_change"]:
        lines.append(f"  What could change the call: {row['would_change']}.")
    return lines


def _branch(row: Row) -> list[str]:
    lines = [f"  Pathway: {row['branch']} ({row['branch_label']})", f"    way: {row['nodes'].replace(';', ' > ')}"]
    lines.append(f"    because: {row['reason']}")
    rules = ", ".join(f"{name} {row[f'inadequate_{name}']}" for name in ("literal", "both", "call_based"))
    disagree = " (the rules disagree)" if row["rules_disagree"] == "Y" else ""
    lines.append(
        f"    inadequate response: {row['inadequate']} by the rule {row['inadequate_rule']}; {rules}{disagree}"
    )
    if row["collect"]:
        lines.append(f"    collect: {row['collect']}")
    if row["parallel_branch"]:
        lines.append(f"    beside it: {row['parallel_branch']}")
    lines.append(f"    evidence ({row['certainty']}): {row['evidence']}")
    return lines
