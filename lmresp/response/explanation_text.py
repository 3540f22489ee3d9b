"""Renders the explanation of a subject as text for a coordinator: every code stands beside its words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lmresp.errors import StudyError
from lmresp.notation import row_ranges

_ANSWERS = {"Y": "yes", "N": "no", "CANNOT DECIDE": "cannot be decided", "NOT DUE": "not due yet"}
_GRADES = {
    "neurology_only": "for the examination alone",
    "cytology_only": "for the cytology alone",
    "both": "for examination and cytology",
    "by_call": "for the call alone",
}
_AGAIN = {"Y": ", seen again at a later visit or sample", "N": ", not seen again yet"}
_STRANDS = ("csf", "neuro", "imaging", "steroids")


def one_visit(explanation: Mapping[str, Any], visit: str | None) -> dict[str, Any]:
    """Keep of an explanation what is about one visit, and what is about the subject as a whole.

    Parameters
    ----------
    explanation : mapping
        From :func:`lmresp.response.explanation.explanation`.
    visit : str or None
        Name or number of the visit; None keeps all.

    Raises
    ------
    lmresp.errors.StudyError
        If the subject has no such visit.
    """
    if visit is None:
        return dict(explanation)
    wanted = visit.casefold()
    chosen = [each for each in explanation["visits"] if wanted in (each["visit"].casefold(), each["visit_num"])]
    if not chosen:
        known = ", ".join(dict.fromkeys(each["visit"] for each in explanation["visits"])) or "none"
        raise StudyError(f"there is no visit {visit!r} of subject {explanation['subject_id']}", allowed=known)
    names = {"", *(each["visit"] for each in chosen)}
    about = [row for row in explanation["queries"] if row.get("visit", "") in names]
    return {**explanation, "visits": chosen, "queries": about}


def explanation_text(explanation: Mapping[str, Any], visit: str | None = None) -> str:
    """Tell an explanation in words.

    Parameters
    ----------
    explanation : mapping
        From :func:`lmresp.response.explanation.explanation`; nothing else is read.
    visit : str, optional
        Name or number of one visit; all without it.

    Returns
    -------
    str
        Text, ending in the research-use statement.

    Raises
    ------
    lmresp.errors.StudyError
        If the subject has no such visit.
    """
    explanation = one_visit(explanation, visit)
    lines = [f"Subject {explanation['subject_id']}"]
    if explanation["charter"]:
        lines.append(f"Charter: {explanation['charter']}")
    if explanation["best_response"]:
        lines += ["", *_best(explanation["best_response"])]
    if explanation["endpoints"]:
        lines += ["", "Times to event:", *(f"  {_endpoint(row)}" for row in explanation["endpoints"])]
    for each in explanation["visits"]:
        lines += ["", *_visit(each)]
    if explanation["queries"]:
        lines += ["", "Open queries:"]
        lines += [
            f"  {row['query_id']} {row['code']} ({row['severity']}): {row['message']} {row.get('action', '')}".rstrip()
            for row in explanation["queries"]
        ]
    return "\n".join([*lines, "", explanation["research_use"]])


def _named(text: str, code: str) -> str:
    """Put the words first and the code after them, where they differ."""
    return text if text.casefold() == code.casefold() else f"{text} ({code})"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _best(best: Mapping[str, Any]) -> list[str]:
    if not best["best_response"]:
        return [_sentence(f"No best response: {best['reason']}")]
    dated = f" on {best['date']} (visit {best['visit']})" if best.get("date") else ""
    lines = [f"Best response: {_named(best['best_response_words'], best['best_response'])}{dated}."]
    if best.get("confirmed_best"):
        when = f" on {best['confirmed_best_date']}" if best.get("confirmed_best_date") else ""
        state = f"; {best['confirmation_words'].lower()}" if best.get("confirmation") else ""
        lines.append(
            f"  With confirmation: {_named(best['confirmed_best_words'], best['confirmed_best'])}{when}{state}."
        )
    response = {
        "Y": f"  A response was confirmed; it was first seen on {best.get('confirmed_date', '')}.",
        "N": "  No response was confirmed.",
        "PENDING": "  A response waits for its confirmation.",
    }
    if best.get("confirmed_response") in response:
        lines.append(response[best["confirmed_response"]])
    if best.get("progression_date"):
        by = f", worse in: {best['progression_by'].replace(';', ', ')}" if best.get("progression_by") else ""
        lines.append(f"  Progression on {best['progression_date']}{by}.")
    if best["reason"]:
        lines.append(f"  {_sentence(best['reason'][:1].upper() + best['reason'][1:])}")
    return lines


def _endpoint(row: Mapping[str, Any]) -> str:
    days = f"{row['days']} days, {row['start_date']} to {row['date']}" if row["days"] else "no time"
    what = row["event"] if row["censored"] == "0" else row["censored_words"]
    why = f"; {row['reason']}" if row.get("reason") else ""
    open_ = "; provisional" if row.get("provisional") == "Y" else ""
    return _sentence(
        f"{_named(row['parameter_words'], row['parameter'])}, {row['policy_words']}: {days}; {what}{why}{open_}"
    )


def _visit(visit: Mapping[str, Any]) -> Iterator[str]:
    call, name = visit["call"], visit["visit"]
    if call is None:
        yield f"Visit {name}: no call ({visit['no_call']})"
    else:
        open_ = ", provisional" if call["provisional"] else ""
        yield f"Visit {name}, {call['date'] or 'no date'}: {call['call_words']} ({call['call']}){open_}"
    for strand in visit["strands"]:
        yield from _strand(strand)
    if call is not None:
        yield from _call(call, visit["strands"])
    beside = [row for row in visit["components"] if row["component"] not in _STRANDS]
    if beside:
        yield "  Beside the call, never part of it:"
        yield from (f"    {_component(row)}" for row in beside)
    if visit["pathway"] is not None:
        yield from _pathway(visit["pathway"])


def _rule(row: Mapping[str, str]) -> str:
    return f"rule {row['rule_id']}, {_named(row['certainty_words'], row['certainty'])}" if row["rule_id"] else ""


def _strand(strand: Mapping[str, Any]) -> Iterator[str]:
    dated = f", {strand['date']}" if strand["date"] else ""
    parts = [strand["source_words"], strand["reason"], _rule(strand)]
    parts += [f"rows {row_ranges(strand['row_ids'])}"] if strand["row_ids"] else []
    parts += [f"scans {', '.join(strand['scans'])}"] if strand["scans"] else []
    why = "; ".join(part for part in parts if part)
    status = f"{strand['title']}{dated}: {_named(strand['status_words'], strand['status'])}"
    yield f"  {status}. {_sentence(why)}" if why else f"  {_sentence(status)}"
    if strand["details"]:
        yield "    Recorded: " + _sentence("; ".join(f"{each['what']}: {each['value']}" for each in strand["details"]))
    if strand["disputed"]:
        others = ", ".join(_named(other["words"], other["status"]) for other in strand["disputed"])
        yield f"    Disputed; it might as well be: {others}."
    if strand["draft"]:
        yield f"    The automated draft says {strand['draft']['status']} ({strand['draft']['overall']})."
    yield from (f"    Note: {_sentence(_named(flag['meaning'], flag['flag']))}" for flag in strand["flags"])


def _call(call: Mapping[str, Any], strands: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"  Call by {_rule(call)}, of {call['criteria']} (charter {call['charter']})."
    if call["authority"]:
        yield f"    Who answers for it: {_sentence(call['authority_words'])}"
    yield f"    Source: {_sentence(call['citation'])}"
    if call["note"]:
        yield f"    {call['note']}"
    if call["provisional"]:
        yield f"    Provisional because {_sentence('; '.join(call['provisional_reasons']))}"
    if call["missing"]:
        yield f"    Missing or not evaluable: {_sentence('; '.join(call['missing']))}"
    if call["would_change"]:
        yield f"    What would change the call: {_sentence('; '.join(flip['words'] for flip in call['would_change']))}"
    told = {flag["flag"] for strand in strands for flag in strand["flags"]}
    own = [flag for flag in call["flags"] if flag["flag"] not in told]
    yield from (f"    Note: {_sentence(_named(flag['meaning'], flag['flag']))}" for flag in own)


def _component(row: Mapping[str, Any]) -> str:
    rule = f" ({_rule(row)}; {row['authority_words']})" if row["rule_id"] else ""
    note = f"; {row['note']}" if row["note"] else ""
    return _sentence(f"{row['title']}: {_named(row['value_words'], row['value'])}{rule}{note}")


def _pathway(found: Mapping[str, Any]) -> Iterator[str]:
    open_ = ", provisional" if found["provisional"] else ""
    yield f"  Pathway: {found['label']} ({', '.join(found['branch'])}){open_}"
    if found["trail"]:
        yield "    The way there:"
        for number, step in enumerate(found["trail"], start=1):
            yield f"      {number}. {step['label']} ({step['node']}): {step['facts_words']}; {_sentence(step['note'])}"
    yield f"    In short: {_sentence(found['reason'])}"
    yield from _inadequate(found["inadequate"])
    if found["collect"]:
        yield f"    Collect: {_sentence('; '.join(found['collect']))}"
    if found["parallel"]:
        beside = found["parallel"]
        yield f"    Beside it: {beside['label']} ({beside['branch']}). {beside['reason']}".rstrip()
    if found["evidence"]:
        yield f"    Evidence; certainty: {_sentence(found['certainty_words'] or found['certainty'])}"
        yield from (f"      - {source['citation']}" for source in found["evidence"])


def _inadequate(found: Mapping[str, Any]) -> Iterator[str]:
    graded = _GRADES.get(found["grade"], "")
    graded = f", {graded}{_AGAIN.get(found['confirmed'], '')}" if graded else ""
    yield f"    Inadequate response: {_answer(found['answer'])}{graded}."
    yield f"      The charter's rule is {found['rule']}: {_sentence(found['rule_words'])}"
    rules = "; ".join(f"{each['rule'].replace('_', ' ')}: {_answer(each['answer'])}" for each in found["by_rule"])
    yield f"      By each rule: {rules}."
    if found["rules_disagree"]:
        yield f"      {found['disagreement'] or 'The rules disagree.'}"


def _answer(code: str) -> str:
    return _ANSWERS.get(code, code)
