"""The PACS: studies come in by DICOMweb or DIMSE, results of lmresp go back when the study allows it.

Nothing is ever deleted or replaced there, and nothing of a subject but the ``subject_id`` is printed or kept in a log.
"""
