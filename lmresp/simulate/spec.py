"""Phantom scans from a description: ``spec.yaml`` of ``lmresp simulate``, checked against a schema."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from lmresp import RESEARCH_USE, store
from lmresp.errors import StudyError
from lmresp.plain_yaml import packaged_text, plain_yaml, read_plain_yaml
from lmresp.simulate.disease import place
from lmresp.simulate.phantom import Acquisition, Disease, Film, Nodule, Region, Tissue, make_scan, make_subject
from lmresp.simulate.writing import FORMATS, stem_of, write_scan
from lmresp.terms import Sequence

DEFAULT = "default_spec.yaml"
KINDS = {"array": "a list", "object": "a mapping", "number": "a number", "integer": "a whole number",
         "string": "text between quotes", "boolean": "true or false"}  # fmt: skip


def read_spec(path: Path | None) -> dict[str, Any]:
    """Read a description and check it.

    Parameters
    ----------
    path : Path or None
        A YAML file; None for the one that is shipped.

    Returns
    -------
    dict
        As in ``spec.schema.json``.

    Raises
    ------
    StudyError
        If it cannot be read or breaks the schema: file, field and what would be accepted.
    """
    name = path.name if path else DEFAULT
    content = read_plain_yaml(path) if path else plain_yaml(packaged_text("lmresp.simulate", DEFAULT), DEFAULT)
    schema = json.loads(files("lmresp.simulate").joinpath("spec.schema.json").read_text("utf-8"))
    fault = best_match(Draft202012Validator(schema).iter_errors(_plain_dates(content)))
    if fault is not None:
        place = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in fault.absolute_path).lstrip(".")
        raise StudyError(_what(fault), where=f"{name} {place}".strip(), allowed=_allowed(fault))
    spec: dict[str, Any] = _plain_dates(content)
    stems = [stem_of("X", visit["visit"]) for visit in spec["visits"]]
    for number, visit in enumerate(spec["visits"]):
        try:
            datetime.date.fromisoformat(visit["date"])
        except ValueError:
            raise StudyError(
                f"{visit['date']!r} is no date", where=f"{name} visits[{number}].date", allowed="YYYY-MM-DD"
            ) from None
        if stems[number] in stems[:number]:
            raise StudyError(
                f"visit {visit['visit']} is given twice", where=f"{name} visits[{number}].visit", allowed="names once"
            )
    return spec


def _plain_dates(value: Any) -> Any:
    """YAML reads an unquoted date as a date: back to text."""
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain_dates(part) for key, part in value.items()}
    return [_plain_dates(part) for part in value] if isinstance(value, list) else value


def _what(fault: Any) -> str:
    if fault.validator == "additionalProperties":
        known = fault.schema.get("properties", {})
        return f"unknown field {sorted(str(key) for key in fault.instance if key not in known)[0]!r}"
    if fault.validator == "required":
        return f"field {next(key for key in fault.validator_value if key not in fault.instance)!r} is missing"
    shown = json.dumps(fault.instance, ensure_ascii=False, default=str)
    return f"{shown[:80]} is not accepted"


def _allowed(fault: Any) -> str:
    """Say what a schema accepts where it was broken."""
    schema, rule = fault.schema, fault.validator
    if rule in ("additionalProperties", "required"):
        return ", ".join(schema.get("properties", {}))
    if rule == "enum":
        return ", ".join(map(str, schema["enum"]))
    if rule == "type":
        return KINDS[schema["type"]]
    if rule in ("minimum", "maximum", "exclusiveMinimum"):
        low = schema.get("minimum", schema.get("exclusiveMinimum"))
        above = "more than " if "exclusiveMinimum" in schema else ""
        return f"{above}{low} to {schema['maximum']}" if "maximum" in schema else f"{above or 'at least '}{low}"
    if rule in ("minItems", "maxItems"):
        low, high = schema.get("minItems", 0), schema.get("maxItems")
        return f"{low} values" if low == high else f"{low} to {high} of them" if high else f"at least {low}"
    return f"text like {schema['pattern']}" if rule == "pattern" else "every value once"


def disease_of(visit: Mapping[str, Any]) -> Disease:
    """Disease of one visit of a checked description."""
    films = tuple(
        Film(
            tuple(film["centre_mni"]),
            film["radius_mm"],
            film.get("thickness_mm", 1.0),
            Region(film["region"]) if "region" in film else None,
        )
        for film in visit.get("films", [])
    )
    nodules = tuple(
        Nodule(tuple(n["near_mni"]), tuple(n["diameters_mm"]), Tissue(n.get("kind", "NODULE")))
        for n in visit.get("nodules", [])
    )
    rest = ("film_concentration", "ventricle_push_mm", "dura_concentration", "dura_thickening_mm")
    return Disease(films, nodules, **{key: float(visit[key]) for key in rest if key in visit})


def acquisition_of(settings: Mapping[str, Any], seed: int, grid_mm: float) -> Acquisition:
    """Acquisition of one visit; voxels not given are those of the head's grid, FLAIR and T2 twice as thick."""
    values: dict[str, Any] = {
        "seed": seed,
        "voxel_mm": (grid_mm,) * 3,
        "other_voxel_mm": (grid_mm, grid_mm, 2 * grid_mm),
    }
    values |= {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    if "series" in values:
        values["series"] = tuple(Sequence(name) for name in values["series"])
    return dataclasses.replace(Acquisition(seed), **values)


def simulate(folder: Path, spec: Mapping[str, Any], seed: int, grid_mm: float, form: str) -> list[Path]:
    """Make and write every visit of a description.

    Parameters
    ----------
    folder : Path
        A new or empty folder: it gets ``mri/``, ``truth/`` and ``README.txt``.
    spec : dict
        From :func:`read_spec`.
    seed : int
        The head; the noise of visit ``n`` has seed ``100 * seed + n`` unless the description gives one.
    grid_mm : float
        Voxel size of the head, mm, 1 to 4.
    form : str
        ``nifti`` or ``dicom``.

    Returns
    -------
    list of Path
        The files of the truth, one for each scan.

    Raises
    ------
    StudyError
        If the folder is not empty, an argument cannot be, or a nodule finds no place.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StudyError("the folder is not empty", where=folder.name, allowed="a new or empty folder")
    if seed < 0:
        raise StudyError(f"{seed} is no seed", where="--seed", allowed="0 or more")
    if not 1 <= grid_mm <= 4:
        raise StudyError(f"{grid_mm:g} mm is no grid of a head", where="--grid-mm", allowed="1 to 4")
    if form not in FORMATS:
        raise StudyError(f"{form!r} is no format", where="--format", allowed=", ".join(FORMATS))
    anatomy = make_subject(seed, grid_mm)
    diseases = [disease_of(visit) for visit in spec["visits"]]
    for number, disease in enumerate(diseases):  # before anything is written
        try:
            for nodule in disease.nodules:
                place(anatomy, nodule)
        except ValueError as error:
            where = f"visits[{number}].nodules"
            raise StudyError(str(error), where=where, allowed="places near the pia, or in white matter") from None
    written = []
    for number, (visit, disease) in enumerate(zip(spec["visits"], diseases, strict=True)):
        settings = {**spec.get("acquisition", {}), **visit.get("acquisition", {})}
        scan = make_scan(anatomy, disease, acquisition_of(settings, 100 * seed + number, grid_mm))
        written.append(write_scan(folder, scan, spec.get("subject_id", "PH-01"), visit["visit"], visit["date"], form))
    store.write_text(
        folder / "README.txt",
        f"Simulated scans of a phantom: no person was scanned. truth/ holds what is true of each. {RESEARCH_USE}\n"
        "The head is made from the ICBM 152 template of the installed nilearn package; mind its licence before\n"
        "passing these files on.\n",
    )
    return written
