"""The report of a scan as an encapsulated PDF."""

from __future__ import annotations

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from lmresp.dicom.instance import When, made_by, sealed
from lmresp.dicom.source import Source


def encapsulated(document: bytes, title: str, source: Source, when: When) -> Dataset:
    """Put a PDF into a DICOM object.

    Parameters
    ----------
    document : bytes
        The PDF.
    title : str
        Its title; no identity of the subject.
    source : Source
        A series of the scan.
    when : When
        Day and time of the content.

    Returns
    -------
    Dataset
        A complete Encapsulated PDF of modality DOC (viewers refuse OT), conversion type WSD.
    """
    made = made_by("report")
    ds = Dataset()
    ds.preamble = b"\0" * 128
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = EncapsulatedPDFStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = made["sop_instance_uid"]
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.Modality, ds.ConversionType = "DOC", "WSD"
    ds.SeriesInstanceUID, ds.SeriesNumber = made["series_instance_uid"], made["series_number"]
    ds.SeriesDescription, ds.InstanceNumber = made["series_description"], made["instance_number"]
    ds.Manufacturer, ds.ManufacturerModelName = made["manufacturer"], made["manufacturer_model_name"]
    ds.SoftwareVersions, ds.DeviceSerialNumber = made["software_versions"], made["device_serial_number"]
    ds.ContentDate, ds.ContentTime, ds.AcquisitionDateTime = when.date, when.time, None
    ds.BurnedInAnnotation = "YES"
    ds.DocumentTitle = title
    ds.ConceptNameCodeSequence = []
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocumentLength = len(document)
    ds.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    return sealed([ds], source, "report", when)[0]
