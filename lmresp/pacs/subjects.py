"""``pacs_subjects.csv``: which number at the PACS is which subject. It is identity, and stays in this one file."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import io
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from lmresp.errors import StudyError
from lmresp.pacs.settings import read_private

SUBJECTS_FILE = "pacs_subjects.csv"
COLUMNS = ("subject_id", "patient_id", "from", "to")
NEEDED = ("subject_id", "patient_id")
_FOLDER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,38}[A-Za-z0-9_-])?")
_PATIENT = re.compile(r"[^\\*?\x00-\x1f\x7f]{1,64}")  # * and ? would match other patients (PS3.4 C.2.2.2.4)


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """One row: a subject, the PatientID at the PACS, and the days between which studies are the trial's.

    ``first`` and ``last`` are ISO dates, empty where there is no limit. The PatientID shows in no representation.
    """

    subject_id: str
    patient_id: str = dataclasses.field(repr=False)
    first: str = ""
    last: str = ""

    def covers(self, date: str) -> bool:
        """Whether a study of this day (ISO date, or empty when not known) is the trial's."""
        if not date:
            return not (self.first or self.last)
        return (not self.first or self.first <= date) and (not self.last or date <= self.last)


def load_subjects(study: Path) -> list[Subject]:
    """Read ``pacs_subjects.csv`` of a study.

    Parameters
    ----------
    study : Path
        The study folder.

    Returns
    -------
    list of Subject
        One for each row, in the order of ``subject_id``; a subject may have several numbers.

    Raises
    ------
    StudyError
        If the file is missing, others may open it, or a row cannot be used. Rows are named by number (header = 1),
        never by what stands in them.
    """
    text = read_private(study / SUBJECTS_FILE)
    header = text.split("\n", 1)[0]
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=";" if ";" in header else ",")
    names = [(name or "").strip() for name in rows.fieldnames or ()]
    wrong = any(name not in COLUMNS for name in names) or len(set(names)) != len(names)
    if wrong or not set(NEEDED) <= set(names):
        raise StudyError(
            "the columns cannot be used", where=SUBJECTS_FILE, allowed=f"{', '.join(COLUMNS)} (the last two optional)"
        )
    rows.fieldnames = names
    found: list[Subject] = []
    owner: dict[str, tuple[str, int]] = {}
    for row in rows:
        number = rows.line_num
        if None in row or not any((cell or "").strip() for cell in row.values()):
            if None in row:
                raise StudyError(
                    f"row {number} has too many cells", where=SUBJECTS_FILE, allowed="as many as the header"
                )
            continue
        subject = _subject({key: (cell or "").strip() for key, cell in row.items()}, number)
        other, first = owner.setdefault(subject.patient_id.casefold(), (subject.subject_id, number))
        if other != subject.subject_id:
            raise StudyError(
                f"rows {first} and {number} give one patient_id to two subjects",
                where=SUBJECTS_FILE,
                allowed="one subject",
            )
        found.append(subject)
    if not found:
        raise StudyError("there is no row", where=SUBJECTS_FILE, allowed="one row for each subject")
    return sorted(found, key=lambda subject: (subject.subject_id, subject.patient_id))


def _subject(row: Mapping[str, str], number: int) -> Subject:
    where = f"{SUBJECTS_FILE} row {number}"
    if not _FOLDER.fullmatch(row["subject_id"]):
        raise StudyError(
            "subject_id cannot be the name of a folder",
            where=where,
            allowed="letters, digits, blank, dot, dash, underscore",
        )
    if not _PATIENT.fullmatch(row["patient_id"]):
        raise StudyError(
            "patient_id cannot be asked for", where=where, allowed="1 to 64 characters without * ? and backslash"
        )
    days = [row.get("from", ""), row.get("to", "")]
    for day in days:
        if day and not _is_date(day):
            raise StudyError("from or to is not a date", where=where, allowed="YYYY-MM-DD or empty")
    return Subject(row["subject_id"], row["patient_id"], *days)


def _is_date(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def chosen(subjects: Collection[Subject], wanted: Collection[str]) -> list[Subject]:
    """Rows of the subjects that were asked for; all of them when none was named.

    Raises
    ------
    StudyError
        If one is not in the file.
    """
    known = {subject.subject_id for subject in subjects}
    unknown = sorted(set(wanted) - known)
    if unknown:
        raise StudyError(
            f"{unknown[0]!r} is not in {SUBJECTS_FILE}", where="--subject", allowed="a subject_id of this file"
        )
    return [subject for subject in subjects if not wanted or subject.subject_id in wanted]
