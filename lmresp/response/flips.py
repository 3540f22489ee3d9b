"""What would change a call: the smallest sets of open strands whose other values give another call."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import combinations, product

from lmresp.criteria.table import Scheme
from lmresp.notation import Flip


def smallest_flips(scheme: Scheme, now: Mapping[str, str], possible: Mapping[str, Collection[str]]) -> list[Flip]:
    """Find every smallest set of open strands that would change a call.

    Parameters
    ----------
    scheme : Scheme
        Decision table of the visit call.
    now : mapping of str to str
        The value of each input of the scheme.
    possible : mapping of str to collection of str
        The open inputs with the values that each might have; the value of ``now`` is left aside.

    Returns
    -------
    list of Flip
        Sorted by size, then in the order of the scheme's inputs and words. Empty when no values of the open inputs
        give another call.

    Notes
    -----
    A set of inputs is smallest when no part of it is enough: its inputs could change the call together, and no fewer
    of them could. Every set of open inputs that can change the call therefore holds a listed one. For a listed set
    all values that change the call are given.
    """
    words = {each.name: each.words for each in scheme.inputs}
    other = {
        name: [word for word in words[name] if word in possible[name] and word != now[name]]
        for name in words
        if name in possible
    }
    call = scheme.decide_one(now).output
    found: list[Flip] = []
    smallest: list[frozenset[str]] = []
    for size in range(1, len(other) + 1):
        for names in combinations(other, size):
            if any(part <= set(names) for part in smallest):
                continue
            alternatives = (tuple(zip(names, values, strict=True)) for values in product(*(other[n] for n in names)))
            flips = [Flip(values, scheme.decide_one({**now, **dict(values)}).output) for values in alternatives]
            changing = [flip for flip in flips if flip.call != call]
            if changing:
                smallest.append(frozenset(names))
                found += changing
    return found
