"""De-identification of images for export: DICOM by the table of PS3.15 Annex E, NIfTI and NRRD by a fresh header.

The rule is *default deny*: an attribute leaves only when the table says how, or when it is on the list of what an
image needs (``kept.yaml``). What cannot be judged is quarantined: nothing of it is written.
"""
