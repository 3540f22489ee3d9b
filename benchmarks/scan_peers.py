"""What other tools take for the work of one visit; run by ``benchmarks.scan_steps --peers``.

Each tool runs in a virtual environment of its own, so nothing here is imported before the function that needs it.
"""

from __future__ import annotations

import importlib
import json
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

Files = Mapping[str, str]  # "post", "pre", "flair", "mask", and the folder "out"
Matrices = dict[str, list[list[float]]]  # by image: mm (RAS+) of "post" to mm of the image

RIGID, SESSION, N4 = "T1 to T1c", "T1 and FLAIR to T1c", "N4 of T1c"
MOST_CPU = 200  # CPU seconds after which a tool is stopped
# Task, tool, function, packages (none: this interpreter).
PEERS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (RIGID, "lmresp", "lmresp_rigid", ()),
    (RIGID, "SimpleITK, settings of its introduction", "sitk_rigid", ("numpy", "SimpleITK")),
    (RIGID, "greedy, NMI 100x50x10", "greedy_rigid", ("picsl-greedy",)),
    (RIGID, "ANTsPy `Rigid`", "ants_rigid", ("antspyx",)),
    (SESSION, "lmresp", "lmresp_session", ()),
    (SESSION, "brainles-preprocessing, ANTs", "brainles_session", ("torch==2.13.0", "brainles-preprocessing")),
    (N4, "lmresp", "lmresp_n4", ()),
    (N4, "ANTsPy, its defaults (shrink 4)", "ants_n4", ("antspyx",)),
    (N4, "SimpleITK, its defaults (no shrink)", "sitk_n4", ("numpy", "SimpleITK")),
)


def _volume(file: str) -> Any:
    import nibabel as nib
    import numpy as np

    from lmresp.mri.volume import checked

    image: Any = nib.load(file)
    return checked(np.asarray(image.dataobj, dtype=np.float32), image.affine)


def _lmresp(files: Files, names: Mapping[str, float]) -> Matrices:
    from lmresp.mri import images, registration
    from lmresp.mri.volume import resample

    post, out = _volume(files["post"]), {}
    for name, finest in names.items():
        moving = _volume(files[name])
        fit = registration.within_session(post, moving, finest_mm=finest)
        how = "linear" if finest else "cubic"
        images.write(Path(files["out"], f"{name}.nii.gz"), post.like(resample(moving, post, fit.matrix, how=how)))
        out[name] = fit.matrix.tolist()
    return out


def lmresp_rigid(files: Files) -> Matrices:
    """T1 to T1c as the scan job does it, but without its brain mask (the others have none either)."""
    return _lmresp(files, {"pre": 0.0})


def lmresp_session(files: Files) -> Matrices:
    """T1 and FLAIR to T1c as the scan job does it: FLAIR, a picture, not to the finest level."""
    from lmresp.mri.methods import number

    return _lmresp(files, {"pre": 0.0, "flair": number("registration.picture_mm")})


def lmresp_n4(files: Files) -> Matrices:
    """Bias correction of the scan job."""
    from lmresp.mri import bias, images

    post = _volume(files["post"])
    images.write(Path(files["out"], "n4.nii.gz"), bias.correct(post, _volume(files["mask"]).array > 0))
    return {}


def lmresp_mask(files: Files) -> Matrices:
    """Brain mask, two voxels wider, that all tools are given for N4."""
    from scipy import ndimage

    from lmresp.mri import brain, images

    post = _volume(files["post"])
    wider = ndimage.binary_dilation(brain.mask(post).mask, iterations=2)
    images.write(Path(files["mask"]), post.like(wider), labels=True)
    return {}


def sitk_rigid(files: Files) -> Matrices:
    """Registration as in SimpleITK's own introductory notebook (Mattes, 1 % of samples, three levels)."""
    import numpy as np

    sitk: Any = importlib.import_module("SimpleITK")  # no types
    fixed, moving = (sitk.ReadImage(files[name], sitk.sitkFloat32) for name in ("post", "pre"))
    geometry = sitk.CenteredTransformInitializerFilter.GEOMETRY
    start = sitk.CenteredTransformInitializer(fixed, moving, sitk.Euler3DTransform(), geometry)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(50)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.01, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsGradientDescent(1.0, 100, 1e-6, 10)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(start, False)
    found = method.Execute(fixed, moving)
    sitk.WriteImage(sitk.Resample(moving, fixed, found, sitk.sitkBSpline), f"{files['out']}/pre.nii.gz")
    return {"pre": _by_points(lambda point: found.TransformPoint(point), np)}


def sitk_n4(files: Files) -> Matrices:
    """The filter as it comes."""
    sitk: Any = importlib.import_module("SimpleITK")  # no types
    image, mask = sitk.ReadImage(files["post"], sitk.sitkFloat32), sitk.ReadImage(files["mask"], sitk.sitkUInt8)
    mask.CopyInformation(image)  # NIfTI headers differ in the last digit
    sitk.WriteImage(sitk.N4BiasFieldCorrectionImageFilter().Execute(image, mask), f"{files['out']}/n4.nii.gz")
    return {}


def greedy_rigid(files: Files) -> Matrices:
    """Rigid with normalised mutual information, from the header's pose."""
    from picsl_greedy import Greedy3D

    post, pre, out = files["post"], files["pre"], files["out"]
    greedy = Greedy3D()
    greedy.execute(f"-threads 1 -i {post} {pre} -o {out}/pre.mat -a -dof 6 -m NMI -n 100x50x10 -ia-identity")
    greedy.execute(f"-threads 1 -rf {post} -rm {pre} {out}/pre.nii.gz -r {out}/pre.mat")
    rows = Path(out, "pre.mat").read_text(encoding="utf-8").split()
    return {"pre": [[float(value) for value in rows[4 * row : 4 * row + 4]] for row in range(4)]}


def ants_rigid(files: Files) -> Matrices:
    """``ants.registration`` with type ``Rigid`` and nothing else set."""
    import ants

    fixed, moving = ants.image_read(files["post"]), ants.image_read(files["pre"])
    found = ants.registration(fixed, moving, type_of_transform="Rigid")
    ants.image_write(found["warpedmovout"], f"{files['out']}/pre.nii.gz")
    return {"pre": _ants_matrix(found["fwdtransforms"][0])}


def ants_n4(files: Files) -> Matrices:
    """``ants.n4_bias_field_correction`` with the mask and nothing else set."""
    import ants

    image = ants.image_read(files["post"])
    mask = ants.copy_image_info(image, ants.image_read(files["mask"]))
    ants.image_write(ants.n4_bias_field_correction(image, mask=mask), f"{files['out']}/n4.nii.gz")
    return {}


def brainles_session(files: Files) -> Matrices:
    """Co-registration alone, with its default registrator: no atlas, no brain mask (both are downloads), no N4."""
    from brainles_preprocessing.modality import CenterModality, Modality
    from brainles_preprocessing.preprocessor import NativeSpacePreprocessor

    out = Path(files["out"])
    moving = [
        Modality(name, files[name], raw_skull_output_path=out / f"{name}.nii.gz", atlas_correction=False)
        for name in ("pre", "flair")
    ]
    center = CenterModality("post", files["post"], raw_skull_output_path=out / "post.nii.gz", atlas_correction=False)
    work = NativeSpacePreprocessor(center, moving, temp_folder=out / "temporary", use_gpu=False)
    work.run(save_dir_transformations=out / "transforms", log_file=out / "run.log")
    return {one.modality_name: _ants_matrix(str(next((out / "transforms").glob(f"{one.modality_name}/*.mat"))))
            for one in moving}  # fmt: skip


def _by_points(moved: Callable[[list[float]], Any], np: Any) -> list[list[float]]:
    """Matrix (RAS+) of an affine transform that is known by what it does to points (LPS)."""
    corners = [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    there = np.array([moved(point) for point in corners])
    lps = np.eye(4)
    lps[:3, 3] = there[0]
    lps[:3, :3] = (there[1:] - there[0]).T
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    found: list[list[float]] = (flip @ lps @ flip).tolist()
    return found


def _ants_matrix(file: str) -> list[list[float]]:
    import ants
    import numpy as np

    transform = ants.read_transform(file)
    return _by_points(lambda point: ants.apply_ants_transform_to_point(transform, point), np)


def _python(work: Path, packages: tuple[str, ...]) -> str:
    """Interpreter of a tool's environment, made where it is missing."""
    if not packages:
        return sys.executable
    folder = work / "peers" / packages[-1]
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
        subprocess.run(install, check=True, capture_output=True)
        done.touch()
    return str(python)


def _version(python: str, package: str) -> str:
    asked = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    return subprocess.run([python, "-c", asked, package], check=True, capture_output=True, text=True).stdout.strip()


def _error_mm(matrices: Matrices, truth: Mapping[str, Any], mask: str) -> str:
    """Mean distance over the brain between the transforms found and the phantom's."""
    import numpy as np

    volume = _volume(mask)
    voxels = np.argwhere(volume.array[::4, ::4, ::4] > 0) * 4
    world = volume.affine @ np.column_stack([voxels, np.ones(len(voxels))]).T
    poses, cells = {name: np.array(matrix) for name, matrix in truth["poses"].items()}, []
    for name, series in (("pre", "T1_PRE"), ("flair", "FLAIR")):
        if name in matrices:
            true = poses[series] @ np.linalg.inv(poses["T1_POST"])
            apart = ((np.array(matrices[name]) - true) @ world)[:3]
            cells.append(f"{float(np.linalg.norm(apart, axis=0).mean()):.3f}")
    return " / ".join(cells)


def table(
    work: Path,
    study: Path,
    repeat: int,
    used: Callable[..., dict[str, float]],
    kept: Callable[[Path, Callable[[], dict[str, Any]]], dict[str, Any]],
) -> list[str]:
    """Run every tool on the follow-up and return the rows of the table.

    Parameters
    ----------
    work, study : Path
        Folder of the benchmark, and the phantom's study in it.
    repeat : int
        Runs of which the median is taken; one where a run takes more than two minutes of CPU.
    used, kept : callable
        :func:`benchmarks.scan_steps.used` and :func:`benchmarks.scan_steps.kept`.
    """
    anat = sorted((study / "mri").glob("sub-*/ses-*/anat"))[-1]
    endings = {"post": "ce-gadolinium_T1w", "pre": "T1w", "flair": "FLAIR"}
    stem = f"{anat.parents[1].name}_{anat.parent.name}"
    files = {name: str(anat / f"{stem}_{ending}.nii.gz") for name, ending in endings.items()}
    files["mask"] = str(work / "peers" / "mask.nii.gz")
    truth = json.loads((study / "truth" / f"{stem}_truth.json").read_text(encoding="utf-8"))
    lines = [
        "| task | tool | CPU-s | seconds | peak GB | CPU / lmresp | error, mm (T1 / FLAIR) |",
        "|---|---|---|---|---|---|---|",
    ]
    own = 0.0
    for task, tool, function, packages in PEERS:
        out = work / "peers" / f"out {function}".replace(" ", "_")
        out.mkdir(parents=True, exist_ok=True)
        given = [f"{name}={value}" for name, value in {**files, "out": str(out)}.items()]
        try:
            python = _python(work, packages)
            command = [python, "-m", "benchmarks.scan_peers"]
            if not Path(files["mask"]).exists():
                used([*command, "lmresp_mask", *given], out / "mask.log")
            runs: list[dict[str, Any]] = []
            while len(runs) < repeat and not (runs and runs[0]["cpu"] > 120):
                file = work / f"peer {function}.{len(runs)}.json"
                runs.append(kept(file, partial(used, [*command, function, *given], out / "log", MOST_CPU)))
                print(f"{function}: {runs[-1]['cpu']:.1f} CPU-s", flush=True)
        except subprocess.CalledProcessError as error:
            why = "could not be installed" if "pip" in error.cmd else "could not run"
            stopped = error.returncode == -signal.SIGXCPU
            lines.append(f"| {task} | {tool} | {f'stopped at {MOST_CPU}' if stopped else why} | | | | |")
            continue
        cpu, wall, peak = (statistics.median(run[kind] for run in runs) for kind in ("cpu", "wall", "peak"))
        own = cpu if not packages else own
        name = f"{tool} ({packages[-1]} {_version(python, packages[-1])})" if packages else tool
        matrices = json.loads((out / "matrices.json").read_text(encoding="utf-8"))
        error_mm = _error_mm(matrices, truth, files["mask"])
        lines.append(f"| {task} | {name} | {cpu:.1f} | {wall:.1f} | {peak:.2f} | {cpu / own:.1f} | {error_mm} |")
    return lines


if __name__ == "__main__":
    GIVEN = dict(pair.split("=", 1) for pair in sys.argv[2:])
    FOUND: Matrices = globals()[sys.argv[1]](GIVEN)
    Path(GIVEN["out"], "matrices.json").write_text(json.dumps(FOUND), encoding="utf-8")
