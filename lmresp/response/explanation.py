"""Explains a subject's calls as structured data, from the stored rows: strand by strand, rule, certainty, branch.

:mod:`lmresp.response.explanation_text` renders the text from exactly this structure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lmresp import RESEARCH_USE
from lmresp.flags import flag_meaning
from lmresp.notation import Flip, read_flips

FORMAT = "lmresp-explanation/1"
Row = Mapping[str, str]
Tables = Mapping[str, Sequence[Row]]
STRANDS = {"csf": "csf", "neuro": "neuro", "imaging": "mri", "steroids": "steroids"}
"""Strand to the name of its table, which is also the kind of its words."""
DETAILS: Mapping[str, Mapping[str, str]] = {
    "csf": {
        "result": "worst result",
        "samples": "samples",
        "site": "site",
        "by_site": "by site",
        "confirmed": "clearance confirmed",
        "clearance_start": "cleared since",
    },
    "neuro": {
        "instrument": "instrument",
        "symptomatic": "attributable deficit present",
        "alternative_cause": "other cause",
        "kps": "Karnofsky status",
        "nano_lm": "NANO-LM",
        "fixed": "at the worst level at baseline",
    },
    "imaging": {
        "overall": "overall",
        "comparator": "compared with",
        "readers": "readers",
        "nodules": "nodules (mm)",
        "sum_products": "sum of products (mm2)",
        "sum_products_change": "change of the sum (%)",
        "nodules_new": "new nodules",
        "hydrocephalus": "hydrocephalus",
        "mri_pattern": "pattern",
        "parenchymal": "parenchymal lesions",
    },
    "steroids": {
        "dex_eq_mg_day": "dexamethasone equivalent (mg a day)",
        "reference_mg_day": "the same at the reference (mg a day)",
    },
}
"""Columns of a strand worth telling, and how they are called in words."""
_RULES = ("literal", "both", "call_based")
_YES_NO = {"Y": "yes", "N": "no"}
_NO_CALL = {"baseline": "reference visit", "before_baseline": "before the reference visit"}


class _Words:
    """What codes mean; a code without an entry is shown as it is, so that nothing disappears."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._texts = {(row["kind"], row["key"]): row["text"] for row in rows}

    def __call__(self, kind: str, key: str) -> str:
        return self._texts.get((kind, key), key.replace("_", " "))


def explanation(subject_id: str, tables: Tables) -> dict[str, Any]:
    """Explain one subject.

    Parameters
    ----------
    subject_id : str
        Subject.
    tables : mapping of str to sequence of rows
        ``calls``, ``best_response``, ``endpoints``, ``components``, ``pathway``, ``queries``, ``csf``, ``neuro``,
        ``mri``, ``steroids`` as they are stored, of any number of subjects; ``charter`` (one row with ``title_line``)
        and ``words`` (rows ``kind, key, text``: what codes mean). A table that is not there is taken as empty.

    Returns
    -------
    dict
        JSON-ready, format ``lmresp-explanation/1``: ``subject_id, charter, best_response, endpoints, visits, queries,
        research_use``. Each visit holds ``strands``, ``components``, ``call`` and ``pathway``; the last two are None
        where there is no call, and ``no_call`` then says why. Every code stands beside its meaning (``..._words``).
    """
    mine = {name: [row for row in rows if row.get("subject_id") == subject_id] for name, rows in tables.items()}
    return _explained(subject_id, mine, _charter(tables), _Words(tables.get("words", ())))


def explanations(tables: Tables) -> Iterator[dict[str, Any]]:
    """Explain every subject, sorted; see :func:`explanation`. The time grows with the rows, not with their square."""
    by_subject: dict[str, dict[str, list[Row]]] = {}
    for name, rows in tables.items():
        for row in rows:
            if row.get("subject_id"):
                by_subject.setdefault(row["subject_id"], {}).setdefault(name, []).append(row)
    words, charter = _Words(tables.get("words", ())), _charter(tables)
    for subject_id in sorted(by_subject):
        yield _explained(subject_id, by_subject[subject_id], charter, words)


def _charter(tables: Tables) -> str:
    return next((row["title_line"] for row in tables.get("charter", ())), "")


def _explained(subject_id: str, mine: Tables, charter: str, words: _Words) -> dict[str, Any]:
    strands = {strand: _by_visit(mine.get(table, ())) for strand, table in STRANDS.items()}
    calls, branches = _by_visit(mine.get("calls", ())), _by_visit(mine.get("pathway", ()))
    components: dict[str, list[Row]] = {}
    for row in mine.get("components", ()):
        components.setdefault(row["visit_num"], []).append(row)
    named = {number: row for rows in (*strands.values(), calls) for number, row in rows.items()}
    visits = []
    for number in sorted(named, key=lambda text: (float(text), text)):
        seen = [(name, rows[number]) for name, rows in strands.items() if number in rows]
        call, branch = calls.get(number), branches.get(number)
        kinds = [kind for _, row in seen for kind in _listed(row["flags"], ";") if kind in _NO_CALL]
        visits.append(
            {
                "visit": named[number]["visit"],
                "visit_num": number,
                "date": call["date"] if call else "",
                "no_call": "" if call else _NO_CALL[kinds[0]] if kinds else "subject set aside",
                "strands": [_strand(name, row, words) for name, row in seen],
                "components": [_component(row, words) for row in components.get(number, ())],
                "call": _call(call, words) if call else None,
                "pathway": _pathway(branch, words) if branch else None,
            }
        )
    return {
        "format": FORMAT,
        "subject_id": subject_id,
        "charter": charter or next((row["charter"] for row in calls.values()), ""),
        "best_response": next((_best(row, words) for row in mine.get("best_response", ())), None),
        "endpoints": [_endpoint(row, words) for row in mine.get("endpoints", ())],
        "visits": visits,
        "queries": [dict(row) for row in mine.get("queries", ())],
        "research_use": RESEARCH_USE,
    }


def _by_visit(rows: Iterable[Row]) -> dict[str, Row]:
    return {row["visit_num"]: row for row in rows}


def _listed(text: str, separator: str) -> list[str]:
    return [part for part in text.split(separator) if part]


def _flags(text: str) -> list[dict[str, str]]:
    names = [name for name in _listed(text, ";") if name not in _NO_CALL]
    return [{"flag": name, "meaning": flag_meaning(name)} for name in names]


def _certainty(row: Row, words: _Words) -> dict[str, str]:
    sure = row.get("certainty", "")
    return {"rule_id": row.get("rule_id", ""), "certainty": sure, "certainty_words": words("certainty", sure)}


def _strand(name: str, row: Row, words: _Words) -> dict[str, Any]:
    told = [
        {"what": label, "value": _by_site(row[column], words) if column == "by_site" else _plain(row[column])}
        for column, label in DETAILS[name].items()
        if row.get(column)
    ]
    drafted = name == "imaging" and row.get("source") == "read" and row.get("draft_status")
    kind = STRANDS[name]
    return {
        "strand": name,
        "title": words("component", name),
        "status": row["status"],
        "status_words": words(kind, row["status"]),
        "date": row.get("date", ""),
        "reason": row["reason"],
        **_certainty(row, words),
        "row_ids": _listed(row["row_ids"], ";"),
        "scans": _listed(row.get("scans", ""), ";"),
        "source_words": words("source", row["source"]) if row.get("source") else "",
        "flags": _flags(row["flags"]),
        "disputed": [{"status": s, "words": words(kind, s)} for s in _listed(row.get("disputed", ""), ";")],
        "details": told,
        "draft": {"status": row["draft_status"], "overall": row["draft_overall"]} if drafted else None,
    }


def _plain(value: str) -> str:
    return _YES_NO.get(value, value)


def _by_site(text: str, words: _Words) -> str:
    pairs = [each.partition(":") for each in _listed(text, ";")]
    return ", ".join(f"{site.lower()} {words('csf', status).lower()}" for site, _, status in pairs)


def _component(row: Row, words: _Words) -> dict[str, Any]:
    name, _, site = row["component"].partition(" ")
    title = words("component", name) + (f", {site.lower()}" if site else "")
    kind = STRANDS.get(name, "component_value")
    return {
        "component": row["component"],
        "title": title,
        "value": row["value"],
        "value_words": words(kind, row["value"]),
        "scheme": row["scheme"],
        **_certainty(row, words),
        "authority": row["authority"],
        "authority_words": words("authority", row["authority"]),
        "row_ids": _listed(row["row_ids"], ";"),
        "note": row["note"],
    }


def _call(row: Row, words: _Words) -> dict[str, Any]:
    authority = row.get("authority", "")
    return {
        "call": row["call"],
        "call_words": words("call", row["call"]),
        "date": row["date"],
        "criteria": row["criteria"],
        "charter": row["charter"],
        **_certainty(row, words),
        "authority": authority,
        "authority_words": words("authority", authority),
        "citation": row["citation"],
        "note": row["note"],
        "provisional": row["provisional"] == "Y",
        "provisional_reasons": _listed(row["provisional_reason"], "; "),
        "missing": [part for part in re.split(r"; (?=(?:csf|neuro|imaging): )", row["missing"]) if part],
        "would_change": [_flip(flip, words) for flip in read_flips(row["would_change"])],
        "flags": _flags(row.get("flags", "")),
        "row_ids": _listed(row.get("row_ids", ""), ";"),
        "scans": _listed(row.get("scans", ""), ";"),
    }


def _flip(flip: Flip, words: _Words) -> dict[str, Any]:
    said = [f"{words('component', name)} {words(STRANDS[name], value).lower()}" for name, value in flip.values]
    return {
        "if": dict(flip.values),
        "call": flip.call,
        "words": f"with {' and '.join(said)}: {words('call', flip.call)}",
    }


def _pathway(row: Row, words: _Words) -> dict[str, Any]:
    keys = _listed(row.get("evidence_keys", ""), ";")
    parallel = row["parallel_branch"]
    return {
        "branch": row["branch"].split(";"),
        "label": row["branch_label"],
        "reason": row["reason"],
        "trail": [_step(text, words) for text in _listed(row.get("trail", ""), " > ")],
        "certainty": row["certainty"],
        "certainty_words": row.get("certainty_words", ""),
        "evidence": [{"key": key, "citation": words("evidence", key), "certainty": row["certainty"]} for key in keys],
        "collect": _listed(row["collect"], "; "),
        "inadequate": {
            "answer": row["inadequate"],
            "rule": row["inadequate_rule"],
            "rule_words": words("rule", row["inadequate_rule"]),
            "grade": row.get("inadequate_grade", ""),
            "confirmed": row.get("inadequate_confirmed", ""),
            "by_rule": [{"rule": name, "answer": row[f"inadequate_{name}"]} for name in _RULES],
            "rules_disagree": row["rules_disagree"] == "Y",
            "disagreement": row.get("disagreement", ""),
        },
        "parallel": {
            "branch": parallel,
            "label": words("branch", parallel),
            "reason": row.get("parallel_reason", ""),
        }
        if parallel
        else None,
        "provisional": row["provisional"] == "Y",
    }


def _step(text: str, words: _Words) -> dict[str, Any]:
    node, _, rest = text.partition(": ")
    facts, _, note = rest.partition(" -> ")
    pairs = [pair.partition("=") for pair in facts.split(", ")]
    said = [f"{words('fact', name)} {_value(value)}" for name, _, value in pairs]
    return {
        "node": node,
        "label": words("node", node),
        "facts": {name: value for name, _, value in pairs},
        "facts_words": ", ".join(said),
        "note": note,
    }


def _value(value: str) -> str:
    plain = value.replace("_", " ")
    return _YES_NO.get(value, plain.lower() if value.isupper() else plain)


def _best(row: Row, words: _Words) -> dict[str, Any]:
    best, confirmed = row["best_response"], row.get("confirmed_best", "")
    return {
        **{name: value for name, value in row.items() if name != "subject_id"},
        "best_response_words": words("best", best) if best == "MISSING" else words("call", best),
        "confirmed_best_words": words("call", confirmed) if confirmed else "",
        "confirmation_words": words("confirmation", row.get("confirmation", "")),
    }


def _endpoint(row: Row, words: _Words) -> dict[str, Any]:
    return {
        **{name: value for name, value in row.items() if name != "subject_id"},
        "parameter_words": words("parameter", row["parameter"]),
        "policy_words": words("policy", row["policy"]),
        "censored_words": words("censored", row["censored"]),
    }
