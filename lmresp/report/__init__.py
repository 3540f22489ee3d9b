"""Pages and figures from stored results: the study report, the pages of a scan, the run summary."""

from lmresp.report.scan_page import page_of, scan_page, write_scan_page
from lmresp.report.spine_page import spine_page_of, write_spine_page
from lmresp.report.study_data import StudyData, load_study
from lmresp.report.study_page import study_report, write_study_report
from lmresp.report.summary import run_summary

__all__ = [
    "StudyData",
    "load_study",
    "page_of",
    "run_summary",
    "scan_page",
    "spine_page_of",
    "study_report",
    "write_scan_page",
    "write_spine_page",
    "write_study_report",
]
