"""``lmresp review``: the reading room, and the accounts of its readers."""

from __future__ import annotations

import argparse
import contextlib
import datetime
from pathlib import Path
from typing import Any

from lmresp import RESEARCH_USE
from lmresp.errors import EXIT_DONE, StudyError

ACTIONS = {"add-reader": 2, "list-readers": 1, "disable-reader": 2}
ROLES = ("reader 1", "reader 2", "adjudicator", "coordinator")
USAGE = """lmresp review STUDY [--port N] [--host HOST] [--tls-cert FILE --tls-key FILE]
                    [--plain-http-beyond-this-machine]
       lmresp review add-reader STUDY NAME --role {reader 1,reader 2,adjudicator,coordinator}
       lmresp review list-readers STUDY
       lmresp review disable-reader STUDY NAME"""


def add_review(commands: Any) -> None:
    """Add ``lmresp review`` to the commands of the command line."""
    command = commands.add_parser(
        "review",
        help="open the reading room of a study, or manage its readers",
        usage=USAGE,
        epilog="docs/reading_room.md tells how a blinded double read is set up.",
        allow_abbrev=False,
    )
    command.add_argument("words", nargs="+", metavar="STUDY", help="the study folder")
    command.add_argument("--role", choices=ROLES, help="what the new account is for")
    command.add_argument("--port", type=_port, metavar="N", help="port (default: 8765; 0: any that is free)")
    command.add_argument("--host", metavar="HOST", help="name or address that readers type (default: 127.0.0.1)")
    command.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain, PEM")
    command.add_argument("--tls-key", type=Path, metavar="FILE", help="its key, PEM")
    command.add_argument(
        "--plain-http-beyond-this-machine", action="store_true", help="allow --host beyond this machine without TLS"
    )


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; allowed: 0 to 65535")
    return int(text)


def run_review(options: argparse.Namespace) -> int:
    """Open the reading room, or change its accounts.

    Raises
    ------
    StudyError
        If the command, the study or an option cannot be used.
    """
    from lmresp.ingest.study import open_study

    action, *rest = options.words
    if action not in ACTIONS:
        if rest:
            raise StudyError(f"unknown words {' '.join(rest)[:100]!r}", allowed=f"STUDY, or {', '.join(ACTIONS)}")
        if options.role:
            raise StudyError("belongs to add-reader", where="--role")
        return _open(options, open_study(action))
    if len(rest) != ACTIONS[action]:
        raise StudyError(f"{action} takes {'STUDY and NAME' if ACTIONS[action] == 2 else 'STUDY'}")
    return _accounts(action, open_study(rest[0]).folder, rest[-1], options.role)


def _accounts(action: str, folder: Path, name: str, role: str | None) -> int:
    from lmresp.review import accounts

    if action == "list-readers":
        for account in accounts.load(folder).values():
            state = f"disabled {account.disabled}" if account.disabled else "active"
            print(f"{account.name}\t{account.role}\tadded {account.added}\t{state}")
        return EXIT_DONE
    if action == "disable-reader":
        gone = accounts.disable(folder, name, utc=utc_now())
        print(f"{gone.name} ({gone.role}) can no longer sign in. Reads and the account's line stay.")
        return EXIT_DONE
    if role is None:
        raise StudyError("is missing", where="--role", allowed=", ".join(ROLES))
    others = [one.name for one in accounts.load(folder).values() if one.active and one.role == role]
    secret = accounts.add(folder, name, accounts.Role(role), utc=utc_now())
    print(f"{name} is {role}. Secret, shown this once and kept nowhere:\n\n    {secret}\n")
    if others and role != accounts.Role.COORDINATOR:
        print(f"{', '.join(others)} also can sign in as {role}. If {name} takes over, disable the other account.")
    return EXIT_DONE


def utc_now() -> str:
    """Return the time as the record of reads writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _open(options: argparse.Namespace, study: Any) -> int:
    from lmresp.review import accounts, server
    from lmresp.review.app import make_app
    from lmresp.review.room import Room

    given = {"host": options.host, "port": options.port}
    address = server.Address(
        **{name: value for name, value in given.items() if value is not None},
        certificate=options.tls_cert,
        key=options.tls_key,
    )
    server.check_address(address, plain_beyond=options.plain_http_beyond_this_machine)
    room = Room(study)
    with server.one_room(study.folder), server.listen(address) as listening:
        address = server.at_port(address, listening)
        print(f"Reading room of {study.study_id}: {address.url}")
        if not address.secure and not server.is_loopback(address.host):
            print(server.PLAIN_MEANS)
        if accounts.exposed(study.folder):
            print("reads/readers.json can be read by other users of this machine: chmod 600 it.")
        if not any(account.active for account in accounts.load(study.folder).values()):
            print("There are no readers yet: lmresp review add-reader STUDY NAME --role ROLE")
        print(f"Ctrl+C ends it; what was saved is on disk. {RESEARCH_USE}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve(make_app(room, address=address, now=utc_now), address, listening)
    return EXIT_DONE
