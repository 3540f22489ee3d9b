"""The report of a scan as a PDF of one or two pages: scorecard, findings, measures, quality, reads, provenance."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from lmresp import RESEARCH_USE, __version__
from lmresp.dicom.labels import enhancement_judged
from lmresp.dicom.sr_items import plain

MOST_FINDINGS = 12
DRAFT = "DRAFT \N{EN DASH} not for diagnosis. Measured automatically, not confirmed by a reader."
_MEASURES = {  # measure: words, unit shown, how many of the stored unit make one
    "LINEAR_VOL": ("Linear enhancement, volume", "mL", 1000.0),
    "LINEAR_AREA": ("Linear enhancement, area", "cm2", 100.0),
    "NODULE_VOL": ("Nodules, volume", "mL", 1000.0),
    "NODULE_N": ("Nodules, number", "", 1.0),
    "SUM_PRODUCTS": ("Sum of products of diameters", "mm2", 1.0),
    "ENH_VOL": ("All enhancement, volume", "mL", 1000.0),
    "VENT_VOL": ("Ventricles, volume", "mL", 1000.0),
    "EVANS_INDEX": ("Evans index", "", 1.0),
    "FOHR": ("Frontal occipital horn ratio", "", 1.0),
    "BRAIN_VOL": ("Brain with its CSF, volume", "mL", 1000.0),
}
_LINE, _HEAD = colors.HexColor("#999999"), colors.HexColor("#e8e8e8")


@cache
def _fonts() -> tuple[str, str, frozenset[int]]:
    """Names of the two fonts that reportlab carries, and the characters that both have."""
    faces = []
    for name in ("Vera", "VeraBd"):
        font = TTFont(name, f"{name}.ttf")
        pdfmetrics.registerFont(font)
        faces.append(frozenset(font.face.charToGlyph))
    return "Vera", "VeraBd", faces[0] & faces[1]


def _style(size: float = 8, *, bold: bool = False, colour: Any = colors.black) -> ParagraphStyle:
    return ParagraphStyle(
        f"s{size}{bold}", fontName=_fonts()[bold], fontSize=size, leading=size * 1.25, textColor=colour
    )


def shown(text: object) -> str:
    """Return text as a paragraph takes it: no markup, and every character that the font lacks by its number."""
    known = _fonts()[2]
    return escape("".join(c if ord(c) in known or c == "\n" else f"\\u{ord(c):04x}" for c in plain(text)))


def document(result: Mapping[str, Any], study_id: str, charter: str, reads: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """Write the report.

    Parameters
    ----------
    result : mapping
        Scan result; of a scan that was not measured, the reason is said.
    study_id, charter : str
        The study, and the digest of the charter in force.
    reads : sequence of mapping
        Entries of locked reads, in order, each with ``locked_utc``.

    Returns
    -------
    bytes
        PDF, the same bytes for the same input. Names no identity but the subject's pseudonym in the study.
    """
    parts: list[Flowable] = [*_title(result, study_id, reads)]
    for read in reversed(reads):  # what the title says comes first
        parts += _read(read)
    if result["status"] != "measured":
        parts += [_heading("Draft"), _text(f"This scan was not measured: {result['reason']}.")]
    else:
        parts += [_heading("Scorecard (draft)"), *_scorecard(result["scorecard"])]
        parts += [_heading("Findings (draft)"), *_findings(result)]
        parts += [_heading("Measures (draft)"), _measures(result["measures"])]
        parts += [_heading("Quality"), *_quality(result["qc"])]
    parts += [_heading("Provenance"), *_provenance(result, charter, reads)]
    out = io.BytesIO()
    edge = 14 * mm
    template = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=edge,
        rightMargin=edge,
        topMargin=edge,
        bottomMargin=20 * mm,
        title=f"lmresp report {result['scan']}",
        author="lmresp",
        invariant=1,
    )
    template.build(parts, onFirstPage=_foot, onLaterPages=_foot)
    return out.getvalue()


def _foot(canvas: Any, template: Any) -> None:
    """Words that stand on every page."""
    canvas.saveState()
    canvas.setFont(_fonts()[0], 6)
    middle = RESEARCH_USE.find(";") + 1
    lines = (RESEARCH_USE[:middle], RESEARCH_USE[middle:].strip(), f"lmresp {__version__}, page {template.page}")
    for row, line in enumerate(lines):
        canvas.drawString(14 * mm, 13 * mm - row * 8, line)
    canvas.restoreState()


def _heading(words: str) -> Flowable:
    return Paragraph(shown(words), _style(10, bold=True).clone(f"h{words}", spaceBefore=6, spaceAfter=2))


def _text(words: object, *, bold: bool = False) -> Flowable:
    return Paragraph(shown(words), _style(bold=bold))


def _table(head: Sequence[str], rows: Sequence[Sequence[object]], widths: Sequence[float]) -> Flowable:
    cells = [[_text(cell, bold=True) for cell in head], *([_text(cell) for cell in row] for row in rows)]
    table = Table(cells, colWidths=[width * mm for width in widths], repeatRows=1, splitInRow=1)
    table.setStyle(
        TableStyle(
            [
                ("GRID", (0, 0), (-1, -1), 0.3, _LINE),
                ("BACKGROUND", (0, 0), (-1, 0), _HEAD),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("TOPPADDING", (0, 0), (-1, -1), 1),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
            ]
        )
    )
    return table


def _title(result: Mapping[str, Any], study_id: str, reads: Sequence[Mapping[str, Any]]) -> list[Flowable]:
    state = f"READ {reads[-1]['read']} by {reads[-1]['reader']}, locked {reads[-1]['locked_utc']}" if reads else DRAFT
    where = (
        f"Study {study_id}, subject {result['subject_id']}, visit {result['visit']} ({result['visit_num']}), "
        f"scan of {result['scan_date'] or 'unknown date'}, compared with "
        f"{result['reference'] or 'nothing (reference scan)'}"
    )
    return [
        Paragraph(shown("MRI of the head: leptomeningeal metastasis"), _style(14, bold=True)),
        Spacer(1, 3),
        _text(where),
        Paragraph(shown(state), _style(10, bold=True, colour=colors.HexColor("#a00000"))),
    ]


def _scorecard(card: Mapping[str, Any]) -> list[Flowable]:
    rows = [
        (
            item["compartment"],
            item["item"],
            item["presence"],
            item["change"] or "",
            f"{item['confidence']:.2f}",
            item["reason"],
        )
        for item in card["items"]
    ]
    overall = card["overall"] or "none (no scan to compare with)"
    parts = [
        _table(("Where", "Item", "State", "Change", "Confidence", "Reason"), rows, (17, 32, 20, 24, 25, 64)),
        _text(f"Overall of the draft, from its items: {overall}", bold=True),
    ]
    return [*parts, _text(card["coverage"])] if card["coverage"] else parts


def _findings(result: Mapping[str, Any]) -> list[Flowable]:
    findings = result["findings"]
    if not findings and not enhancement_judged(result):
        return [_text("Enhancement could not be judged: that none is marked does not mean absent.")]
    if not findings:
        return [_text("None. It was looked for.")]
    rows = []
    for one in findings[:MOST_FINDINGS]:
        size = f"{one['volume_mm3'] / 1000:.2f} mL"
        if one["kind"] == "nodule":
            size = f"{one['long_mm']} x {one['perp_mm']} \N{PLUS-MINUS SIGN} {one['uncertainty_mm']} mm, {size}"
        track = "" if one["track"] is None else f"nodule {one['track']}"
        place = ", ".join(
            f"{ends[v < 0]} {abs(v):.0f}" for v, ends in zip(one["center_mm"], ("RL", "AP", "SI"), strict=True)
        )
        note = one["note"] if one["lm_related"] else "; ".join(filter(None, ["not leptomeningeal", one["note"]]))
        rows.append((one["id"], track or one["kind"], size, place, one["status"], f"{one['confidence']:.2f}", note))
    head = ("No.", "What", "Size", "Place (mm)", "Status", "Confidence", "Note")
    parts: list[Flowable] = [_table(head, rows, (10, 20, 44, 24, 20, 25, 39))]
    more = len(findings) - MOST_FINDINGS
    return [*parts, _text(f"{more} more are in the results.")] if more > 0 else parts


def _measures(measures: Sequence[Mapping[str, Any]]) -> Flowable:
    rows = []
    for one in measures:
        if one["region"] or one["measure"] not in _MEASURES:
            continue
        words, unit, divisor = _MEASURES[one["measure"]]
        value, change = f"none: {one['qc_reason']}", ""
        if one["value"] is not None:
            value = f"{one['value'] / divisor:.4g}"
            if one["uncertainty"] is not None:
                value += f" \N{PLUS-MINUS SIGN} {one['uncertainty'] / divisor:.2g}"
            value = f"{value} {unit}".strip()
            if one["change_percent"] is not None:
                change = f"{round(one['change_percent']):+d} %"
        rows.append((words, value, change, one["qc"]))
    return _table(("Measure", "Value", "Change", "Quality"), rows, (62, 70, 25, 25))


def _quality(checks: Sequence[Mapping[str, Any]]) -> list[Flowable]:
    wrong = [one for one in checks if one["result"] != "PASS"]
    parts: list[Flowable] = [_text(f"{len(checks) - len(wrong)} of {len(checks)} checks passed.")]
    if wrong:
        rows = [(one["check"], one["result"], f"{one['value']} {one['unit']}", one["meaning"]) for one in wrong]
        parts.append(_table(("Check", "Result", "Value", "Meaning"), rows, (45, 17, 30, 90)))
    return parts


def _read(read: Mapping[str, Any]) -> list[Flowable]:
    rows = [
        (row["compartment"], row["item"], row["value"], row["reason_ne"], row["comment"]) for row in read["answers"]
    ]
    parts = [
        _heading(f"Read {read['read']}: {read['reader']} ({read['role'].lower()})"),
        _text(
            f"Locked {read['locked_utc']}; the draft was {'' if read['draft']['shown'] else 'not '}shown; "
            f"the items imply {read['implied'] or 'no overall answer'}."
        ),
        _table(("Where", "Item", "Answer", "Why not evaluable", "Comment"), rows, (17, 36, 30, 40, 59)),
    ]
    return [*parts, *(_text(f"Reason ({one['about']}, {one['code']}): {one['text']}") for one in read["reasons"])]


def _provenance(result: Mapping[str, Any], charter: str, reads: Sequence[Mapping[str, Any]]) -> list[Flowable]:
    rows = [("Software of the draft", result["software"]), ("Charter, SHA-256", charter)]
    rows += [
        (f"{one['series']} ({one['role']}), SHA-256", one["digest"]) for one in result["series"] if one.get("role")
    ]
    rows += [(f"Entry of read {one['read']}, SHA-256", one["digest"]) for one in reads]
    return [_table(("What", "Value"), rows, (60, 122))]
