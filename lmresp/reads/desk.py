"""What a saved form becomes: the entries of the record, ready to be appended (pure)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from lmresp import __version__
from lmresp.reads.answers import departs, implied
from lmresp.reads.entry import BLANK
from lmresp.reads.scans import Scan
from lmresp.reads.state import DRAFT, ROLES, Read

OTHER_READS = "other reads"


def read_entry(
    scan: Scan,
    who: str,
    answers: Sequence[Mapping[str, str]],
    *,
    account: str,
    comparator: str,
    charter: str,
    reasons: Sequence[Mapping[str, str]] = (),
    draft: Sequence[Mapping[str, str]] | None = None,
    draft_digest: str = "",
    supersedes: str = "",
    over: Sequence[str] = (),
    chosen: str = "",
    session: str = "",
    blinded_to: Sequence[str] = (DRAFT, OTHER_READS),
    source: str = "reading room",
    origin: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Make the entry of a read.

    Parameters
    ----------
    scan : Scan
    who : str
        A key of :data:`lmresp.reads.state.ROLES`.
    answers : sequence of mapping
        From :func:`lmresp.reads.form.answered`, without problems.
    account, session : str
        Who saved it, and in which session.
    comparator : str
        The scan compared with; "" at baseline.
    charter : str
        Digest of the charter in force.
    reasons : sequence of mapping
        ``about``, ``code``, ``text``.
    draft : sequence of mapping or None
        The draft as it was shown; None where it was not.
    draft_digest : str
        :func:`lmresp.reads.form.draft_digest` of the scan's draft, shown or not.
    supersedes : str
        The own read that this one replaces.
    over, chosen : sequence of str, str
        Reads adjudicated, and the one taken as a whole.
    blinded_to : sequence of str
        What the reader could not see.
    source : str
        Where the read was made.
    origin : mapping of str to str, optional
        Of a read made elsewhere: ``sha256`` of its file, ``read_utc`` and ``locked_utc``.

    Returns
    -------
    dict
        For :meth:`lmresp.reads.record.Record.append`.
    """
    reader, role = ROLES[who]
    entry = _head("read", scan)
    entry |= {
        "reader": reader,
        "role": role,
        "account": account,
        "session": session,
        "blinded_to": sorted(blinded_to),
        "comparator": comparator,
        "answers": [dict(row) for row in answers],
        "departs": departs(answers, draft),
        "implied": implied(answers, is_baseline=scan.is_baseline),
        "reasons": [dict(reason) for reason in reasons],
        "over": list(over),
        "chosen": chosen,
        "draft": {"digest": draft_digest, "shown": draft is not None},
        "supersedes": supersedes,
        "source": source,
        "charter": charter,
        "origin": dict(origin or {}),
    }
    return entry


def lock_entry(read: Read, *, account: str, session: str = "") -> dict[str, Any]:
    """Make the entry that locks a read.

    Parameters
    ----------
    read : Read
        The own newest read of the scan, not locked.
    account, session : str
        Who locks it; the account that saved it.
    """
    kept = ("scan", "subject_id", "visit", "visit_num", "scan_date", "reader", "role", "over", "source", "charter")
    entry = copy.deepcopy(BLANK) | {name: read.entry[name] for name in kept}
    return entry | {"kind": "lock", "read": read.read, "account": account, "session": session, "software": _SOFTWARE}


_SOFTWARE = f"lmresp {__version__}"


def _head(kind: str, scan: Scan) -> dict[str, Any]:
    named = {name: getattr(scan, name) for name in ("scan", "subject_id", "visit", "visit_num", "scan_date")}
    return copy.deepcopy(BLANK) | named | {"kind": kind, "software": _SOFTWARE}
