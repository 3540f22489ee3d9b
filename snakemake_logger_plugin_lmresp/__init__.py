"""Snakemake logger of lmresp: a progress line a person can read, or one JSON object per event for schedulers.

Chosen with ``--logger lmresp`` (``lmresp run`` does so); ``--logger-lmresp-json-lines`` switches to JSON lines.
"""

import dataclasses
import json
import time
from logging import LogRecord
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

LOG_TAIL = 12


@dataclasses.dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Options of the logger on Snakemake's command line."""

    json_lines: bool = dataclasses.field(
        default=False,
        metadata={"help": "Print one JSON object per event instead of a progress line", "required": False},
    )


class LogHandler(LogHandlerBase):
    """Writes to the error stream; a bar on a terminal, plain lines elsewhere."""

    settings: LogHandlerSettings

    def __post_init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.jobs: dict[int, str] = {}
        self.total = 0
        self.done = 0
        self.quiet = bool(self.common_settings.quiet)
        self.json = bool(self.settings and self.settings.json_lines)
        self.bar: Progress | None = None
        if self.console.is_terminal and not (self.quiet or self.json):
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=self.console,
                transient=True,
            )
            self.task = self.bar.add_task("Planning", total=None)
            self.bar.start()

    @property
    def writes_to_stream(self) -> bool:
        """It prints."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """It keeps no file; Snakemake keeps its own."""
        return False

    @property
    def has_filter(self) -> bool:
        """It chooses what to show."""
        return True

    @property
    def has_formatter(self) -> bool:
        """It words what it shows."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """It needs no graph."""
        return False

    def emit(self, record: LogRecord) -> None:
        """Show one event."""
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_INFO:
            self.jobs[record.jobid] = str(record.rule_msg or record.rule_name)
        if self.json:
            self._emit_json(record, event)
        else:
            self._emit_text(record, event)

    def close(self) -> None:
        """Take the bar away."""
        if self.bar:
            self.bar.stop()
            self.bar = None
        super().close()

    def _emit_text(self, record: LogRecord, event: Any) -> None:
        if event == LogEvent.RUN_INFO and record.stats:
            first, self.total = not self.total, int(record.stats.get("total", 0))
            if self.common_settings.dryrun and first:  # a dry run says it again at its end
                for rule, jobs in record.stats.items():
                    self._print(f"would run {rule}: {jobs}")
            elif not self.common_settings.dryrun:
                self._advance("Starting")
        elif event == LogEvent.JOB_FINISHED:
            self.done += 1
            self._advance(self.jobs.get(record.job_id, "job"))
        elif event == LogEvent.JOB_ERROR:
            self._print(f"FAILED: {self.jobs.get(record.jobid, record.rule_name)}")
            for log in record.log or ():
                self._print(f"  log: {log}")
                self._tail(log)
        elif (
            event in (LogEvent.ERROR, None)
            and record.levelname in ("ERROR", "CRITICAL")
            and record.getMessage() != "None"
        ):
            self._print(record.getMessage().strip())
        elif event is None and self.common_settings.dryrun and record.levelname == "INFO" and record.msg:
            self._print(record.getMessage())

    def _advance(self, what: str) -> None:
        if self.bar:
            self.bar.update(self.task, description=what, completed=self.done, total=self.total or None)
        elif not self.quiet:
            self._print(f"[{self.done:>{len(str(self.total))}}/{self.total}] {what}")

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False)

    def _tail(self, log: str) -> None:
        path = Path(log.split(" ")[0])
        if path.is_file():
            for line in path.read_text(errors="replace").splitlines()[-LOG_TAIL:]:
                self._print(f"  | {line}")

    def _emit_json(self, record: LogRecord, event: Any) -> None:
        shown = {"time": round(time.time(), 3), "level": record.levelname.lower(), "event": str(event or "message")}
        if event == LogEvent.JOB_INFO:
            shown |= {"job": record.jobid, "rule": record.rule_name, "wildcards": dict(record.wildcards or {})}
        elif event == LogEvent.JOB_FINISHED:
            shown |= {"job": record.job_id}
        elif event == LogEvent.JOB_ERROR:
            shown |= {"job": record.jobid, "rule": record.rule_name, "log": list(record.log or ())}
        elif event == LogEvent.PROGRESS:
            shown |= {"done": record.done, "total": record.total}
        elif event in (LogEvent.ERROR, None):
            if record.levelname not in ("ERROR", "CRITICAL", "WARNING"):
                return
            shown |= {"message": record.getMessage()}
        elif event != LogEvent.RUN_INFO:
            return
        self.console.print(json.dumps(shown, sort_keys=True), markup=False)
