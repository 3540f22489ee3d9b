"""What a DICOM header says of the contrast agent: given or not, which, how much, when.

The attributes are those of the contrast/bolus modules (DICOM PS3.3 C.7.6.4 and C.7.6.4b). The weight of the subject is
used for the dose and not kept; of the agent's name only the generic name listed in ``protocol.yaml`` is kept.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from pydicom.dataset import Dataset

from lmresp.ingest.dicom_values import number, text, walk
from lmresp.ingest.header import rules

AGENT_ITEM = "ContrastBolusAgentSequence"
PROFILE = "ContrastAdministrationProfileSequence"


@cache
def protocol_text() -> str:
    """Text of ``protocol.yaml``."""
    return files("lmresp.ingest").joinpath("protocol.yaml").read_text(encoding="utf-8")


@cache
def protocol() -> dict[str, Any]:
    """Load ``protocol.yaml``."""
    loaded: dict[str, Any] = yaml.safe_load(protocol_text())
    return loaded


def contrast_facts(ds: Dataset, places: list[Dataset]) -> dict[str, Any]:
    """Facts on the contrast agent of one file, as fields of :class:`~lmresp.ingest.header.Header`.

    Parameters
    ----------
    ds : Dataset
        The file.
    places : list of Dataset
        The file, its shared functional groups and those of its first frame.

    Returns
    -------
    dict
        ``agent`` (yes, no or unknown), ``substance`` (generic name, or empty), ``dose_mmol_kg`` (None when volume,
        weight or concentration are not known) and ``injection`` (time of injection, HHMMSS, or empty).
    """
    agent = _given(ds, places)
    if agent != "yes":
        return {"agent": agent}
    named = f"{text(ds, 'ContrastBolusAgent')} {_coded_name(ds)}".lower()
    substance = next((n for n, a in protocol()["agents"].items() if re.search(a["pattern"], named)), "")
    start = text(ds, "ContrastBolusStartTime") or str(walk(ds, (AGENT_ITEM, PROFILE, "ContrastBolusStartTime")) or "")
    clock = re.match(r"\d{6}", start)
    return {
        "agent": agent,
        "substance": substance,
        "dose_mmol_kg": _dose(ds, substance),
        "injection": clock.group() if clock else "",
    }


def _given(ds: Dataset, places: list[Dataset]) -> str:
    given = [walk(p, ("ContrastBolusUsageSequence", "ContrastBolusAgentAdministered")) for p in places]
    if "YES" in given:
        return "yes"
    if "NO" in given:
        return "no"
    if ds.get(AGENT_ITEM) or (number(ds.get("ContrastBolusVolume")) or 0) > 0:
        return "yes"
    name = text(ds, "ContrastBolusAgent")
    if not name:
        return "unknown"  # an empty field says nothing: many scanners leave it empty after contrast, too
    return "no" if re.search(rules()["no_agent"]["pattern"], name.lower()) else "yes"


def _coded_name(ds: Dataset) -> str:
    item = walk(ds, (AGENT_ITEM, "CodeMeaning"))
    return str(item or walk(ds, ("ContrastBolusIngredientCodeSequence", "CodeMeaning")) or "")


def _dose(ds: Dataset, substance: str) -> float | None:
    """Dose in mmol per kg of body weight, from the volume injected (ml) and the agent's own concentration.

    The attribute ContrastBolusIngredientConcentration is left alone: it stands for mg/ml, and sites write mmol/ml.
    """
    weight = number(ds.get("PatientWeight"))
    volume = number(ds.get("ContrastBolusTotalDose")) or number(ds.get("ContrastBolusVolume"))
    volume = volume or number(walk(ds, (AGENT_ITEM, PROFILE, "ContrastBolusVolume")))
    if not substance or not volume or volume <= 0 or weight is None or not 2 <= weight <= 400:
        return None
    return round(volume * float(protocol()["agents"][substance]["mmol_ml"]) / weight, 4)
