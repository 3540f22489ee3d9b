"""The index of a study: every scan with its series, made before the job graph and only rewritten where it changed."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from lmresp import queries as lmresp_queries
from lmresp import store
from lmresp.ingest import assign, bids, scan_checks
from lmresp.ingest.header import Header, identifier_hash
from lmresp.ingest.headers import File, read_files
from lmresp.ingest.roles import choose_roles
from lmresp.ingest.scan_record import Placed, build_record
from lmresp.ingest.study import Study
from lmresp.ingest.tie_break import Looks
from lmresp.queries import Query, make

Key = tuple[str, str, str]
"""Subject, label and number of a visit: labels alone may stand twice."""


def build_index(
    study: Study,
    tables: Mapping[str, Sequence[Mapping[str, str]]],
    *,
    baselines: Mapping[str, float] | None = None,
) -> None:
    """Find the scans of a study and write the index.

    Parameters
    ----------
    study : Study
        The opened study.
    tables : mapping of str to rows
        The raw tables; ``subjects``, ``visits`` and ``scans`` are used.
    baselines : mapping of str to float, optional
        Number of the baseline visit of each subject, the same that the other strands compare with; a subject that is
        not in it has no known baseline.

    Notes
    -----
    Writes ``work/scans/<scan>.json``, ``work/index.json`` and ``work/index.queries.csv`` under the results folder, each
    only when its content changed, and removes the records of scans that are gone. Of an image only the header is
    interpreted, and its whole content is hashed once (the voxels of the few series whose headers leave a choice are
    looked at, see :mod:`lmresp.ingest.tie_break`); files that did not change since the last run are not opened.

    A file's subject is told by ``scans.csv``, else a folder name, else the PatientID; its visit by ``scans.csv``, else
    a ``ses-`` label or folder name, else the date within the visits' windows.

    The reference scan of a subject is the latest scan at or before the baseline visit with a usable T1 after contrast,
    failing that with any usable T1; where the baseline is not known, the earliest such scan. A scan is never compared
    with a later one: ``reference`` is null for the reference scan itself (``is_reference`` is true), for the scans
    before it, and for every scan of a subject without a reference scan.
    """
    subjects = assign.subjects_of(tables)
    work = study.results / "work"
    files, problems = read_files(study.mri_folder, work / "cache" / "headers.json")
    scans_table = assign.ScansTable(tables.get("scans", ()), subjects)
    problems += scan_checks.skipped(files)
    placed, more = _place(
        [f for f in files if _is_candidate(f)], files, subjects, assign.visits_of(tables), scans_table
    )
    problems += [*more, *scans_table.queries, *scans_table.unmatched()]

    groups: dict[Key, list[Placed]] = defaultdict(list)
    for one in placed:
        groups[(one.subject_id, one.visit.visit, one.visit.visit_num)].append(one)
    names, more = _scan_names(sorted(groups))
    problems += more
    sidecars = {f.path: f.facts for f in files if f.kind == "sidecar"}
    damaged = Counter(f.header.series for f in files if f.header and f.header.kind == "unreadable" and f.header.series)
    looks = Looks(study.folder, work / "cache" / "pixels.json")
    records = []
    for key, name in sorted(names.items(), key=lambda item: item[1]):
        record, more = build_record(name, groups[key], sidecars, damaged, looks)
        records.append(record)
        problems += [*more, *scan_checks.scan(record, groups[key][0].visit, study.data_cut)]
    looks.save()
    problems += scan_checks.same_image(records)
    problems += _set_references(records, baselines or {})

    folder = work / "scans"
    for record in records:
        store.write_json(folder / f"{record['scan']}.json", record, only_if_changed=True)
    wanted = {f"{record['scan']}.json" for record in records}
    for old in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        if old.name not in wanted:
            old.unlink()
    keys = ("scan", "subject_id", "visit", "visit_num", "scan_date", "reference", "is_reference")
    listed = [{k: record[k] for k in keys} for record in records]
    index = {"format": "lmresp-index/1", "scans": listed, "tables": sorted(tables)}
    store.write_json(work / "index.json", index, only_if_changed=True)
    columns = lmresp_queries.COLUMNS[1:]  # numbered only when all stages' queries are joined
    rows = [{c: q[c] for c in columns} for q in lmresp_queries.numbered(problems)]
    store.write_csv(work / "index.queries.csv", rows, columns, only_if_changed=True)


def _is_candidate(file: File) -> bool:
    if file.header is None:
        return False
    return file.header.kind == "image" or (file.kind != "dicom" and file.header.kind == "unreadable")


def _place(
    candidates: list[File],
    files: list[File],
    subjects: list[str],
    visits: Mapping[str, list[assign.Visit]],
    scans_table: assign.ScansTable,
) -> tuple[list[Placed], list[Query]]:
    """Give every image file its subject, date and visit; what cannot be told becomes a query."""
    by_norm = {assign.norm(s): s for s in subjects}
    by_identifier = {identifier_hash(s): s for s in subjects}
    dates = _dates_beside(files)
    problems: list[Query] = []
    sessions: dict[tuple[str, str], list[tuple[File, assign.Override, str]]] = defaultdict(list)
    for file in candidates:
        header = file.header or Header(file.kind, "unreadable")
        override = scans_table.match(file.path)
        unwanted = override.value("use") == "N"  # then it needs no query when its place cannot be told
        folder = assign.folder_subject(file.path, by_norm)
        named = by_identifier.get(header.identifier, "")
        subject = override.value("subject_id") or folder or named
        how = "scans.csv" if override.value("subject_id") else "folder name" if folder else "PatientID"
        problems += scans_table.invalid(override, subject)
        if not subject:
            if unwanted or not subjects:  # without any subject the table subjects is asked for, not every image
                continue
            problems.append(make("SC005", file=_place_of(file)))
        elif how == "folder name" and named and named != folder:
            problems.append(make("SC032", subject_id=folder, file=_place_of(file), value=named))
        elif file.kind != "dicom" and not bids.entities(file.path) and not override.value("visit"):
            problems.append(make("SC029", subject_id=subject, file=file.path))
        else:
            session = header.study or str(PurePosixPath(file.path).parent)
            sessions[(subject, session)].append((file, override, f"subject by {how}"))
    placed: list[Placed] = []
    for (subject, session), members in sorted(sessions.items(), key=lambda item: item[0]):
        date, source = _session_date(members, dates)
        for file, override, how in members:
            one, problem = _visit(file, override, subject, date, source, how, visits.get(subject, []))
            if problem and override.value("use") != "N":
                problems.append(problem)
            if one:
                own = override.value("scan_dtc") or (file.header and file.header.date) or dates.get(file.path, "")
                placed.append(dataclasses.replace(one, session=session, own_date=own))
    return sorted(placed, key=lambda p: p.file.path), problems


def _place_of(file: File) -> str:
    """Where a file is, for a query: the folder for DICOM (one query for all its files), the file for a volume."""
    return str(PurePosixPath(file.path).parent) if file.kind == "dicom" else file.path


def _dates_beside(files: list[File]) -> dict[str, str]:
    """Date of every volume's path that a sidecar (by its own name) or a ``*_scans.tsv`` gives."""
    out: dict[str, str] = {}
    for file in files:
        if file.kind == "sidecar" and file.facts.get("date"):
            stem = file.path.removesuffix(".json")
            out |= {stem + suffix: str(file.facts["date"]) for suffix in bids.VOLUME_SUFFIXES}
        elif file.kind == "scans_tsv":
            folder = PurePosixPath(file.path).parent
            for name, date in file.facts.items():
                out.setdefault(str(folder / name), str(date))
    return out


def _session_date(members: list[tuple[File, assign.Override, str]], dates_beside: Mapping[str, str]) -> tuple[str, str]:
    """Date of a session from its headers, sidecars or ``*_scans.tsv``, with its source."""
    dates = sorted({f.header.date for f, _, _ in members if f.header and f.header.date})
    if dates:
        return dates[0], "DICOM header"
    found = sorted({dates_beside[f.path] for f, _, _ in members if f.path in dates_beside})
    return (found[0], "BIDS sidecar or scans.tsv") if found else ("", "")


def _visit(
    file: File, override: assign.Override, subject: str, date: str, source: str, how: str, visits: list[assign.Visit]
) -> tuple[Placed | None, Query | None]:
    """Find the visit of one file."""
    given_date = override.value("scan_dtc")
    date, source = (given_date, f"scans.csv row {override.row('scan_dtc')}") if given_date else (date, source)
    where: dict[str, Any] = {"subject_id": subject, "file": _place_of(file)}
    several = "the label {!r} fits more than one row of visits"
    by_label, twice = assign.folder_visit(file.path, visits)
    if wanted := override.value("visit"):
        named, ambiguous = assign.named_visit(wanted, visits)
        if named is None:
            problem = make("SC033", **where, value=wanted)
            return None, make("SC006", **where, reason=several.format(wanted), value=wanted) if ambiguous else problem
        visit, told = named, f"visit by scans.csv row {override.row('visit')}"
    elif twice:
        return None, make("SC006", **where, reason=several.format(twice), value=twice)
    elif by_label:
        visit, told = by_label, "visit by folder or ses- label"
    elif not date:
        return None, make("SC006", **where, reason="it has no date and no visit label")
    else:
        nearest, reason = assign.dated_visit(date, visits)
        if nearest is None:
            return None, make("SC006", **where, reason=reason, value=date)
        visit, told = nearest, f"visit by {reason}"
    if not date:
        date, source = visit.start, "visit start, as the images give none"
    return Placed(file, override, subject, visit, "", date, "", f"{how}; {told}; date from {source}"), None


def _scan_names(keys: list[Key]) -> tuple[dict[Key, str], list[Query]]:
    """Name every scan; scans whose names would collide are left out."""
    by_name: dict[str, list[Key]] = defaultdict(list)
    out, problems = {}, []
    for key in keys:
        by_name[f"sub-{assign.label(key[0])}_ses-{assign.label(key[1])}"].append(key)
    folded: dict[str, list[str]] = defaultdict(list)
    for name in by_name:
        folded[name.casefold()].append(name)
    for names in folded.values():
        members = [key for name in names for key in by_name[name]]
        empty = any(not assign.label(s) or not assign.label(v) for s, v, _ in members)
        if len(members) == 1 and not empty:
            out[members[0]] = names[0]
            continue
        others = ", ".join(f"{s} {v}" for s, v, _ in members)
        problems += [make("SC007", subject_id=s, visit=v, value=names[0], others=others) for s, v, _ in members]
    return out, problems


def _set_references(records: list[dict[str, Any]], baselines: Mapping[str, float]) -> list[Query]:
    """Set the reference scan of every subject, and ask where there is none."""
    by_subject: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in sorted(records, key=lambda r: (float(r["visit_num"]), r["scan"])):
        by_subject[record["subject_id"]].append(record)
    problems: list[Query] = []
    for subject, scans in by_subject.items():
        baseline = baselines.get(subject)
        # The latest at or before the baseline, or the earliest of all where the baseline is not known.
        able = scans if baseline is None else [r for r in reversed(scans) if float(r["visit_num"]) <= baseline]
        roles = [(record, choose_roles(record["series"])) for record in able]
        found = next((r for role in ("post", "pre") for r, has in roles if role in has), None)
        if found is None:
            problems.append(make("SC036", subject_id=subject, file="mri"))
            continue
        found["is_reference"] = True
        for later in scans[scans.index(found) + 1 :]:
            later["reference"] = found["scan"]
    return problems
