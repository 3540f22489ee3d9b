"""The scan page in a browser without a GPU: time to build, first view, redraw, size; and the same scan in NiiVue.

    python -m benchmarks.scan_page RESULTS SCAN [--niivue niivue-niivue-0.69.0.tgz] [--repeat 5]

RESULTS is ``derivatives/lmresp`` of a study, SCAN a follow-up scan of it. The archive is what ``npm pack
@niivue/niivue`` fetches; lmresp does not ship it. The page of NiiVue carries the images of the first view (both T1,
both label images, the change map) and the library, in one file that opens without a network, two linked rows of three
planes as on the scan page. The section "The scan page" of docs/speed.md is rewritten.

First view: from the start of navigation until the panes are drawn. Redraw: from a step of the crosshair until a pixel
of every pane can be read back, which waits for all drawing.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import platform
import shutil
import statistics
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from playwright.sync_api import Browser, sync_playwright

from lmresp import __version__, store
from lmresp.report.scan_page import OWN, REFERENCE, page_of
from lmresp.report.scan_volumes import head_mask
from lmresp.report.slices import Volume
from lmresp.report.study_data import scan_folder

DOC = Path(__file__).resolve().parents[1] / "docs" / "speed.md"
START, END = "<!-- scan page: start -->", "<!-- scan page: end -->"
LIBRARY = "package/dist/niivue.umd.js"
PLAIN = ["--no-sandbox", "--disable-gpu"]
SOFTWARE = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
STEPS = 15
_NIFTI: Any = nib.Nifti1Image
WAIT_MS = 180_000

REDRAW_OWN = """async steps => {
  const times = [];
  for (let n = 0; n < steps; n++) {
    const start = performance.now();
    document.body.dispatchEvent(new KeyboardEvent("keydown", {key: n % 2 ? "ArrowDown" : "ArrowUp", bubbles: true}));
    await new Promise(requestAnimationFrame);
    for (const canvas of document.querySelectorAll("canvas")) canvas.getContext("2d").getImageData(0, 0, 1, 1);
    times.push(performance.now() - start);
  }
  return times;
}"""
REDRAW_NIIVUE = """async steps => {
  const times = [];
  for (let n = 0; n < steps; n++) {
    const start = performance.now();
    viewers[0].scene.crosshairPos = viewers[0].mm2frac([n % 2, n % 2, n % 2]);
    viewers[0].drawScene();
    viewers[0].sync();
    await new Promise(requestAnimationFrame);
    for (const one of viewers) one.gl.readPixels(0, 0, 1, 1, one.gl.RGBA, one.gl.UNSIGNED_BYTE, new Uint8Array(4));
    times.push(performance.now() - start);
  }
  return times;
}"""
PAGE = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>NiiVue</title>
<style>body { margin: 0; background: #000; } div { height: 430px; } canvas { width: 100%; height: 100%; }</style>
<div><canvas id="row0"></canvas></div><div><canvas id="row1"></canvas></div>
<script>LIBRARY</script>
<script>
const images = IMAGES, viewers = [];
const {Niivue, NVImage} = globalThis.niivue;
const label = {R: [0, 230, 204, 86, 200], G: [0, 159, 121, 180, 200], B: [0, 0, 167, 233, 200],
  A: [0, 255, 255, 255, 255], labels: ["", "linear", "nodule", "ventricles", "excluded"]};
async function start() {
  for (const row of [0, 1]) {
    const viewer = new Niivue({isRadiologicalConvention: true, isOrientationTextVisible: true, multiplanarLayout: 3,
      crosshairGap: 14, isResizeCanvas: true});
    await viewer.attachTo(`row${row}`);
    viewer.setSliceType(viewer.sliceTypeMultiplanar);
    for (const one of images[row]) {
      const volume = await NVImage.loadFromBase64({base64: one.data, name: `${one.name}.nii.gz`, ...one.options});
      if (one.name === "labels") volume.setColormapLabel(label);
      viewer.addVolume(volume);
      if (one.opacity !== undefined) volume.opacity = one.opacity;
    }
    viewer.updateGLVolume();
    viewers.push(viewer);
  }
  viewers[0].broadcastTo([viewers[1]], {"2d": true});
  for (const one of viewers) {
    one.drawScene();
    one.gl.readPixels(0, 0, 1, 1, one.gl.RGBA, one.gl.UNSIGNED_BYTE, new Uint8Array(4));
  }
  document.documentElement.dataset.ready = Math.round(performance.now());
}
start().catch(error => { document.documentElement.dataset.failed = String(error); });
</script></html>
"""


def niivue_page(results: Path, scan: str, archive: Path) -> str:
    """One HTML file that shows the images of the first view of a scan page with NiiVue."""
    with tarfile.open(archive) as packed:
        member = packed.extractfile(LIBRARY)
        if member is None:
            raise SystemExit(f"{archive} holds no {LIBRARY}")
        library = member.read().decode("utf-8")
    if "</script" in library or "<!--" in library:
        raise SystemExit("this version of NiiVue cannot stand in an inline script")
    result = store.read_json(results / scan_folder(scan) / f"{scan}_scan.json")
    before = str(result["reference"])
    own, base = ("t1", "labels", "change"), ("reference", "reference_labels")
    rows = [_images(results, scan, OWN, own), _images(results, before, REFERENCE, base)]
    return PAGE.replace("LIBRARY", library, 1).replace("IMAGES", json.dumps(rows), 1)


def _images(
    results: Path, scan: str, names: Mapping[str, Sequence[str]], wanted: Sequence[str]
) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for name in wanted:
        paths = [results / scan_folder(scan) / "anat" / f"{scan}_{ending}.nii.gz" for ending in names[name]]
        path = next(path for path in paths if path.is_file())
        volume = Volume.from_image(nib.load(path))
        if name.endswith("labels"):
            made.append({"name": "labels", "data": _nifti(volume.array.astype(np.uint8), volume), "options": {}})
        elif name == "change":
            array = np.clip(np.rint(volume.array * 100), -127, 127).astype(np.int8)
            array[np.abs(array) < 15] = 0
            options = {"colormap": "warm", "cal_min": 15, "cal_max": 100}
            made.append(
                {"name": "change", "data": _nifti(array.astype(np.int16), volume), "options": options, "opacity": 0}
            )
        else:
            top = 1.15 * float(np.percentile(volume.array[volume.array > 0], 99.7))
            array = np.where(head_mask(volume), np.clip(volume.array / top * 255, 0, 255), 0).astype(np.uint8)
            made.append({"name": "t1", "data": _nifti(array, volume), "options": {"cal_min": 0, "cal_max": 255}})
    return made


def _nifti(array: Any, volume: Volume) -> str:
    content = gzip.compress(_NIFTI(array, volume.affine).to_bytes(), 9, mtime=0)
    return base64.b64encode(content).decode("ascii")


def measure(browser: Browser, page: Path, redraw: str, repeat: int) -> dict[str, float | str]:
    """Medians of first view (s) and redraw (ms), or why there is none."""
    firsts, redraws = [], []
    for _ in range(repeat):
        view = browser.new_page(viewport={"width": 1440, "height": 900})
        view.goto(page.as_uri(), timeout=WAIT_MS)
        end = time.monotonic() + WAIT_MS / 1000
        state: dict[str, str] = {}
        while time.monotonic() < end and not ({"ready", "failed"} & set(state)):
            state = view.evaluate("({...document.documentElement.dataset})")
            time.sleep(0.05)
        if "ready" not in state:
            view.close()
            return {"failed": state.get("failed", "no first view in three minutes")}
        firsts.append(float(state["ready"]) / 1000)
        redraws += view.evaluate(redraw, STEPS)[1:]
        view.close()
    return {"first": statistics.median(firsts), "redraw": statistics.median(redraws)}


def _row(name: str, page: Path, build: float | None, found: Mapping[str, float | str]) -> str:
    size = page.stat().st_size / 1e6
    cost = "" if build is None else f"{build:.1f}"
    if "failed" in found:
        return f"| {name} | {size:.1f} | {cost} | none: {str(found['failed'])[:80]} | |"
    return f"| {name} | {size:.1f} | {cost} | {found['first']:.2f} | {found['redraw']:.0f} |"


def table(results: Path, scan: str, archive: Path | None, repeat: int) -> str:
    """Build the pages, measure them and return the text of the section."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    folder = Path(tempfile.mkdtemp(prefix="lmresp-scan-page-"))
    start = time.process_time()
    text = page_of(results, scan)
    build = time.process_time() - start
    own = folder / "own.html"
    own.write_text(text, encoding="utf-8")
    lines = [
        "| page | MB | to build, CPU-s | first view, s | redraw, ms |",
        "|---|---|---|---|---|",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=PLAIN)
        version = browser.version
        lines.append(_row("scan page", own, build, measure(browser, own, REDRAW_OWN, repeat)))
        browser.close()
        if archive is not None:
            other = folder / "niivue.html"
            other.write_text(niivue_page(results, scan, archive), encoding="utf-8")
            for name, options in (
                ("NiiVue, WebGL in software", SOFTWARE),
                ("NiiVue, no WebGL", [*PLAIN, "--disable-3d-apis"]),
            ):
                browser = playwright.chromium.launch(executable_path=program, args=options)
                lines.append(_row(name, other, None, measure(browser, other, REDRAW_NIIVUE, min(repeat, 2))))
                browser.close()
    shutil.rmtree(folder)
    shape = " x ".join(str(n) for n in _shape(results, scan))
    niivue = f", NiiVue {archive.name.removeprefix('niivue-niivue-').removesuffix('.tgz')}" if archive else ""
    foot = [
        f"{scan}, lattice {shape}; lmresp {__version__}, Chromium {version}{niivue},",
        f"Python {platform.python_version()}; no GPU, 2 shared cores; medians of {repeat} (NiiVue: {min(repeat, 2)}).",
    ]
    return "\n".join([*lines, "", *foot])


def _shape(results: Path, scan: str) -> tuple[int, ...]:
    paths = [results / scan_folder(scan) / "anat" / f"{scan}_{ending}.nii.gz" for ending in OWN["t1"]]
    image: Any = nib.load(next(path for path in paths if path.is_file()))
    return tuple(int(n) for n in image.shape)


def main() -> None:
    """Run the benchmark and rewrite the section of docs/speed.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("scan")
    parser.add_argument("--niivue", type=Path)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    section = table(options.results, options.scan, options.niivue, options.repeat)
    print(section)
    text = DOC.read_text(encoding="utf-8")
    if START in text:
        before, rest = text.split(START, 1)
        store.write_text(DOC, f"{before}{START}\n{section}\n{END}{rest.split(END, 1)[1]}")


if __name__ == "__main__":
    main()
