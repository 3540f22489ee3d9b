"""Pages and figures from stored results: the study report, the picture page of a scan, the run summary."""

from lmresp.report.scan_page import scan_page, write_scan_page
from lmresp.report.study_data import StudyData, load_study
from lmresp.report.study_page import study_report, write_study_report
from lmresp.report.summary import run_summary

__all__ = [
    "StudyData",
    "load_study",
    "run_summary",
    "scan_page",
    "study_report",
    "write_scan_page",
    "write_study_report",
]
