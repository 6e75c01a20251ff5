"""Run folders: where a sweep keeps everything, how they are named, found and locked."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from hpocli.errors import ConfigError, StateError


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of one run; `root` is `runs/<run_name>`."""

    root: Path

    @property
    def name(self) -> str:
        """The run's name."""
        return self.root.name

    @property
    def sweep_file(self) -> Path:
        """The resolved configuration, as it ran."""
        return self.root / "sweep.yaml"

    @property
    def run_json(self) -> Path:
        """Versions, seeds, host, command and status."""
        return self.root / "run.json"

    @property
    def journal(self) -> Path:
        """Optuna's journal, where the run uses the default storage."""
        return self.root / "study.journal"

    @property
    def events(self) -> Path:
        """The append-only event log, which is the ledger."""
        return self.root / "events.jsonl"

    @property
    def log(self) -> Path:
        """The controller's own structured log (JSON lines)."""
        return self.root / "hpo.log"

    @property
    def plots(self) -> Path:
        """PNG plots."""
        return self.root / "plots"

    @property
    def model(self) -> Path:
        """The best model, where one was saved."""
        return self.root / "model"

    def trial(self, number: int) -> Path:
        """Return the folder of one trial: params, reports, log, artifacts."""
        return self.root / "trials" / f"{number:04d}"


def find_run(runs_dir: Path, name: str) -> RunFolder:
    """Return the run called `name`: a unique prefix, `latest`, or a path to a run folder.

    Raises ConfigError where there is none or more than one.
    """
    direct = Path(name)
    if len(direct.parts) > 1 and (direct / "events.jsonl").exists():
        return RunFolder(direct)
    names = list_runs(runs_dir)
    if name == "latest" and (runs_dir / "latest").exists():
        return RunFolder(runs_dir / (runs_dir / "latest").resolve().name)
    matches = [run for run in names if run == name] or [
        run for run in names if run.startswith(name)
    ]
    if len(matches) == 1:
        return RunFolder(runs_dir / matches[0])
    if matches:
        raise ConfigError(
            f"{name!r} fits {len(matches)} runs: {', '.join(sorted(matches)[:5])}",
            hint="type more letters of the name",
        )
    raise ConfigError(
        f"there is no run {name!r} in {runs_dir}",
        hint=f"the runs there: {', '.join(sorted(names)[:8])}"
        if names
        else "start one: hpo init sweep.yaml, then hpo run local sweep.yaml",
    )


def list_runs(runs_dir: Path) -> list[str]:
    """Return the names of the run folders, oldest first."""
    if not runs_dir.is_dir():
        return []
    found = [p for p in runs_dir.iterdir() if not p.is_symlink() and (p / "events.jsonl").exists()]
    return [p.name for p in sorted(found, key=lambda p: (p / "events.jsonl").stat().st_ctime)]


class RunLock:
    """Held by the one process that works on a run; the kernel releases it on any kind of death."""

    def __init__(self, folder: RunFolder) -> None:
        self._path = folder.root / "run.lock"
        self._fd = -1

    def acquire(self) -> None:
        """Take the lock or raise StateError naming the process that holds it."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise StateError(
                f"run {self._path.parent.name!r} is in use by process {holder}",
                hint="wait for it, stop it, or choose another run_name",
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Give the lock back; idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def point_latest(folder: RunFolder) -> None:
    """Let `latest` beside the run point at it; a file system without links goes without."""
    draft = folder.root.parent / f".latest-{os.getpid()}"
    try:
        draft.symlink_to(folder.name, target_is_directory=True)
        draft.replace(folder.root.parent / "latest")
    except OSError:
        draft.unlink(missing_ok=True)
