"""Reading a criteria file: YAML without surprises, checked against a JSON schema with closed keys."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.validators import extend

from lmresp.errors import CriteriaError, StudyError
from lmresp.plain_yaml import plain_yaml

MANY_KEYS = 12
"""Up to so many allowed keys are listed in an error."""
MANY_CHARACTERS = 100
"""Of a value that is not accepted so much is shown."""
TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text (between quotes, where YAML would read yes, no or a number)",
    "boolean": "true or false",
    "array": "a list, such as [a, b]",
    "object": "a mapping of keys to values",
}
"""Types of a JSON schema in words."""


def _unique_items(_validator: Any, wanted: bool, given: Any, _schema: Any) -> Iterator[ValidationError]:
    """`uniqueItems` in linear time; the library compares every pair, which a long list would make a way to stall."""
    if wanted and isinstance(given, list) and len({json.dumps(each, sort_keys=True) for each in given}) < len(given):
        yield ValidationError(f"{given!r} names something twice")


_Validator = extend(Draft202012Validator, {"uniqueItems": _unique_items})  # type: ignore[no-untyped-call]


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
    return checked(content, where, schema)


def checked(content: Any, where: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Check what a YAML file held against a schema.

    Parameters
    ----------
    content : object
        From :func:`lmresp.plain_yaml.plain_yaml`.
    where : str
        Name of the file, for the error.
    schema : dict
        JSON schema (2020-12).

    Returns
    -------
    dict
        The content as JSON holds it: keys are text, and so is what JSON has no form for (dates, infinity).

    Raises
    ------
    lmresp.errors.CriteriaError
        If the content breaks the schema; the first fault is named with its place.
    """
    if not isinstance(content, dict):
        raise CriteriaError("must be a mapping of keys to values", where=where)
    plain: dict[str, Any] = _json(content)
    faults = sorted(_Validator(schema).iter_errors(plain), key=lambda fault: fault.json_path)
    if faults:
        fault = best_match([faults[0]]) or faults[0]  # of several alternatives the one that came closest
        what, allowed = _worded(fault)
        place = ascii(fault.json_path)[1:-1]  # it may hold keys as they were written
        raise CriteriaError(what[:300], where=f"{where} ({place})"[:200], allowed=allowed)
    return plain


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_json(each) for each in value]
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)


def _worded(fault: ValidationError) -> tuple[str, str]:
    """Word a fault of the schema, and what would have been accepted; a misspelt key is told from its likeness."""
    rules, given = fault.schema, fault.instance
    if not isinstance(rules, Mapping):
        return fault.message, ""
    if fault.validator == "additionalProperties" and isinstance(given, dict):
        known = sorted(rules.get("properties", {}))
        key = sorted(given.keys() - set(known))[0]
        near = get_close_matches(key, known, n=3)
        listed = known if len(known) <= MANY_KEYS else [f"for example {', '.join(near)}"] if near else []
        return f"unknown key {key!r}", ", ".join(listed)
    shown = (reprlib.repr(given) if isinstance(given, dict | list) else repr(given))[:MANY_CHARACTERS]
    if "description" in rules:
        return f"{shown} is not accepted", str(rules["description"])
    if fault.validator == "type" and fault.validator_value in TYPES:
        return f"{shown} is not accepted", TYPES[fault.validator_value]
    if fault.validator in ("minItems", "minProperties"):
        return f"{shown} holds too few entries", f"at least {fault.validator_value}"
    return fault.message.replace(repr(given), shown, 1), ""


@cache
def schema(name: str) -> dict[str, Any]:
    """Load a packaged JSON schema, ``lmresp/criteria/schemas/<name>.schema.json``."""
    loaded: dict[str, Any] = json.loads(
        files("lmresp.criteria").joinpath("schemas", f"{name}.schema.json").read_text(encoding="utf-8")
    )
    return loaded
