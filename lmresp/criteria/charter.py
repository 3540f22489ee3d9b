"""The charter: every choice that turns assessments into a call, with its source and certainty.

lmresp ships one (``charters/modified_rano_lm.yaml``). A study's ``charter.yaml`` names itself, overrides what its
protocol says otherwise (settings, cells of the decision table, or a whole table of its own), and is signed by a
person; a setting may be given as a bare value.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from lmresp.criteria.cells import STRANDS as STRANDS
from lmresp.criteria.cells import answers, canonical, own_scheme, with_cells
from lmresp.criteria.load import load_scheme, path, schemes
from lmresp.criteria.table import PUBLISHED, Scheme
from lmresp.errors import CriteriaError
from lmresp.terms import Certainty

SET_BY_DEFAULT = "default"
"""Who set a setting that the study left alone."""
FORMAT = "lmresp-charter/1"
AUTHORITIES = ("published", "protocol", "unverified")
"""Who answers for a rule: a publication that was read, the study that signed, or nobody yet."""


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """One choice of a charter."""

    value: Any
    certainty: str
    source: str = ""
    note: str = ""
    set_by: str = SET_BY_DEFAULT
    meaning: str = ""


@dataclasses.dataclass(frozen=True)
class Charter:
    """The settings in force.

    Attributes
    ----------
    name, version, title : str
        How the charter is cited.
    signed : mapping or None
        Who agreed on it (``by``, a role), on which date (``date``) and on what (``digest``); ``None`` when nobody did.
    settings : mapping of str to Setting
        Every setting, sorted by name.
    cells : tuple of mapping
        Cells of the visit's decision table that the study replaced (see :func:`lmresp.criteria.cells.with_cells`).
    own_table : mapping or None
        Content of the study's own scheme file; ``None`` when ``scheme`` names a shipped one.
    """

    name: str
    version: str
    title: str
    signed: Mapping[str, str] | None
    settings: Mapping[str, Setting]
    cells: tuple[Mapping[str, Any], ...] = ()
    own_table: Mapping[str, Any] | None = None

    @property
    def label(self) -> str:
        """Name and version, as printed beside a call."""
        return f"{self.name} {self.version}"

    @cached_property
    def scheme(self) -> Scheme:
        """Decision table of the visit call, with the study's own cells before its rules."""
        return with_cells(self.base_scheme, self.cells, self.name)

    @property
    def base_scheme(self) -> Scheme:
        """Decision table that `scheme` names, before the study's own cells."""
        named, on = self.text("scheme"), self.texts("switched_on")
        if self.own_table is None:
            return load_scheme(named, switched_on=on)
        scheme = own_scheme(self.own_table, named)
        if not scheme.enabled_by_default and scheme.scheme_id not in on:
            raise CriteriaError(f"the scheme {scheme.scheme_id} is off: {scheme.completeness}", where=named)
        return scheme

    @cached_property
    def tables(self) -> dict[str, Scheme]:
        """Every decision table in force: ``visit_call``, and the shipped ones that are on, by id, sorted."""
        on = self.texts("switched_on")
        shipped = {name: load_scheme(name, switched_on=schemes()) for name in schemes()}
        used = {name: table for name, table in shipped.items() if table.enabled_by_default or name in on}
        used.pop(self.text("scheme"), None)
        return {"visit_call": self.scheme, **used}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what the charter decides; this is what a person signs, and what outputs print.

        Notes
        -----
        It covers name and version, the value of every setting in force and, for each table in force, the answer to
        every combination; for cells and a table of the study's own also the certainty they claim, since a cell said to
        be read is called published. Sources, notes and the signature itself are not part of it, nor is the software.
        """
        tables = {name: answers(table) for name, table in self.tables.items()}
        settings = {name: setting.value for name, setting in self.settings.items()}
        own = self.own_table["rules"] if self.own_table else []
        claimed = [rule.get("certainty", "") for rule in [*self.cells, *own]]
        content = {
            "name": self.name,
            "version": self.version,
            "settings": settings,
            "tables": tables,
            "claimed": claimed,
        }
        return hashlib.sha256(canonical(content).encode("utf-8")).hexdigest()

    @property
    def is_signed(self) -> bool:
        """Whether a person signed exactly what the charter decides now."""
        return self.signed is not None and self.signed.get("digest") == self.digest

    @property
    def signature(self) -> str:
        """The signature in words."""
        if self.signed is None:
            return "not signed"
        words = f"signed by {self.signed['by']} on {self.signed['date']}"
        return words if self.is_signed else f"{words}, but the signature does not hold"

    def authority(self, certainty: str) -> str:
        """Say who answers for a rule of this certainty: one of :data:`AUTHORITIES`.

        Parameters
        ----------
        certainty : str
            A value of :class:`lmresp.terms.Certainty`.

        Returns
        -------
        str
            ``published`` when it was read in a publication, else ``protocol`` when the study signed for its charter,
            else ``unverified``.

        Raises
        ------
        ValueError
            If there is no such certainty.
        """
        if Certainty(certainty) in PUBLISHED:
            return "published"
        return "protocol" if self.is_signed else "unverified"

    @property
    def cells_read(self) -> str:
        """How much of the decision table was read in its source, as printed in reports; signing does not change it."""
        counts = self.scheme.cells_by_certainty()
        read, cells = self.scheme.cells_read
        inferred = counts.get(Certainty.INFERRED, 0)
        if not inferred:
            return f"{read} of {cells} cells read in the source"
        counted = f"{read} read, {inferred} inferred"
        return f"{read + inferred} of {cells} cells read in the source or following from it ({counted})"

    @property
    def title_line(self) -> str:
        """The charter in one line, as every output names it."""
        lead = f"{self.title}, charter" if self.title != self.name else "Charter"
        return f"{lead} {self.label} (sha256 {self.digest[:12]}), {self.signature}, {self.cells_read}"

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


def check_signature(charter: Charter, where: str) -> None:
    """Refuse a charter whose signature is not on what it decides.

    Parameters
    ----------
    charter : Charter
    where : str
        Name of its file, for the error.

    Raises
    ------
    lmresp.errors.CriteriaError
        If the charter is signed without a digest or with another one; the line prints the right one.
    """
    if charter.signed is None or charter.is_signed:
        return
    given = charter.signed.get("digest", "")
    what = "is signed for other content" if given else "is signed without a digest, so nobody can tell for what"
    todo = "read it again (lmresp charter show), then sign with the digest that lmresp charter check prints"
    raise CriteriaError(f"{what}; {todo}: {charter.digest}", where=where)


def charter_record(charter: Charter) -> dict[str, Any]:
    """Return the charter as plain data for JSON: all that rebuilds it, and what a report prints about it."""
    scheme = charter.scheme
    read, cells = scheme.cells_read
    return {
        "format": FORMAT,
        "name": charter.name,
        "version": charter.version,
        "title": charter.title,
        "signed": dict(charter.signed) if charter.signed else None,
        "settings": {name: dataclasses.asdict(setting) for name, setting in charter.settings.items()},
        "cells": [dict(cell) for cell in charter.cells],
        "own_table": dict(charter.own_table) if charter.own_table else None,
        "digest": charter.digest,
        "title_line": charter.title_line,
        "criteria": {
            "scheme": scheme.scheme_id,
            "title": scheme.title,
            "completeness": scheme.completeness,
            "sha256": _table_sha256(charter),
            "cells_read": read,
            "cells": cells,
            "cells_by_certainty": {level.value: n for level, n in scheme.cells_by_certainty().items()},
        },
    }


def _table_sha256(charter: Charter) -> str:
    """SHA-256 of the scheme's file or, of a study's own scheme, of its content."""
    if charter.own_table is not None:
        return hashlib.sha256(canonical(charter.own_table).encode("utf-8")).hexdigest()
    return hashlib.sha256(path(f"schemes/{charter.scheme.scheme_id}.yaml").read_bytes()).hexdigest()


def charter_from_record(record: Mapping[str, Any]) -> Charter:
    """Rebuild a charter from :func:`charter_record` (what a job reads back); no other file is needed.

    Raises
    ------
    lmresp.errors.CriteriaError
        If the record is signed for other content than its own.
    """
    charter = Charter(
        name=record["name"],
        version=record["version"],
        title=record["title"],
        signed=record["signed"],
        settings={name: Setting(**given) for name, given in record["settings"].items()},
        cells=tuple(record.get("cells", ())),
        own_table=record.get("own_table"),
    )
    check_signature(charter, "charter.json")
    return charter
