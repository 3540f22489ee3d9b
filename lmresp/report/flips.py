"""What would change a call, in the words of the page."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from lmresp.notation import read_flips
from lmresp.report.wording import STRAND_GROUPS, Word, word


@dataclasses.dataclass(frozen=True, slots=True)
class FlipView:
    """One alternative: the strands as they would have to be, each with its value, and the call that would follow."""

    conditions: Sequence[tuple[str, str]]
    call: Word


def flip_views(would_change: str) -> list[FlipView]:
    """Name the alternatives of a call, in their order.

    Parameters
    ----------
    would_change : str
        The cell of ``calls.csv`` (:func:`lmresp.notation.flips_text`).

    Raises
    ------
    ValueError
        If the text does not follow the grammar.
    """
    return [
        FlipView([_condition(*pair) for pair in flip.values], word("call", flip.call))
        for flip in read_flips(would_change)
    ]


def _condition(strand: str, value: str) -> tuple[str, str]:
    """Name a strand and its value, the latter without the explanation in brackets."""
    return word("component", strand).label, word(STRAND_GROUPS[strand], value).label.split(" (")[0]
