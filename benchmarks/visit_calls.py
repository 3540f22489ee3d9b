"""How long visit calls take, 10^4 to 10^6 of them, against plain pandas row by row over the same rules.

    python benchmarks/visit_calls.py [10000 100000 1000000]

Two things are timed, each in a process of its own so that its peak memory is its own: the answers alone (call, rule id
and certainty with citation, flags and note, from three columns of text: `Scheme.decide`), and the whole of
`call_visits` with dates, reasons and what would change each call. The row-by-row versions read the same rules top down,
first match wins, with `DataFrame.iterrows` and `DataFrame.apply`; they are measured on 10^4 rows and scaled, since each
row costs the same. Their answers are compared with those of the table first. They do nothing of the rest of a whole
call, which therefore has no ratio. Times are CPU seconds of one thread.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from lmresp.criteria import load_charter
from lmresp.criteria.table import Scheme
from lmresp.response.call import call_visits

VISITS = 8  # of a subject, the first being the baseline
ROW_BY_ROW = 10_000


def make_inputs(scheme: Scheme, rows: int) -> pd.DataFrame:
    """Random words for each input of the scheme."""
    random = np.random.default_rng(2024)
    words = {each.name: np.array(each.words, dtype=object) for each in scheme.inputs}
    return pd.DataFrame({name: each[random.integers(0, len(each), rows)] for name, each in words.items()})


def make_strands(scheme: Scheme, calls: int) -> list[pd.DataFrame]:
    """Random strands of as many subjects as give ``calls`` visits after baseline.

    Equal texts of a column are one object, as they are when pandas reads a CSV.
    """
    subjects = -(-calls // (VISITS - 1))
    rows = subjects * VISITS
    random = np.random.default_rng(2024)
    number = np.arange(rows)
    visit = number % VISITS
    start = random.integers(0, 1500, subjects)
    calendar = np.array(np.datetime64("2020-01-01") + np.arange(-5, 2000)).astype(str).astype(object)
    visits = np.array([[str(each), f"WK{6 * each:02d}"] for each in range(VISITS)], dtype=object)
    frames = []
    for name in ("csf", "neuro", "imaging"):
        words = next(np.array(each.words, dtype=object) for each in scheme.inputs if each.name == name)
        status = words[random.integers(0, len(words), rows)]
        disputed = words[random.integers(0, len(words), rows)]
        columns = {
            "subject_id": np.repeat(np.array([f"S{each:06d}" for each in range(subjects)], dtype=object), VISITS),
            "visit_num": visits[visit, 0],
            "visit": visits[visit, 1],
            "date": calendar[np.repeat(start, VISITS) + 42 * visit + random.integers(0, 11, rows)],
            "status": status,
            "reason": status,
            "row_ids": np.array([f"{name}.csv:{row}" for row in number], dtype=object),
            "flags": np.where(visit == 0, "baseline", "").astype(object),
            "disputed": np.where(random.random(rows) < 0.1, disputed, "").astype(object),
        }
        if name == "csf":
            columns["confirmed"] = np.full(rows, "", dtype=object)
        if name == "imaging":
            columns["scans"] = np.array([f"sub-{row}" for row in number], dtype=object)
            columns["source"] = np.where(random.random(rows) < 0.5, "draft", "read").astype(object)
        frames.append(pd.DataFrame(columns, dtype=object, copy=False))
    return frames


def first_match(scheme: Scheme) -> Callable[[pd.Series], tuple[str, ...]]:
    """Read the rules as a person would, for one row."""
    rules = [({name: set(words) for name, words in rule.when}, rule) for rule in scheme.rules]

    def answer(row: pd.Series) -> tuple[str, ...]:
        for when, rule in rules:
            if all(row[name] in words for name, words in when.items()):
                told = (rule.output, rule.rule_id, rule.certainty.value, rule.citation, ";".join(rule.flags), rule.note)
                return (*told, "Y" if rule.provisional else "N")
        raise ValueError("no rule matches")

    return answer


def seconds(work: Callable[[], object], times: int) -> float:
    """CPU seconds, the least of several runs."""
    found = []
    for _ in range(times):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def row_by_row(scheme: Scheme) -> dict[str, float]:
    """Microseconds a row of the plain implementations, whose answers must be those of the table."""
    frame = make_inputs(scheme, ROW_BY_ROW)
    answer, expected = first_match(scheme), scheme.decide(frame)
    ways: dict[str, Callable[[], list[tuple[str, ...]]]] = {
        "iterrows": lambda: [answer(row) for _, row in frame.iterrows()],
        "apply": lambda: frame.apply(answer, axis=1).tolist(),
    }
    found = {}
    for name, way in ways.items():
        pd.testing.assert_frame_equal(pd.DataFrame(way(), columns=expected.columns, dtype=object), expected)
        found[name] = seconds(lambda way=way: pd.DataFrame(way(), columns=expected.columns), 3) / ROW_BY_ROW * 1e6
    return found


def measure(what: str, rows: int) -> None:
    """Print seconds and peak memory (MB) of one kind of work."""
    charter = load_charter()
    scheme = charter.scheme
    if what == "answers":
        frame = make_inputs(scheme, rows)
        spent = seconds(lambda: scheme.decide(frame), 5)
    else:
        strands = make_strands(scheme, rows)
        spent = seconds(lambda: call_visits(*strands, charter), 1)
    print(spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Print one row per kind of work and size."""
    if sys.argv[1:2] == ["measure"]:
        measure(sys.argv[2], int(sys.argv[3]))
        return
    sizes = [int(size) for size in sys.argv[1:]] or [10_000, 100_000, 1_000_000]
    plain = row_by_row(load_charter().scheme)
    print("row by row, microseconds a row: " + ", ".join(f"{name} {each:.1f}" for name, each in plain.items()))
    print("work          calls  CPU (s)  growth  peak memory (MB)  " + "  ".join(f"{name} / this" for name in plain))
    for what in ("answers", "whole calls"):
        before = None
        for rows in sizes:
            command = [sys.executable, __file__, "measure", what, str(rows)]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            spent, memory = float(out[0]), float(out[1])
            growth = f"{spent / before:>6.1f}" if before else "      "
            ratios = (
                ""
                if what == "whole calls"
                else "  ".join(f"{each * rows / 1e6 / spent:>{len(name) + 7}.0f}" for name, each in plain.items())
            )
            print(f"{what:<11} {rows:>7} {spent:>8.3f}  {growth}  {memory:>16.0f}  {ratios}", flush=True)
            before = spent


if __name__ == "__main__":
    main()
