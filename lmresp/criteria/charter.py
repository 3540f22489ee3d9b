"""The charter: every choice that turns assessments into a call, with its source and certainty.

lmresp ships one (``charters/modified_rano_lm.yaml``). A study's ``charter.yaml`` names itself, overrides what its
protocol says otherwise, and is signed by a person; a setting may be given as a bare value.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmresp.criteria.load import load_scheme, path
from lmresp.criteria.reading import read_yaml, schema
from lmresp.criteria.table import Scheme
from lmresp.errors import CriteriaError
from lmresp.plain_yaml import read_plain_yaml
from lmresp.terms import Call, Certainty, Csf, Imaging, Neuro

DEFAULT = "charters/modified_rano_lm.yaml"
STRANDS: dict[str, type[Csf] | type[Neuro] | type[Imaging]] = {"csf": Csf, "neuro": Neuro, "imaging": Imaging}
"""Inputs that the scheme of the visit call must have."""


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """One choice of a charter."""

    value: Any
    certainty: str
    source: str = ""
    note: str = ""
    set_by: str = "default"


@dataclasses.dataclass(frozen=True)
class Charter:
    """The settings in force.

    Attributes
    ----------
    name, version, title : str
        How the charter is cited.
    signed : mapping or None
        Who agreed on it (a role) and on which date; ``None`` when nobody did.
    settings : mapping of str to Setting
        Every setting, sorted by name.
    """

    name: str
    version: str
    title: str
    signed: Mapping[str, str] | None
    settings: Mapping[str, Setting]

    @property
    def label(self) -> str:
        """Name and version, as printed beside a call."""
        return f"{self.name} {self.version}"

    @property
    def is_signed(self) -> bool:
        """Whether a person agreed on the charter."""
        return self.signed is not None

    @property
    def digest(self) -> str:
        """SHA-256 of the charter's content (what a report prints to tell two charters apart)."""
        text = json.dumps(charter_record(self), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()

    @property
    def scheme(self) -> Scheme:
        """Decision table of the visit call."""
        return load_scheme(self.text("scheme"), switched_on=self.texts("switched_on"))

    @property
    def cells_read(self) -> str:
        """How much of the decision table was read in its source, as printed in reports."""
        read, cells = self.scheme.cells_read
        return f"{read} of {cells} cells read in the source"

    def text(self, name: str) -> str:
        """Value of a text setting."""
        return str(self.settings[name].value)

    def texts(self, name: str) -> tuple[str, ...]:
        """Value of a setting that is a list of words."""
        return tuple(str(value) for value in self.settings[name].value)

    def number(self, name: str) -> int:
        """Value of a numeric setting; its unit is part of its name."""
        return int(self.settings[name].value)

    def amount(self, name: str) -> float:
        """Value of a setting that may have decimals; its unit is part of its name."""
        return float(self.settings[name].value)

    def amounts(self, name: str) -> dict[str, float]:
        """Value of a setting that maps words to numbers."""
        return {str(word): float(value) for word, value in self.settings[name].value.items()}

    def on(self, name: str) -> bool:
        """Value of a setting that is true or false."""
        return bool(self.settings[name].value)


def load_charter(study_charter: Path | None = None) -> Charter:
    """Load the default charter, and a study's own upon it.

    Parameters
    ----------
    study_charter : Path, optional
        A ``charter.yaml``: ``name``, ``version``, optional ``title`` and ``signed``, and the ``settings`` that differ
        from the default, each as a bare value or as ``{value, certainty, source, note}``.

    Returns
    -------
    Charter

    Raises
    ------
    lmresp.errors.CriteriaError
        If the file cannot be read, breaks its schema (an unknown key is an error), or names a scheme that cannot
        give a visit call from the three strands.
    """
    default = read_yaml(path(DEFAULT).read_text(encoding="utf-8"), DEFAULT, schema("charter"))
    settings = {name: Setting(**given) for name, given in default["settings"].items()}
    head = default
    where = DEFAULT
    if study_charter is not None:
        where = study_charter.name
        head = _read_study_charter(study_charter)
        for name, given in head.get("settings", {}).items():
            settings[name] = Setting(**{"certainty": Certainty.CONVENTION.value, **given, "set_by": head["name"]})
    charter = Charter(
        name=head["name"],
        version=head["version"],
        title=head.get("title", head["name"]),
        signed=head.get("signed"),
        settings=dict(sorted(settings.items())),
    )
    _check_scheme(charter, where)
    return charter


def _read_study_charter(file: Path) -> dict[str, Any]:
    rough = read_plain_yaml(file)
    if not isinstance(rough, dict):
        raise CriteriaError("must be a mapping of keys to values", where=file.name, allowed="name, version, settings")
    if isinstance(rough.get("settings"), dict):
        rough["settings"] = {
            name: given if isinstance(given, dict) else {"value": given} for name, given in rough["settings"].items()
        }
    signed = rough.get("signed")
    if isinstance(signed, dict) and hasattr(signed.get("date"), "isoformat"):
        signed["date"] = signed["date"].isoformat()  # YAML reads an unquoted date as a date
    return read_yaml(json.dumps(rough, default=str), file.name, schema("charter"))


def _check_scheme(charter: Charter, where: str) -> None:
    scheme = charter.scheme
    given = {each.name: set(each.words) for each in scheme.inputs}
    wanted = {name: {word.value for word in words} for name, words in STRANDS.items()}
    if given != wanted or not set(scheme.outputs) <= {call.value for call in Call}:
        raise CriteriaError(
            f"the scheme {scheme.scheme_id} does not take csf, neuro and imaging in the words of the strands",
            where=where,
            allowed="rano_lm_2017_overall or a scheme with its inputs and outputs",
        )


def charter_record(charter: Charter) -> dict[str, Any]:
    """Return the charter as plain data for JSON, with what a report prints about it."""
    scheme = charter.scheme
    read, cells = scheme.cells_read
    return {
        "format": "lmresp-charter/1",
        "name": charter.name,
        "version": charter.version,
        "title": charter.title,
        "signed": dict(charter.signed) if charter.signed else None,
        "settings": {name: dataclasses.asdict(setting) for name, setting in charter.settings.items()},
        "criteria": {
            "scheme": scheme.scheme_id,
            "title": scheme.title,
            "completeness": scheme.completeness,
            "sha256": hashlib.sha256(path(f"schemes/{scheme.scheme_id}.yaml").read_bytes()).hexdigest(),
            "cells_read": read,
            "cells": cells,
            "cells_by_certainty": {level.value: n for level, n in scheme.cells_by_certainty().items()},
        },
    }


def charter_from_record(record: Mapping[str, Any]) -> Charter:
    """Rebuild a charter from :func:`charter_record` (what a job reads back)."""
    return Charter(
        name=record["name"],
        version=record["version"],
        title=record["title"],
        signed=record["signed"],
        settings={name: Setting(**given) for name, given in record["settings"].items()},
    )
