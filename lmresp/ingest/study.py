"""The study folder and its ``study.yaml``."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from lmresp.errors import StudyError
from lmresp.plain_yaml import read_plain_yaml

STUDY_FILE = "study.yaml"
DEFAULT_CHARTER = "charter.yaml"


@dataclasses.dataclass(frozen=True, slots=True)
class Study:
    """One study: where it lies and what ``study.yaml`` says.

    Attributes
    ----------
    folder : Path
        The study folder, spelt as it was given.
    study_id : str
        Study identifier.
    data_cut : str
        Data cut, ``YYYY-MM-DD``; the only source of "today".
    title : str
        Title, empty when not given.
    charter : Path or None
        The charter file, or None when the study has none.
    """

    folder: Path
    study_id: str
    data_cut: str
    title: str = ""
    charter: Path | None = None

    @property
    def tables_folder(self) -> Path:
        """Folder of the input tables."""
        return self.folder / "tables"

    @property
    def mri_folder(self) -> Path:
        """Folder of the images."""
        return self.folder / "mri"

    @property
    def results(self) -> Path:
        """Folder of everything lmresp writes."""
        return self.folder / "derivatives" / "lmresp"


def study_schema() -> dict[str, Any]:
    """Return the closed JSON schema of ``study.yaml``."""
    text = files("lmresp.ingest").joinpath("study.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def open_study(folder: str | os.PathLike[str]) -> Study:
    """Read ``study.yaml`` of a study folder.

    Parameters
    ----------
    folder : path-like
        The study folder.

    Returns
    -------
    Study
        The study; nothing else of the folder has been read.

    Raises
    ------
    StudyError
        If the folder, ``study.yaml`` or a named charter is missing or not valid; one line that says what is allowed.
    """
    folder = Path(folder)
    if not os.path.isdir(folder):  # noqa: PTH112  # is_dir raises where a parent may not be opened
        raise StudyError(f"there is no study folder {folder.name!r}", allowed="a folder that holds study.yaml")
    path = folder / STUDY_FILE
    try:
        path.lstat()
    except FileNotFoundError:
        raise StudyError(
            f"there is no {STUDY_FILE} in {folder.name!r}", allowed="a study folder; lmresp init makes one"
        ) from None
    except OSError as error:
        raise StudyError(f"the study folder {folder.name!r} cannot be opened ({error.strerror})") from None
    value = read_plain_yaml(path)
    if not isinstance(value, dict):
        raise StudyError(
            "not a list of keys and values", where=STUDY_FILE, allowed="study_id, data_cut, title, charter"
        )
    cut = value.get("data_cut")
    if isinstance(cut, datetime.date) and not isinstance(cut, datetime.datetime):
        value["data_cut"] = cut.isoformat()  # YAML reads an unquoted ISO date as a date
    _check(value)
    return Study(
        folder=folder,
        study_id=value["study_id"],
        data_cut=value["data_cut"],
        title=value.get("title", ""),
        charter=_charter(folder, value.get("charter")),
    )


def _check(value: dict[Any, Any]) -> None:
    schema = study_schema()
    unknown = sorted(str(key) for key in value if key not in schema["properties"])
    if unknown:
        raise StudyError(
            f"unknown key {', '.join(unknown)}"[:200], where=STUDY_FILE, allowed=", ".join(schema["properties"])
        )
    for key in schema["required"]:
        if key not in value:
            raise StudyError(f"the key {key} is missing", where=STUDY_FILE, allowed=_allowed(schema, key))
    for error in sorted(Draft202012Validator(schema).iter_errors(value), key=lambda e: list(map(str, e.path))):
        key = str(error.path[0])
        raise StudyError(
            f"{key} has the value {str(error.instance)[:100]!r}",
            where=STUDY_FILE,
            allowed=_allowed(schema, key) + " (quote numbers)" * (not isinstance(error.instance, str)),
        )
    try:
        datetime.date.fromisoformat(value["data_cut"])
    except ValueError:
        raise StudyError(
            f"data_cut {value['data_cut']!r} is not in the calendar",
            where=STUDY_FILE,
            allowed=_allowed(schema, "data_cut"),
        ) from None


def _allowed(schema: dict[str, Any], key: str) -> str:
    return str(schema["properties"][key]["description"])


def _charter(folder: Path, name: str | None) -> Path | None:
    path = folder / (name or DEFAULT_CHARTER)
    if os.path.lexists(path):  # what is there but cannot be read must not be passed over for the shipped charter
        return path
    if name:
        raise StudyError(f"the charter {name!r} does not exist", where=STUDY_FILE, allowed="a file beside study.yaml")
    return None
