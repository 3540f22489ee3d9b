"""``lmresp pacs``: studies in, results out."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import fcntl
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmresp import RESEARCH_USE, queries
from lmresp.errors import EXIT_DONE, EXIT_FAILED, StudyError

if TYPE_CHECKING:
    from lmresp.pacs.link import Link
    from lmresp.pacs.settings import Settings

FOLDER = "pacs"
RECEIPTS = "receipts.jsonl"
EXITS = "Exit code: 0 all went well, 1 something is missing or was refused, 2 it cannot be started like this."


def add_pacs(commands: Any) -> None:
    """Add ``lmresp pacs check | fetch | send`` to the commands of the command line."""
    pacs = commands.add_parser("pacs", help="fetch studies from a PACS, send results to it", allow_abbrev=False)
    actions = pacs.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser(
        "check", help="see whether the PACS answers, and what pacs.yaml allows", allow_abbrev=False
    )
    fetch = actions.add_parser(
        "fetch", help="fetch the MR series of the subjects in pacs_subjects.csv", epilog=EXITS, allow_abbrev=False
    )
    send = actions.add_parser(
        "send",
        help="list what of a folder would be sent; with --send, and send: true in pacs.yaml, send it",
        epilog=EXITS,
        allow_abbrev=False,
    )
    for action in (check, fetch, send):
        action.add_argument("study", type=Path, metavar="STUDY")
    fetch.add_argument("--subject", action="append", metavar="ID", help="only this subject (can be repeated)")
    fetch.add_argument("--dry-run", action="store_true", help="list the series, fetch nothing")
    send.add_argument("folder", type=Path, metavar="FOLDER", help="what `lmresp dicom` wrote")
    send.add_argument("--send", action="store_true", help="really send")
    send.add_argument("--again", action="store_true", help="also send what has a receipt")


def run_pacs(options: argparse.Namespace) -> int:
    """Run ``lmresp pacs``.

    Raises
    ------
    StudyError
        If the study folder, ``pacs.yaml``, ``pacs_subjects.csv`` or the password cannot be used.
    PacsError
        If the PACS cannot be used.
    """
    from lmresp.ingest.study import open_study
    from lmresp.pacs.settings import load_settings

    study = open_study(options.study).folder
    settings = load_settings(study, os.environ)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns with what stands in the header
        run = {"check": _check, "fetch": _fetch, "send": _send}[options.action]
        return run(options, study, settings)


def _link(settings: Settings) -> Link:
    from lmresp.pacs.settings import Web

    if isinstance(settings.place, Web):
        from lmresp.pacs.dicomweb import DicomWeb

        return DicomWeb(settings.place, settings.tries)
    from lmresp.pacs.dimse import DimsePacs

    return DimsePacs(settings.place, settings.tries)


def _check(_: argparse.Namespace, study: Path, settings: Settings) -> int:
    from lmresp.pacs.subjects import load_subjects

    link = _link(settings)
    link.echo()
    print(f"{link.name} answers.")
    count = len({subject.subject_id for subject in load_subjects(study)})
    print(f"Subjects in pacs_subjects.csv: {count}")
    print(f"Sending: {'allowed, with --send' if settings.send else 'off (send: false in pacs.yaml)'}")
    print(RESEARCH_USE)
    return EXIT_DONE


def _fetch(options: argparse.Namespace, study: Path, settings: Settings) -> int:
    from lmresp.pacs.fetch import fetch
    from lmresp.pacs.subjects import chosen, load_subjects

    subjects = chosen(load_subjects(study), options.subject or ())
    with _alone(study) if not options.dry_run else contextlib.nullcontext():
        done = fetch(study, _link(settings), settings, subjects, print, dry_run=options.dry_run)
    verb = "to fetch" if options.dry_run else "fetched"
    return _end(f"{done.new} series {verb}, {done.known} there before.", done.queries)


def _send(options: argparse.Namespace, study: Path, settings: Settings) -> int:
    from lmresp.pacs.send import send
    from lmresp.pacs.subjects import load_subjects

    if not options.folder.is_dir():
        raise StudyError("there is no such folder", where="FOLDER", allowed="a folder that lmresp dicom wrote")
    if options.send and not settings.send:
        raise StudyError("sending is off", where="pacs.yaml", allowed="send: true, once the trial has agreed to it")
    subjects, link = load_subjects(study), _link(settings)
    ledger = study / FOLDER / RECEIPTS
    with _alone(study) if options.send else contextlib.nullcontext():
        done = send(options.folder, link, subjects, ledger, print, _now, really=options.send, repeat=options.again)
    if options.send:
        said = f"{done.stored} objects stored at {link.name}, {done.before} sent before. Receipts: {FOLDER}/{RECEIPTS}"
    else:
        said = (
            f"Nothing was sent. With --send, {done.stored} objects would go to {link.name}; {done.before} sent before."
        )
        said += "" if settings.send else " This needs send: true in pacs.yaml."
    return _end(said, done.queries)


def _end(said: str, found: list[queries.Query]) -> int:
    """Print the queries and what was done."""
    for row in queries.numbered(found):
        print(f"{row['query_id']} {row['code']} {row['severity']}: {row['message']} {row['action']}")
    print(said)
    print(RESEARCH_USE)
    return EXIT_FAILED if any(query.severity == "error" for query in found) else EXIT_DONE


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@contextlib.contextmanager
def _alone(study: Path) -> Iterator[None]:
    """Hold ``STUDY/pacs`` for this process, so that nothing is fetched or sent twice at once."""
    folder = study / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    with open(folder / ".lock", "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StudyError("another lmresp pacs is at work", where=study.name, allowed="one at a time") from None
        yield
