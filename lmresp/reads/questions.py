"""The questions of the read form, from its YAML file and the table ``mri_reads`` (pure)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from lmresp.ingest.spec import table_spec
from lmresp.reads.scans import EXPECTED, IMAGED, NONE, Scan
from lmresp.reads.state import Read
from lmresp.terms import Change, Item, Presence

CHOICE, MM = "choice", "mm"
_NE = Presence.NE.value


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One question of the form.

    Attributes
    ----------
    compartment, item : str
        As in the table ``mri_reads``; :attr:`key` joins them.
    label, help, group : str
        What the reader sees; ``group`` is a key of ``form_words()["groups"]``.
    kind : str
        ``choice`` (one of ``allowed``) or ``mm`` (a number within ``limits``, or a code of ``allowed``).
    allowed : tuple of str
        Codes that may be chosen.
    limits : tuple of float
        Least and greatest value of a diameter, mm.
    required : bool
        Whether it must be answered.
    reasons_ne : tuple of str
        Codes of which NE needs one; the comment tells more, and must where it is OTHER.
    is_baseline : bool
        Presence is asked, not change.
    before : tuple of (visit, value)
        What this reader said of it in earlier locked reads.
    """

    compartment: str
    item: str
    label: str
    help: str
    group: str
    kind: str
    allowed: tuple[str, ...]
    required: bool
    reasons_ne: tuple[str, ...]
    is_baseline: bool
    limits: tuple[float, float] = (0.0, 0.0)
    before: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """``COMPARTMENT ITEM``: what names the field in problems and in ``departs``."""
        return f"{self.compartment} {self.item}"


@cache
def form_words() -> Mapping[str, Any]:
    """Load the labels of the form: ``groups, fields, comparator, words, reasons, reason_codes``."""
    loaded: Mapping[str, Any] = yaml.safe_load(files("lmresp.reads").joinpath("form.yaml").read_text(encoding="utf-8"))
    return loaded


def comparators() -> tuple[str, ...]:
    """Scans that a read may compare with."""
    return table_spec("mri_reads").columns["comparator"].codes


def max_comment() -> int:
    """Most characters of a comment, as in the table ``mri_reads``."""
    return table_spec("mri_reads").columns["comment"].max_length


def fields(scan: Scan, previous: Sequence[Read]) -> list[Field]:
    """Ask what has to be asked of a scan.

    Parameters
    ----------
    scan : Scan
    previous : sequence of Read
        Reads of this reader; the locked ones of earlier visits of the subject are shown beside each field, and a spine
        that one of them could judge up to baseline is expected from then on.

    Returns
    -------
    list of Field
        In the order of the form. A spine that was imaged up to baseline and is missing now is asked too: it can only be
        answered NE for partial coverage, by the reader.
    """
    mine = [read for read in previous if read.stands and read.place[0] == scan.subject_id]
    earlier = sorted((read for read in mine if read.place < scan.place), key=lambda read: read.place)
    spine = EXPECTED if scan.spine == NONE and any(_judged_spine(read) for read in earlier) else scan.spine
    found: list[Field] = []
    for given in form_words()["fields"]:
        if given["compartment"] == "SPINE" and spine == NONE:
            continue
        if given["item"] == "NODULE":
            found += [_diameter(given, scan, n, axis, earlier) for n in "123" for axis in "XY" if _asked(given, spine)]
        elif not (scan.is_baseline and (given.get("optional") or given["item"] == Item.OVERALL.value)):
            found.append(_choice(given, scan, spine, earlier))
    return found


def _asked(given: Mapping[str, Any], spine: str) -> bool:
    return bool(given["compartment"] != "SPINE" or spine == IMAGED)


def _judged_spine(read: Read) -> bool:
    rows = read.entry["answers"]
    early = not read.entry["comparator"]
    return early and any(row["compartment"] == "SPINE" and row["value"] in ("PRESENT", "ABSENT") for row in rows)


def _before(key: str, earlier: Sequence[Read]) -> tuple[tuple[str, str], ...]:
    return tuple((str(read.entry["visit"]), read.answers[key]) for read in earlier if key in read.answers)


def _choice(given: Mapping[str, Any], scan: Scan, spine: str, earlier: Sequence[Read]) -> Field:
    columns = table_spec("mri_reads").columns
    codes = [str(code) for code in (columns["value"].by or {})["rules"][given["item"]]["codes"]]
    reasons = columns["reason_ne"].codes
    if given["item"] not in (Item.OVERALL.value, "BM_TARGET", "BM_NONTARGET", "BM_NEW"):
        kept = {word.value for word in (Presence if scan.is_baseline else Change)}
        codes = [code for code in codes if code in kept]
    if given["compartment"] == "SPINE" and spine == EXPECTED:
        codes, reasons = [_NE], ("PARTIAL COVERAGE",)
    return Field(
        compartment=given["compartment"],
        item=given["item"],
        label=given["label"],
        help=given["help"],
        group=given["group"],
        kind=CHOICE,
        allowed=tuple(codes),
        required=not given.get("optional", False),
        reasons_ne=reasons,
        is_baseline=scan.is_baseline,
        before=_before(f"{given['compartment']} {given['item']}", earlier),
    )


def _diameter(given: Mapping[str, Any], scan: Scan, nodule: str, axis: str, earlier: Sequence[Read]) -> Field:
    columns = table_spec("mri_reads").columns
    item = f"NODULE_{nodule}_{axis}"
    low, high = (columns["value"].by or {})["rules"][item]["range"]
    return Field(
        compartment=given["compartment"],
        item=item,
        label=f"{given['label']} {nodule}, diameter {'1' if axis == 'X' else '2'} (mm)",
        help=given["help"],
        group=given["group"],
        kind=MM,
        allowed=(_NE,),
        required=False,
        reasons_ne=columns["reason_ne"].codes,
        is_baseline=scan.is_baseline,
        limits=(float(low), float(high)),
        before=_before(f"{given['compartment']} {item}", earlier),
    )
