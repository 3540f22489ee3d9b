"""Self-contained HTML: templates with autoescape, one inline style sheet, a strict content security policy."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from lmresp import RESEARCH_USE, __version__
from lmresp.report.wording import word, words


@cache
def _environment() -> jinja2.Environment:
    # autoescape=True for every template: the endings .j2 are not on Jinja2's default list.
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lmresp.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(word=word, words=words, research_use=RESEARCH_USE, version=__version__)
    environment.filters["number"] = number
    environment.filters["signed"] = signed
    environment.filters["centre"] = centre
    environment.filters["limit"] = limit
    environment.filters["lower_first"] = lower_first
    environment.filters["words_of"] = words_of
    environment.filters["by_strand"] = by_strand
    return environment


def _asset(name: str) -> str:
    return files("lmresp.report").joinpath("templates", name).read_text(encoding="utf-8").strip()


def _source(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def number(value: Any, digits: int = 2) -> str:
    """Write a number with at most ``digits`` decimals; nothing given becomes an en dash."""
    if value is None or value == "":
        return "–"
    text = f"{float(value):.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def signed(value: Any, digits: int = 1) -> str:
    """Write a number with its sign, as ``+12.5`` or ``−3``; nothing given becomes an en dash."""
    text = number(value, digits)
    return text if text in ("–", "0", "−0") or text.startswith("−") else f"+{text}"


def limit(value: Any, absent: str = "not estimable") -> str:
    """Write a limit or median as the table has it, or say that there is none."""
    return str(value) if value not in (None, "") else absent


def lower_first(text: str) -> str:
    """Write words inside a sentence; an abbreviation such as CSF keeps its capitals."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def words_of(code: str) -> str:
    """Write a code of the tables in words, as ``positive persistent``."""
    return code.replace("_", " ")


def by_strand(text: str) -> list[str]:
    """Part what is missing into one piece a strand; a reason may hold semicolons of its own."""
    return [piece.strip() for piece in re.split(r";\s*(?=(?:csf|neuro|imaging|mri)\b)", text) if piece.strip()]


def centre(world: Any) -> str:
    """Write a world position (RAS+, mm) in words, as ``R 12, A 30, S 5``; nothing given becomes an en dash."""
    if not world:
        return "–"
    sides = (("R", "L"), ("A", "P"), ("S", "I"))
    return ", ".join(f"{up if mm >= 0 else down} {abs(mm):.0f}" for (up, down), mm in zip(sides, world, strict=True))


def css_text(text: str) -> str:
    """Write text as a string of CSS: every sign that is not a letter or digit escaped, so that none can end it."""
    return '"' + "".join(c if c.isascii() and c.isalnum() else f"\\{ord(c):x} " for c in text) + '"'


def json_text(value: Any) -> Markup:
    """Write JSON that can stand in a data block of a page: ASCII, and no sign in it can end or open an element.

    Raises
    ------
    ValueError
        If a number is not finite: no browser reads it.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 escaped above


def render(
    template: str,
    *,
    style: str,
    script: str | Sequence[str] = "",
    without_script: str = "",
    running: str = "",
    **context: Any,
) -> str:
    """Render a page that needs no other file and no network.

    Parameters
    ----------
    template : str
        Name of a template in ``lmresp/report/templates``.
    style, script : str
        Names of the style sheet added to ``base.css`` and of the only script of the page ("" for none); a script in
        several files becomes one, and the files share one scope.
        Both are inlined; the policy admits them by their SHA-256 and nothing else.
    without_script : str
        Rules of style that hold where scripts are off.
    running : str
        Line at the foot of every printed page, beside its number.
    **context
        Values for the template.

    Returns
    -------
    str
        HTML, ending with a newline.

    Raises
    ------
    jinja2.UndefinedError
        If the template names a value that was not given.
    """
    foot = f"@page {{ @bottom-left {{ content: {css_text(running)}; }} }}"
    css = "\n".join([_asset("base.css"), _asset(style), foot])
    parts = [script] if isinstance(script, str) else script
    js = "\n".join(_asset(part) for part in parts if part)
    if len(parts) > 1:
        js = f'"use strict";\n(() => {{\n{js}\n}})();'
    scripts = _source(js) if js else "'none'"
    styles = " ".join(_source(text) for text in (css, without_script) if text)
    policy = (
        f"default-src 'none'; style-src {styles}; script-src {scripts}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    ours = {"css": Markup(css), "js": Markup(js), "without_script": Markup(without_script)}  # noqa: S704 our own files
    text = _environment().get_template(template).render(policy=policy, **ours, **context)
    return text.rstrip() + "\n"
