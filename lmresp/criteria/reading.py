"""Reading a criteria file: YAML without surprises, checked against a JSON schema with closed keys."""

from __future__ import annotations

import json
from collections.abc import Hashable
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from lmresp.errors import CriteriaError


class _Loader(yaml.SafeLoader):
    """Safe YAML in which a key that stands twice is an error: the second would silently replace the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable) or key in seen:
                mark = key_node.start_mark
                raise yaml.MarkedYAMLError(problem=f"the key {key!r} cannot stand here twice", problem_mark=mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


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
        content = yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of the safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}, line {mark.line + 1}" if mark else where
        raise CriteriaError(f"is not valid YAML: {getattr(error, 'problem', error)}", where=place) from error
    faults = sorted(Draft202012Validator(schema).iter_errors(content), key=lambda fault: fault.json_path)
    if faults:
        raise CriteriaError(faults[0].message, where=f"{where} ({faults[0].json_path})")
    if not isinstance(content, dict):
        raise CriteriaError("must be a mapping of keys to values", where=where)
    return content


@cache
def schema(name: str) -> dict[str, Any]:
    """Load a packaged JSON schema, ``lmresp/criteria/schemas/<name>.schema.json``."""
    loaded: dict[str, Any] = json.loads(
        files("lmresp.criteria").joinpath("schemas", f"{name}.schema.json").read_text(encoding="utf-8")
    )
    return loaded
