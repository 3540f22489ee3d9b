"""Fetching: ask for the subjects' studies, stream MR series aside, look at them, move whole studies into ``mri/``.

A study is gathered under ``pacs/incoming/`` and moved when every series of it has come or is known not to come; what is
complete is not fetched again. Series that do not fit become queries, and the rest goes on.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lmresp.pacs import images
from lmresp.pacs.link import Link, PacsError, RefusedError, Series, Study, TransportError, is_uid, label
from lmresp.pacs.settings import Settings
from lmresp.pacs.subjects import Subject
from lmresp.queries import Query, make

AT_ONCE = 2
"""Series fetched at the same time: more makes enemies among those who run the PACS."""

Tell = Callable[[str], None]


@dataclasses.dataclass(slots=True)
class Fetched:
    """What came of a fetch: series new in ``mri/`` (or, in a dry run, that would be), series there before, queries."""

    new: int = 0
    known: int = 0
    queries: list[Query] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """A series to fetch, with everything needed to place it and to speak of it without identity."""

    subject: Subject
    study: Study
    series: Series

    @property
    def words(self) -> str:
        """Name for messages: no description, which is free text of the hospital."""
        return f"Series {self.series.number or 'without number'} of the study of {_day(self.study)}"

    @property
    def place(self) -> Path:
        """Folder of the series, relative to ``mri/``."""
        return _study_folder(self.subject, self.study) / f"series-{label(self.series.uid)[:12]}"

    def query(self, code: str, **fields: Any) -> Query:
        """Query about this series."""
        return make(code, subject_id=self.subject.subject_id, what=self.words, **fields)


def _study_folder(subject: Subject, study: Study) -> Path:
    return Path(subject.subject_id) / f"study-{label(study.uid)[:12]}"


def fetch(
    folder: Path, link: Link, settings: Settings, subjects: Iterable[Subject], tell: Tell, *, dry_run: bool = False
) -> Fetched:
    """Fetch the studies of some subjects.

    Parameters
    ----------
    folder : Path
        Study folder. Writes ``mri/<subject_id>/study-*/series-*/*.dcm`` and, on the way, ``pacs/incoming/``.
    link : Link
        The PACS.
    settings : Settings
        Which series are wanted.
    subjects : iterable of Subject
        Whose studies, and of which days.
    tell : callable
        Takes one line for each series; ``subject_id``, day and series number, nothing else.
    dry_run : bool
        Ask and list only; nothing is fetched or written.

    Returns
    -------
    Fetched
        Counts and queries. A PACS that goes away ends the fetch with query PA008.

    Raises
    ------
    PacsError
        If the PACS cannot be used at all.
    """
    done = Fetched()
    mri, incoming = folder / "mri", folder / "pacs" / "incoming"
    for subject in subjects:
        try:
            for study in _studies(link, subject, done):
                try:
                    wanted = _wanted(link, subject, study, settings, done)
                except RefusedError as why:
                    done.queries.append(_not_listed(subject, f"series of the study of {_day(study)}", why))
                    continue
                fresh = [one for one in wanted if not _is_known(mri, one, done)]
                if dry_run:
                    for one in fresh:
                        tell(f"{subject.subject_id}: {one.words}: {_images(one.series.images)} would be fetched")
                    done.new += len(fresh)
                elif fresh:
                    done.new += _study(link, fresh, mri, incoming, tell, done)
        except RefusedError as why:
            done.queries.append(_not_listed(subject, "studies", why))
        except TransportError as why:
            done.queries.append(make("PA008", subject_id=subject.subject_id, value=why.what))
            return done
    return done


def _not_listed(subject: Subject, what: str, why: RefusedError) -> Query:
    return make("PA007", subject_id=subject.subject_id, what=f"The list of {what}", value=why.what)


def _day(study: Study) -> str:
    return study.date or "an unknown day"


def _studies(link: Link, subject: Subject, done: Fetched) -> list[Study]:
    """Studies of a subject that are the trial's; oldest first."""
    name = subject.subject_id
    good = []
    for study in link.studies(patient_id=subject.patient_id):
        if study.patient_id != subject.patient_id:
            done.queries.append(make("PA002", subject_id=name, what="A study"))
        elif not is_uid(study.uid):
            done.queries.append(make("PA003", subject_id=name, what="of a study"))
        elif subject.covers(study.date):
            good.append(study)
    days = Counter(study.date for study in good if study.date)
    done.queries += [make("PA004", subject_id=name, value=n, date=day) for day, n in sorted(days.items()) if n > 1]
    if not good:
        done.queries.append(make("PA001", subject_id=name))
    return sorted(good, key=lambda study: (study.date, study.uid))


def _wanted(link: Link, subject: Subject, study: Study, settings: Settings, done: Fetched) -> list[Wanted]:
    """MR series of a study that the settings ask for, in the order of their numbers."""
    good = []
    for series in link.series(study.uid):
        if series.modality != "MR" or not _is_asked_for(series.description, settings.only, settings.never):
            continue
        if not is_uid(series.uid):
            done.queries.append(make("PA003", subject_id=subject.subject_id, what="of a series"))
            continue
        if series.images is None:
            series = dataclasses.replace(series, images=link.count(study.uid, series.uid))
        good.append(Wanted(subject, study, series))
    if not good:
        done.queries.append(make("PA010", subject_id=subject.subject_id, date=_day(study)))
    return sorted(good, key=lambda one: (int(one.series.number or 0), one.series.uid))


def _is_asked_for(description: str, only: Sequence[str], never: Sequence[str]) -> bool:
    def fits(patterns: Sequence[str]) -> bool:
        return any(fnmatch.fnmatchcase(description.casefold(), pattern.casefold()) for pattern in patterns)

    return (not only or fits(only)) and not fits(never)


def _is_known(mri: Path, one: Wanted, done: Fetched) -> bool:
    """Whether a series is in ``mri/`` already; it stays as it is, even where the PACS has other images by now."""
    if not (mri / one.place).is_dir():
        return False
    done.known += 1
    there = images.count(mri / one.place)
    if there != one.series.images:
        done.queries.append(one.query("PA009", value=there, allowed=one.series.images))
    return True


def _study(link: Link, fresh: Sequence[Wanted], mri: Path, incoming: Path, tell: Tell, done: Fetched) -> int:
    """Fetch what a study still lacks, then move it into ``mri/``; return the number of series that are new there."""

    def gather(one: Wanted) -> Query | None:
        return None if (incoming / one.place).is_dir() else _gather(link, one, incoming / one.place)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = [pool.submit(gather, one) for one in fresh]
        try:
            for one, result in zip(fresh, results, strict=True):
                query = result.result()
                if query is None:
                    tell(f"{one.subject.subject_id}: {one.words}: {_images(one.series.images)}")
                else:
                    done.queries.append(query)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    target, source = mri / fresh[0].place.parent, incoming / fresh[0].place.parent
    whole = [one.place.name for one in fresh if (incoming / one.place).is_dir()]
    for other in [path for path in source.iterdir() if path.name not in whole]:
        shutil.rmtree(other)  # of an earlier fetch with other settings
    if whole and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)  # the whole study at once
    else:
        for name in whole:
            (source / name).rename(target / name)
        source.rmdir()
    return len(whole)


def _gather(link: Link, one: Wanted, target: Path) -> Query | None:
    """Fetch one series to ``target``, whole or not at all; a query says what is wrong with it.

    Raises
    ------
    TransportError
        If the PACS does not answer any more.
    """
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a fetch that was killed
    part.mkdir(parents=True)
    try:
        link.fetch(one.study.uid, one.series.uid, part)
        came = images.settle(part, one.subject.patient_id, one.study.uid, one.series.uid)
        if not came or came != one.series.images:
            return one.query("PA005", value=came, allowed=one.series.images)
        part.rename(target)
        return None
    except images.ForeignError:
        return one.query("PA002")
    except images.UnfitError as why:
        return one.query("PA006", value=why)
    except RefusedError as why:
        return one.query("PA007", value=why.what)
    except TransportError as why:
        try:
            link.echo()
        except PacsError:
            raise why from None
        return one.query("PA007", value=why.what)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _images(number: int | None) -> str:
    return "1 image" if number == 1 else f"{number} images"
