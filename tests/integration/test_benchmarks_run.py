"""The benchmarks run in their smallest form and print ratios against their peers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RATIO = re.compile(r"\d+\.\d\d x")


def printed_by(script: str, *arguments: str, timeout_s: float, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / script), *arguments],
        capture_output=True, text=True, timeout=timeout_s, cwd=folder, check=False,
        env={**os.environ, "TMPDIR": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def row(text: str, name: str) -> list[str]:
    found = [line for line in text.splitlines() if line.startswith(f"| {name} ")]
    assert found, text
    return [cell.strip() for cell in found[0].strip("|").split("|")]


def test_the_schedulers_cost_is_compared_with_two_bare_loops(tmp_path):
    text = printed_by("scheduler_cost.py", "--quick", timeout_s=120, folder=tmp_path)
    assert text.count("target 1 ms") == 2
    for peer in ("bare loop, Optuna's journal file", "bare loop, in memory"):
        total, sampler, rest = (float(cell) for cell in row(text, peer)[1:4])
        assert total >= rest > 0
        assert sampler > 0
        assert RATIO.fullmatch(row(text, peer)[4])


def test_the_help_is_compared_with_python_typer_and_optuna(tmp_path):
    text = printed_by("help_time.py", "--quick", timeout_s=120, folder=tmp_path)
    assert "target 0.25 s" in text
    assert row(text, "hpo --help")[3] == "1.00 x"
    for peer in ("python -c pass", "python -c 'import typer'", "optuna --version"):
        assert RATIO.fullmatch(row(text, peer)[3])


@pytest.mark.slow
def test_local_trials_are_compared_with_study_optimize_and_a_process_a_trial(tmp_path):
    pytest.importorskip("tensorflow")
    text = printed_by("local_keras.py", "--quick", timeout_s=290, folder=tmp_path)
    ours = row(text, "hpo run local, 2 workers")
    assert ours[3] == "1.00 x"
    for peer in ("study.optimize, one process", "one process a trial, 2 at a time"):
        assert RATIO.fullmatch(row(text, peer)[3])
        assert int(row(text, peer)[2]) > 0
    assert row(text, "2")[6].endswith("%")
