"""Errors that stop a command, and the exit codes of ``lmresp``.

Problems *in the data* are not exceptions: they are :class:`lmresp.queries.Query` values, collected and
written to ``queries.csv`` while the rest of the study goes on.
"""

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_INVALID = 2


class LmrespError(Exception):
    """Something the user can mend; shown as one line, without a traceback.

    Parameters
    ----------
    what : str
        What is wrong, with the offending value.
    where : str, optional
        File (and row, column, key) where it was found.
    allowed : str, optional
        What would have been accepted.
    """

    exit_code = EXIT_INVALID

    def __init__(self, what: str, *, where: str = "", allowed: str = "") -> None:
        self.what, self.where, self.allowed = what, where, allowed
        text = f"{where}: {what}" if where else what
        super().__init__(f"{text}. Allowed: {allowed}." if allowed else text)


class StudyError(LmrespError):
    """The study folder, ``study.yaml`` or ``charter.yaml`` cannot be used at all."""


class CriteriaError(LmrespError):
    """A criteria scheme, charter or pathway graph is not total, has dead rules or breaks its schema."""


class RunError(LmrespError):
    """The workflow ended with failed jobs."""

    exit_code = EXIT_FAILED
