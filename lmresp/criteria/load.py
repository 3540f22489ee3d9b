"""Finding and loading the packaged schemes and scales."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from lmresp.criteria.reading import read_yaml, schema
from lmresp.criteria.table import Scheme, scheme_from_text
from lmresp.errors import CriteriaError


def path(name: str) -> Path:
    """Path of a packaged criteria file, for example ``schemes/rano_lm_2017_overall.yaml``.

    Raises
    ------
    lmresp.errors.CriteriaError
        If there is no such file.
    """
    found = Path(str(files("lmresp.criteria"))) / name
    if not found.is_file():
        raise CriteriaError(f"there is no criteria file {name!r}")
    return found


def schemes() -> tuple[str, ...]:
    """Ids of all packaged schemes, sorted."""
    return tuple(sorted(item.stem for item in path("schemes/rano_lm_2017_overall.yaml").parent.glob("*.yaml")))


def load_scheme(scheme_id: str, *, switched_on: Collection[str] = ()) -> Scheme:
    """Load a packaged scheme and prove it.

    Parameters
    ----------
    scheme_id : str
        Name of a file in ``schemes/``.
    switched_on : collection of str
        Schemes that are off by default and that the caller wants by name.

    Raises
    ------
    lmresp.errors.CriteriaError
        If there is no such scheme, it fails its proofs, or it is off by default and not switched on.
    """
    if scheme_id not in schemes():
        raise CriteriaError(f"there is no scheme {scheme_id!r}", allowed=", ".join(schemes()))
    scheme = _load(scheme_id)
    if not scheme.enabled_by_default and scheme_id not in switched_on:
        raise CriteriaError(f"the scheme {scheme_id} is off until its cells are read: {scheme.completeness}")
    return scheme


@cache
def _load(scheme_id: str) -> Scheme:
    name = f"schemes/{scheme_id}.yaml"
    scheme = scheme_from_text(path(name).read_text(encoding="utf-8"), name)
    if scheme.scheme_id != scheme_id:
        raise CriteriaError(f"holds the scheme {scheme.scheme_id}", where=name)
    return scheme


@cache
def load_scale(scale_id: str) -> dict[str, Any]:
    """Load the facts of an examination scale or imaging scorecard, ``scales/<scale_id>.yaml``.

    Raises
    ------
    lmresp.errors.CriteriaError
        If there is no such file, or it breaks its schema.
    """
    name = f"scales/{scale_id}.yaml"
    return read_yaml(path(name).read_text(encoding="utf-8"), name, schema("scale"))
