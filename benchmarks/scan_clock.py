"""One job of a scan's processing under a clock: seconds, CPU seconds and peak memory by step.

    python -m benchmarks.scan_clock JOB STUDY OUT

is what ``benchmarks.scan_steps`` starts for every run, so that each has a process of its own. Public functions are
timed from outside; nothing in the package knows of it.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MAKE, ALIGN, REFERENCE = "study", "align", "reference scan"
STILL, FOLLOW_UP = "follow-up, no deformable step", "follow-up"
JOBS = (ALIGN, REFERENCE, STILL, FOLLOW_UP)
SUBJECT, VISITS, PUSH_MM = "LM-02", ("BL", "WK18"), 2.5

# Step: its public functions. What runs inside another step counts there, unless INSIDE names it.
STEPS: dict[str, tuple[str, ...]] = {
    "read": (
        "lmresp.ingest.convert:load_series",
        "lmresp.mri.volume:checked",
        "lmresp.mri.earlier:read_earlier",
        "lmresp.mri.subject_space:read_pose",
    ),
    "brain mask": ("lmresp.mri.brain:mask",),
    "align visits": ("lmresp.mri.space:align",),
    "template fit": ("lmresp.mri.registration:affine_to_template",),
    "within-session registration": (
        "lmresp.mri.registration:within_session",
        "lmresp.mri.registration:rigid_multistart",
    ),
    "resample": ("lmresp.mri.volume:resample",),
    "N4": ("lmresp.mri.bias:correct",),
    "image checks": (
        "lmresp.mri.quality:ghosting",
        "lmresp.mri.registration:correlation",
        "lmresp.mri.template:load",
    ),
    "tissues": ("lmresp.mri.brain:tissue_signals", "lmresp.mri.brain:csf_fraction"),
    "ventricles": ("lmresp.mri.ventricles:measure",),
    "enhancement": ("lmresp.mri.enhancing:find_enhancing",),
    "normal zones and regions": (
        "lmresp.mri.normal_structures:surface_depth",
        "lmresp.mri.normal_structures:zones",
        "lmresp.mri.regions:label",
    ),
    "nodules": ("lmresp.mri.nodules:find",),
    "film": ("lmresp.mri.linear:find",),
    "change": ("lmresp.mri.compare:with_earlier", "lmresp.mri.compare:pictures"),
    "deformable step": ("lmresp.mri.deformable:movement", "lmresp.mri.deformable:warp"),
    "rows and draft": (
        "lmresp.mri.rows:finding_rows",
        "lmresp.mri.rows:measure_rows",
        "lmresp.mri.rows:scan_facts",
        "lmresp.mri.draft:items",
        "lmresp.mri.scorecard:overall_from_items",
    ),
    "write": ("lmresp.mri.images:write", "lmresp.store:write_json"),
}
START, REST = "start and imports", "everything else"
ORDER = (START, *STEPS, REST)
INSIDE = {
    "align visits": {"template fit"},
    "enhancement": {"normal zones and regions", "nodules", "film"},
    "change": {"deformable step"},
}


class Clock:
    """Time and memory by step: CPU and wall seconds of a step are without those of the steps inside it."""

    def __init__(self) -> None:
        self.cpu = dict.fromkeys(ORDER, 0.0)
        self.wall = dict.fromkeys(ORDER, 0.0)
        self.peak = dict.fromkeys(ORDER, 0.0)
        self.open = [REST]
        self._last = self._now()

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.process_time(), time.perf_counter()

    def switch(self) -> None:
        """Charge what passed since the last switch to the step that is open."""
        (cpu, wall), step = self._now(), self.open[-1]
        self.cpu[step] += cpu - self._last[0]
        self.wall[step] += wall - self._last[1]
        self.peak[step] = max(self.peak[step], peak_gb())
        self.restart()

    def restart(self) -> None:
        """Leave out what passed since the last switch."""
        forget_peak()
        self._last = self._now()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Charge what runs inside to a step; a step inside a step that does not list it changes nothing."""
        holder = self.open[-1]
        if holder != REST and name not in INSIDE.get(holder, ()):
            yield
            return
        self.switch()
        self.open.append(name)
        try:
            yield
        finally:
            self.switch()
            self.open.pop()

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function under the clock."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.step(name):
                return function(*args, **kwargs)

        return timed


def peak_gb() -> float:
    """Peak resident memory of this process since :func:`forget_peak`, GB (Linux)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024 / 1e9


def forget_peak() -> None:
    """Start the peak anew."""
    Path("/proc/self/clear_refs").write_text("5")


def put_under(clock: Clock) -> None:
    """Replace the functions of STEPS by timed ones in every module that holds a reference to them."""
    import lmresp.ingest
    import lmresp.mri

    for package in (lmresp.mri, lmresp.ingest):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if not module.ispkg:
                importlib.import_module(module.name)
    timed = {}
    for name, places in STEPS.items():
        for place in places:
            module_name, function = place.split(":")
            original = getattr(importlib.import_module(module_name), function)
            timed[original] = clock.wrap(name, original)
    for name, holder in list(sys.modules.items()):
        if name.startswith("lmresp"):
            for key, value in list(vars(holder).items()):
                if callable(value) and getattr(value, "__hash__", None) and value in timed:
                    setattr(holder, key, timed[value])


def run_job(job: str, study: Path, out: Path) -> None:
    """Run one job in this process under the clock and write what it took."""
    clock, read = Clock(), set[str]()

    def note(event: str, given: tuple[Any, ...]) -> None:
        if event == "open" and str(given[0]).endswith(".nii.gz") and "r" in str(given[1] or "r"):
            read.add(str(given[0]))

    put_under(clock)
    from lmresp import store
    from lmresp.cli.plan import read_plan
    from lmresp.cli.steps import run_step
    from lmresp.mri import deformable

    plan, results = read_plan(study), study / "derivatives" / "lmresp"
    if job == STILL:
        deformable.needed = _never  # the same input without the step
    common = ["--study", str(study), "--results", str(results)]
    records = plan.records_of(f"sub-{SUBJECT.replace('-', '')}")
    sys.addaudithook(note)
    clock.cpu[START], clock.wall[START] = time.process_time(), time.perf_counter() - BEGIN
    clock.peak[START] = peak_gb()
    clock.restart()
    if job == ALIGN:
        run_step(["align-subject", *common, *(str(results / record) for record in records)])
        written = list(results.glob("sub-*/*_space.json"))
        result = {}
    else:
        record = records[0] if job == REFERENCE else records[1]
        scan = Path(record).stem
        earlier = [str(results / file) for file in plan.earlier_results(scan)]
        run_step(["measure-scan", *common, "--record", str(results / record), *earlier])
        written = [p for p in (results / plan.results[scan]).parent.glob("**/*") if p.is_file()]
        result = store.read_json(results / plan.results[scan])
    clock.switch()
    outputs = sorted(str(path) for path in written)
    found = {
        "cpu": clock.cpu,
        "wall": clock.wall,
        "peak": clock.peak,
        "read": sorted(name for name in read - set(outputs) if str(study) in name),
        "written": outputs,
        "moved": bool(result.get("geometry", {}).get("deformable")),
    }
    out.write_text(json.dumps(found), encoding="utf-8")


def _never(before_mm3: float | None, now_mm3: float | None) -> bool:
    """Stand in for :func:`lmresp.mri.deformable.needed`."""
    del before_mm3, now_mm3
    return False


def make_study(study: Path) -> None:
    """Write two visits of a demo subject on a 1 mm grid, the ventricles of the second pushed wider, and its index."""
    from lmresp import store
    from lmresp.cli.plan import plan_study
    from lmresp.simulate import demo, tables
    from lmresp.simulate.phantom import make_scan, make_subject
    from lmresp.simulate.writing import write_scan

    described = demo.description()
    subject = next(s for s in described["subjects"] if s["subject_id"] == SUBJECT)
    subject["visits"] = [visit for visit in subject["visits"] if visit["visit"] in VISITS]
    subject["visits"][1]["mri"]["ventricle_push_mm"] = PUSH_MM
    subject["reads"] = []
    described["subjects"] = [subject]
    head = make_subject(subject["seed"], 1.0)
    for visit in subject["visits"]:
        number = described["schedule"][visit["visit"]][0]
        setting = demo.acquisition_of(subject, number, described["series"], 1.0)
        scan = make_scan(head, demo.disease_of(subject, visit["mri"]), setting)
        write_scan(study, scan, SUBJECT, visit["visit"], tables.date_of(subject, visit["day"]), "nifti")
    tables.write_tables(described, study / "tables")
    store.write_text(study / "study.yaml", "study_id: LM-DEMO\ndata_cut: 2025-06-30\n")
    plan_study(study)


BEGIN = time.perf_counter()
if __name__ == "__main__":
    JOB, STUDY, OUT = sys.argv[1:]
    if JOB == MAKE:
        make_study(Path(STUDY))
    else:
        run_job(JOB, Path(STUDY), Path(OUT))
