"""Which DICOM objects are never exported, and why: what cannot be judged is quarantined."""

from __future__ import annotations

from pydicom.dataset import Dataset

from lmresp.deidentify.profile import kept
from lmresp.ingest.header import labels, rules


def reason(ds: Dataset) -> str:
    """Say why an object is quarantined.

    Parameters
    ----------
    ds : Dataset
        The object; pixels are not needed.

    Returns
    -------
    str
        One of a closed set of phrases, without anything from the object; empty when nothing speaks against it.

    Notes
    -----
    A header seldom says that text is burned in (DICOM PS3.15 E.3.1). So derived secondary images go only when it says
    that there is none, and localisers not at all: they may carry lines and labels of the planning, and their few thick
    slices show a face that cannot be removed with confidence.
    """
    sop_class = _upper(ds, "SOPClassUID")
    if not sop_class:
        return "it does not say what kind of object it is"
    if sop_class not in kept().classes:
        known = (why for start, why in kept().quarantined_classes.items() if sop_class.startswith(start))
        return next(known, "a kind of object that is not exported")
    return _picture(ds) or _pixels(ds)


def _picture(ds: Dataset) -> str:
    """Why the picture may show text."""
    types = {part.strip() for part in _upper(ds, "ImageType").split("\\")}
    burned_in = _upper(ds, "BurnedInAnnotation")
    if burned_in == "YES":
        return "text is burned into the image"
    if types & kept().image_types_quarantined or _upper(ds, "ConversionType"):
        return "a picture of a screen or of a film"
    if types & set(rules()["image_type"]["localizer"]) or "localizer" in labels(_upper(ds, "SeriesDescription")):
        return "a localiser"
    if types >= {"DERIVED", "SECONDARY"} and burned_in != "NO":
        return "a derived image whose header does not exclude burned-in text"
    return ""


def _pixels(ds: Dataset) -> str:
    """Why its pixels cannot be rewritten."""
    types = {part.strip() for part in _upper(ds, "ImageType").split("\\")}
    if types & set(rules()["image_type"]["mosaic"]):
        return "a mosaic, whose tiles have no positions"
    if _upper(ds, "PhotometricInterpretation") not in ("MONOCHROME1", "MONOCHROME2"):
        return "a colour image"
    if "PixelData" not in ds:
        return "it has no pixels"
    stored, high = _upper(ds, "BitsStored"), _upper(ds, "HighBit")
    if not (stored.isdigit() and high.isdigit() and int(high) == int(stored) - 1):
        return "its pixels share their bits with something else"
    return ""


def _upper(ds: Dataset, keyword: str) -> str:
    value = ds.get(keyword)
    if value is None:
        return ""
    parts = value if isinstance(value, list) or hasattr(value, "append") else [value]
    return "\\".join(str(part).strip(" \0").upper() for part in parts)
