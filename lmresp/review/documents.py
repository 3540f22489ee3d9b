"""HTML of the reading room: templates with autoescape on, and the two files that pages load."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import jinja2

from lmresp import RESEARCH_USE, __version__

ASSETS = {"review.css": "text/css; charset=utf-8", "review.js": "text/javascript; charset=utf-8"}


@cache
def _environment() -> jinja2.Environment:
    # autoescape=True for every template: the endings .j2 are not on Jinja2's default list.
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lmresp.review", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(research_use=RESEARCH_USE, version=__version__)
    return environment


def document(template: str, **context: Any) -> str:
    """Render a page; every value is escaped.

    Raises
    ------
    jinja2.UndefinedError
        If the template names a value that was not given.
    """
    return _environment().get_template(template).render(**context)


@cache
def asset(name: str) -> bytes:
    """Return the content of one of :data:`ASSETS`."""
    return files("lmresp.review").joinpath("templates", name).read_bytes()
