"""The command line of lmresp.

Exit codes: 0 done, 1 failed jobs, 2 wrong use or input that cannot be used.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lmresp import RESEARCH_USE, __version__
from lmresp.cli.pacs import add_pacs
from lmresp.cli.reads import add_reads
from lmresp.cli.review import add_review
from lmresp.cli.simulate import add_simulate
from lmresp.errors import EXIT_DONE, EXIT_FAILED, LmrespError

RUN_OPTIONS = "STUDY comes first. Any further option is handed to Snakemake as it is (--dry-run, --jobs 50, ...)."
TO_SNAKEMAKE = ("check", "run", "call", "report", "demo")
NO_RESULTS = {
    "--dry-run",
    "--dryrun",
    "-n",
    "--report",
    "--unlock",
    "--lint",
    "--summary",
    "--detailed-summary",
    "--dag",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one ``lmresp`` command and return its exit code; errors are one line on the error stream."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names may hold what an old terminal cannot show
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except LmrespError as error:
        print(f"lmresp: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return EXIT_DONE
    except OSError as error:  # a full disk, a folder that may not be written
        if arguments[:1] == ["step"]:
            raise  # the log of a job keeps the whole story
        place = f"{Path(error.filename).name}: " if isinstance(error.filename, str) else ""
        print(f"lmresp: {place}{error.strerror or error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("lmresp: interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130


def _dispatch(arguments: list[str]) -> int:
    if arguments[:1] == ["step"]:
        from lmresp.cli.steps import run_step

        return run_step(arguments[1:])
    parser = _parser()
    known, extra = parser.parse_known_args(arguments)
    if extra and known.command not in TO_SNAKEMAKE:
        parser.error(f"unknown option: {' '.join(extra)}")
    known.extra = [option for option in extra if option != "--"]
    return _COMMANDS[known.command](known)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lmresp",
        allow_abbrev=False,
        description="Response calls for leptomeningeal metastasis from cytology, MRI and neurological examination. "
        + RESEARCH_USE,
    )
    parser.add_argument("--version", action="version", version=f"lmresp {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    init = commands.add_parser("init", help="write the templates of a new study folder")
    init.add_argument("study", type=Path, metavar="FOLDER")

    for name, text in (
        ("check", "check the tables and what was delivered, measure nothing, and print the queries"),
        ("run", "run everything: calls, pathway, scan pages, report"),
        ("call", "run up to the calls, and print them"),
        ("report", "run everything and say where the report is"),
    ):
        command = commands.add_parser(name, help=text, epilog=RUN_OPTIONS, allow_abbrev=False)
        command.add_argument("study", type=_study_folder, metavar="STUDY")
        _add_run_options(command)

    explain = commands.add_parser("explain", help="tell one subject's calls in words")
    explain.add_argument("study", type=Path, metavar="STUDY")
    explain.add_argument("subject", metavar="SUBJECT")
    explain.add_argument("visit", metavar="VISIT", nargs="?")
    explain.add_argument("--json", action="store_true", help="print the same as data")

    _add_charter(commands)
    _add_export(commands)
    add_simulate(commands)
    add_review(commands)
    add_reads(commands)
    _add_dicom(commands)
    add_pacs(commands)

    demo = commands.add_parser("demo", help="make the demo study and run it", epilog=RUN_OPTIONS, allow_abbrev=False)
    demo.add_argument("study", type=_study_folder, metavar="DIR", nargs="?", default=Path("lmresp-demo"))
    _add_run_options(demo)
    return parser


def _add_charter(commands: Any) -> None:
    """Add ``lmresp charter show | check | diff`` to the commands of the command line."""
    what = "a charter.yaml, a study folder, or the word `default` for the shipped charter"
    charter = commands.add_parser("charter", help="show, check or compare charters", allow_abbrev=False)
    actions = charter.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("show", help="print the settings and the table of calls", allow_abbrev=False)
    check = actions.add_parser(
        "check",
        help="prove the charter, print the digest to sign and say whether the signature holds",
        epilog="Exit code: 0 the charter can be used, 2 it cannot.",
        allow_abbrev=False,
    )
    diff = actions.add_parser(
        "diff",
        help="list every setting and every combination of inputs on which two charters differ",
        epilog="Exit code: 0 they decide alike, 1 they differ, 2 one of them cannot be used.",
        allow_abbrev=False,
    )
    for action in (show, check):
        action.add_argument("charter", metavar="CHARTER", nargs="?", default="default", help=f"{what} (the default)")
    for name in ("a", "b"):
        diff.add_argument(name, metavar=name.upper(), help=what)


def _add_export(commands: Any) -> None:
    """Add ``lmresp export STUDY --to FOLDER`` to the commands of the command line."""
    export = commands.add_parser(
        "export",
        help="copy the images without identity and without faces into a new folder",
        epilog="What cannot be judged is quarantined: it stays behind and is listed with a reason.",
        allow_abbrev=False,
    )
    export.add_argument("study", type=Path, metavar="STUDY")
    export.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="a folder that is new or empty")
    export.add_argument("--subject", action="append", metavar="SUBJECT", help="only this subject (can be repeated)")
    export.add_argument(
        "--key", type=Path, metavar="FILE", help="secret key, made on first use (default: in the results)"
    )


def _add_dicom(commands: Any) -> None:
    """Add ``lmresp dicom STUDY --to FOLDER`` to the commands of the command line."""
    command = commands.add_parser(
        "dicom",
        help="write segmentations, reports and pictures as DICOM objects that join the source images",
        epilog="The objects carry the identity of the source headers. Nothing is sent: see lmresp pacs.",
        allow_abbrev=False,
    )
    command.add_argument("study", type=Path, metavar="STUDY")
    command.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="a folder outside of the study")
    command.add_argument("--scan", action="append", metavar="SCAN", help="only this scan (can be repeated)")


def _cores(text: str) -> str:
    if text != "all" and not (text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of cores; allowed: 1, 2, ..., all")
    return text


def _study_folder(text: str) -> Path:
    if "=" in text and not Path(text).exists():
        raise argparse.ArgumentTypeError(f"{text!r} is no study folder; STUDY comes before options for Snakemake")
    return Path(text)


def _add_run_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--cores", type=_cores, metavar="N", help="local cores, a number or all (default: all)")
    command.add_argument(
        "--profile", default="default", metavar="NAME", help="default, slurm, slurm-plugin or the path of a profile"
    )
    command.add_argument("--quiet", action="store_true", help="print nothing but errors")
    command.add_argument("--json-logs", action="store_true", help="print one JSON object per event")


def _init(options: argparse.Namespace) -> int:
    from lmresp.ingest.templates import write_templates

    for path in write_templates(options.study):
        print(f"wrote {path}")
    print(f"Fill the tables, put scans into {options.study / 'mri'}, then: lmresp check {options.study}")
    return EXIT_DONE


def _run(options: argparse.Namespace, *targets: str) -> int:
    from lmresp.cli.charter import usable_charter
    from lmresp.cli.reads import stop_if_broken
    from lmresp.cli.run import run_study, snakemake_command
    from lmresp.ingest.spreadsheet import stop_if_unusable
    from lmresp.ingest.study import open_study

    study = open_study(options.study)  # a folder that is no study, or a charter that cannot be used, ends here
    usable_charter(study.charter)
    stop_if_broken(study.folder)
    if options.command != "check":  # which lists every problem
        stop_if_unusable(study)
    command = snakemake_command(
        study.folder,
        cores=options.cores,
        profile=options.profile,
        targets=targets,
        quiet=options.quiet,
        json_logs=options.json_logs,
        extra=options.extra,
    )
    return run_study(study.folder, command)


def _has_made_results(options: argparse.Namespace) -> bool:
    """Whether there is something new to print: not after a dry run, nor when the user asked for quiet."""
    return not options.quiet and NO_RESULTS.isdisjoint(options.extra)


def _run_all(options: argparse.Namespace) -> int:
    code = _run(options)
    results = options.study / "derivatives" / "lmresp"
    if code == EXIT_DONE and _has_made_results(options) and (results / "report.html").is_file():
        from lmresp.report import run_summary

        print(run_summary(results))
        print(f"Report: {(results / 'report.html').resolve().as_uri()}")
    return code


def _check(options: argparse.Namespace) -> int:
    from lmresp.cli.show import print_queries
    from lmresp.ingest.spec import TABLES

    options.quiet = True  # the table of queries is what was asked for
    code = _run(options, "work/study.queries.csv", *(f"work/tables/{table}.queries.csv" for table in TABLES))
    return code or print_queries(options.study / "derivatives" / "lmresp")


def _call(options: argparse.Namespace) -> int:
    code = _run(options, "calls.csv", "best_response.csv", "pathway.csv", "queries.csv")
    if code == EXIT_DONE and _has_made_results(options):
        from lmresp.report import run_summary

        print(run_summary(options.study / "derivatives" / "lmresp"))
    return code


def _explain(options: argparse.Namespace) -> int:
    from lmresp.cli.show import print_explanation

    results = options.study / "derivatives" / "lmresp"
    return print_explanation(results, options.subject, options.visit, as_json=options.json)


def _charter(options: argparse.Namespace) -> int:
    from lmresp.cli.charter import run_charter_command

    return run_charter_command(options)


def _export(options: argparse.Namespace) -> int:
    from lmresp.cli.export import run_export

    return run_export(options)


def _simulate(options: argparse.Namespace) -> int:
    from lmresp.cli.simulate import run_simulate

    return run_simulate(options)


def _review(options: argparse.Namespace) -> int:
    from lmresp.cli.review import run_review

    return run_review(options)


def _reads(options: argparse.Namespace) -> int:
    from lmresp.cli.reads import run_reads

    return run_reads(options)


def _dicom(options: argparse.Namespace) -> int:
    from lmresp.cli.dicom import run_dicom

    return run_dicom(options)


def _pacs(options: argparse.Namespace) -> int:
    from lmresp.cli.pacs import run_pacs

    return run_pacs(options)


def _demo(options: argparse.Namespace) -> int:
    import os

    from lmresp.simulate.demo import write_demo

    if not (options.study / "study.yaml").is_file():
        if not options.quiet:
            print(f"Making the demo study in {options.study} (phantom scans with known truth)", flush=True)
        cores = options.cores or "all"
        write_demo(options.study, int(cores) if cores != "all" else os.cpu_count() or 1)
    return _run_all(options)


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "init": _init,
    "check": _check,
    "run": _run_all,
    "call": _call,
    "report": _run_all,
    "explain": _explain,
    "charter": _charter,
    "export": _export,
    "demo": _demo,
    "simulate": _simulate,
    "review": _review,
    "reads": _reads,
    "dicom": _dicom,
    "pacs": _pacs,
}
