"""What the cells of stored tables hold in a notation of their own: what would change a call, and row ids."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

_ALTERNATIVE = re.compile(r"\w+=\w+(?: & \w+=\w+)* -> \w+")


@dataclasses.dataclass(frozen=True, slots=True)
class Flip:
    """One alternative: strands with the values that they would have to have, and the call that would follow."""

    values: tuple[tuple[str, str], ...]
    call: str


def flips_text(flips: Iterable[Flip]) -> str:
    """Write alternatives as the column ``would_change`` holds them; nothing gives ``""``.

    Notes
    -----
    ``neuro=stable & csf=cleared -> RESPONSE; imaging=progressive -> PROGRESSION``: alternatives joined with ``; ``,
    each the strands that would have to differ and the call that would follow.
    """
    return "; ".join(f"{' & '.join(f'{name}={value}' for name, value in flip.values)} -> {flip.call}" for flip in flips)


def read_flips(text: str) -> list[Flip]:
    """Read what :func:`flips_text` wrote.

    Raises
    ------
    ValueError
        If the text does not follow the grammar.
    """
    flips = []
    for alternative in text.split("; ") if text else []:
        if not _ALTERNATIVE.fullmatch(alternative):
            raise ValueError(f"not an alternative: {alternative!r}")
        conditions, call = alternative.split(" -> ")
        values = [condition.split("=") for condition in conditions.split(" & ")]
        flips.append(Flip(tuple((name, value) for name, value in values), call))
    return flips


def row_ranges(row_ids: Iterable[str]) -> str:
    """Shorten row ids: ``csf.csv:3``, ``neuro.csv:12``, ``neuro.csv:13`` give ``csf.csv: 3; neuro.csv: 12-13``.

    Files are in the order in which they come; an id that is not of this form is kept at the end.
    """
    places: dict[str, list[int]] = {}
    other = []
    for row_id in row_ids:
        file, _, number = row_id.rpartition(":")
        if number.isdecimal():
            places.setdefault(file, []).append(int(number))
        else:
            other.append(row_id)
    texts = []
    for file, numbers in places.items():
        runs: list[tuple[int, int]] = []
        for row in sorted(set(numbers)):
            if runs and row == runs[-1][1] + 1:
                runs[-1] = (runs[-1][0], row)
            else:
                runs.append((row, row))
        texts.append(f"{file}: " + ", ".join(f"{first}-{last}" if last > first else f"{first}" for first, last in runs))
    return "; ".join([*texts, *other])
