"""De-identification of DICOM attributes: the Basic Profile of PS3.15 with moved dates, and nothing that is not known.

A new dataset is built from what may stay; nothing is deleted from the old one, so that nothing can be forgotten in it.
"""

from __future__ import annotations

import dataclasses
import math
import re
import warnings
from collections.abc import Mapping
from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_keyword, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID

from lmresp import __version__
from lmresp.deidentify import dates
from lmresp.deidentify.keys import Key
from lmresp.deidentify.profile import Rule, action, kept, table

PIXELS = Tag("PixelData")
PER_FRAME = Tag("PerFrameFunctionalGroupsSequence")
METHODS = {  # DICOM PS3.16 CID 7050
    "113100": "Basic Application Confidentiality Profile",
    "113105": "Clean Descriptors Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
}
FACE_METHOD = {"113102": "Clean Recognizable Visual Features Option"}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_DUMMIES: dict[str, Any] = {"US": 0, "SS": 0, "UL": 0, "SL": 0, "FL": 0.0, "FD": 0.0, "IS": "0", "DS": "0"}
_DUMMIES |= dict.fromkeys(("LO", "SH", "ST", "LT", "UT", "UC", "PN", "AE", "CS"), "REMOVED")
_NUMBER_VRS = {"US", "SS", "UL", "SL", "FL", "FD", "SV", "UV"}
_TEXT_VRS = {"LO", "SH", "ST", "LT", "UT", "UC", "CS"}


class UnfitError(ValueError):
    """The object cannot be judged; its text is the reason, without anything from the object."""


@dataclasses.dataclass(frozen=True)
class Whose:
    """What an export writes in place of identity.

    Parameters
    ----------
    key : Key
        Secret of the study's exports.
    subject : str
        ``subject_id``; tells the code and the shift of dates, and is not written itself.
    words : mapping of str to str
        Values of free text attributes made by us, by keyword (``SeriesDescription``, ``ContrastBolusAgent``).
    """

    key: Key
    subject: str
    words: Mapping[str, str]


def deidentified(ds: Dataset, whose: Whose, *, faceless: bool) -> tuple[Dataset, list[str]]:
    """Build the de-identified attributes of an object, without its pixels.

    Parameters
    ----------
    ds : Dataset
        The object as it was read; it is not changed.
    whose : Whose
        Subject, key and the words that replace free text.
    faceless : bool
        Whether recognisable visual features are removed from its pixels.

    Returns
    -------
    Dataset
        New dataset without file meta information and without pixel data.
    list of str
        Keywords of attributes that were emptied because their date or time was broken, sorted.

    Raises
    ------
    UnfitError
        If sequences are nested too deeply.

    Notes
    -----
    DICOM PS3.15 Annex E: Basic Application Level Confidentiality Profile with the options Clean Descriptors and Retain
    Longitudinal Temporal Information with Modified Dates. Beyond the profile, attributes that Table E.1-1 does not name
    stay only when ``kept.yaml`` lists them; private attributes, curves and overlays never do.
    """
    notes: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they would repeat values
        out = _items(ds, whose, notes, 0)
    code = whose.key.code(whose.subject)
    out.PatientName = out.PatientID = code
    for keyword, text in whose.words.items():
        if text:  # enhanced objects say in sequences what these say
            setattr(out, keyword, text)
    out.PatientIdentityRemoved = "YES"
    out.DeidentificationMethod = f"lmresp {__version__}"
    methods = {**METHODS, **(FACE_METHOD if faceless else {})}
    out.DeidentificationMethodCodeSequence = Sequence([_code(value, text) for value, text in sorted(methods.items())])
    out.LongitudinalTemporalInformationModified = "MODIFIED"
    if faceless:
        out.RecognizableVisualFeatures = "NO"
    return out, sorted(notes)


def _code(value: str, meaning: str) -> Dataset:
    out = Dataset()
    out.CodeValue, out.CodingSchemeDesignator, out.CodeMeaning = value, "DCM", meaning
    return out


def _items(ds: Dataset, whose: Whose, notes: set[str], depth: int) -> Dataset:
    if depth > kept().most_depth:
        raise UnfitError("its sequences are nested too deeply")
    out = Dataset()
    for tag in sorted(ds.keys()):
        if not _is_public(tag) or tag == PIXELS:
            continue
        # A damaged element can raise nearly anything while its value is converted; it is not needed.
        try:
            element = ds[tag]
            value = element.value
        except Exception:  # noqa: S112  # naming it would repeat its value
            continue
        if element.VR not in dictionary_VR(tag).split(" or "):
            continue
        rule = table().get(tag)
        made = _listed(tag, element.VR, value, rule, whose, notes) if rule else None
        if not rule:
            made = _unlisted(tag, element.VR, value, whose, notes, depth)
        if made is not None:
            out.add(DataElement(tag, element.VR, made))
    return out


def _is_public(tag: BaseTag) -> bool:
    """Whether the dictionary knows a tag and its group may be kept: no private, curve, overlay or command group."""
    group = tag.group
    repeating = 0x5000 <= group <= 0x50FF or 0x6000 <= group <= 0x60FF
    return not (tag.is_private or repeating or group <= 0x0004 or tag.element == 0) and dictionary_has_tag(tag)


def _listed(tag: BaseTag, vr: str, value: Any, rule: Rule, whose: Whose, notes: set[str]) -> Any:
    """New value of an attribute of Table E.1-1; None when it is removed."""
    keyword = dictionary_keyword(tag)
    if rule.option == "dates" and vr in ("DA", "DT", "TM"):
        days = whose.key.days(whose.subject)
        old = [str(one) for one in _several(value)]
        new = [dates.plain_time(one) if vr == "TM" else dates.shifted(one, days) for one in old]
        if all(new):
            return new
        if any(one.strip(" \0") for one in old):
            notes.add(keyword)
        return ""
    if rule.option == "text" and keyword in whose.words:
        return whose.words[keyword]
    doing = action(tag, rule)
    if doing == "U" and vr == "UI":
        return [whose.key.uid(str(one)) for one in _several(value)]
    if doing == "Z":
        return Sequence() if vr == "SQ" else ""
    return _DUMMIES.get(vr) if doing == "D" else None


def _unlisted(tag: BaseTag, vr: str, value: Any, whose: Whose, notes: set[str], depth: int) -> Any:
    """Value of an attribute that Table E.1-1 does not name, when it may stay; None when not."""
    keyword, rules = dictionary_keyword(tag), kept()
    if vr == "SQ":
        items = [_items(item, whose, notes, depth + 1) for item in value]
        full = items if tag == PER_FRAME else [item for item in items if len(item)]
        return Sequence(full) if any(len(item) for item in full) else None
    values = _several(value)
    if not values:
        return None
    texts = [str(one).strip(" \0") for one in values]
    if vr == "UI":
        return [one if UID(one).name != one else whose.key.uid(one) for one in texts]  # what the standard defines stays
    if vr in ("IS", "DS") or vr in _NUMBER_VRS:
        known = keyword in rules.numbers or tag.group in rules.number_groups
        if not known or len(values) > rules.most_numbers:
            return None
        if vr in _NUMBER_VRS:
            return values if all(isinstance(one, int | float) and math.isfinite(one) for one in values) else None
        return texts if all(_NUMBER.fullmatch(one) for one in texts) else None
    if vr == "AT":
        public = keyword in rules.pointers and all(_is_public(Tag(one)) for one in values)
        return values if public else None
    if vr not in _TEXT_VRS:
        return None
    allowed = rules.texts.get(keyword, rules.words if vr == "CS" else frozenset())
    pattern = rules.patterns.get(keyword)
    fits = all(one in allowed or (pattern is not None and pattern.fullmatch(one) is not None) for one in texts)
    return texts if fits else None


def _several(value: Any) -> list[Any]:
    if value is None or (isinstance(value, str | bytes) and not value):
        return []
    return list(value) if isinstance(value, list | tuple | MultiValue) else [value]
