"""From the figures of accuracy to ``docs/accuracy.md`` and its pictures. Bad rows are left in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy import figures, score
from lmresp import RESEARCH_USE, __version__

Row = dict[str, Any]


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(_text(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _text(cell: Any) -> str:
    if isinstance(cell, float):
        return "-" if math.isnan(cell) else f"{cell:.3g}" if abs(cell) < 100 else f"{cell:.0f}"
    return str(cell)


def _verdict(met: bool) -> str:
    return "met" if met else "**not met**"


def publish(rows: list[Row], docs: Path) -> None:
    """Write the page and its figures."""
    pictures = docs / "figures"
    pictures.mkdir(parents=True, exist_ok=True)
    scans = score.phantoms(rows)
    parts = [_head(scans, rows), _targets(rows), _nodules(rows), _false(rows), _measures(rows), _change(rows)]
    parts += [_calibration(rows), _cost(rows)]
    for name, picture in figures.all_figures(rows).items():
        (pictures / f"accuracy_{name}.svg").write_text(picture, encoding="utf-8")
    (docs / "accuracy.md").write_text("\n".join(parts), encoding="utf-8")


def _head(scans: list[Row], rows: list[Row]) -> str:
    heads = len({row["seed"] for row in scans})
    real = [row["scan"] for row in rows if row["kind"] == "real"]
    failed = [f"{row['scan']} ({row['why']})" for row in rows if row["kind"] == "failed"]
    return f"""# Accuracy on phantoms

**{RESEARCH_USE}** Made by `python -m benchmarks.accuracy` (lmresp {__version__}); the cases stand in
`benchmarks/accuracy/cases.py`. {len(scans)} phantom scans of {heads} heads, and real scans without leptomeningeal
metastasis: {", ".join(real) or "none at hand"}. Not measured: {", ".join(failed) or "none"}.

Phantoms prove the code, not clinical accuracy: they are made from the template that the method uses as its atlas, and
their vessels and films are drawn, not grown. No seed of this study was used to choose a parameter. Nothing was
left out.
"""


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if len(values) else math.nan


def _part(a: int, b: int) -> float:
    return a / b if b else math.nan


def _targets(rows: list[Row]) -> str:
    fine_rows = [row for row in score.phantoms(rows) if score.is_fine(row)]
    size = {g["size"]: g for g in score.sensitivity(fine_rows)}
    small, middle, large = (size[f"{low:g}-{high:g} mm"] for low, high in score.SIZE_GROUPS)
    big_true, big_sure = (middle[k] + large[k] for k in ("true", "sure"))
    false = list(score.false_findings(rows))
    per_scan = float(np.mean([f["sure nodules"] + f["sure film"] for f in false])) if false else math.nan
    sizes = list(score.diameter_errors(rows))
    within = float(np.mean([max(abs(d[2]), abs(d[3])) <= 1.0 for d in sizes])) if sizes else math.nan
    vent = [abs(f / t - 1) for _, t, f in score.measure_errors(rows, "VENT_VOL")]
    evans = [abs(f - t) for _, t, f in score.measure_errors(rows, "EVANS_INDEX")]
    change = []
    for row, base in score.with_reference(rows):
        true = row["truth"]["ventricles_mm3"] - base["truth"]["ventricles_mm3"]
        found = [r["found"]["measures"].get("VENT_VOL") for r in (row, base)]
        if row["kind"] != "rescan" and None not in found and abs(true) > 1000:
            change.append(abs((found[0] - found[1]) / true - 1))
    _, rc, mean = score.repeatability(rows, "VENT_VOL")
    drafted = score.change_agreement(rows)
    moved = [d for d in drafted if d["item"] == "LINEAR" and abs(d["film_percent"]) >= 25]
    still = [d for d in drafted if d["item"] == "LINEAR" and d["kind"] == "rescan"]
    right = float(np.mean([d["drafted"] == d["truth"] for d in moved])) if moved else math.nan
    wrong = float(np.mean([d["drafted"] not in (d["truth"], "NE") for d in moved])) if moved else math.nan
    quiet = float(np.mean([d["drafted"] == "NO CHANGE" for d in still])) if still else math.nan
    noisy = float(np.mean([d["drafted"] in ("WORSE", "IMPROVED") for d in still])) if still else math.nan
    errors = [e for row, e in score.registration_errors(rows) if max(row["voxel_mm"]) <= 1.2]
    film = [f["film_ml"] for f in false if f["voxel_mm"] and max(f["voxel_mm"]) <= 1.0]
    cpu = [r["found"]["cpu_s"] for r in score.phantoms(rows) if max(r["voxel_mm"]) <= 1.0]
    peak = [r["found"]["peak_gb"] for r in score.phantoms(rows)]

    lines = [
        ("sensitivity at 1 mm, nodules of 6 mm and more", ">= 0.95", _part(big_sure, big_true), lambda v: v >= 0.95),
        ("sensitivity at 1 mm, nodules of 4-6 mm", ">= 0.8", _part(small["sure"], small["true"]), lambda v: v >= 0.8),
        ("false sure findings per scan without LM", "<= 0.5", per_scan, lambda v: v <= 0.5),
        ("diameters within 1 mm, part of nodules found", "all", within, lambda v: v >= 0.999),
        ("ventricle volume, median error", "<= 8 %", 100 * float(np.median(vent)), lambda v: v <= 8),
        ("ventricle volume, largest error", "<= 8 %", 100 * max(vent), lambda v: v <= 8),
        ("ventricle change, median error", "<= 5 %", 100 * _median(change), lambda v: v <= 5),
        ("ventricle repeatability coefficient", "<= 2 %", 100 * rc / mean, lambda v: v <= 2),
        ("Evans index, median error", "<= 0.01", float(np.median(evans)), lambda v: v <= 0.01),
        ("Evans index, largest error", "<= 0.01", max(evans), lambda v: v <= 0.01),
        ("film change of 25 % and more: drafted right", ">= 0.9", right, lambda v: v >= 0.9),
        ("film change of 25 % and more: drafted wrong (not NE)", "-", wrong, None),
        ("rescans drafted no change (film)", ">= 0.95", quiet, lambda v: v >= 0.95),
        ("rescans drafted a change (film)", "-", noisy, None),
        ("registration error at 1 mm, largest, mm", "< 0.5", max(errors, default=math.nan), lambda v: v < 0.5),
        ("false film in a healthy head at 1 mm, largest, ml", "<= 1", max(film, default=math.nan), lambda v: v <= 1),
        ("CPU seconds of a scan at 1 mm, largest", "<= 90", max(cpu, default=math.nan), lambda v: v <= 90),
        ("peak memory with the phantom generator, GB", "< 3 (scan alone)", max(peak, default=math.nan), None),
    ]  # fmt: skip
    cells = [
        (name, target, value, "" if met is None else _verdict(bool(met(value)))) for name, target, value, met in lines
    ]
    return "## Targets\n\n" + table(("figure", "target", "measured", ""), cells)


def _nodules(rows: list[Row]) -> str:
    errors = np.array(score.diameter_errors(rows))
    head = ("longest diameter", "true", "sure", "listed", "sensitivity (sure)", "sensitivity (listed)")
    text = "## Nodules\n\n*Sure*: the draft counts it. *Listed*: on the page, for the reader.\n"
    for name, fine in (("Voxels of about 1 mm", True), ("Slices of 3 and 5 mm", False)):
        groups = score.sensitivity([row for row in score.phantoms(rows) if score.is_fine(row) == fine])
        cells = [
            (g["size"], g["true"], g["sure"], g["listed"], _part(g["sure"], g["true"]), _part(g["listed"], g["true"]))
            for g in groups
        ]
        text += f"\n{name}\n\n" + table(head, cells)
    if len(errors):
        text += "\n" + table(
            ("diameter", "mean error, mm", "SD, mm", "largest, mm", "within 1 mm"),
            [
                (name, float(e.mean()), float(e.std()), float(np.abs(e).max()), float((np.abs(e) <= 1).mean()))
                for name, e in (("longest", errors[:, 2]), ("perpendicular", errors[:, 3]))
            ],
        )
        text += "\n![Diameters, measured against true](figures/accuracy_diameters.svg)\n"
    by_scan = []
    for row in score.phantoms(rows):
        pairs, spare = score.nodule_pairs(row)
        if pairs:
            sure = [f for f in spare if score.is_sure(f)]
            hits = sum(p.found is not None and score.is_sure(p.found) for p in pairs)
            by_scan.append(
                (
                    row["seed"],
                    row["scan"],
                    "x".join(f"{v:g}" for v in row["voxel_mm"]),
                    len(pairs),
                    hits,
                    len(sure),
                    len(spare),
                )
            )
    return text + "\n" + table(("head", "scan", "voxel, mm", "true", "sure", "false, sure", "false, listed"), by_scan)


def _false(rows: list[Row]) -> str:
    return "## False findings without leptomeningeal metastasis\n\n" + table(
        ("scan", "voxel, mm", "nodules, sure", "film, sure", "listed in all", "false film, ml", "drafted"),
        [
            (
                f["scan"], "x".join(f"{v:g}" for v in f["voxel_mm"] or []) or "as acquired", f["sure nodules"],
                f["sure film"], f["listed"], f["film_ml"],
                ", ".join(f"{k} {f['items'][k]}" for k in ("NODULES", "LINEAR")),
            )
            for f in score.false_findings(rows)
        ],
    )  # fmt: skip


def _measures(rows: list[Row]) -> str:
    lines = []
    for measure in ("VENT_VOL", "EVANS_INDEX", "FOHR", "LINEAR_VOL"):
        errors = score.measure_errors(rows, measure)
        if measure == "LINEAR_VOL":
            errors = [e for e in errors if e[1] > 0]
        if not errors:
            continue
        ratio = np.array([f / t - 1 for _, t, f in errors])
        absolute = np.array([f - t for _, t, f in errors])
        n, rc, mean = score.repeatability(rows, measure)
        lines.append(
            (measure, len(errors), f"{100 * np.median(ratio):+.1f} %", f"{100 * np.abs(ratio).max():.1f} %",
             float(np.median(np.abs(absolute))), float(np.abs(absolute).max()), n, rc, f"{100 * rc / mean:.1f} %")
        )  # fmt: skip
    text = "## Volumes and indices\n\n" + table(
        ("measure", "scans", "median bias", "largest error", "median error (unit)", "largest (unit)", "rescans",
         "repeatability coefficient", "of the mean"),
        lines,
    )  # fmt: skip
    film = [
        (row["seed"], row["scan"], row["film_mmol"], t / 1000, f / 1000, f"{100 * f / t:.0f} %")
        for row, t, f in score.measure_errors(rows, "LINEAR_VOL")
        if t > 0
    ]
    text += "\n![Film volume, measured against true](figures/accuracy_film.svg)\n\n"
    return text + table(("head", "scan", "film, mM", "true film, ml", "measured, ml", "part"), film)


def _change(rows: list[Row]) -> str:
    drafted = score.change_agreement(rows)
    words = ("WORSE", "NO CHANGE", "IMPROVED", "NE")
    text = "## Change, drafted against true\n"
    for item in score.ITEMS:
        cells = [
            (
                truth,
                *(sum(d["drafted"] == w for d in drafted if d["item"] == item and d["truth"] == truth) for w in words),
            )
            for truth in words[:3]
        ]
        text += f"\n{item}\n\n" + table(("truth", *(f"drafted {w}" for w in words)), cells)
    left = score.abstention(rows)
    text += "\nAbstention, presence and change together: " + ", ".join(
        f"{item} {a} of {b} ({100 * a / max(b, 1):.0f} %)" for item, (a, b) in left.items()
    )
    text += ".\n\n" + table(
        ("head", "scan", "film, mM", "true film change", "item", "truth", "drafted"),
        [
            (d["seed"], d["scan"], d["film_mmol"], f"{d['film_percent']:+.0f} %", d["item"], d["truth"], d["drafted"])
            for d in drafted
            if d["drafted"] != d["truth"]
        ],
    )
    return text


def _calibration(rows: list[Row]) -> str:
    bands = score.calibration(rows)
    return (
        "## Calibration of the confidence of nodules\n\n"
        + table(
            ("stated confidence", "findings", "of them true", "part"),
            [
                (
                    f"{b['from']:g}-{b['to']:g}",
                    b["findings"],
                    b["true"],
                    b["true"] / b["findings"] if b["findings"] else math.nan,
                )
                for b in bands
            ],
        )
        + "\n![Stated confidence against part true](figures/accuracy_calibration.svg)\n"
    )


def _cost(rows: list[Row]) -> str:
    return "## Registration and cost\n\n" + table(
        ("head", "scan", "voxel, mm", "error to the reference, mm", "CPU-s"),
        [
            (row["seed"], row["scan"], "x".join(f"{v:g}" for v in row["voxel_mm"]), error, row["found"]["cpu_s"])
            for row, error in score.registration_errors(rows)
        ],
    )
