"""A small study as ``lmresp run`` leaves it, with readers, for tests of the reading room."""

from __future__ import annotations

import contextlib
import html
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from lmresp import store
from lmresp.ingest.study import open_study
from lmresp.reads import form
from lmresp.reads.desk import lock_entry, read_entry
from lmresp.reads.record import verify
from lmresp.reads.state import Read
from lmresp.review import accounts
from lmresp.review.room import Room

ROOT = Path(__file__).resolve().parents[1]
NOW = "2026-01-02T03:04:05.000000Z"
DRAFT_MARK = "PLANTED-DRAFT"
"""Stands in everything that was measured: it must never reach who may not see the draft."""
SUBJECTS = ("S-01", "S-02")
VISITS = (("1", "BL", "2024-01-01"), ("2", "WK06", "2024-02-12"))
DOUBLE = {"read_model": "double", "adjudicate_on": ["OVERALL"]}
BASELINE = ("PRESENT", "ABSENT", "ABSENT", "ABSENT", "ABSENT")
WORSE = ("WORSE", "NO CHANGE", "NO CHANGE", "NO CHANGE", "NO CHANGE", "PD")
"""A nodule is worse: by the scorecard of 2019 that is progression."""
STABLE = ("NO CHANGE", "NO CHANGE", "NO CHANGE", "NO CHANGE", "NO CHANGE", "SD")


AFFINE = np.diag([5.0, 5.0, 5.0, 1.0])
AFFINE[:3, 3] = (-80, -100, -75)


def scan_name(subject: str, visit: str) -> str:
    """Name of a scan, ``sub-S01_ses-WK06``."""
    return f"sub-{subject.replace('-', '')}_ses-{visit}"


def scan_result(subject: str, visit_num: str, visit: str, day: str, **changed: Any) -> dict[str, Any]:
    """A measured scan; the draft marks everything that it says."""
    follow_up = visit_num != "1"
    values = [("BRAIN", "NODULES", "PRESENT", "WORSE"), ("BRAIN", "LINEAR", "PRESENT", "NO CHANGE")]
    values += [("BRAIN", "HYDROCEPHALUS", "ABSENT", "NO CHANGE"), ("BRAIN", "CRANIAL_NERVE", "NE", "NE")]
    values += [("BRAIN", "PARENCHYMAL", "NE", "NE")]
    items = [
        {
            "compartment": part,
            "item": item,
            "presence": presence,
            "change": change if follow_up else None,
            "nadir_change": None,
            "reason": f"{DRAFT_MARK} because",
            "confidence": 0.84 if presence != "NE" else 0.0,
            "evidence": {"label": 2 if item == "NODULES" else None, "findings": [1] if item == "NODULES" else []},
        }
        for part, item, presence, change in values
    ]
    nodule = {"finding": 1, "track": 1, "long_mm": 11.8, "perp_mm": 10.6, "product_mm2": 125.1, "borderline": False}
    finding = {
        "id": 1,
        "kind": "nodule",
        "track": 1,
        "region": "",
        "long_mm": 11.8,
        "perp_mm": 10.6,
        "volume_mm3": 600.0,
        "other_planes_mm2": [],
        "feret_mm": 12.0,
        "uncertainty_mm": 1.0,
        "area_mm2": None,
        "measurable": True,
        "center_mm": [30.0, 10.0, 10.0],
        "voxel": [22, 22, 17],
        "lm_related": True,
        "confidence": 0.84,
        "status": "new" if follow_up else "baseline",
        "note": DRAFT_MARK,
    }
    return {
        "format": "lmresp-scan-result/2",
        "scan": scan_name(subject, visit),
        "subject_id": subject,
        "visit": visit,
        "visit_num": visit_num,
        "scan_date": day,
        "reference": scan_name(subject, "BL") if follow_up else None,
        "status": "measured",
        "reason": "",
        "software": "lmresp 0.1.0",
        "contrast": "prepost",
        "geometry": {"aligned": True},
        "series": [],
        "measures": [],
        "findings": [finding],
        "lost": [],
        "spine": [],
        "scorecard": {
            "coverage": "",
            "reference": scan_name(subject, "BL") if follow_up else None,
            "items": items,
            "nodules": [nodule],
            "overall": "PD" if follow_up else None,
            "rule_id": DRAFT_MARK,
            "certainty": "convention",
        },
        "qc": [],
        "queries": [],
        "files": {},
    } | changed


def make_study(folder: Path, *, images: bool = False, subjects: Sequence[str] = SUBJECTS, **settings: Any) -> Path:
    """Write a study of some subjects with two scans each, read twice unless said otherwise."""
    store.write_text(folder / "study.yaml", "study_id: TEST-ROOM\ndata_cut: 2026-06-30\n")
    charter = {"name": "test-room", "version": "1", "settings": DOUBLE | settings}
    store.write_text(folder / "charter.yaml", json.dumps(charter))  # JSON is YAML
    work = folder / "derivatives" / "lmresp" / "work"
    index = []
    for subject in subjects:
        for visit_num, visit, day in VISITS:
            result = scan_result(subject, visit_num, visit, day)
            head = {
                name: result[name] for name in ("scan", "subject_id", "visit", "visit_num", "scan_date", "reference")
            }
            index.append(head | {"is_reference": visit_num == "1"})
            store.write_json(work / "scans" / f"{result['scan']}.json", head | {"series": []})
            put(folder, result, images=images)
    store.write_json(work / "index.json", {"format": "lmresp-index/1", "scans": index})
    dates = {"ref_start_dtc": "2024-01-03", "last_alive_dtc": "2024-12-30", "death_fl": "N"}
    people = [{"study_id": "TEST-ROOM", "subject_id": subject} | dates for subject in subjects]
    visits = [
        {"subject_id": subject, "visit_num": number, "visit": visit, "start_dtc": day, "status": "DONE"}
        for subject in subjects
        for number, visit, day in VISITS
    ]
    for name, rows in (("subjects", people), ("visits", visits)):
        placed = [{"_file": f"{name}.csv", "_sheet": "", "_row": str(n)} | row for n, row in enumerate(rows, start=2)]
        store.write_csv(work / "raw" / f"{name}.csv", placed, list(placed[0]))
    store.write_csv(work / "raw" / "mri_reads.csv", [], ["_file", "_sheet", "_row", "read_id"])
    return folder


def put(folder: Path, result: dict[str, Any], *, images: bool = False) -> None:
    """Put a scan result, its page and, if wanted, small images in their places."""
    subject, session = result["scan"].split("_")
    place = folder / "derivatives" / "lmresp" / subject / session
    store.write_json(place / f"{result['scan']}_scan.json", result)
    policy = '<meta http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;">'
    head = f"<!DOCTYPE html><html lang=en><head>{policy}<title>Page</title></head>"
    page = f"{head}<body><main><h1>{DRAFT_MARK}</h1></main></body></html>"
    if images:
        write_images(place / "anat", result["scan"], follow_up=result["visit_num"] != "1")
        from lmresp.report.scan_page import page_of

        if result["reference"] is None or (place.parent / "ses-BL").is_dir():
            page = page_of(folder / "derivatives" / "lmresp", result["scan"])
    store.write_text(place / f"{result['scan']}_page.html", page)


def write_images(anat: Path, scan: str, *, follow_up: bool) -> None:
    """Write a small head with a nodule on the subject's right (R 30, A 10, S 10 mm), larger at follow-up."""
    anat.mkdir(parents=True, exist_ok=True)
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in (33, 41, 31)), indexing="ij")
    inside = sum((axis / 0.85) ** 2 for axis in axes) < 1
    before = np.where(inside, 600 + 60 * np.sin(9 * axes[0]) * np.cos(7 * axes[1]), 0).astype(np.float32)
    labels, half = np.zeros(before.shape, np.uint8), 2 if follow_up else 1
    post = before.copy()
    spot = tuple(slice(at - half, at + half + 1) for at in (22, 22, 17))
    post[spot], labels[spot] = 1500, 2
    named = {
        "ce-gadolinium_space-subject_desc-preproc_T1w": post,
        "space-subject_desc-preproc_T1w": before,
        "space-subject_desc-brain_mask": inside.astype(np.uint8),
        "space-subject_desc-lm_dseg": labels,
    }
    for name, array in named.items():
        nib.save(nib.Nifti1Image(array, AFFINE), anat / f"{scan}_{name}.nii.gz")


def add_readers(folder: Path) -> dict[str, str]:
    """Add one account for each role; returns the secrets by name."""
    people = {"anna": "reader 1", "bert": "reader 2", "cleo": "adjudicator", "dora": "coordinator"}
    return {name: accounts.add(folder, name, accounts.Role(role), utc=NOW) for name, role in people.items()}


def lock_read(folder: Path, who: str, scan: str, values: Sequence[str]) -> None:
    """Put a locked read into the record, as if it had been made in the room."""
    room = Room(open_study(folder))
    task = room.task(who, scan)
    assert task
    keys = [("BRAIN", "NODULES"), ("BRAIN", "LINEAR"), ("BRAIN", "HYDROCEPHALUS"), ("BRAIN", "CRANIAL_NERVE")]
    keys += [("BRAIN", "PARENCHYMAL"), ("WHOLE", "OVERALL")]
    answers = [form.answer(*key, value) for key, value in zip(keys, values, strict=False)]
    comparator, account = "" if task.scan.is_baseline else "BASELINE", who.replace(" ", "-")
    entry = read_entry(task.scan, who, answers, account=account, comparator=comparator, charter=room.charter.digest)
    read = Read(room.record.append(entry, utc=NOW))
    room.record.append(lock_entry(read, account=account), utc=NOW)


@contextlib.contextmanager
def served(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Serve the room of a study by the real command on a free port; gives the process and the address."""
    command = [sys.executable, "-m", "lmresp", "review", str(folder), "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            found = re.search(r"https?://\S+/", first)
            if found is None:
                process.kill()
                raise AssertionError(first + (process.communicate()[1] or ""))
            yield process, found[0]
        finally:
            process.kill()


def entries(folder: Path) -> list[dict[str, Any]]:
    """Entries of the record of a study, verified."""
    path = folder / "reads" / "reads.jsonl"
    assert verify(path) == []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def summary(answer: Any) -> list[str]:
    """Lines of the summary of what blocks, as the page shows them."""
    assert answer.status_code == 422
    box = re.search(r'<div class="blocked".*?</div>', answer.text, re.S)
    assert box
    return [html.unescape(re.sub("<[^>]+>", "", item)) for item in re.findall(r"<li>(.*?)</li>", box[0], re.S)]


def targets(answer: Any) -> list[str]:
    """Elements that the lines of the summary lead to; each stands on the page once."""
    found = re.findall(r'<li><a href="#([^"]+)">', answer.text)
    assert all(answer.text.count(f'id="{target}"') == 1 for target in found)
    return found
