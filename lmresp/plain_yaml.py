"""YAML as lmresp takes it from people and from its own data files: plain values, nothing that unfolds or runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from lmresp.errors import StudyError

MAX_BYTES = 250_000  # twenty times the shipped charter; a file of this size is read in some seconds
MAX_DEPTH = 20  # deeper nesting makes the YAML scanner quadratic in time


class _PlainLoader(yaml.SafeLoader):
    """YAML without repeated keys; a second spelling of a key would silently win otherwise."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted(key for key, count in Counter(map(str, keys)).items() if count > 1)
        if twice:
            raise yaml.constructor.ConstructorError(
                problem=f"key given twice: {', '.join(twice)}", problem_mark=node.start_mark
            )
        return super().construct_mapping(node, deep=deep)


def packaged_text(package: str, name: str) -> str:
    """Text of a data file of the package, such as ``("lmresp.steroids", "frequencies.yaml")``; no study file."""
    return files(package).joinpath(*name.split("/")).read_text(encoding="utf-8")


def read_plain_yaml(path: Path) -> Any:
    """Read a YAML file from a person: plain values only, at most 250 kB.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    object
        Mappings, lists, text, numbers, booleans, dates and None.

    Raises
    ------
    StudyError
        If the file cannot be read or is not plain YAML (see :func:`plain_yaml`); one line that names the file.
    """
    where = path.name
    try:
        if path.exists() and not path.is_file():  # a pipe would never end
            raise StudyError("it is not a file", where=where, allowed="a YAML file")
        if path.stat().st_size > MAX_BYTES:
            raise StudyError("the file is too large", where=where, allowed=f"at most {MAX_BYTES // 1000} kB")
        return plain_yaml(path.read_bytes().decode("utf-8-sig"), where)
    except OSError as error:
        raise StudyError(f"the file cannot be read ({error.strerror})", where=where) from None
    except UnicodeDecodeError:
        raise StudyError("the file is not UTF-8 text", where=where, allowed="UTF-8") from None


def plain_yaml(text: str, where: str) -> Any:
    """Parse YAML text without anchors, aliases (which unfold to any size), tags (which name code) and repeated keys.

    Parameters
    ----------
    text : str
        One YAML document.
    where : str
        Name of its file, for the error.

    Returns
    -------
    object
        Mappings, lists, text, numbers, booleans, dates and None.

    Raises
    ------
    StudyError
        If the text is not plain YAML; one line with the place.
    """
    try:
        _refuse_unplain(text, where)
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506  # a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line_text = f" line {mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise StudyError(f"not valid YAML: {problem[:200]}", where=f"{where}{line_text}") from None
    except (RecursionError, ValueError, TypeError) as error:
        problem = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())[:200]
        raise StudyError(f"not valid YAML: {problem}", where=where) from None


def _refuse_unplain(text: str, where: str) -> None:
    """Refuse what can unfold, name code or nest without end, before anything is built."""
    depth = 0
    for token in yaml.scan(text, Loader=_PlainLoader):
        line = f"{where} line {token.start_mark.line + 1}"
        if isinstance(token, yaml.AnchorToken | yaml.AliasToken | yaml.TagToken):
            raise StudyError("anchors, aliases and tags are not accepted", where=line, allowed="plain values")
        # The classes of tokens come in pairs of ...StartToken and ...EndToken.
        name = type(token).__name__
        depth += name.endswith("StartToken") and not name.startswith(("Stream", "Document"))
        depth -= name.endswith("EndToken") and not name.startswith(("Stream", "Document"))
        if depth > MAX_DEPTH:
            raise StudyError("not valid YAML: nested too deeply", where=line, allowed=f"at most {MAX_DEPTH} levels")
