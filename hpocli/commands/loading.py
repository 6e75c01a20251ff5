"""What the reading commands share: the folder, its folded state, its status."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from hpocli.errors import StateError
from hpocli.eventlog import LogReader
from hpocli.runs import RunFolder, find_run
from hpocli.show import clean
from hpocli.state import RunState, fold
from hpocli.streams import SafeStream


def open_run(runs_dir: Path, name: str) -> tuple[RunFolder, RunState]:
    """Return the run's folder and its state as of now, also while it is running.

    Raises ConfigError where there is no such run, StateError where its log cannot be read.
    """
    folder = find_run(runs_dir, name)
    return folder, load_state(folder)


def load_state(folder: RunFolder) -> RunState:
    """Return the folded log. Raises StateError where it is empty or damaged."""
    try:
        state = fold(LogReader(folder.events).records())
    except OSError as error:
        raise StateError(f"cannot read {folder.events}: {error.strerror}") from None
    if state.header is None:
        raise StateError(
            f"run {clean(folder.name)!r} has no events yet",
            hint="if no `hpo run` is starting it right now, delete the folder",
        )
    return state


def status(folder: RunFolder, state: RunState) -> str:
    """Return how the run stands: running, done, stopped (exit code), or killed."""
    if state.finished is None:
        return "running" if is_running(folder) else "killed"
    code = state.finished.exit_code
    return "done" if code == 0 else f"stopped ({code})"


def is_running(folder: RunFolder) -> bool:
    """Say whether a process works on the run; the lock is looked at only if its holder lives."""
    try:
        with (folder.root / "run.lock").open("rb") as lock:
            os.kill(int(lock.read(32) or b"0") or -1, 0)
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    except (OSError, ValueError, OverflowError):
        return False
    return False


def write_out(text: str) -> None:
    """Write data to standard output; a reader that has gone away is no error."""
    out = SafeStream(sys.stdout)
    out.write(text)
    out.flush()


def write_next(lines: Iterable[str], *, data: bool) -> None:
    """Write what to do next: on standard error where standard output carries data."""
    out = SafeStream(sys.stderr if data else sys.stdout)
    for line in lines:
        out.line(line)
