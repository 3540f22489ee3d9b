"""The data of the viewer: true voxels, one window for both visits, and of a blinded scan nothing that was found."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from lmresp.report.scan_page import page_of, scan_page
from lmresp.report.scan_volumes import LIMIT, SIGNED_STEP, Job, pack, predicted
from lmresp.report.slices import Volume

SHAPE = (40, 48, 36)
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
AFFINE[:3, 3] = [-78, -94, -70]
NODULE = (30.0, 10.0, 14.0)  # voxel 27, 26, 21: on the subject's right


def decoded(page: str, name: str) -> tuple[Any, Any, dict[str, Any]]:
    """Codes and affine of a volume as the page carries it, and its description."""
    about = data_of(page)["volumes"][name]
    text = re.search(rf'id="volume-{name}">([^<]*)<', page)
    assert text is not None
    raw = np.frombuffer(gzip.decompress(base64.b64decode(text[1])), np.uint8).reshape(about["shape"], order="F")
    codes = np.zeros(raw.shape, int)
    for i in range(raw.shape[0]):
        for j in range(raw.shape[1]):
            zero = np.zeros(raw.shape[2], int)
            left = codes[i - 1, j] if i else zero
            upper = codes[i, j - 1] if j else zero
            corner = codes[i - 1, j - 1] if i and j else zero
            guess = np.median([left, upper, left + upper - corner], axis=0).astype(int)
            codes[i, j] = (raw[i, j] + guess) % 256
    affine = np.vstack([np.reshape(about["affine"], (3, 4)), [0, 0, 0, 1]])
    return codes, affine, about


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'id="page-data">([^<]*)</script>', page)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def small(make: Any, **changed: Any) -> dict[str, Any]:
    """Images of both visits on a coarse lattice; the nodule is one voxel of this scan."""
    head = make["head"](SHAPE)
    post, labels = head.copy(), np.zeros(SHAPE, np.uint8)
    post[27, 26, 21], labels[27, 26, 21] = 750, 2
    brain = (head > 0).astype(np.uint8)
    change = np.zeros(SHAPE, np.float32)
    change[27, 26, 21], change[20, 20, 20] = 0.8, 0.05
    arrays = {"t1": post, "pre": head, "flair": head, "labels": labels, "brain": brain, "change": change}
    arrays |= {"reference": head, "reference_pre": head, "reference_labels": labels * 0, "reference_brain": brain}
    return {name: nib.Nifti1Image(array, AFFINE) for name, array in (arrays | changed).items()}


def result_of(make: Any, **changed: Any) -> dict[str, Any]:
    found = make["finding"](center_mm=list(NODULE), track=4)
    result: dict[str, Any] = make["scan_result"]("sub-01_ses-wk06", findings=[found])
    return result | changed


def voxel(affine: Any, world: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in np.rint(np.linalg.solve(affine, [*world, 1.0])[:3]))


def test_prediction_is_undone_by_the_median_of_the_neighbours() -> None:
    # 1-D by hand: left neighbour is the guess. 5, 7, 3 becomes 5, 2, -4 modulo 256.
    assert predicted(np.array([5, 7, 3], np.uint8).reshape(3, 1, 1)).ravel().tolist() == [5, 2, 252]


def test_page_carries_the_true_label_at_its_place(make: Any) -> None:
    codes, affine, about = decoded(scan_page(result_of(make), small(make)), "labels")
    assert np.argwhere(codes == 2).tolist() == [list(voxel(affine, NODULE))]
    assert (codes > 0).sum() == 1
    assert about["kind"] == "label"


def test_page_carries_the_signal_within_one_step_and_no_air(make: Any) -> None:
    images = small(make)
    array = images["t1"].get_fdata()
    array[array == 0] = 30  # noise of the air
    codes, affine, about = decoded(scan_page(result_of(make), images | {"t1": nib.Nifti1Image(array, AFFINE)}), "t1")
    low = voxel(AFFINE, affine[:3, 3])
    part = array[tuple(slice(a, a + n) for a, n in zip(low, codes.shape, strict=True))]
    head = part > 100
    assert np.abs(codes * about["step"] - part)[head].max() <= about["step"]
    assert codes[0, 0, 0] == 0  # a corner is air


def test_both_visits_share_window_and_scale(make: Any) -> None:
    page = scan_page(result_of(make), small(make))
    t1 = data_of(page)["parts"][0]["series"][0]
    assert t1["shared"]
    assert t1["factor"] == [1.0, 1.0]
    volumes = data_of(page)["volumes"]
    assert volumes["t1"]["step"] == volumes["reference"]["step"]


def test_scales_far_apart_have_their_own_windows(make: Any) -> None:
    five = nib.Nifti1Image(make["head"](SHAPE) * 5, AFFINE)
    t1 = data_of(scan_page(result_of(make), small(make) | {"reference": five}))["parts"][0]["series"][0]
    assert not t1["shared"]
    assert t1["factor"][1] == pytest.approx(5, rel=0.01)


def test_subtraction_is_post_minus_pre_in_parts_of_the_signal(make: Any) -> None:
    # The head is the same before and after but for one voxel, so the ratio is 1 and the difference is that voxel's.
    images = small(make)
    post, pre = images["t1"].get_fdata(), images["pre"].get_fdata()
    unit = float(np.median(post[pre > 0]))
    codes, affine, about = decoded(scan_page(result_of(make), images), "subtraction")
    at = voxel(affine, NODULE)
    truth = (post[27, 26, 21] - pre[27, 26, 21]) / unit
    assert (codes[at] - about["zero"]) * about["step"] == pytest.approx(truth, abs=2 * SIGNED_STEP)
    others = codes != about["zero"]
    others[at] = False
    assert not others.any()


def test_change_below_the_limit_shown_is_not_on_the_page(make: Any) -> None:
    codes, affine, about = decoded(scan_page(result_of(make), small(make)), "change")
    assert (codes != about["zero"]).sum() == 1
    assert (codes[voxel(affine, NODULE)] - about["zero"]) * about["step"] == pytest.approx(0.8)


def test_centre_of_a_film_beside_its_voxels_leads_to_the_nearest_of_them(make: Any) -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[10, 20, 18], labels[30, 20, 18] = 1, 1  # at R -38 and R 42: the centre between them is bare
    found = make["finding"](kind="linear", center_mm=[5.0, -14.0, 2.0], long_mm=None, perp_mm=None)
    page = scan_page(result_of(make, findings=[found]), small(make, labels=labels))
    assert data_of(page)["parts"][0]["draft"]["targets"][0]["mm"] == [42.0, -14.0, 2.0]


def test_one_nodule_has_one_number_at_both_visits_and_a_lost_one_is_listed(make: Any) -> None:
    then = [make["finding"](id=7, track=4, center_mm=[28, 10, 14]), make["finding"](id=8, track=5)]
    before = make["scan_result"]("sub-01_ses-bl", reference=None, findings=then)
    gone = {"track": 5, "center_mm": [30, 10, 12], "long_mm": 5.5, "perp_mm": 4.8, "fate": "vanished", "into": None}
    page = scan_page(result_of(make, lost=[gone]), small(make), before)
    part = data_of(page)["parts"][0]
    assert [tag["text"] for tag in part["rows"][0]["tags"]] == ["1"]
    assert [tag["text"] for tag in part["rows"][1]["tags"]] == ["1", "gone (5)"]
    assert [target["id"] for target in part["draft"]["targets"]] == ["finding-1", "lost-5"]
    assert 'data-target="lost-5"' in page
    assert ">new</span>" in page


def test_a_nodule_that_was_not_looked_for_is_not_called_gone(make: Any) -> None:
    gone = {"track": 5, "center_mm": [30, 10, 12], "long_mm": 5.5, "perp_mm": 4.8, "fate": "vanished", "into": None}
    before = make["scan_result"]("sub-01_ses-bl", reference=None, findings=[make["finding"](id=8, track=5)])
    result = result_of(make, lost=[gone], findings=[])
    result["scorecard"]["items"][0]["presence"] = "NE"
    page = scan_page(result, small(make), before)
    assert [tag["text"] for tag in data_of(page)["parts"][0]["rows"][1]["tags"]] == ["not judged (5)"]
    assert ">not judged</span>" in page
    assert "vanished" not in page  # nor in the tables below
    assert "Not there any more" not in page


def test_first_view_is_the_evidence_of_what_is_worse(make: Any) -> None:
    found = [make["finding"](id=n, track=n, center_mm=list(NODULE)) for n in (1, 2, 3)]
    result = result_of(make, findings=found)

    def start(changes: tuple[str, str]) -> Any:
        item = make["scan_result"]("s")["scorecard"]["items"][0] | {"presence": "PRESENT"}
        rows = [item | {"change": c, "evidence": {"findings": [n]}} for n, c in zip((3, 2), changes, strict=True)]
        changed = result | {"scorecard": result["scorecard"] | {"items": rows}}
        return data_of(scan_page(changed, small(make)))["parts"][0]["draft"]["start"]

    assert start(("NO CHANGE", "WORSE")) == "finding-2"
    assert start(("NO CHANGE", "NO CHANGE")) == "finding-3"
    result["scorecard"]["items"] = []
    assert data_of(scan_page(result, small(make)))["parts"][0]["draft"]["start"] == "finding-1"
    result["findings"] = []
    assert data_of(scan_page(result, small(make)))["parts"][0]["draft"]["start"] is None


def test_visits_that_are_not_aligned_are_not_linked(make: Any) -> None:
    page = scan_page(result_of(make, geometry={"aligned": False}), small(make))
    part = data_of(page)["parts"][0]
    assert not part["linked"]
    assert [row["view"] for row in part["rows"]] == [0, 1]
    assert "could not be aligned" in page
    assert "Flicker" not in page.split("<script")[0]


def test_visits_of_one_space_on_two_lattices_share_the_place_in_mm(make: Any) -> None:
    coarse = nib.Nifti1Image(make["head"]((20, 24, 18)), AFFINE @ np.diag([2.0, 2.0, 2.0, 1.0]))
    names = ("t1", "pre", "flair", "labels", "brain", "change")
    images = {name: image for name, image in small(make).items() if name in names} | {"reference": coarse}
    part = data_of(scan_page(result_of(make), images))["parts"][0]
    assert part["linked"]
    assert len(part["views"]) == 1


SECRETS = ("SECRETNOTE", "SECRETQUERY", "SECRETFILE", "SECRETREGION", "4321.5", "0.77", "SC77", "VOLUMESECRET")


def measured_everywhere(make: Any) -> dict[str, Any]:
    """A result with a secret in every field that the measurement filled."""
    result = result_of(make)
    result["findings"][0] |= {"note": "SECRETNOTE", "region": "SECRETREGION", "confidence": 0.77}
    result["measures"][0] |= {"value": 4321.5, "qc_reason": "VOLUMESECRET"}
    result["scorecard"] |= {"rule_id": "SC77", "overall": "PD"}
    result["lost"] = [
        {"track": 9, "center_mm": [1, 2, 3], "long_mm": 4321.5, "perp_mm": 1, "fate": "merged", "into": 8}
    ]
    result["queries"] = [{"severity": "info", "message": "SECRETQUERY", "action": "", "code": "SC001"}]
    result["files"] = {"anat/SECRETFILE.nii.gz": "f" * 64}
    result["qc"].append(result["qc"][0] | {"check": "brain volume", "value": 4321.5})
    result["qc"].append(result["qc"][0] | {"check": "noise of the enhancement map", "meaning": "SECRETNOTE"})
    return result


def test_blinded_page_has_nothing_of_the_draft(make: Any) -> None:
    result = measured_everywhere(make)
    before = make["scan_result"]("sub-01_ses-bl", findings=[make["finding"](note="SECRETNOTE")])
    open_page = scan_page(result, small(make), before)
    page = scan_page(result, small(make), before, blinded=True)
    for secret in SECRETS:
        assert secret in open_page, secret  # the test could see it
        assert secret not in page, secret
    assert set(data_of(page)["volumes"]) == {
        *("t1", "reference", "pre", "reference_pre", "flair", "subtraction", "reference_subtraction"),
    }
    visible = re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.DOTALL).lower()
    words = ("draft", "scorecard", "finding", "nodule", "linear", "outline", "change map", "report.html", "worse")
    assert [word for word in words if word in visible] == []
    assert "draft" not in json.dumps(data_of(page))
    assert "registration pre to post" in visible  # a check of the images stays


def test_blinded_page_does_not_depend_on_what_was_found(make: Any) -> None:
    images = small(make)
    nothing = result_of(make, findings=[], measures=[], queries=[], files={}, lost=[], scorecard=None)
    bare = {name: image for name, image in images.items() if name not in ("labels", "change", "reference_labels")}
    first = scan_page(result_of(make), images, blinded=True)
    assert first == scan_page(nothing, bare, blinded=True)


def test_page_of_a_stored_scan_is_blinded_when_asked(study: Any) -> None:
    results = study.write()
    assert "Draft scorecard" in page_of(results, "sub-01_ses-wk06")
    assert "Draft scorecard" not in page_of(results, "sub-01_ses-wk06", blinded=True)
    with pytest.raises(ValueError, match="not the name of a scan"):
        page_of(results, "../x", blinded=True)


def test_what_does_not_fit_is_left_out_and_named() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (60, 60, 60)).astype(np.uint8)
    volume = Volume(noise, np.eye(4))
    everywhere = np.ones(noise.shape, bool)
    first = Job("t1", "T1", volume, "grey", everywhere, top=255)
    second = Job("pre", "T1 before contrast", volume, "grey", everywhere, top=255)
    packed = pack([first], [[second]], limit=300_000)
    assert "t1" in packed.texts
    assert sum(len(text) for text in packed.texts.values()) <= 300_000
    assert any("T1 before contrast" in note for note in packed.notes)
    assert pack([first], [], limit=LIMIT).notes == []
    assert "too large" in pack([first], [], limit=100).notes[0]


@pytest.mark.parametrize("blinded", [False, True])
def test_policy_admits_exactly_the_styles_and_the_script_of_the_page(make: Any, blinded: bool) -> None:
    page = scan_page(result_of(make), small(make), result_of(make), blinded=blinded)
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert found is not None
    policy = found[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        for content in re.findall(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL):
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy
    assert len(re.findall("<script>", page)) == 1
