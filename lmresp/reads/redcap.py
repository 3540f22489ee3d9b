"""Reads as REDCap has them: one row per read, a data dictionary for the instrument, and the way back (pure).

Structural columns as REDCap writes them for a longitudinal project with a repeating instrument. Codes of choices are
the words of ``mri_reads`` with ``_`` for any sign but letters and digits. Event names are made from the visits and are
to be adapted to the project.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from lmresp.ingest.spec import table_spec
from lmresp.reads.questions import form_words
from lmresp.reads.rows import guarded, read_rows
from lmresp.reads.state import Read
from lmresp.terms import Presence

INSTRUMENT = "imaging_read"
EVENT = "redcap_event_name"
STRUCTURE = ("record_id", EVENT, "redcap_repeat_instrument", "redcap_repeat_instance")
COMPLETE = f"{INSTRUMENT}_complete"
DICTIONARY = (
    *("Variable / Field Name", "Form Name", "Section Header", "Field Type", "Field Label"),
    *("Choices, Calculations, OR Slider Labels", "Field Note", "Text Validation Type OR Show Slider Number"),
    *("Text Validation Min", "Text Validation Max", "Identifier?", "Branching Logic (Show field only if...)"),
    *("Required Field?", "Custom Alignment", "Question Number (surveys only)", "Matrix Group Name", "Matrix Ranking?"),
    "Field Annotation",
)
"""Header of a REDCap data dictionary."""
_READ = {
    "visit_num": "Number of the visit",
    "scan_dtc": "Date of the scan",
    "reader_id": "Reader",
    "role": "Role of the reader",
    "read_dtc": "Read at (UTC)",
    "locked_dtc": "Locked at (UTC)",
    "session_id": "Reading session",
    "blinded": "Blinded to other reads",
    "comparator": "Compared with",
    "reasons": "Reasons",
}
"""What is said once of a read: columns of ``mri_reads``, each with its label; ``read_`` leads the variable."""


def variables() -> dict[str, tuple[str, str]]:
    """Return variable to compartment and item, in the order of the form; ``_ne`` and ``_note`` follow each."""
    out: dict[str, tuple[str, str]] = {}
    for given in form_words()["fields"]:
        items = [f"NODULE_{n}_{axis}" for n in "123" for axis in "XY"] if given["item"] == "NODULE" else [given["item"]]
        out |= {f"{given['compartment']}_{item}".lower(): (given["compartment"], item) for item in items}
    return out


def columns() -> list[str]:
    """Header of the export."""
    answers = [f"{name}{end}" for name in variables() for end in ("", "_ne", "_note")]
    return [*STRUCTURE, *(_variable(name) for name in _READ), *answers, COMPLETE]


def export_rows(reads: Sequence[Read]) -> list[dict[str, str]]:
    """Write locked reads as rows that REDCap imports.

    Parameters
    ----------
    reads : sequence of Read
        Locked reads.

    Returns
    -------
    list of dict
        :func:`columns`; guarded against spreadsheets that run formulas.
    """
    count: Counter[tuple[str, str]] = Counter()
    out = []
    for read in reads:
        event = _event(read)
        count[(read.entry["subject_id"], event)] += 1
        items = read_rows(read)
        row = dict.fromkeys(columns(), "") | {
            "record_id": read.entry["subject_id"],
            EVENT: event,
            "redcap_repeat_instrument": INSTRUMENT,
            "redcap_repeat_instance": str(count[(read.entry["subject_id"], event)]),
            COMPLETE: "2",
        }
        row |= {_variable(name): _code(name, items[0][name]) for name in _READ}
        for item in items:
            name = f"{item['compartment']}_{item['item']}".lower()
            value = item["value"] if _is_measured(item["item"]) else _coded(item["value"])
            row[name] = "" if value == Presence.NE.value and _is_measured(item["item"]) else value
            row[f"{name}_ne"] = _coded(item["reason_ne"])
            row[f"{name}_note"] = item["comment"]
        out.append({name: guarded(cell) for name, cell in row.items()})
    return out


def _variable(name: str) -> str:
    return name if name.startswith("read_") else f"read_{name}"


def _event(read: Read) -> str:
    label = re.sub(r"[^a-z0-9]+", "_", (read.entry["visit"] or read.entry["visit_num"]).lower()).strip("_")
    return f"visit_{label or 'x'}_arm_1"


def _codes(name: str) -> tuple[str, ...]:
    column = table_spec("mri_reads").columns[name]
    return ("Y", "N") if column.type == "flag" else column.codes


def _code(name: str, value: str) -> str:
    return _coded(value) if _codes(name) else value


def _coded(word: str) -> str:
    """Write a word as REDCap allows a code: letters, digits and ``_``."""
    return re.sub(r"[^A-Za-z0-9]", "_", word)


def _is_measured(item: str) -> bool:
    return "range" in (table_spec("mri_reads").columns["value"].by or {})["rules"][item]


def dictionary_rows() -> list[dict[str, str]]:
    """Return the data dictionary of the instrument, ready for REDCap's upload; columns :data:`DICTIONARY`."""
    words, out = form_words()["words"], [_field("record_id", "text", "Subject")]
    for name, label in _READ.items():
        needed = "" if name in ("session_id", "comparator", "reasons") else "y"
        out.append(_field(_variable(name), "dropdown" if _codes(name) else "text", label, _codes(name), needed=needed))
    values = table_spec("mri_reads").columns["value"].by or {}
    labels = {(given["compartment"], given["item"]): given for given in form_words()["fields"]}
    for name, (compartment, item) in variables().items():
        given = labels[(compartment, "NODULE" if _is_measured(item) else item)]
        rule, label = values["rules"][item], given["label"]
        if _is_measured(item):
            label = f"{label} {item[-3]}, diameter {'1' if item.endswith('X') else '2'} (mm)"
            row = _field(name, "text", label, note=given["help"], limits=rule["range"])
        else:
            row = _field(name, "dropdown", label, rule["codes"], words, note=given["help"])
        ask = "" if _is_measured(item) else f"[{name}] = 'NE'"
        why = _field(f"{name}_ne", "dropdown", f"{label}: why not evaluable", _codes("reason_ne"), words, asked_if=ask)
        out += [row, why, _field(f"{name}_note", "text", f"{label}: comment")]
    return out


def _field(
    name: str,
    kind: str,
    label: str,
    codes: Sequence[str] = (),
    words: Mapping[str, str] | None = None,
    *,
    note: str = "",
    needed: str = "",
    asked_if: str = "",
    limits: Sequence[float] = (),
) -> dict[str, str]:
    choices = " | ".join(f"{_coded(code)}, {(words or {}).get(code, code.lower())}" for code in codes)
    cells = (name, INSTRUMENT, "", kind, label, choices, note, *(["number", *map(str, limits)] if limits else [""] * 3))
    row = dict.fromkeys(DICTIONARY, "") | dict(zip(DICTIONARY, cells, strict=False))
    return row | {"Required Field?": needed, "Branching Logic (Show field only if...)": asked_if}


def rows_of(given: Sequence[Mapping[str, str]]) -> tuple[list[dict[str, str]], list[str]]:
    """Turn rows of :func:`export_rows`, or of the filled instrument, into rows of ``mri_reads``.

    Parameters
    ----------
    given : sequence of mapping
        ``_file, _sheet, _row`` and the columns of the file. Rows of other instruments are left aside.

    Returns
    -------
    rows : list of dict
        One per answer; ``_row`` names the row of the read and the variable. Guards against formulas stay on.
    problems : list of str
        Columns that are missing.
    """
    needed = [*STRUCTURE, *(_variable(name) for name in _READ)]
    missing = [name for name in needed if given and name not in given[0]]
    if missing:
        return [], [f"{given[0]['_file']}: the columns {', '.join(missing)} are missing. Allowed: {', '.join(needed)}."]
    out: list[dict[str, str]] = []
    for row in given:
        if row.get("redcap_repeat_instrument") != INSTRUMENT:
            continue
        common = {name: row[name] for name in ("_file", "_sheet", "_row")} | {"subject_id": row["record_id"]}
        common |= {name: _word(_codes(name), row.get(_variable(name), "")) for name in _READ}
        for name, (compartment, item) in variables().items():
            answer = _answer(row, name, item)
            if any(answer.values()):
                key = f"{row['_row']}.{compartment}.{item}"
                where = {"_row": f"{row['_row']} ({name})", "compartment": compartment, "item": item}
                out.append({**common, "read_id": key, **where, **answer})
    return out, [] if out else ["the file holds no read of the instrument imaging_read"]


def _answer(row: Mapping[str, str], name: str, item: str) -> dict[str, str]:
    rule = (table_spec("mri_reads").columns["value"].by or {})["rules"][item]
    value, reason = row.get(name, ""), row.get(f"{name}_ne", "")
    if _is_measured(item) and not value and reason:
        value = Presence.NE.value
    return {
        "value": _word(tuple(rule.get("codes", ())), value),
        "reason_ne": _word(_codes("reason_ne"), reason),
        "comment": row.get(f"{name}_note", ""),
    }


def _word(codes: Sequence[str], text: str) -> str:
    """Undo the ``_`` of a code; any other text stays as it is, for the checks to name."""
    return next((code for code in codes if _coded(code) == text), text)
