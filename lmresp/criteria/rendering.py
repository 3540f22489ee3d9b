"""The schemes and the default charter as Markdown: what a clinician reviews is rendered from what runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lmresp.criteria.load import load_scheme, schemes
from lmresp.criteria.study_charter import load_charter
from lmresp.criteria.table import Scheme

HEAD = """# Criteria and charter

Rendered from `lmresp/criteria/` (a test holds the two together). Rules are read from top to bottom and the first that
matches decides. Certainty: *seen* (read in the paper or its abstract), *seen_secondary* (read in a reprint or
transcription), *inferred* (follows from something read), *recalled* (from memory, may be wrong), *convention* (a choice
of this project, published nowhere). Only the first two may be reported as a published criterion; any other call is
provisional. `any` means that the input does not matter.
"""


def criteria_page() -> str:
    """Render every scheme, its rules and the settings of the default charter as one Markdown page."""
    parts = [HEAD, *(_scheme(load_scheme(name, switched_on=(name,))) for name in schemes()), _charter()]
    return "\n".join(parts)


def _scheme(scheme: Scheme) -> str:
    read, cells = scheme.cells_read
    counts = ", ".join(f"{number} {level}" for level, number in scheme.cells_by_certainty().items())
    rows = []
    for rule in scheme.rules:
        when = dict(rule.when)
        inputs = [", ".join(when[each.name]) if each.name in when else "any" for each in scheme.inputs]
        source = rule.citation if not rule.provisional else f"{rule.citation}; {rule.note}".strip("; ")
        rows.append([rule.rule_id, *inputs, f"**{rule.output}**", rule.certainty, ", ".join(rule.flags), source])
    names = [each.name for each in scheme.inputs]
    meanings = "\n".join(f"- `{each.name}` ({', '.join(each.words)}): {each.meaning}" for each in scheme.inputs)
    off = "" if scheme.enabled_by_default else " **Off** unless a charter switches it on by name."
    read_text = f"{read} of {cells} combinations read in the source ({counts})."
    return (
        f"## {scheme.title}\n\n`{scheme.scheme_id}`: {read_text}{off} {scheme.completeness}\n\n{meanings}\n\n"
        + _table(["rule", *names, "answer", "certainty", "flags", "source"], rows)
    )


def _charter() -> str:
    charter = load_charter()
    rows = [
        [
            f"`{name}`",
            str(setting.value),
            setting.certainty,
            setting.meaning,
            f"{setting.source} {setting.note}".strip(),
        ]
        for name, setting in charter.settings.items()
    ]
    head = f"## Default charter: {charter.title} ({charter.label})\n\nNot signed: a study signs its own.\n\n"
    return head + _table(["setting", "value", "certainty", "meaning", "source and note"], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(
        f"| {' | '.join(' '.join(str(cell).replace('|', '/').split()) for cell in line)} |\n" for line in lines
    )
