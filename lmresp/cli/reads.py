"""``lmresp reads``: check the record of reads, write it out, make forms for reading elsewhere and take reads back."""

from __future__ import annotations

import argparse
import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmresp import RESEARCH_USE, store
from lmresp.errors import EXIT_DONE, EXIT_INVALID, StudyError

if TYPE_CHECKING:
    from lmresp.ingest.study import Study
    from lmresp.reads.record import Record
    from lmresp.reads.scans import Scan

FORMATS = (".csv", ".xlsx")


def add_reads(commands: Any) -> None:
    """Add ``lmresp reads`` to the commands of the command line."""
    reads = commands.add_parser("reads", help="check, export, import the record of reads", allow_abbrev=False)
    actions = reads.add_subparsers(dest="action", required=True, metavar="ACTION")
    verify = actions.add_parser(
        "verify",
        help="say whether the record is whole, and print its head digest",
        epilog="Exit code: 0 whole, 2 edited, cut or not the record of that head.",
        allow_abbrev=False,
    )
    export = actions.add_parser("export", help="write the locked reads that stand", allow_abbrev=False)
    form = actions.add_parser("form", help="write a form for reading elsewhere", allow_abbrev=False)
    take = actions.add_parser(
        "import",
        help="take reads that were made elsewhere",
        epilog="Exit code: 0 all taken or there already, 2 at least one was refused; the others are taken.",
        allow_abbrev=False,
    )
    for action in (verify, export, form, take):
        action.add_argument("study", type=Path, metavar="STUDY")
    verify.add_argument("--head", default="", metavar="DIGEST", help="a head digest printed earlier")
    export.add_argument("--to", type=Path, required=True, metavar="FILE", help="a new .csv or .xlsx file")
    export.add_argument(
        "--redcap", action="store_true", help="CSV that REDCap imports, with its data dictionary beside it"
    )
    form.add_argument("--reader", required=True, metavar="ROLE", help="reader 1, reader 2, reader 3 or investigator")
    form.add_argument("--to", type=Path, required=True, metavar="FILE", help="a new .xlsx file")
    take.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="CSV like mri_reads, our form or REDCap CSV, or DICOM SR"
    )


def run_reads(options: argparse.Namespace) -> int:
    """Run one ``lmresp reads`` command and return its exit code."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "verify": _verify,
        "export": _export,
        "form": _form,
        "import": _import,
    }
    return actions[options.action](options)


def stop_if_broken(study: Path) -> None:
    """Stop where the record of reads is not whole: a call that rests on it could be anybody's.

    Raises
    ------
    StudyError
        With the first bad line.
    """
    from lmresp.reads.record import NAME, Record

    Record(study / NAME).entries()


def _verify(options: argparse.Namespace) -> int:
    from lmresp.ingest.study import open_study
    from lmresp.reads.record import NAME, Record, torn_files, verify
    from lmresp.reads.state import history

    head = str(options.head)
    if head and not re.fullmatch(r"[0-9a-fA-F]{64}", head):
        raise StudyError(f"{head!r} is no head digest", where="--head", allowed="64 hexadecimal digits, as printed")
    path = open_study(options.study).folder / NAME
    problems = verify(path, head)
    for problem in problems:
        print(f"{NAME} line {problem.line}: {problem.message}" if problem.line else f"{NAME}: {problem.message}")
    for torn in torn_files(path):
        print(f"{torn.name}: what a save left that was cut off in the middle; nothing of it counts")
    if any(problem.breaks for problem in problems):
        print("The record is NOT whole: take it back from a backup; no call is made from it.")
        return EXIT_INVALID
    entries = Record(path).entries()
    reads = history(entries)
    print(f"The record is whole: {len(entries)} entries, {len(reads)} reads, {sum(r.locked for r in reads)} locked.")
    print(f"Head digest: {entries[-1]['digest'] if entries else 'none, the record is empty'}")
    if head:
        at = next(entry["seq"] for entry in entries if entry["digest"] == head.lower())
        print(f"The head given is entry {at}; {len(entries) - at} entries were added since.")
    print(RESEARCH_USE)
    return EXIT_DONE


def _export(options: argparse.Namespace) -> int:
    from lmresp.ingest.study import open_study
    from lmresp.reads import export, redcap
    from lmresp.reads.record import NAME, Record
    from lmresp.reads.state import standing

    study = open_study(options.study)
    entries = Record(study.folder / NAME).entries()
    suffix = options.to.suffix.lower()
    files: dict[Path, bytes] = {}
    if options.redcap and suffix == ".csv":
        rows = redcap.export_rows(standing(entries))
        files[options.to] = store.csv_text(rows, redcap.columns()).encode("utf-8")
        dictionary = options.to.with_name(f"{options.to.stem}_dictionary.csv")
        files[dictionary] = store.csv_text(redcap.dictionary_rows(), redcap.DICTIONARY).encode("utf-8")
    elif suffix in FORMATS and not options.redcap:
        files[options.to] = export.csv_bytes(entries) if suffix == ".csv" else export.xlsx_bytes(entries)
    else:
        allowed = "a file that ends in .csv" if options.redcap else f"a file that ends in {' or '.join(FORMATS)}"
        raise StudyError(f"{options.to.name} cannot be written", where="--to", allowed=allowed)
    _write_new(files)
    print(f"{len(standing(entries))} locked reads written to {', '.join(path.name for path in files)}. {RESEARCH_USE}")
    return EXIT_DONE


def _form(options: argparse.Namespace) -> int:
    from lmresp.criteria import load_charter
    from lmresp.reads import offline_form
    from lmresp.reads.record import NAME, Record
    from lmresp.reads.scans import study_scans
    from lmresp.reads.state import ADJUDICATOR, ROLES, TO_READ, current, worklist

    study = _planned(options.study)
    roles = [role for role in ROLES if role != ADJUDICATOR]
    if options.reader not in roles:
        raise StudyError(f"{options.reader!r} has no form", where="--reader", allowed=", ".join(roles))
    if options.to.suffix.lower() != ".xlsx":
        raise StudyError(f"{options.to.name} cannot be written", where="--to", allowed="a file that ends in .xlsx")
    charter = load_charter(study.charter)
    entries = Record(study.folder / NAME).entries()
    tasks = worklist(study_scans(study.results), entries, charter, options.reader)
    tasks = [task for task in tasks if task.may_open and task.state == TO_READ]
    if not tasks:
        raise StudyError(f"no scan is open to {options.reader}", where=study.folder.name, allowed="a scan to read")
    mine = [read for read in current(entries) if read.reader == ROLES[options.reader][0]]
    book = offline_form.workbook(tasks, mine, charter, options.reader, study.study_id)
    _write_new({options.to: store.workbook_bytes(book)})
    print(f"A form for {len(tasks)} scans open to {options.reader} is in {options.to.name}. {RESEARCH_USE}")
    return EXIT_DONE


def _import(options: argparse.Namespace) -> int:
    from lmresp.criteria import load_charter
    from lmresp.reads.files import read_file
    from lmresp.reads.intake import Against, groups, judge
    from lmresp.reads.record import NAME, Record
    from lmresp.reads.scans import study_scans

    study = _planned(options.study)
    charter = load_charter(study.charter)
    record = Record(study.folder / NAME)
    scans = study_scans(study.results, without_images=True)
    digests = _draft_digests(study.results, scans)
    refused_any = False
    for path in options.files:
        given = read_file(path, study.study_id)
        taken = there = 0
        refused = list(given.refused)
        found, problems = ([], refused) if refused else groups(given.rows)
        refused = list(problems)
        against = Against(scans, charter, given.source, given.sha256, digests)
        for group in found:
            verdict = judge(group, against, record.entries())
            refused += verdict.refused
            if verdict.entry is not None:
                taken += 1
                _lock(record, record.append(verdict.entry, utc=_now()))
            elif verdict.known is not None:
                there += 1
                if not verdict.known.locked:  # an import that was killed between read and lock
                    _lock(record, verdict.known.entry)
        for line in (*given.notes, *refused):
            print(line)
        print(f"{path.name}: {taken} reads taken, {there} there already, {len(found) - taken - there} refused.")
        refused_any |= bool(refused)
    head = record.head()
    print(f"Head digest: {head.digest or 'none, the record is empty'}")
    return EXIT_INVALID if refused_any else EXIT_DONE


def _lock(record: Record, entry: Mapping[str, Any]) -> None:
    from lmresp.reads.desk import lock_entry
    from lmresp.reads.state import Read

    record.append(lock_entry(Read(entry), account=entry["account"]), utc=_now())


def _planned(folder: Path) -> Study:
    """Open a study and bring its index up to date, which says what scans there are.

    Raises
    ------
    LmrespError
        If the study, its charter or its record of reads cannot be used.
    """
    from lmresp.cli.plan import plan_study
    from lmresp.ingest.study import open_study

    plan_study(folder)
    return open_study(folder)


def _now() -> str:
    """Return the time in UTC as the record writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _draft_digests(results: Path, scans: Sequence[Scan]) -> dict[str, str]:
    from lmresp.cli.plan import result_path
    from lmresp.reads.form import draft_digest

    files = {scan.scan: results / result_path(scan.scan) for scan in scans if scan.scan}
    return {name: draft_digest(store.read_json(path)["scorecard"]) for name, path in files.items() if path.is_file()}


def _write_new(files: Mapping[Path, bytes]) -> None:
    for path in files:
        if path.exists():
            raise StudyError(f"{path.name} exists already", where="--to", allowed="a new file")
    for path, content in files.items():
        store.write_bytes(path, content)
