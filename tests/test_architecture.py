"""Who may import whom: the table of docs/architecture.md, held against the code's own imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

BASE = {"terms", "errors", "flags", "notation", "queries", "store", "plain_yaml", ""}
CORE = {"criteria", "csf", "neuro", "steroids", "response", "statistics", "pathway"}
ALLOWED = {
    "terms": set(),
    "errors": set(),
    "flags": {"plain_yaml"},
    "notation": set(),
    "plain_yaml": {"errors"},
    "store": set(),
    "queries": set(),
    "criteria": BASE,
    "csf": BASE | {"criteria"},
    "neuro": BASE | {"criteria"},
    "steroids": BASE | {"criteria"},
    "response": BASE | {"criteria"},
    "statistics": BASE | {"criteria"},
    "pathway": BASE | {"criteria"},
    "mri": BASE | {"criteria", "ingest"},
    "ingest": BASE,
    "deidentify": BASE | {"ingest", "mri"},
    "simulate": BASE,
    "report": BASE,
    "dicom": BASE | {"ingest", "mri"},
    "pacs": BASE,
    "reads": BASE | {"criteria", "ingest", "mri", "dicom"},
    "review": BASE | {"criteria", "ingest", "mri", "reads", "report"},
    "provenance": BASE,
    "cli": BASE
    | CORE
    | {"mri", "ingest", "deidentify", "simulate", "report", "provenance", "reads", "review", "dicom", "pacs"},
}
# What a pure module may not touch: files, clocks, randomness, images.
IMPURE = {"pathlib", "os", "time", "random", "SimpleITK", "nibabel", "pydicom", "skimage", "subprocess"}
IMPURE_CALLS = {"open", "now", "today", "utcnow", "read_text", "write_text", "read_csv", "to_csv"}


def _part(module: Path, package: Path) -> str:
    relative = module.relative_to(package)
    return relative.parts[0].removesuffix(".py") if len(relative.parts) > 1 or relative.stem != "__init__" else ""


def _imports(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "lmresp")


def _calls(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func
            yield called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def _modules(repository: Path) -> list[Path]:
    return sorted((repository / "lmresp").rglob("*.py"))


def test_imports_point_one_way(repository: Path) -> None:
    package = repository / "lmresp"
    wrong = []
    for module in _modules(repository):
        part = _part(module, package)
        if part in ("", "__main__"):
            continue
        for name in _imports(module):
            if not name.startswith("lmresp."):
                continue
            target = name.split(".")[1]
            if not (package / target).exists() and not (package / f"{target}.py").exists():
                continue  # a name of lmresp/__init__.py
            if target != part and target not in ALLOWED[part]:
                wrong.append(f"{module.relative_to(repository)} imports {name}")
    assert wrong == []


@pytest.mark.parametrize("part", sorted(CORE))
def test_the_core_is_pure(repository: Path, part: str) -> None:
    # The loaders of packaged data files are the one exception: they open files of the package, not of a study.
    loaders = {f"criteria/{name}.py" for name in ("__init__", "load", "reading", "charter", "study_charter")} | {
        "pathway/graph.py"
    }
    wrong = [
        f"{module.relative_to(repository)} imports {name}"
        for module in sorted((repository / "lmresp" / part).rglob("*.py"))
        if str(module.relative_to(repository / "lmresp")) not in loaders
        for name in _imports(module)
        if name.split(".")[0] in IMPURE
    ]
    wrong += [
        f"{module.relative_to(repository)} calls {name}()"
        for module in sorted((repository / "lmresp" / part).rglob("*.py"))
        if str(module.relative_to(repository / "lmresp")) not in loaders
        for name in _calls(module)
        if name in IMPURE_CALLS
    ]
    assert wrong == []


def test_only_the_command_line_and_the_workflow_know_snakemake(repository: Path) -> None:
    users = [
        str(module.relative_to(repository))
        for module in _modules(repository)
        if any(name.split(".")[0] == "snakemake" for name in _imports(module))
    ]
    assert users == []  # cli/run.py starts it as a process of its own


def test_the_command_line_itself_is_light(repository: Path) -> None:
    # Every job of a study starts with it; a heavy library belongs into the command that needs it.
    heavy = ("numpy", "pandas", "scipy", "pydicom", "nibabel", "SimpleITK", "highdicom", "starlette", "jinja2")
    code = f"import sys, lmresp.cli, lmresp.cli.steps; print(*[m for m in {heavy!r} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_rules_only_wire_files_to_commands(repository: Path) -> None:
    for rules in sorted((repository / "workflow" / "rules").glob("*.smk")):
        text = rules.read_text(encoding="utf-8")
        lines = [line.strip() for line in text.splitlines()]
        assert "run:" not in lines, f"{rules.name}: a rule runs Python"
        assert not any(line.startswith(("retries:", "script:")) for line in lines), rules.name
        for command in [line for line in lines if line.startswith('"lmresp')]:
            assert command.startswith('"lmresp step '), f"{rules.name}: {command}"


def test_slurm_memory_grows_and_retries_are_the_profiles(repository: Path) -> None:
    for name in ("slurm", "slurm-plugin"):
        profile = yaml.safe_load((repository / "profiles" / name / "profile.yaml").read_text(encoding="utf-8"))
        assert profile["retries"] == 2
        for resources in (profile["default-resources"], profile["set-resources"]["measure_scan"]):
            assert resources["mem_mb"].endswith("* attempt")
            assert resources["runtime"].endswith("* attempt")


def test_file_length(repository: Path) -> None:
    long = {
        str(m.relative_to(repository)): n for m in _modules(repository) if (n := len(m.read_text().splitlines())) > 400
    }
    assert long == {}
