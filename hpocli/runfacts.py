"""`run.json`: what a run was started with and by, and how it stands; for people and scripts."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version

from hpocli._version import __version__
from hpocli.clock import isoformat
from hpocli.events import RunStarted
from hpocli.logs import redact
from hpocli.results import replace_file
from hpocli.runs import RunFolder


def write_facts(
    folder: RunFolder, header: RunStarted, *, command: str, now: float, code: int | None = None
) -> None:
    """Write `run.json`; `code` is the exit code of a process that is done, `now` epoch seconds."""
    facts = {
        "run": folder.name,
        "uid": header.uid,
        "status": "running" if code is None else "finished",
        "exit_code": code,
        "epoch": header.epoch,
        "command": redact(command),
        "seed": header.seed,
        "host": header.host,
        "pid": header.pid,
        "at": isoformat(now),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": _versions(),
    }
    replace_file(folder.run_json, json.dumps(facts, indent=2) + "\n")


def _versions() -> dict[str, str]:
    found = {"hpocli": __version__}
    for name in ("optuna", "numpy", "tensorflow", "keras", "runpod"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
