"""Pictures of the accuracy study: plain SVG, same bytes every time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.accuracy import score

SIZE, MARGIN = 320, 44


def all_figures(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Pictures by name."""
    diameters = [(d[0], d[0] + d[2]) for d in score.diameter_errors(rows)]
    film = [(t / 1000, f / 1000) for _, t, f in score.measure_errors(rows, "LINEAR_VOL") if t > 0]
    bands = [(0.5 * (b["from"] + b["to"]), b["true"] / b["findings"]) for b in score.calibration(rows) if b["findings"]]
    return {
        "diameters": scatter(diameters, "true longest diameter, mm", "measured, mm"),
        "film": scatter(film, "true film, ml", "measured, ml"),
        "calibration": scatter(bands, "stated confidence", "part true", most=1.0),
    }


def scatter(points: Sequence[tuple[float, float]], across: str, up: str, most: float | None = None) -> str:
    """Points over the line of identity."""
    top = most or 1.05 * max((v for p in points for v in p), default=1.0)
    span = SIZE - 2 * MARGIN

    def place(x: float, y: float) -> tuple[float, float]:
        return MARGIN + span * x / top, SIZE - MARGIN - span * y / top

    (x0, y0), (x1, y1) = place(0, 0), place(top, top)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" role="img" '
        'font-family="sans-serif" font-size="11">',
        f"<title>{up} against {across}</title>",
        f'<rect width="{SIZE}" height="{SIZE}" fill="#fff"/>',
        f'<path d="M{x0:.1f} {y1:.1f}V{y0:.1f}H{x1:.1f}" fill="none" stroke="#333"/>',
        f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" stroke="#999" stroke-dasharray="4 3"/>',
    ]
    for k in range(1, 5):
        value = top * k / 4
        x, y = place(value, value)
        out.append(f'<text x="{x:.1f}" y="{y0 + 14:.1f}" text-anchor="middle">{value:.3g}</text>')
        out.append(f'<text x="{x0 - 5:.1f}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    out += [
        f'<circle cx="{place(x, y)[0]:.1f}" cy="{place(x, y)[1]:.1f}" r="3" fill="#1b6ca8" fill-opacity="0.6"/>'
        for x, y in points
    ]
    out.append(f'<text x="{SIZE / 2}" y="{SIZE - 8}" text-anchor="middle">{across}</text>')
    out.append(f'<text x="12" y="{SIZE / 2}" text-anchor="middle" transform="rotate(-90 12 {SIZE / 2})">{up}</text>')
    return "\n".join([*out, "</svg>\n"])
