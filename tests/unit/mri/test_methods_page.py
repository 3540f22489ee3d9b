"""The page of methods and the parameters that the code reads say the same."""

from __future__ import annotations

import re
from pathlib import Path

from lmresp.mri import methods


def test_page_states_every_parameter_with_its_value_unit_and_certainty(repository: Path) -> None:
    page = (repository / "docs" / "methods.md").read_text(encoding="utf-8")
    rows = {m[1]: (m[2], m[3], m[4]) for m in re.finditer(r"^\| `([\w.]+)` \| (.*?) \| (.*?) \| (\w+) \|", page, re.M)}
    table = methods.table()
    stated = {
        f"{method}.{name}": (methods.shown(entry), str(entry["unit"]), entry["certainty"])
        for method, parameters in table.items()
        for name, entry in parameters.items()
    }
    assert rows == stated
