"""The groups that estimates are printed for: all subjects and, where there are several, each arm."""

from __future__ import annotations

import pandas as pd

from lmresp.criteria.timeline import text_frame

ALL = "all"


def arms(subjects: pd.DataFrame) -> dict[str, str]:
    """Arm of each subject, in words or else by its code; "" where neither is given."""
    people = text_frame(subjects, ["subject_id", "arm", "arm_code"]).drop_duplicates("subject_id")
    arm = people["arm"].where(people["arm"] != "", people["arm_code"])
    return dict(zip(people["subject_id"], arm, strict=True))


def groups(members: pd.Series, by_arm: dict[str, str]) -> dict[str, pd.Series]:
    """Return for each group which rows belong to it.

    Parameters
    ----------
    members : pandas.Series
        Subject of each row.
    by_arm : dict of str to str
        From :func:`arms`.

    Returns
    -------
    dict of str to pandas.Series
        ``all`` first, then each arm in order when the study has more than one; masks over ``members``.
    """
    arm = members.map(by_arm).astype(object).fillna("")
    names = sorted(set(by_arm.values()) - {""})
    found = {ALL: pd.Series(True, index=members.index)}
    return found | ({name: arm == name for name in names} if len(names) > 1 else {})
