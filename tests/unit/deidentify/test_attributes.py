"""Canaries: what is planted anywhere in a DICOM file does not come out, and what an analysis needs does."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from lmresp.deidentify import judge
from lmresp.deidentify.attributes import UnfitError
from lmresp.deidentify.export import dicom_bytes
from lmresp.deidentify.keys import Key
from tests.unit.deidentify.planted import image, planted, secrets_in, written

KEY = Key(b"k" * 32)
ENTRY = {"series": "T1-post-1"}


def exported(folder: Path, content: bytes, subject: str = "S-01", key: Key = KEY) -> tuple[bytes, list[str]]:
    path = folder / "in.dcm"
    path.write_bytes(content)
    return dicom_bytes(path, key, subject, ENTRY, None)


def read(content: bytes) -> pydicom.FileDataset:
    return pydicom.dcmread(io.BytesIO(content))


@pytest.mark.parametrize(("implicit", "charset"), [(False, "ISO_IR 192"), (True, "ISO_IR 100"), (True, None)])
def test_no_canary_survives(tmp_path: Path, implicit: bool, charset: str | None) -> None:
    ds, number = planted(SpecificCharacterSet=charset)
    content = written(ds, implicit=implicit, padding=b"QZXCANARY00012QZXCANARY00013")
    assert number > 5000  # every text attribute of the dictionary, four times
    assert content.count(b"QZXC") > 9000  # and every date, time, number and UID, but those of geometry and pixels
    out, _ = exported(tmp_path, content)
    assert secrets_in(out) == []
    assert np.array_equal(read(out).pixel_array, np.arange(256).reshape(16, 16))


def test_what_is_hidden_in_unused_bits_is_cleared(tmp_path: Path) -> None:
    ds = image()
    ds.PixelData = (np.arange(256, dtype="<u2") | 0xA000).tobytes()  # an old overlay in bits 12 to 15
    ds.save_as(tmp_path / "in.dcm", enforce_file_format=True)
    out, _ = dicom_bytes(tmp_path / "in.dcm", KEY, "S-01", ENTRY, None)
    assert np.array_equal(read(out).pixel_array, np.arange(256).reshape(16, 16))


def test_negative_pixels_keep_their_sign(tmp_path: Path) -> None:
    ds = image(PixelRepresentation=1)
    values = np.arange(-128, 128, dtype="<i2")
    ds.PixelData = (values.view("<u2") & 0x0FFF).tobytes()
    ds.save_as(tmp_path / "in.dcm", enforce_file_format=True)
    out, _ = dicom_bytes(tmp_path / "in.dcm", KEY, "S-01", ENTRY, None)
    assert np.array_equal(read(out).pixel_array.ravel(), values)


def test_what_is_needed_stays_and_what_was_done_is_said(tmp_path: Path) -> None:
    out, emptied = exported(tmp_path, written(planted()[0]))
    ds = read(out)
    assert (ds.EchoTime, ds.RepetitionTime, ds.MagneticFieldStrength) == (12, 500, 3)
    assert list(ds.PixelSpacing) == [1, 1]
    assert (ds.ScanningSequence, ds.Modality) == ("SE", "MR")
    assert ds.SeriesDescription == "POST / T1 / THORACIC"
    assert ds.PatientID == ds.PatientName == KEY.code("S-01")
    assert ds.PatientBirthDate == ""
    assert ds.PatientIdentityRemoved == "YES"
    assert ds.LongitudinalTemporalInformationModified == "MODIFIED"
    assert [c.CodeValue for c in ds.DeidentificationMethodCodeSequence] == ["113100", "113105", "113107"]
    assert "RecognizableVisualFeatures" not in ds
    assert not any(element.tag.is_private for element in ds.iterall())
    assert not any(element.tag.group >> 8 in (0x50, 0x60) for element in ds.iterall())
    assert {"ContentDate", "ContentTime", "InstanceCreationDate"} <= set(emptied)


def test_dates_move_together_and_times_stay(tmp_path: Path) -> None:
    out, emptied = exported(tmp_path, written(image()))
    ds = read(out)
    assert emptied == ["ContentDate", "ContentTime"]  # "202402" is partial, "ten" is no time
    assert (ds.ContentDate, ds.ContentTime) == ("", "")
    study = np.datetime64("-".join((ds.StudyDate[:4], ds.StudyDate[4:6], ds.StudyDate[6:])))
    assert (np.datetime64("2024-02-29") - study).astype(int) == KEY.days("S-01")
    assert ds.SeriesDate == ds.StudyDate
    assert ds.AcquisitionDateTime == ds.AcquisitionDate + "101112.5+0100"
    assert ds.AcquisitionTime == "101112.5"


def test_same_key_same_bytes_and_another_key_others(tmp_path: Path) -> None:
    content = written(planted()[0])
    first = exported(tmp_path, content)
    assert exported(tmp_path, content) == first
    other = read(exported(tmp_path, content, key=Key(b"o" * 32))[0])
    ds = read(first[0])
    for keyword in (
        "SOPInstanceUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "FrameOfReferenceUID",
        "PatientID",
        "StudyDate",
    ):
        assert ds[keyword].value != other[keyword].value


def test_series_stay_linked(tmp_path: Path) -> None:
    one = read(exported(tmp_path, written(image(SOPInstanceUID="1.2.3.4.6")))[0])
    two = read(exported(tmp_path, written(image(SOPInstanceUID="1.2.3.4.7")))[0])
    assert one.SeriesInstanceUID == two.SeriesInstanceUID
    assert one.FrameOfReferenceUID == two.FrameOfReferenceUID
    assert one.SOPInstanceUID != two.SOPInstanceUID
    assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID


def test_an_attribute_under_a_strange_vr_is_removed(tmp_path: Path) -> None:
    ds = image()
    ds.add_new(0x00180087, "LO", "QZXCANARY00001")  # MagneticFieldStrength is DS
    ds.add_new(0x00189073, "UT", "QZXCANARY00002")  # AcquisitionDuration is FD
    ds.add_new(0x00190010, "LO", "QZXCANARY00003")
    ds.add_new(0x00311234, "UN", b"QZXCANARY00004")
    ds.save_as(tmp_path / "in.dcm", enforce_file_format=True)
    out, _ = dicom_bytes(tmp_path / "in.dcm", KEY, "S-01", ENTRY, None)
    assert secrets_in(out) == []
    assert "MagneticFieldStrength" not in read(out)


def test_text_in_a_number_is_removed(tmp_path: Path) -> None:
    content = written(image()).replace(b"500 ", b"Doe ")  # RepetitionTime
    out, _ = exported(tmp_path, content)
    assert secrets_in(out) == []
    assert "RepetitionTime" not in read(out)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "secondary capture"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.33"}, "structured report"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"}, "encapsulated document"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "not exported"),
        ({"SOPClassUID": "1.2.3"}, "not exported"),
        ({"SOPClassUID": ""}, "what kind"),
        ({"BurnedInAnnotation": "YES"}, "burned"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"], "BurnedInAnnotation": "NO"}, "screen"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, "derived"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localiser"),
        ({"SeriesDescription": "3plane loc"}, "localiser"),
        ({"ConversionType": "WSD"}, "screen"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, "mosaic"),
        ({"PhotometricInterpretation": "RGB"}, "colour"),
        ({"HighBit": 15}, "bits"),
        ({"BitsStored": None}, "bits"),
    ],
)
def test_quarantined(changes: dict[str, Any], reason: str) -> None:
    assert reason in judge.reason(image(**changes))


def test_a_derived_image_that_excludes_text_goes() -> None:
    assert judge.reason(image(ImageType=["DERIVED", "SECONDARY", "MPR"], BurnedInAnnotation="NO")) == ""


@pytest.mark.parametrize(
    "changes", [{"Rows": 65535, "Columns": 65535}, {"Rows": 17}, {"BitsAllocated": 8}, {"NumberOfFrames": "99999"}]
)
def test_pixels_that_do_not_fit_the_header(tmp_path: Path, changes: dict[str, Any]) -> None:
    content = written(image(**changes))
    with pytest.raises(UnfitError) as why:
        exported(tmp_path, content)
    assert secrets_in(str(why.value).encode()) == []


def test_deep_nesting_ends(tmp_path: Path) -> None:
    inner = Dataset()
    inner.EchoTime = "1"
    for _ in range(40):
        outer = Dataset()
        outer.MRImageFrameTypeSequence = Sequence([inner])
        inner = outer
    with pytest.raises(UnfitError, match="nested"):
        exported(tmp_path, written(image(SharedFunctionalGroupsSequence=Sequence([inner]))))
