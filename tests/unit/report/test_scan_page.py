"""The page of a scan: its pictures (right side on the left, true outlines), its tables, nothing hidden."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from PIL import Image, ImageDraw, ImageFont

from lmresp import RESEARCH_USE
from lmresp.report import scan_page, write_scan_page
from lmresp.report.scan_page import OWN, REFERENCE
from lmresp.report.slices import INK, MARGIN, Volume, cut, framed, head_box, outline, pixel

PANE = re.compile(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]*)">')
PINK, ORANGE = (0xCC, 0x79, 0xA7), (0xE6, 0x9F, 0x00)


def panes(page: str) -> list[tuple[str, Any]]:
    """Alternative text and RGB pixels of every picture, margin cut off."""
    found = []
    for data, alt in PANE.findall(page):
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int)
        found.append((alt, pixels[MARGIN:-MARGIN, MARGIN:-MARGIN]))
    return found


def pane(page: str, *words: str) -> Any:
    return next(pixels for alt, pixels in panes(page) if all(word in alt for word in words))


def centre_of(mask: Any) -> tuple[float, float]:
    """Row and column of a mask's middle as parts of the picture, 0 top left to 1 bottom right."""
    rows, columns = np.nonzero(mask)
    assert rows.size
    return rows.mean() / mask.shape[0], columns.mean() / mask.shape[1]


def white(pixels: Any) -> Any:
    return (pixels >= 250).all(axis=2)


def is_colour(pixels: Any, colour: tuple[int, int, int]) -> Any:
    return (pixels == np.array(colour)).all(axis=2)


@pytest.mark.parametrize(
    ("plane", "row_is_low", "column_is_low"),
    [("axial", True, True), ("coronal", True, True), ("sagittal", True, True)],
)
def test_nodule_at_right_front_top_is_left_and_up(make: Any, plane: str, row_is_low: bool, column_is_low: bool) -> None:
    # The block stands at R 30, A 10, S 12 mm of a head centred on 0: on an axial picture left and up, on a coronal
    # one left and up, on a sagittal one (front to the left) left and up.
    page = scan_page(make["scan_result"]("sub-01_ses-wk06"), make["images"]())
    row, column = centre_of(white(pane(page, "T1 after contrast:", plane, "nodule 1")))
    assert (row < 0.5) == row_is_low
    assert (column < 0.5) == column_is_low


def test_nodule_on_the_left_of_the_subject_is_on_the_right_of_the_picture(make: Any, affine: Any) -> None:
    post = make["head"]()
    make["block"](post, (-30, -40, -12), 1500)
    result = make["scan_result"]("sub-01_ses-bl", reference=None)
    result["findings"] = [make["finding"](center_mm=[-30.0, -40.0, -12.0])]
    page = scan_page(result, {"t1": nib.Nifti1Image(post, affine)})
    axial = centre_of(white(pane(page, "axial", "nodule 1")))
    coronal = centre_of(white(pane(page, "coronal")))
    sagittal = centre_of(white(pane(page, "sagittal")))
    assert axial[1] > 0.5
    assert coronal[1] > 0.5
    assert axial[0] > 0.5  # behind: low on the axial picture
    assert coronal[0] > 0.5  # below: low on the coronal and the sagittal picture
    assert sagittal[0] > 0.5
    assert sagittal[1] > 0.5  # behind: right on the sagittal picture


@pytest.mark.parametrize("codes", ["LPS", "LAS", "PIR", "SRA", "RAS"])
def test_storage_order_does_not_change_the_page(make: Any, codes: str) -> None:
    images = make["images"]()
    turned = {}
    for name, image in images.items():
        turn = ornt_transform(io_orientation(image.affine), axcodes2ornt(tuple(codes)))
        turned[name] = image.as_reoriented(turn)
        assert nib.aff2axcodes(turned[name].affine) == tuple(codes)
    result = make["scan_result"]("sub-01_ses-wk06")
    assert scan_page(result, turned) == scan_page(result, images)


@pytest.mark.parametrize(("plane", "letters"), [("axial", "RLAP"), ("coronal", "RLSI"), ("sagittal", "APSI")])
def test_letters_stand_at_the_edges(plane: Any, letters: str) -> None:
    picture = framed(np.zeros((200, 220), np.uint8), plane, "")
    middle_row, middle_column = MARGIN + 100, MARGIN + 110
    half = MARGIN // 2
    edges = {
        0: (middle_row, half),
        1: (middle_row, MARGIN + 220 + half),
        2: (half, middle_column),
        3: (MARGIN + 200 + half, middle_column),
    }

    def drawn(letter: str) -> Any:
        image = Image.new("L", (MARGIN, MARGIN))
        font = ImageFont.load_default(13)
        ImageDraw.Draw(image).text((MARGIN / 2, MARGIN / 2), letter, fill=239, font=font, anchor="mm")
        return np.asarray(image, dtype=float)

    for edge, (row, column) in edges.items():
        seen = picture[row - half : row + half, column - half : column + half].astype(float)
        likeness = {letter: float(np.corrcoef(seen.ravel(), drawn(letter).ravel())[0, 1]) for letter in "RLAPSI"}
        assert max(likeness, key=lambda letter: likeness[letter]) == letters[edge]


def test_outline_surrounds_the_label_and_leaves_its_inside_bare(make: Any) -> None:
    page = scan_page(make["scan_result"]("sub-01_ses-wk06"), make["images"]())
    plain = pane(page, "T1 after contrast:", "axial", "nodule 1")
    outlined = pane(page, "T1 after contrast, outlines:", "axial", "nodule 1")
    pink = is_colour(outlined, PINK)
    assert pink.any()
    assert not is_colour(plain, PINK).any()
    rows, columns = np.nonzero(pink)
    inside = outlined[rows.min() + 4 : rows.max() - 3, columns.min() + 4 : columns.max() - 3]
    assert inside.size
    assert white(inside).all()


def test_number_of_a_finding_stands_beside_it_on_its_slices_only(make: Any, affine: Any) -> None:
    # A flat grey head: white pixels within it can only come from the number.
    t1 = np.where(make["head"]() > 0, 100.0, 0.0).astype(np.float32)
    t1[:, :6] = 400  # sets the white point without a brain mask
    labels = np.zeros(t1.shape, np.uint8)
    make["block"](labels, (30, 10, 12), 2)
    images = {"t1": nib.Nifti1Image(t1, affine), "labels": nib.Nifti1Image(labels, affine)}
    result = make["scan_result"]("sub-01_ses-bl", reference=None)
    for alt, pixels in panes(scan_page(result, images)):
        inner = white(pixels)[: pixels.shape[0] * 3 // 4, : pixels.shape[1] * 3 // 4]
        assert inner.any() == ("nodule 1" in alt and "outlines" in alt), alt


def test_reference_picture_shows_no_nodule_at_the_same_slice(make: Any) -> None:
    page = scan_page(make["scan_result"]("sub-01_ses-wk06"), make["images"]())
    this = pane(page, "This scan", "axial", "most nodular")
    before = pane(page, "Reference scan", "axial", "most nodular")
    assert this.shape == before.shape
    assert is_colour(this, PINK).any()
    assert white(this).any()
    assert not is_colour(before, PINK).any()
    assert not white(before).any()


def test_one_window_for_both_visits(make: Any) -> None:
    # Voxels that hold the same signal on both visits have the same grey; the nodule of one visit changes nothing.
    page = scan_page(make["scan_result"]("sub-01_ses-wk06"), make["images"]())
    this = pane(page, "This scan", "axial", "evenly spaced")
    before = pane(page, "Reference scan", "axial", "evenly spaced")
    assert np.array_equal(this, before)
    assert "the same for both visits" in page


def test_window_is_that_of_the_brain_not_of_bright_fat(make: Any, affine: Any) -> None:
    # A head of 600 with a rim of fat at 3000: with the brain mask 600 is 1 / 1.15 of white (about 222 of 255).
    t1 = make["head"]()
    brain = np.zeros(t1.shape, np.uint8)
    brain[30:70, 40:80, 30:60] = 1
    t1[brain > 0] = 600
    t1[:, 100:104] = 3000
    page = scan_page(
        make["scan_result"]("sub-01_ses-bl", reference=None, findings=[]),
        {"t1": nib.Nifti1Image(t1, affine), "brain": nib.Nifti1Image(brain, affine)},
    )
    middle = pane(page, "T1 after contrast", "coronal")
    row, column = (n // 2 for n in middle.shape[:2])
    assert middle[row, column, 0] == pytest.approx(255 / 1.15, abs=2)
    assert "Signal window 0 to 690" in page


def test_scales_too_far_apart_are_said(make: Any, affine: Any) -> None:
    images = make["images"]()
    images["reference"] = nib.Nifti1Image(make["head"]() * 5, affine)
    page = scan_page(make["scan_result"]("sub-01_ses-wk06"), images)
    assert "must not be compared" in page
    assert "the same for both visits" not in page


def test_colours_are_those_of_the_legend() -> None:
    assert INK["linear"] == ORANGE
    assert INK["nodule"] == PINK
    assert INK["ventricles"] == (0x56, 0xB4, 0xE9)
    red, green, blue = INK["excluded"]
    assert red == green == blue


def test_excluded_enhancement_is_dashed_and_others_are_not(affine: Any) -> None:
    labels = np.zeros((60, 60, 20), np.uint8)
    labels[10:25, 10:25] = 4
    labels[35:50, 35:50] = 3
    grid = Volume(labels, np.eye(4))
    box = head_box(Volume(np.ones_like(labels), np.eye(4)), 300)
    drawn = outline(np.zeros((300, 300), np.uint8), grid, "axial", 10, box)
    solid = int((drawn == 240 + 2).sum())
    dashed = int((drawn == 240 + 3).sum())
    assert 0.4 * solid < dashed < 0.6 * solid  # the same square, half of its border


def test_voxel_and_pixel_agree() -> None:
    array = np.zeros((40, 50, 30), np.float32)
    array[31, 12, 7] = 1
    volume = Volume(array, np.eye(4))
    box = head_box(Volume(np.ones_like(array), np.eye(4)), 50)
    for plane, index in (("axial", 7), ("coronal", 12), ("sagittal", 31)):
        row, column = np.argwhere(cut(array, plane, index, box) > 0)[0]  # type: ignore[arg-type]
        x, y = pixel((31, 12, 7), plane, volume, box)  # type: ignore[arg-type]
        assert (x, y) == (column + 0.5, row + 0.5)


def test_thick_slices_keep_their_shape_in_millimetres() -> None:
    # A ball of 60 mm in 1 x 1 x 5 mm voxels must look round on a coronal picture.
    i, j, k = np.meshgrid(np.arange(80) - 40, np.arange(80) - 40, (np.arange(16) - 8) * 5, indexing="ij")
    ball = ((i**2 + j**2 + k**2) < 30**2).astype(np.float32)
    from lmresp.report.slices import grey

    volume = Volume(ball, np.diag([1.0, 1.0, 5.0, 1.0]))
    box = head_box(Volume(np.ones_like(ball), volume.affine), 320)
    picture = grey(volume, "coronal", 40, box, (0, 1)) > 120
    rows, columns = np.nonzero(picture)
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=5 * box.pixels_per_mm)


def test_page_says_everything_of_the_result(make: Any) -> None:
    reference = make["scan_result"]("sub-01_ses-bl", visit="BL", scan_date="2024-01-01")
    page = scan_page(make["scan_result"]("sub-01_ses-wk06"), make["images"](), reference)
    for words in (
        "Draft – not a diagnosis",
        RESEARCH_USE,
        "sub-01_ses-bl (BL, 2024-01-01)",
        "9.2 × 6.6",  # diameters 9.24 and 6.6 mm
        ">0.31<",  # 312.5 mm3 in mL
        ">1234.5<",
        "+23.4 %",
        "the frontal horns are not covered",
        "cranial nerves are not assessed by this version",
        "contrast agent named in the header",
        "b" * 64,
        ">= 0.6".replace(">", "&gt;"),
        "R 30, A 10, S 12",
        "one nodule is new",
    ):
        assert words in page, words
    addresses = set(re.findall(r"""(?:src|href)="([^"]*)""", page))
    assert {address for address in addresses if not address.startswith("data:image/png")} == {"../../report.html"}


def test_not_measured_scan_has_a_page_that_says_why(make: Any) -> None:
    result = make["scan_result"]("sub-03_ses-bl", status="not_measured", reason="no T1 series with 3-D coverage")
    result |= {
        "measures": [],
        "findings": [],
        "scorecard": None,
        "qc": [],
        "files": {},
        "series": [],
        "reference": None,
    }
    result["contrast"] = "none"
    page = scan_page(result, {})
    assert "no T1 series with 3-D coverage" in page
    assert "Not looked for" in page
    assert "No pictures" in page
    assert "Measured automatically" not in page
    assert panes(page) == []


def test_without_contrast_no_finding_is_stated(make: Any, affine: Any) -> None:
    result = make["scan_result"]("sub-03_ses-bl", contrast="none", findings=[], reference=None)
    page = scan_page(result, {"t1": nib.Nifti1Image(make["head"](), affine)})
    assert "T1 without contrast: axial" in page
    assert "T1 after contrast" not in page
    assert "no image after contrast could be used" in page
    assert "Looked, nothing found" not in page


def test_nothing_is_called_absent_where_it_could_not_be_judged(make: Any) -> None:
    result = make["scan_result"]("sub-03_ses-bl", contrast="post_only", findings=[], reference=None)
    result["scorecard"]["items"][0] |= {"item": "NODULES", "presence": "NE", "reason": "no scan before contrast"}
    for images in ({}, make["images"]()):
        page = scan_page(result, images)
        assert "None marked, which does not mean absent: no scan before contrast." in page
        assert "Looked, nothing found" not in page
    result["scorecard"]["items"][0] |= {"presence": "ABSENT"}
    assert "Looked, nothing found" in scan_page(result, {})


@pytest.mark.parametrize("with_images", [False, True])
def test_hostile_text_stays_text(make: Any, with_images: bool) -> None:
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\u2028<!--"

    def spoil(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: spoil(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [spoil(inner) for inner in value]
        return hostile if isinstance(value, str) else value

    images = make["images"]() if with_images else {}
    spoiled = spoil(make["scan_result"]("sub-01_ses-wk06"))
    page = scan_page(spoiled, images, spoiled)
    clean = make["scan_result"]("sub-01_ses-wk06")
    assert page.count("<script") == scan_page(clean, images, clean).count("<script")
    assert page.count("</script") == page.count("<script")
    for sign in ("<script>alert", "<img src=x", "<!--", "onerror=alert(1)>"):
        assert sign not in page
    data = re.search(r'id="page-data">([^<]*)</script>', page)
    assert (data is not None) == with_images
    if data is not None:
        assert data[1].isascii()
        assert hostile in json.loads(data[1])["parts"][0]["rows"][0]["title"]


def test_images_on_different_grids_are_refused(make: Any, affine: Any) -> None:
    images = make["images"]()
    images["labels"] = nib.Nifti1Image(np.zeros((50, 60, 45), np.uint8), affine)
    with pytest.raises(ValueError, match="not on the grid"):
        scan_page(make["scan_result"]("sub-01_ses-wk06"), images)
    with pytest.raises(ValueError, match="3-D"):
        scan_page(make["scan_result"]("sub-01_ses-wk06"), {"t1": nib.Nifti1Image(np.zeros((4, 4, 4, 2)), affine)})


def test_nan_constant_and_tiny_images_do_not_break_the_page(make: Any, affine: Any) -> None:
    array = make["head"]()
    array[:5] = np.nan
    array[50, 50, 50] = np.inf
    for odd in (array, np.zeros((20, 20, 20), np.float32), np.ones((20, 20, 9), np.int16)):
        page = scan_page(make["scan_result"]("sub-01_ses-bl", reference=None), {"t1": nib.Nifti1Image(odd, affine)})
        assert len(panes(page)) >= 4


def test_noise_stays_below_twelve_megabytes_and_the_page_says_at_what_price(make: Any) -> None:
    noise = np.random.default_rng(0).integers(200, 1000, (150, 160, 100)).astype(np.int16)  # compresses badly
    image = nib.Nifti1Image(noise, np.eye(4))
    names = ("t1", "pre", "flair", "reference", "reference_pre", "reference_flair")
    result = make["scan_result"]("sub-01_ses-wk06", findings=[])
    page = scan_page(result, dict.fromkeys(names, image))
    assert len(page.encode()) < 12_000_000
    assert len(panes(page)) >= 4
    assert "To keep the page small" in page
    assert 'id="volume-t1"' in page


def test_written_page_takes_the_images_of_both_scans(study: Any, make: Any) -> None:
    results = study.write()
    images = make["images"]()
    for scan, names in (("sub-01_ses-wk06", OWN), ("sub-01_ses-bl", REFERENCE)):
        subject, session = scan.split("_")
        folder = results / subject / session / "anat"
        folder.mkdir(parents=True)
        for name, endings in names.items():
            if name in images:
                nib.save(images[name], folder / f"{scan}_{endings[0]}.nii.gz")
    page = write_scan_page(results, "sub-01_ses-wk06")
    assert page == results / "sub-01" / "ses-wk06" / "sub-01_ses-wk06_page.html"
    first = page.read_bytes()
    assert b"Reference scan, T1 after contrast: axial" in first
    assert str(results).encode() not in first
    assert write_scan_page(results, "sub-01_ses-wk06").read_bytes() == first


def test_write_refuses_what_is_no_scan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not the name of a scan"):
        write_scan_page(tmp_path, "../../etc/passwd")
    with pytest.raises(FileNotFoundError):
        write_scan_page(tmp_path, "sub-01_ses-bl")
