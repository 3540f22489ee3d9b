"""Loading the closed lists of frequencies, drug words and routes (files of the package)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import yaml

from lmresp.plain_yaml import packaged_text


@cache
def _load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(packaged_text("lmresp.steroids", f"{name}.yaml"))
    return loaded


def intakes_per_day() -> Mapping[str, float]:
    """Intakes a day of each countable frequency; one that is given once counts as one on its single day."""
    given = _load("frequencies")
    return {**{str(word): float(n) for word, n in given["intakes_per_day"].items()}, **dict.fromkeys(single_day(), 1.0)}


def single_day() -> tuple[str, ...]:
    """Frequencies that mean one dose on the first day of the interval."""
    return tuple(_load("frequencies")["single_day"])


def routes(kind: str) -> frozenset[str]:
    """Routes of a kind, ``systemic`` or ``local``, in capitals."""
    return frozenset(_load("drugs")["routes"][kind])


def generic_name(drug: str, known: Collection[str]) -> str:
    """Find the one known steroid that a drug name means.

    Parameters
    ----------
    drug : str
        As written in the table, such as ``Dexamethasone sodium phosphate``.
    known : collection of str
        Generic names in lower case (``steroid_equivalents_mg`` of the charter).

    Returns
    -------
    str
        The generic name; empty when none or several are named, or when a word stands beside it that is neither a salt
        nor a form: ``methyl prednisolone`` is not prednisolone.
    """
    beside = _load("drugs")["beside_generic_name"]
    wanted = _plain(drug, beside)
    return next((name for name in known if _plain(name, beside) == wanted), "")


def _plain(name: str, beside: Collection[str]) -> str:
    """Words of a drug name in lower case, without amounts and without the words that may stand beside it."""
    words = re.findall(r"[^\W\d_]+", name.lower())
    return " ".join(dict.fromkeys(word for word in words if word not in beside))
