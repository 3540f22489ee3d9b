"""The coded terms of the DICOM objects, from the one table ``codes.yaml``."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple

import yaml
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset

PRIVATE = "99LMRESP"


class Term(NamedTuple):
    """One row of the table; ``cid`` is a context group of DICOM that holds the code, 0 where none does."""

    code: str
    scheme: str
    meaning: str
    source: str
    cid: int


@cache
def table() -> dict[str, Term]:
    """Return the whole table by key."""
    text = files("lmresp.dicom").joinpath("codes.yaml").read_text(encoding="utf-8")
    return {str(key): Term(*row) for key, row in yaml.safe_load(text).items()}


def code(key: str) -> CodedConcept:
    """Return a term as highdicom takes it.

    Raises
    ------
    KeyError
        If the table has no such term.
    """
    term = table()[key]
    return CodedConcept(term.code, term.scheme, term.meaning)


@cache
def _keys() -> dict[tuple[str, str, str], str]:
    """Code, scheme and the first part of the key (``item``, ``value``, ...) to the key."""
    return {(term.code, term.scheme, key.split(".")[0]): key for key, term in table().items()}


def meaning_of(coded: Dataset | None, group: str) -> str | None:
    """Return what a coded value of an object stands for, as the part of its key behind ``group``.

    Parameters
    ----------
    coded : Dataset or None
        An item of a code sequence.
    group : str
        First part of the keys that are meant, such as ``value``.

    Returns
    -------
    str or None
        ``WORSE`` for the code of ``value.WORSE``; None for a code that the table does not have in this group.
    """
    if coded is None:
        return None
    found = _keys().get((str(coded.get("CodeValue", "")), str(coded.get("CodingSchemeDesignator", "")), group))
    return None if found is None else found.partition(".")[2]
