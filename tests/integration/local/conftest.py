"""Executors over real processes; every test ends with none of them left."""

import os
import sys
import time
from pathlib import Path

import pytest

from hpo_executors.local.executor import TRIAL_PROCESS, LocalExecutor
from hpo_executors.local.options import LocalOptions
from hpocli.spi import ExecutorContext, TrainerRef, TrialRequest

HERE = Path(__file__).parent


def alive(pid):
    """Say whether a process runs; a zombie, which only waits to be reaped, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for(condition, within_s=10.0):
    end = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
    return found


def pids_in(workdir):
    """Return the process ids that an objective wrote down, once it has."""
    return wait_for(lambda: _read_pids(Path(workdir) / "pids"), 20)


def _read_pids(path):
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []


def descendants(pid):
    """Return every live process below `pid`, from one look at /proc."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(folder.name)] = int(fields[1])
    found, frontier = [], [pid]
    while frontier:
        frontier = [child for child, parent in parents.items() if parent in frontier]
        found += frontier
    return [child for child in found if alive(child)]


@pytest.fixture
def tools():
    """Helpers for tests, as test folders are no packages."""

    class Tools:
        here = HERE
        scripted = staticmethod(lambda how: (sys.executable, str(HERE / "scripted.py"), how))

    Tools.alive = staticmethod(alive)
    Tools.wait_for = staticmethod(wait_for)
    Tools.pids_in = staticmethod(pids_in)
    Tools.descendants = staticmethod(descendants)
    return Tools


@pytest.fixture
def executor(tmp_path):
    """Return a function that builds executors; all are closed and all processes gone at the end."""
    made = []

    def build(workers=1, *, command=TRIAL_PROCESS, monotonic=time.monotonic, **options):
        options = {"stop_grace_s": 0.3, **options}
        context = ExecutorContext(concurrent_workers=workers, run_dir=tmp_path)
        made.append(
            LocalExecutor(LocalOptions(**options), context, command=command, monotonic=monotonic)
        )
        return made[-1]

    before = set(descendants(os.getpid()))
    yield build
    for each in made:
        each.close()
    wait_for(lambda: not set(descendants(os.getpid())) - before)


@pytest.fixture
def request_for(tmp_path):
    """Return a function that describes an attempt at an objective of this folder."""
    count = iter(range(10**6))

    def build(objective="quick", *, deadline_s=None, key=None, **params):
        number = next(count)
        workdir = tmp_path / f"{number:04d}"
        workdir.mkdir()
        return TrialRequest(
            key=key or f"sweep/{number}/0",
            sweep_uid="sweep",
            trial=number,
            attempt=0,
            trainer=TrainerRef(
                kind="function", name=f"objectives:{objective}", pythonpath=(str(HERE),)
            ),
            params={"x": 3.0, **params},
            settings={},
            objectives=("value",),
            seed=1,
            deadline_s=deadline_s,
            workdir=workdir,
        )

    return build
