"""Brain masks compared: Dice, missed brain, CPU seconds and memory of each method on phantoms and real heads.

``python -m benchmarks.brain_mask WORK --data FOLDER [--torch PYTHON]`` from the root of the checkout. WORK keeps every
mask, so an interrupted run goes on where it stopped. ``--torch`` is an interpreter with deepbet, for the original.
The table of docs/brain_mask.md is rewritten.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from scipy import ndimage

from lmresp.mri import brain
from lmresp.mri.itk import sitk
from lmresp.mri.methods import table
from lmresp.mri.networks import deepbet_brain
from lmresp.mri.volume import Mask, Volume, checked, from_sitk

SEED = 201
ARACHNOID_MM = 1.8  # the CSF layer of the phantom outside the closed brain surface
COLIN = Path("/usr/share/mricron/templates/ch2.nii.gz")  # Debian package mricron-data
PAGE = Path(__file__).resolve().parents[1] / "docs" / "brain_mask.md"
START, END = "<!-- table: start -->", "<!-- table: end -->"
ORIGINAL = """
import resource, sys, time, json, numpy as np, nibabel as nib, torch
torch.set_num_threads(1)
from deepbet import BrainExtraction
z = np.load(sys.argv[1]); net = BrainExtraction(no_gpu=True); start = time.process_time()
_, mask, _ = net.run(nib.Nifti1Image(z["array"], z["affine"]))
cpu = time.process_time() - start
np.savez_compressed(sys.argv[2], mask=np.asarray(mask.dataobj) > 0,
                    cpu=cpu, rss=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""


def _core(volume: Volume, edge: int) -> Mask:
    table()["brain"]["network_voxels"]["value"] = [edge]
    found = brain._largest(deepbet_brain.probability(volume) > 0.5)
    return np.asarray(ndimage.binary_fill_holes(found), dtype=bool)


METHODS: dict[str, Callable[[Volume], Mask]] = {
    "deepbet, ONNX 256, 1 mm wider (default)": lambda v: brain.mask(v).mask,
    "deepbet, ONNX 256": lambda v: _core(v, 256),
    "deepbet, ONNX 192": lambda v: _core(v, 192),
    "template": brain._by_template,
    "ROBEX": brain._by_robex,
}
TORCH = "deepbet, original (torch)"


def _nifti(path: Path) -> Volume:
    image: Any = nib.load(path)
    return checked(np.asarray(image.dataobj, dtype=np.float32), image.affine)


def _phantoms(work: Path) -> None:
    """Write the phantom's pictures with the truth: what lies inside the arachnoid, and grey plus white matter."""
    from lmresp.simulate import phantom
    from lmresp.terms import Sequence

    head = phantom.make_subject(SEED, 1.0)
    disease = phantom.Disease(films=(phantom.Film((0, -70, -20), 28.0),))
    both = (Sequence.T1_PRE, Sequence.T1_POST)
    for name, voxel, series in (("1 mm", (1.0, 1.0, 1.0), both), ("5 mm slices", (0.9, 0.9, 5.0), both[1:])):
        pose = {"rotation_deg": (6.0, -4.0, 8.0), "translation_mm": (4.0, -5.0, 6.0)}
        made = phantom.make_scan(
            head,
            disease,
            phantom.Acquisition(series=series, seed=SEED, voxel_mm=voxel, **pose),  # type: ignore[arg-type]
        )
        for which, image in made.images.items():
            to = np.linalg.inv(made.truth["poses"][which] @ head.affine) @ image.affine
            maps = (head.hull_distance, head.fraction(phantom.Tissue.GM) + head.fraction(phantom.Tissue.WM))
            hull, tissue = (
                ndimage.affine_transform(m, to[:3, :3], to[:3, 3], output_shape=image.shape, order=1, mode="nearest")
                for m in maps
            )
            _save(work, f"phantom {which} {name}", _of(image), inside=hull <= ARACHNOID_MM, tissue=tissue)


def _of(image: Any) -> Volume:
    return checked(np.asarray(image.dataobj, dtype=np.float32), image.affine)


def _real(data: Path, work: Path) -> Iterator[tuple[str, Volume]]:
    import dcm2niix

    for name, folder in (
        ("Philips 1 mm, no contrast", "philips_ingenia_classic_t1_mprage"),
        ("Siemens 2 mm, no contrast", "siemens_xa30_enhanced_t1"),
    ):
        out = work / folder
        out.mkdir(exist_ok=True)
        command = [dcm2niix.bin, "-b", "n", "-f", "head", "-o", str(out), str(data / "dicom" / folder)]
        subprocess.run(command, check=True, capture_output=True)
        yield name, _nifti(out / "head.nii")
    yield "3 mm slices, contrast", _nifti(data / "mri/brain_longitudinal/ms-patient12/study1_T1W.nii.gz")
    nrrd = from_sitk(sitk.ReadImage(str(data / "mri/brain_postcontrast_nrrd/brain1_image.nrrd"), sitk.sitkFloat32))
    yield "6.5 mm slices, contrast", checked(nrrd.array, nrrd.affine)
    if COLIN.is_file():
        yield "Colin27 1 mm", _nifti(COLIN)


def _save(work: Path, name: str, volume: Volume, **truth: Any) -> None:
    np.savez_compressed(work / f"{name}.input.npz", array=volume.array, affine=volume.affine, **truth)


def _one(source: Path, method: str, target: Path) -> None:
    """Run one method in this process and keep mask, CPU seconds (with children) and peak memory."""
    given = np.load(source)
    volume = Volume(given["array"], given["affine"])
    start = time.process_time()
    try:
        found = METHODS[method](volume)
    except (brain.NoMaskError, brain.registration.RegistrationError) as why:
        print(f"{source.name}: {method}: {why}")
        return
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = time.process_time() - start + children.ru_utime + children.ru_stime
    peak = max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, children.ru_maxrss) / 1e6
    np.savez_compressed(target, mask=found, cpu=cpu, rss=peak)


def _row(name: str, method: str, source: Path, target: Path, reference: Path) -> str:
    given, done = np.load(source), np.load(target)
    found, ml = done["mask"], abs(float(np.linalg.det(given["affine"][:3, :3]))) / 1000
    truth = given["inside"] if "inside" in given else np.load(reference)["mask"]
    dice = 2 * float((found & truth).sum()) / float(found.sum() + truth.sum())
    missed = outside = "-"
    if "inside" in given:
        missed = f"{100 * float(given['tissue'][~found].sum()) / float(given['tissue'].sum()):.1f}"
        outside = f"{float((found & ~truth).sum()) * ml:.0f}"
    kind = "truth" if "inside" in given else "deepbet"
    cells = (name, method, f"{float(found.sum()) * ml:.0f}", f"{dice:.3f} ({kind})", missed, outside)
    return "| " + " | ".join([*cells, f"{float(done['cpu']):.1f}", f"{float(done['rss']):.1f}"]) + " |"


def main() -> None:
    """Make what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--torch", type=Path)
    parser.add_argument("--skip", nargs="*", default=[], help="methods that are left out where they have not run yet")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        name, method = args.one
        _one(args.work / f"{name}.input.npz", method, args.work / f"{name}.{method}.npz")
        return
    args.work.mkdir(exist_ok=True, parents=True)
    if not list(args.work.glob("phantom*.input.npz")):
        _phantoms(args.work)
    if args.data:
        for name, volume in _real(args.data, args.work):
            _save(args.work, name, volume)
    methods = [*METHODS, *([TORCH] if args.torch else [])]
    sources = sorted(args.work.glob("*.input.npz"))
    for source in sources:
        name = source.name.removesuffix(".input.npz")
        for method in methods:
            target = args.work / f"{name}.{method}.npz"
            if not target.exists() and method not in args.skip:
                own = [sys.executable, "-m", "benchmarks.brain_mask", str(args.work), "--one", name, method]
                torch = [str(args.torch), "-c", ORIGINAL, str(source), str(target)]
                subprocess.run(torch if method == TORCH else own, check=True)
    rows = []
    for source in sources:
        name = source.name.removesuffix(".input.npz")
        reference = args.work / f"{name}.deepbet, ONNX 256.npz"
        targets = {method: args.work / f"{name}.{method}.npz" for method in [*METHODS, TORCH]}
        rows += [_row(name, m, source, t, reference) for m, t in targets.items() if t.exists() and reference.exists()]
    head = "| input | method | ml | Dice (with) | missed brain % | outside ml | CPU-s | RSS GB |"
    lines = [head, "|---|---|---|---|---|---|---|---|", *rows]
    page = PAGE.read_text(encoding="utf-8")
    before, after = page.split(START)[0], page.split(END)[1]
    PAGE.write_text(before + START + "\n" + "\n".join(lines) + "\n" + END + after, encoding="utf-8")
    print(json.dumps({"rows": len(rows)}))


if __name__ == "__main__":
    main()
