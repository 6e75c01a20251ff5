"""The arrows between packages, what `hpo --help` loads, and the exported names."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("tensorflow", "keras", "optuna", "runpod", "requests", "pydantic", "numpy", "structlog",
         "yaml", "matplotlib", "sklearn")  # fmt: skip


def imported(folder: Path) -> set[tuple[str, str]]:
    """Every (file, module) that a package imports, wherever in the file."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative imports are not used here"
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {(str(path.relative_to(ROOT)), name) for name in names}
    return found


def offenders(folder: str, *forbidden: str, allowed: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{path}: {name}"
        for path, name in sorted(imported(ROOT / folder))
        if name.split(".")[0] in forbidden and not name.startswith(allowed or ("\0",))
    ]


def test_the_handler_imports_nothing_of_ours():
    assert offenders("handler/hpo_handler", "hpocli", "hpo_executors") == []


def test_the_executors_know_only_the_plugin_api_and_the_handlers_contract():
    assert (
        offenders(
            "executors/hpo_executors", "hpocli", "hpo_handler",
            allowed=("hpocli.spi", "hpo_handler.contract", "hpo_handler.catalog",
                     "hpo_handler.environment"),
        )
        == []
    )  # fmt: skip


def test_the_client_learns_executors_only_through_hooks():
    assert offenders("hpocli", "hpo_executors", "hpo_handler") == []


def test_only_the_study_imports_optuna():
    outside = [o for o in offenders("hpocli", "optuna") if not o.startswith("hpocli/study/")]
    assert outside == []


def test_only_the_clock_imports_time():
    assert [o for o in offenders("hpocli", "time") if not o.startswith("hpocli/clock.py")] == []


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "local", "--help"], ["resume", "--help"], ["plugins"]]
)
def test_help_loads_nothing_heavy(arguments):
    code = (
        "import sys, json\n"
        "from hpocli.cli import run\n"
        f"code = run({arguments!r})\n"
        "print(json.dumps([code, sorted({m.split('.')[0] for m in sys.modules})]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    status, modules = json.loads(done.stdout.splitlines()[-1])
    assert status == 0
    heavy = (
        HEAVY if arguments == ["--help"] else [h for h in HEAVY if h != "pydantic"]
    )  # Typer looks
    assert [name for name in heavy if name in modules] == []


def test_exported_names_of_the_plugin_api_are_pinned():
    from hpocli import spi

    assert sorted(spi.__all__) == [
        "Executor", "ExecutorContext", "ExecutorError", "ExecutorRejected", "ExecutorSpec",
        "ExecutorUnavailable", "FailureClass", "Health", "JsonScalar", "ObjectiveSpec", "Report",
        "ReportCallback", "Reported", "Resources", "StageChanged", "Started", "Submitted",
        "TrainerRef", "TrainerSpec", "TrialError", "TrialLost", "TrialRequest", "TrialResult",
        "TrialState", "hookimpl",
    ]  # fmt: skip
    assert all(hasattr(spi, name) for name in spi.__all__)
