"""The scorecard as a page shows it: questions, what was typed, the draft beside them (pure)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lmresp.mri.read_forms import DIAMETER
from lmresp.reads import form
from lmresp.reads.state import Read
from lmresp.terms import Presence

_PRESENCE = {"PRESENT": "P", "ABSENT": "A", "IMPROVED": "I", "NO CHANGE": "N", "WORSE": "W", "NE": "E"}
_RESPONSE = {"CR": "C", "PR": "P", "SD": "S", "PD": "D", "NONE": "N", "STABLE_OR_IMPROVED": "S", "UNEQUIVOCAL_PD": "C"}
LETTERS = _PRESENCE | _RESPONSE
"""Key that chooses a value inside its group; no two values of one item share a letter."""
NE = Presence.NE.value
_SPELLED = ("CR", "PR", "SD", "PD", "NE")


@dataclasses.dataclass(frozen=True, slots=True)
class Option:
    """One value that can be chosen: its code, what the button says, the whole words, and its key."""

    code: str
    text: str
    words: str
    letter: str

    @property
    def parts(self) -> tuple[str, str, str]:
        """The text before, at and after the letter of the key."""
        at = self.text.upper().find(self.letter) if self.letter else -1
        return (self.text, "", "") if at < 0 else (self.text[:at], self.text[at], self.text[at + 1 :])


@dataclasses.dataclass(frozen=True, slots=True)
class Beside:
    """The draft of one item, as it stands beside the reader's answer.

    Attributes
    ----------
    code, text : str
        Its value, and the same in words.
    copied : str
        The value that "copy the draft" takes over; "" where the draft leaves the item to the reader.
    confidence : float or None
        0 to 1.
    evidence : str
        Why, in the words of the measurement.
    findings : tuple of int
        Findings that it rests on.
    """

    code: str
    text: str
    copied: str
    confidence: float | None
    evidence: str
    findings: tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """One field of the form with what was typed into it.

    Attributes
    ----------
    field : Field
    name : str
        Name of the form field and, with ``f-``, identifier on the page.
    value, reason, comment : str
        What was typed.
    options : tuple of Option
    reasons : tuple of Option
        Reasons for NE.
    before : str
        What this reader said at earlier visits, in words.
    draft : Beside or None
        ``None`` where it is hidden or says nothing.
    faults : tuple of str
        What blocks the save.
    """

    field: form.Field
    name: str
    value: str
    reason: str
    comment: str
    options: tuple[Option, ...]
    reasons: tuple[Option, ...]
    before: str
    draft: Beside | None
    faults: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Nodule:
    """The two diameters of one nodule."""

    label: str
    first: Question
    second: Question


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """Questions under one heading; ``nodules`` stand below the question about nodules."""

    title: str
    questions: tuple[Question, ...]
    nodules: tuple[Nodule, ...]

    @property
    def measured(self) -> bool:
        """Whether a diameter is given, or blocks: the list of nodules is open then."""
        pairs = [one for nodule in self.nodules for one in (nodule.first, nodule.second)]
        return any(one.value or one.faults for one in pairs)


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """One line of the summary of what blocks: the text, and the element that it leads to."""

    text: str
    target: str


def words(code: str) -> str:
    """Return a code in words."""
    return str(form.form_words()["words"].get(code, code))


def name_of(key: str) -> str:
    """Name of the form field of a key such as ``BRAIN NODULES``."""
    return key.replace(" ", ".")


def option(code: str) -> Option:
    """Return a code as a choice."""
    text = code if code in _SPELLED else words(code)[:1].upper() + words(code)[1:]
    return Option(code, text, words(code), LETTERS.get(code, ""))


def typed(given: Mapping[str, str], asked: Sequence[form.Field]) -> list[dict[str, str]]:
    """Return the answers of a posted form, in the order of the form."""
    rows = []
    for field in asked:
        name = name_of(field.key)
        value = given.get(name, "").strip()
        if field.kind == form.MM:
            value = value.replace(",", ".").upper()  # 11,5 is a diameter too
        reason, comment = given.get(f"{name}.ne", ""), given.get(f"{name}.comment", "")
        rows.append(form.answer(field.compartment, field.item, value, reason, comment))
    return form.answered(rows, asked)


def typed_reasons(given: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the reasons of a posted form; a block in which nothing was typed is none."""
    found = []
    for about in form.ABOUT:
        code, text = given.get(f"reason.{about}.code", ""), given.get(f"reason.{about}.text", "")
        if code or text:
            found.append({"about": about, "code": code, "text": text})
    return found


def groups(
    asked: Sequence[form.Field],
    answers: Sequence[Mapping[str, str]],
    draft: Mapping[str, Beside],
    problems: Sequence[form.Problem],
) -> list[Group]:
    """Lay the questions out under their headings.

    Parameters
    ----------
    asked : sequence of Field
    answers : sequence of mapping
        What was typed or saved.
    draft : mapping of str to Beside
        By key; empty where the draft is hidden.
    problems : sequence of Problem
        What blocks.
    """
    given = {f"{row['compartment']} {row['item']}": row for row in answers}
    empty = form.answer("", "", "")
    laid: dict[str, list[Question]] = {}
    for field in asked:
        row = given.get(field.key, empty)
        question = Question(
            field=field,
            name=name_of(field.key),
            value=row["value"],
            reason=row["reason_ne"],
            comment=row["comment"],
            options=tuple(option(code) for code in field.allowed),
            reasons=tuple(option(code) for code in field.reasons_ne),
            before=" · ".join(f"{visit} {words(value)}" for visit, value in field.before),
            draft=draft.get(field.key),
            faults=tuple(short(problem.message) for problem in problems if problem.field == field.key),
        )
        laid.setdefault(field.group, []).append(question)
    titles = form.form_words()["groups"]
    return [Group(str(titles[group]), _choices(found), _nodules(found)) for group, found in laid.items()]


def _choices(questions: Sequence[Question]) -> tuple[Question, ...]:
    return tuple(one for one in questions if one.field.kind == form.CHOICE)


def _nodules(questions: Sequence[Question]) -> tuple[Nodule, ...]:
    at = {one.field.item: one for one in questions if re.fullmatch(DIAMETER, one.field.item)}
    numbers = sorted({item.split("_")[1] for item in at})
    return tuple(Nodule(f"Nodule {n}", at[f"NODULE_{n}_X"], at[f"NODULE_{n}_Y"]) for n in numbers)


def faults(
    problems: Sequence[form.Problem], asked: Sequence[form.Field], answers: Sequence[Mapping[str, str]]
) -> list[Fault]:
    """Turn what blocks into lines that lead to the element to mend."""
    by_key = {field.key: field for field in asked}
    given = {f"{row['compartment']} {row['item']}": row for row in answers}
    return [Fault(short(problem.message), _target(problem, by_key.get(problem.field), given)) for problem in problems]


def short(message: str) -> str:
    """Leave out what is allowed: the page shows it as the choices themselves."""
    return message.split(" Allowed: ")[0]


def _target(problem: form.Problem, field: form.Field | None, given: Mapping[str, Mapping[str, str]]) -> str:
    if field is None:
        return f"f-{problem.field.replace(' ', '.')}"
    row = given.get(field.key, form.answer("", "", ""))
    name = f"f-{name_of(field.key)}"
    if row["value"] == NE and row["reason_ne"] not in field.reasons_ne:
        return f"{name}.ne"
    if "the text" in problem.message or (row["reason_ne"] == "OTHER" and not row["comment"]):
        return f"{name}.comment"
    return name


def beside(result: Mapping[str, Any] | None, comparator: str) -> dict[str, Beside]:
    """Return the draft of a scan by the key of each field.

    Parameters
    ----------
    result : mapping or None
        The scan result.
    comparator : str
        What the read compares with; "" at baseline.
    """
    scorecard = (result or {}).get("scorecard")
    if not scorecard:
        return {}
    items = {f"{item['compartment']} {item['item']}": item for item in scorecard["items"]}
    numbers = [nodule["finding"] for nodule in scorecard["nodules"]]
    found: dict[str, Beside] = {}
    for row in form.draft_answers(scorecard, comparator or "BASELINE"):
        key, value = f"{row['compartment']} {row['item']}", row["value"]
        item = items.get(key, {})
        axis = re.fullmatch(DIAMETER, row["item"])
        findings = (
            (numbers[int(axis["nodule"]) - 1],) if axis else tuple((item.get("evidence") or {}).get("findings", ()))
        )
        copied = "" if value == NE else value
        text = f"{value} mm" if axis else option(value).text
        found[key] = Beside(value, text, copied, item.get("confidence"), row["comment"], findings)
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One line of a comparison: the item, what each column says, and whether they differ."""

    label: str
    cells: tuple[str, ...]
    differs: bool


def comparison(columns: Sequence[Mapping[str, str]], labels: Mapping[str, str], *, among: int) -> list[Row]:
    """Set answers side by side.

    Parameters
    ----------
    columns : sequence of mapping
        Value by ``COMPARTMENT ITEM``.
    labels : mapping
        Key to label, in the order of the rows.
    among : int
        How many of the first columns are compared; the others are shown beside them.
    """
    rows = []
    for key, label in labels.items():
        cells = [column.get(key, "") for column in columns]
        if any(cells):
            rows.append(Row(label, tuple(_cell(key, cell) for cell in cells), len(set(cells[:among])) > 1))
    return rows


def against_draft(answers: Mapping[str, str], draft: Mapping[str, Beside], labels: Mapping[str, str]) -> list[Row]:
    """Set a read beside the draft; what the draft leaves to the reader, and diameters, are no difference."""
    if not draft:
        return comparison([answers], labels, among=1)
    drafted = {key: one.code for key, one in draft.items()}
    apart = {labels[key] for key in form.departs(_rows(answers), _rows(drafted)) if key in labels}
    rows = comparison([answers, drafted], labels, among=1)
    return [dataclasses.replace(row, differs=row.label in apart) for row in rows]


def _rows(answers: Mapping[str, str]) -> list[dict[str, str]]:
    parted = [(*key.split(" ", 1), value) for key, value in answers.items()]
    return [form.answer(compartment, item, value) for compartment, item, value in parted]


def _cell(key: str, value: str) -> str:
    if not value:
        return "–"
    return f"{value} mm" if re.search(DIAMETER, key) and value != NE else option(value).text


def labels_of(asked: Sequence[form.Field], reads: Sequence[Read]) -> dict[str, str]:
    """Label of every key that the form asks or a read answers."""
    labels = {field.key: field.label for field in asked}
    for read in reads:
        for key in read.answers:
            labels.setdefault(key, key)
    return labels
