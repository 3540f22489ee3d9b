"""The study as the reading room sees it: scans, record, drafts and pictures (edge)."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from lmresp import store
from lmresp.criteria import load_charter
from lmresp.criteria.charter import Charter
from lmresp.ingest.study import Study
from lmresp.reads import state
from lmresp.reads.record import FILE, FOLDER, NAME, Head, Record
from lmresp.reads.scans import Scan, study_scans
from lmresp.report.scan_page import page_of as brain_page
from lmresp.report.spine_page import spine_page_of
from lmresp.report.study_data import scan_folder

PAGES = 12  # pages kept in memory; each is below 12 MB
BRAIN, SPINE = "pictures", "spine"


class Room:
    """A study, its record of reads and the pictures of its scans.

    Parameters
    ----------
    study : Study
        The study; its charter is loaded once, so that a session of reading follows one charter.

    Raises
    ------
    lmresp.errors.LmrespError
        If the charter cannot be used.
    """

    def __init__(self, study: Study) -> None:
        self.folder, self.study_id, self._results = study.folder, study.study_id, study.results
        self.charter: Charter = load_charter(study.charter)
        self.record = Record(study.folder / FOLDER / FILE)
        self._pages: OrderedDict[tuple[str, ...], str] = OrderedDict()
        self._building = threading.Lock()
        self._scans: tuple[object, list[Scan]] = (None, [])

    def scans(self) -> list[Scan]:
        """Return the scans of the study; empty where ``lmresp run`` has not indexed it yet."""
        work = self._results / "work"
        sources = [work / "index.json", work / "raw" / "subjects.csv", work / "raw" / "visits.csv"]
        try:
            found = [path.stat() for path in (*sources, *sorted((work / "scans").glob("*.json")))]
            version = tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in found)
            if version != self._scans[0]:
                self._scans = (version, study_scans(self._results))
        except FileNotFoundError:
            return []
        return self._scans[1]

    def scan(self, name: str) -> Scan | None:
        """Return a scan of the study by its name."""
        return next((one for one in self.scans() if one.scan == name), None)

    def entries(self) -> list[dict[str, Any]]:
        """Return the record, verified.

        Raises
        ------
        StudyError
            If its chain is broken.
        """
        return self.record.entries()

    def head(self) -> Head:
        """Return number and digest of the last line of the record."""
        return self.record.head()

    def stale(self) -> int:
        """Count the locked reads that the calls of the study do not know yet, or know and should not any more."""
        path = self._results / "work" / "raw" / "mri_reads.csv"
        rows = store.read_csv(path) if path.is_file() else []
        known = {row["_row"] for row in rows if row["_file"] == NAME}
        return len(known ^ {str(read.entry["seq"]) for read in state.standing(self.entries())})

    def reads(self, who: str, scan: Scan) -> list[state.Read]:
        """Return the reads of a scan that a role may see, in order, the replaced ones too."""
        entries = self.entries()
        mine = [read for read in state.history(entries) if read.place == scan.place]
        return [read for read in mine if state.may_see(read, who, scan, entries, self.charter)]

    def own_reads(self, who: str) -> list[state.Read]:
        """Return every read of one role."""
        return [read for read in state.history(self.entries()) if read.reader == state.ROLES[who][0]]

    def tasks(self, who: str) -> list[state.Task]:
        """List every scan for one role."""
        return state.worklist(self.scans(), self.entries(), self.charter, who)

    def task(self, who: str, scan: str) -> state.Task | None:
        """Return the task of one scan for one role."""
        return next((task for task in self.tasks(who) if task.scan.scan == scan), None)

    def sees_draft(self, who: str, scan: Scan) -> bool:
        """Whether a role may see the automated draft of a scan now."""
        return state.may_see(state.DRAFT, who, scan, self.entries(), self.charter)

    def result(self, scan: str) -> Mapping[str, Any] | None:
        """Return the scan result, ``None`` where the scan was not measured yet."""
        try:
            result: dict[str, Any] = store.read_json(self._results / scan_folder(scan) / f"{scan}_scan.json")
        except FileNotFoundError:
            return None
        return result

    def is_measured(self, scan: str) -> bool:
        """Whether there is a scan result, and so pictures."""
        return (self._results / scan_folder(scan) / f"{scan}_scan.json").is_file()

    def has_spine_page(self, scan: str) -> bool:
        """Whether the scan has pictures of the spine."""
        return (self._results / scan_folder(scan) / f"{scan}_spine.html").is_file()

    def page(self, scan: str, kind: str, *, blinded: bool) -> str:
        """Return a page of pictures.

        Parameters
        ----------
        scan : str
            Name of a scan of the study.
        kind : str
            :data:`BRAIN` or :data:`SPINE`.
        blinded : bool
            Leave out everything that was measured.

        Raises
        ------
        FileNotFoundError
            If the scan, or what it is compared with, was not measured yet.
        """
        folder = self._results / scan_folder(scan)
        if kind == SPINE and not self.has_spine_page(scan):
            raise FileNotFoundError(scan)
        if not blinded:
            return (folder / f"{scan}_{'page' if kind == BRAIN else 'spine'}.html").read_text(encoding="utf-8")
        result = folder / f"{scan}_scan.json"
        key = (scan, kind, store.sha256_file(result), self._reference_digest(scan))
        with self._building:  # one page at a time: it takes a core and the memory of the images
            if key not in self._pages:
                self._pages[key] = self._build(scan, kind)
                while len(self._pages) > PAGES:
                    self._pages.popitem(last=False)
            self._pages.move_to_end(key)
            return self._pages[key]

    def _reference_digest(self, scan: str) -> str:
        reference = (self.result(scan) or {}).get("reference")
        if not reference:
            return ""
        return store.sha256_file(self._results / scan_folder(str(reference)) / f"{reference}_scan.json")

    def _build(self, scan: str, kind: str) -> str:
        if kind == BRAIN:
            return brain_page(self._results, scan, blinded=True)
        page = spine_page_of(self._results, scan, blinded=True)
        if page is None:
            raise FileNotFoundError(scan)
        return page


def next_task(tasks: Sequence[state.Task], after: str = "") -> state.Task | None:
    """Return the task to go on with: the first open one after a scan, else the first of all."""
    names = [task.scan.scan for task in tasks]
    start = names.index(after) + 1 if after in names else 0
    order = [*tasks[start:], *tasks[:start]]
    return next((task for task in order if task.may_open and task.state in (state.TO_READ, state.SAVED)), None)
