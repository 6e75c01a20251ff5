"""The examples in docs/trainers.md run as they are printed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from hpo_handler.contract import JobReport, Trainer

pytestmark = pytest.mark.timeout(60)

PAGE = Path(__file__).parents[3] / "docs" / "trainers.md"
HALVED = {"learning_rate": 0.25}  # each step halves x, which begins at 4


def example(language: str, within: str) -> str:
    """Return the one code block of the page that holds these words."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    (block,) = [block for block in blocks if within in block]
    return str(block)


def ended(child, steps):
    result, seen = child.until_result()
    assert result.state == "completed", result.error
    reports = [message for message in seen if isinstance(message, JobReport)]
    assert [report.step for report in reports] == list(range(steps))
    assert {report.total_steps for report in reports} == {steps}
    assert result.metrics["value"] == reports[-1].value == pytest.approx((4 / 2**steps) ** 2)
    return result


def test_the_function_of_the_page_trains(shared):
    shared.function(example("python", "def train(ctx)"), "train", params=HALVED)
    ended(shared, 10)


def test_the_optuna_objective_of_the_page_runs(shared):
    result = shared.run(example("python", "def objective(trial)"), params={"x": 5.0})
    assert result.metrics == {"value": 9.0}, result.error


@pytest.mark.parametrize(
    ("name", "language", "within", "command"),
    [
        ("train.sh", "sh", "#!/bin/sh", ("./train.sh", "{learning_rate}")),
        ("train.py", "python", "HPO_REPORT_FD", (sys.executable, "train.py")),
    ],
)
def test_the_scripts_of_the_page_train(shared, name, language, within, command):
    script = shared.folder / name
    script.write_text(example(language, within))
    script.chmod(0o755)
    folder = (str(shared.folder),)
    trainer = Trainer(kind="command", name="script", command=command, pythonpath=folder)
    shared.submit(trainer, params=HALVED)
    ended(shared, 5)
