"""Reading a charter: the shipped one, and a study's ``charter.yaml`` upon it.

A study's file is read as text from a stranger: plain YAML of at most 250 kB, closed keys, and a scheme file only from
the folder of the charter itself.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from lmresp.criteria.cells import INPUT_ORDER, STRANDS, own_scheme
from lmresp.criteria.charter import SET_BY_DEFAULT, Charter, Setting, check_signature
from lmresp.criteria.load import path, schemes
from lmresp.criteria.reading import checked, read_yaml, schema
from lmresp.errors import CriteriaError
from lmresp.plain_yaml import read_plain_yaml
from lmresp.terms import Call, Certainty

DEFAULT = "charters/modified_rano_lm.yaml"
SCHEME_FILE = (".yaml", ".yml")


def load_charter(study_charter: Path | None = None) -> Charter:
    """Load the default charter, and a study's own upon it; refuse one whose signature does not hold.

    Parameters
    ----------
    study_charter : Path, optional
        A ``charter.yaml``: ``name``, ``version``, optional ``title``, ``signed`` (``by``, ``date``, ``digest``),
        ``settings`` that differ from the default, each as a bare value or as ``{value, certainty, source, note}``,
        and ``cells`` of the decision table that differ from the scheme. ``settings.scheme`` is the id of a shipped
        scheme or the name of a YAML file beside the charter.

    Returns
    -------
    Charter

    Raises
    ------
    lmresp.errors.LmrespError
        If a file cannot be read, breaks its schema (an unknown key is an error) or fails its proofs, if the scheme
        cannot give a visit call from the three strands, or if the signature is not on what the charter decides; one
        line that names file, place and what is allowed.
    """
    charter = read_charter(study_charter)
    check_signature(charter, DEFAULT if study_charter is None else study_charter.name)
    return charter


def read_charter(study_charter: Path | None = None) -> Charter:
    """Load and prove a charter as :func:`load_charter` does, whatever its signature says (to read it before signing).

    Raises
    ------
    lmresp.errors.LmrespError
        See :func:`load_charter`.
    """
    default = read_yaml(path(DEFAULT).read_text(encoding="utf-8"), DEFAULT, schema("charter"))
    settings = {name: Setting(**given) for name, given in default["settings"].items()}
    if study_charter is None:
        return _charter(default, settings, None, DEFAULT)
    head = _study_content(study_charter)
    if head["name"] in (SET_BY_DEFAULT, default["name"]):
        fault = f"the name {head['name']} belongs to the charter that lmresp ships"
        raise CriteriaError(fault, where=study_charter.name, allowed="a name of the study's own")
    for name, given in head.get("settings", {}).items():
        fixed = {"meaning": settings[name].meaning, "set_by": head["name"]}
        settings[name] = Setting(**{"certainty": Certainty.CONVENTION.value, **given, **fixed})
    own_table = _own_table(study_charter, str(settings["scheme"].value))
    return _charter(head, settings, own_table, study_charter.name)


def _charter(head: dict[str, Any], settings: dict[str, Setting], own: dict[str, Any] | None, where: str) -> Charter:
    charter = Charter(
        name=head["name"],
        version=head["version"],
        title=head.get("title", head["name"]),
        signed=head.get("signed"),
        settings=dict(sorted(settings.items())),
        cells=tuple(head.get("cells", ())),
        own_table=own,
    )
    try:
        _check_tables(charter)
    except CriteriaError as error:
        raise CriteriaError(error.what, where=error.where or where, allowed=error.allowed) from None
    return charter


def _study_content(file: Path) -> dict[str, Any]:
    rough = read_plain_yaml(file)
    if not isinstance(rough, dict):
        raise CriteriaError("must be a mapping of keys to values", where=file.name, allowed="name, version, settings")
    if isinstance(rough.get("settings"), dict):
        rough["settings"] = {
            name: given if isinstance(given, dict) and "value" in given else {"value": given}
            for name, given in rough["settings"].items()
        }
    signed = rough.get("signed")
    if isinstance(signed, dict) and hasattr(signed.get("date"), "isoformat"):
        signed["date"] = signed["date"].isoformat()  # YAML reads an unquoted date as a date
    content = checked(rough, file.name, schema("charter"))
    if content.get("signed"):
        try:
            datetime.date.fromisoformat(content["signed"]["date"])
        except ValueError:
            fault = f"signed.date {content['signed']['date']!r} is not in the calendar"
            raise CriteriaError(fault, where=file.name, allowed="YYYY-MM-DD") from None
    return content


def _own_table(study_charter: Path, named: str) -> dict[str, Any] | None:
    """Content of the study's own scheme, or None when the charter names a shipped one."""
    if not named.lower().endswith(SCHEME_FILE):
        return None
    beside = "the name of a YAML file in the folder of the charter, or the id of a shipped scheme"
    folder = study_charter.resolve().parent
    file = folder / named
    try:
        if Path(named).name != named or "\\" in named or file.resolve().parent != folder:
            fault = f"the scheme file {named!r} lies elsewhere"
        elif not file.is_file():
            fault = f"there is no scheme file {named!r}"
        else:
            fault = ""
    except (OSError, RuntimeError):  # a name that is too long; a link to itself
        fault = f"the scheme file {named[:50]!r} cannot be read"
    if fault:
        raise CriteriaError(fault, where=study_charter.name, allowed=beside)
    content = checked(read_plain_yaml(file), named, schema("scheme"))
    if content["id"] in schemes():
        fault = f"takes the id {content['id']} of a shipped scheme"
        raise CriteriaError(fault, where=named, allowed="an id of its own")
    own_scheme(content, named)
    return content


def _check_tables(charter: Charter) -> None:
    unknown = sorted(set(charter.texts("switched_on")) - {*schemes(), charter.text("scheme")})
    if unknown:
        raise CriteriaError(f"switched_on names the unknown scheme {unknown[0]!r}", allowed=", ".join(schemes()))
    scheme = charter.scheme
    given = {each.name: set(each.words) for each in scheme.inputs}
    wanted = {name: {word.value for word in words} for name, words in STRANDS.items()}
    if given != wanted or not set(scheme.outputs) <= {call.value for call in Call}:
        raise CriteriaError(
            f"the scheme {scheme.scheme_id} does not take {', '.join(INPUT_ORDER)} in the words of the strands",
            allowed="rano_lm_2017_overall, or a scheme with its inputs and outputs",
        )
