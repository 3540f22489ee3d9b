"""What would change a call: the grammar of ``calls.csv``, ``csf=cleared & neuro=stable -> RESPONSE; ...``, read."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from lmresp.report.wording import Word, word

_GROUPS = {
    "csf": "csf",
    "neuro": "neuro",
    "imaging": "mri",
    "mri": "mri",
}  # strand of the criteria -> words of its lane
_FLIP = re.compile(r"(\w+=\w+(?: & \w+=\w+)*) -> (\w+)")


@dataclasses.dataclass(frozen=True, slots=True)
class Flip:
    """One alternative: the strands as they would have to be, and the call that would follow.

    ``conditions`` is empty and ``call`` is ``None`` for a text that is not of the grammar; ``text`` always holds it.
    """

    text: str
    conditions: Sequence[tuple[str, str]] = ()  # name of the strand, its value in words
    call: Word | None = None


def flips(would_change: str) -> list[Flip]:
    """Read the alternatives of a call, in their order.

    Parameters
    ----------
    would_change : str
        Alternatives joined with ``;``. One that is not of the grammar is kept as text, so that nothing disappears.
    """
    found = []
    for text in filter(None, (piece.strip() for piece in would_change.split(";"))):
        match = _FLIP.fullmatch(text)
        if match is None:
            found.append(Flip(text))
            continue
        pairs = [condition.split("=") for condition in match[1].split(" & ")]
        conditions = [(word("component", strand).label, _value(strand, value)) for strand, value in pairs]
        found.append(Flip(text, conditions, word("call", match[2])))
    return found


def _value(strand: str, value: str) -> str:
    """Name a value of a strand, without the explanation in brackets."""
    return word(_GROUPS[strand], value).label.split(" (")[0] if strand in _GROUPS else value
