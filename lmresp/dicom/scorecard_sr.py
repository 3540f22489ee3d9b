"""A read as a structured report, and back: the scorecard of one reader, or of the adjudicator."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from highdicom.sr import EnhancedSR, ObserverContext, PersonObserverIdentifyingAttributes
from pydicom.dataset import Dataset

from lmresp import RESEARCH_USE
from lmresp.dicom.codes import code
from lmresp.dicom.instance import When, made_by, sealed
from lmresp.dicom.scorecard_content import parse
from lmresp.dicom.source import Source
from lmresp.dicom.sr_items import facts, plain, report, scorecard
from lmresp.ingest.dicom import read_dataset
from lmresp.ingest.dicom_values import text

FORMAT = "lmresp-scorecard-sr/1"
ADJUDICATOR = "ADJUDICATION COMMITTEE"
_UTC = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?Z")


def write(
    entry: Mapping[str, Any],
    source: Source,
    *,
    study_id: str,
    locked_utc: str,
    previous: Sequence[Dataset] = (),
    evidence: Sequence[Dataset] = (),
) -> Dataset:
    """Build the report of a read.

    Parameters
    ----------
    entry : mapping
        Entry ``read`` of the record of reads.
    source : Source
        A series of the scan that was read.
    study_id : str
        The study; stands as the organisation that verified.
    locked_utc : str
        When the read was locked, ``2026-11-21T20:00:00.000000Z``; empty when it is not locked.
    previous : sequence of Dataset
        Reports that this one comes after: the draft, the read it supersedes, the reads it adjudicates.
    evidence : sequence of Dataset
        Further objects of the study that it may be read with, such as the segmentation.

    Returns
    -------
    Dataset
        A complete Enhanced SR. Locked: COMPLETE and VERIFIED by the reader's pseudonym, PRELIMINARY; FINAL when it is
        the adjudicator's. Not locked: PARTIAL, UNVERIFIED, PRELIMINARY.

    Raises
    ------
    ValueError
        If a time is not as the record writes it.

    Notes
    -----
    VERIFIED says that the record of reads holds a lock by this pseudonym; it is no electronic signature.
    """
    final = entry["role"] == ADJUDICATOR and bool(locked_utc)
    role = "role.adjudicator" if entry["role"] == ADJUDICATOR else "role.reader"
    observer = ObserverContext(
        code("observer.person"),
        PersonObserverIdentifyingAttributes(name=_name(entry), role_in_procedure=code(role)),
    )
    groups: list[Any] = scorecard(entry["answers"], entry, study_id)
    groups.append(facts("READ", _facts(entry, locked_utc), entry, study_id))
    locked: dict[str, Any] = {"is_complete": False, "is_verified": False}
    if locked_utc:
        locked = {
            "is_complete": True,
            "is_verified": True,
            "verifying_observer_name": _name(entry),
            "verifying_organization": f"study {study_id}"[:64],
        }
    ds = EnhancedSR(
        evidence=[*source.images, *evidence],
        content=report(groups, observer),
        is_final=final,
        previous_versions=list(previous) or None,
        **locked,
        **made_by("sr-read"),
    )
    day, clock, _ = _moment(locked_utc or entry["utc"])
    if locked_utc:
        ds.VerifyingObserverSequence[0].VerificationDateTime = "".join(_moment(locked_utc))
    return sealed([ds], source, "sr-read", When(day, clock))[0]


def _name(entry: Mapping[str, Any]) -> str:
    """The pseudonym as a name of one part (DICOM PS3.5 6.2.1.2: the caret says that no other part was forgotten)."""
    return f"{plain(entry['reader'])}^"


def _moment(utc: str) -> tuple[str, str, str]:
    """Day, time and zone of a moment of the record, as DICOM writes them."""
    match = _UTC.fullmatch(utc)
    if match is None:
        raise ValueError(f"{utc!r} is no moment like 2026-11-21T20:00:00.000000Z")
    fraction = f".{match[7].ljust(6, '0')}" if match[7] else ""
    return "".join(match.group(1, 2, 3)), "".join(match.group(4, 5, 6)) + fraction, "+0000"


def _facts(entry: Mapping[str, Any], locked_utc: str) -> list[tuple[str, object]]:
    """Where the read comes from: fields of the entry as text. The account behind the pseudonym stays in the record."""
    single = ("read", "scan", "subject_id", "visit", "visit_num", "scan_date", "utc", "reader", "role", "session")
    rows: list[tuple[str, object]] = [(f"fact.{name}", entry[name]) for name in single]
    rows.append(("fact.locked_utc", locked_utc))
    rows += [(f"fact.{name}", entry[name]) for name in ("comparator", "implied", "chosen", "supersedes", "charter")]
    rows += [(f"fact.{name}", value) for name in ("blinded_to", "departs", "over") for value in entry[name]]
    rows += [("fact.reasons", f"{r['about']} | {r['code']} | {r['text']}") for r in entry["reasons"]]
    rows += [
        ("fact.draft_shown", "yes" if entry["draft"]["shown"] else "no"),
        ("fact.draft_digest", entry["draft"]["digest"]),
        ("fact.digest", entry["digest"]),
        ("fact.software", entry["software"]),
        ("fact.note", RESEARCH_USE),
    ]
    return rows


def read(path: Path) -> dict[str, Any]:
    """Read a structured report of a scorecard; never raises for what the file holds.

    Parameters
    ----------
    path : Path
        A file.

    Returns
    -------
    dict
        ``format``; ``answers`` (``compartment, item, value, reason_ne, comment`` as in the record of reads); the
        fields of the read that the report gives (``read, scan, subject_id, visit, visit_num, scan_date, utc,
        locked_utc, reader, role, session, blinded_to, comparator, departs, implied, reasons, over, chosen, supersedes,
        draft, charter, digest``; empty where it does not); ``state`` (``draft``, ``read`` or ``adjudicated``);
        ``complete, final, verified``, ``verified_by``, ``verified_at``; ``locked`` (complete and verified by somebody
        with a moment); ``sop_instance_uid`` and ``predecessors``; ``measurements`` of its other groups;
        ``unknown``: what was found and not understood, one line each; ``problems``: why it cannot be taken as a read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read(read_dataset(path, pixels=True))
    except Exception as error:  # whatever a damaged or foreign file raises
        return _nothing(f"it cannot be read as a structured report ({type(error).__name__})")


def _nothing(problem: str) -> dict[str, Any]:
    return _result(Dataset(), parse(Dataset()), [problem])


def _read(ds: Dataset) -> dict[str, Any]:
    if text(ds, "Modality") != "SR" or "ContentSequence" not in ds:
        return _nothing("it is not a structured report")
    content = parse(ds)
    problems = list(content["problems"])
    if not content["answers"]:
        problems.append("it holds no answer of a scorecard")
    return _result(ds, content, problems)


def _result(ds: Dataset, content: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    observers = list(ds.get("VerifyingObserverSequence") or [])
    complete, verified = text(ds, "CompletionFlag") == "COMPLETE", text(ds, "VerificationFlag") == "VERIFIED"
    final = text(ds, "PreliminaryFlag") == "FINAL"
    name, moment = ("", "")
    if observers:
        name, moment = (
            text(observers[0], "VerifyingObserverName").rstrip("^"),
            text(observers[0], "VerificationDateTime"),
        )
    locked = complete and verified and bool(name) and bool(moment)
    if not locked and not problems:
        problems.append("it is not locked: COMPLETE and VERIFIED by a named observer are needed")
    facts_ = content["facts"]
    state = "draft" if not facts_["reader"] else "adjudicated" if facts_["role"] == ADJUDICATOR else "read"
    return {
        "format": FORMAT,
        **facts_,
        "answers": content["answers"],
        "measurements": content["measurements"],
        "state": state,
        "complete": complete,
        "final": final,
        "verified": verified,
        "verified_by": name,
        "verified_at": moment,
        "locked": locked,
        "sop_instance_uid": text(ds, "SOPInstanceUID"),
        "predecessors": [
            text(instance, "ReferencedSOPInstanceUID")
            for study in ds.get("PredecessorDocumentsSequence") or []
            for series in study.get("ReferencedSeriesSequence") or []
            for instance in series.get("ReferencedSOPSequence") or []
        ],
        "unknown": content["unknown"],
        "problems": problems,
    }
