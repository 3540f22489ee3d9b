"""Results as DICOM objects: segmentation, structured reports, pictures and a PDF, in the study of the source images.

The objects carry the identity of the source headers, so that an archive files them with the images. They are written
only where the user says (``lmresp dicom STUDY --to FOLDER``), never among the results.
"""
