"""Reading a criteria file: YAML without surprises, checked against a JSON schema with closed keys."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match

from lmresp.errors import CriteriaError, StudyError
from lmresp.plain_yaml import plain_yaml


def read_yaml(text: str, where: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Read YAML text and check it against a schema.

    Parameters
    ----------
    text : str
        The content of the file.
    where : str
        Name of the file, for the error.
    schema : dict
        JSON schema (2020-12).

    Returns
    -------
    dict
        The content.

    Raises
    ------
    lmresp.errors.CriteriaError
        If the text is not YAML, repeats a key or breaks the schema; the first fault is named with its place.
    """
    try:
        content = plain_yaml(text, where)
    except StudyError as error:
        raise CriteriaError(error.what, where=error.where, allowed=error.allowed) from None
    faults = sorted(Draft202012Validator(schema).iter_errors(content), key=lambda fault: fault.json_path)
    if faults:
        raise CriteriaError(_worded(faults[0])[:300], where=f"{where} ({faults[0].json_path})")
    if not isinstance(content, dict):
        raise CriteriaError("must be a mapping of keys to values", where=where)
    return content


def _worded(fault: ValidationError) -> str:
    """Word a fault of the schema; of several alternatives the one that came closest is what helps."""
    closest = best_match([fault])
    message: str = (closest or fault).message
    return message


@cache
def schema(name: str) -> dict[str, Any]:
    """Load a packaged JSON schema, ``lmresp/criteria/schemas/<name>.schema.json``."""
    loaded: dict[str, Any] = json.loads(
        files("lmresp.criteria").joinpath("schemas", f"{name}.schema.json").read_text(encoding="utf-8")
    )
    return loaded
