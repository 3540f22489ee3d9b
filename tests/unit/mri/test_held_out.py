"""One head on which nothing was tuned: a rescan is not called change, and growth is never called stable.

That growth is called WORSE is not asserted: on this head the draft abstains (docs/methods.md, held-out table).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lmresp.mri.measure import measure
from lmresp.mri.measurement import ReferenceScan, ScanMeasurement
from lmresp.mri.methods import number
from lmresp.mri.volume import Volume, checked
from lmresp.simulate import phantom
from lmresp.terms import Sequence

pytestmark = pytest.mark.slow

SEED = 31


def _measured(
    anatomy: Any, thickness: float, radius: float, sizes: tuple[float, float, float], reference: Any, **how: Any
) -> ScanMeasurement:
    films = (phantom.Film((-30, -20, 66), radius, thickness), phantom.Film((0, -68, -24), 26.0, 1.5))
    disease = phantom.Disease(films=films, nodules=(phantom.Nodule((20, -74, -24), sizes),))
    settings = phantom.Acquisition(series=(Sequence.T1_PRE, Sequence.T1_POST), **how)
    images = phantom.make_scan(anatomy, disease, settings).images
    volumes: dict[str, Volume] = {
        role: checked(np.asanyarray(images[name].dataobj), images[name].affine)
        for role, name in (("pre", "T1_PRE"), ("post", "T1_POST"))
    }
    return measure(volumes, reference)


def _as_reference(found: ScanMeasurement) -> ReferenceScan:
    pre, geometry = found.images["pre"], found.geometry
    return ReferenceScan(
        scan="reference",
        contrast=found.contrast,
        anchor=found.images["anchor"],
        enhancement=found.images["enhancement"],
        pre=pre.like(pre.array * np.float32(geometry["pre_scale"])),
        labels=found.images["labels"].array.astype(np.uint8),
        brain=found.images["brain"].array > 0,
        to_template=np.array(geometry["to_template"]),
        stripped=False,
        noise=geometry["noise"],
        full_signal=geometry["full_signal"],
        measures={row["measure"]: row["value"] for row in found.measures},
        nodules=[
            (np.array(row["center_mm"]), row["long_mm"], row["perp_mm"])
            for row in found.findings
            if row["kind"] == "nodule" and row["lm_related"] and row["confidence"] >= number("draft.confident")
        ],
        items={row["item"]: row["presence"] for row in found.items},
    )


def test_rescan_is_no_change_and_growth_is_never_stable() -> None:
    anatomy = phantom.make_subject(SEED, 2.0)
    first = _as_reference(_measured(anatomy, 1.0, 14.0, (9, 8, 8), None, seed=3101))
    turned: dict[str, Any] = {"rotation_deg": (4.0, -3.0, 2.0), "contrast_factor": 0.93}
    again = _measured(anatomy, 1.0, 14.0, (9, 8, 8), first, seed=3102, **turned)
    grown = _measured(anatomy, 2.0, 26.0, (13, 11, 11), first, seed=3103, **turned)
    changes = [{row["item"]: row["change"] for row in found.items} for found in (again, grown)]
    for item in ("NODULES", "LINEAR"):
        assert changes[0][item] in {"NO CHANGE", "NE"}
        assert changes[1][item] in {"WORSE", "NE"}
