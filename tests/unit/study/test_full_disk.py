"""A disk that fills up: a file-size limit everywhere, a tiny tmpfs where mounting is allowed."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hpocli.errors import StateError
from hpocli.study import SweepStudy
from hpocli.study.journal import JournalReader

SMALL = 48 * 1024


@contextmanager
def _tiny_file_system(folder: Path) -> Iterator[Callable[[], None]]:
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(folder)]
    subprocess.run(mounted, check=True, capture_output=True)
    ballast = folder / "ballast"
    ballast.write_bytes(b"x" * 8192)
    try:
        yield ballast.unlink
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def _file_size_limit(folder: Path) -> Iterator[Callable[[], None]]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL - 500, hard))
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


def _may_mount() -> bool:
    """Try it: a container's root may lack the right."""
    if os.geteuid() != 0:
        return False
    code = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(code, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


# The limit is always tested; the mount is an addition where the machine allows it.
DISKS = [_file_size_limit, *([_tiny_file_system] if _may_mount() else [])]


def _fill(study: SweepStudy, told: list[int]) -> None:
    for _ in range(1000):
        number = study.ask().number
        study.report(number, 0, 0.5)
        study.tell(number, "completed", [float(number)])
        told.append(number)


@pytest.mark.parametrize("disk", DISKS, ids=lambda d: d.__name__.strip("_"))
@pytest.mark.parametrize("same_process", [True, False])
def test_a_full_disk_stops_the_study_and_loses_nothing_that_was_told(
    make_config, tmp_path: Path, disk, same_process: bool
) -> None:
    config = make_config()
    folder = tmp_path / "disk"
    folder.mkdir()
    told: list[int] = []
    with disk(folder) as free_space:
        journal = folder / "study.journal"
        study = SweepStudy.open(config, journal=journal, name="run", create=True)
        with pytest.raises(StateError, match=r"study\.journal cannot be used: .*(space|large)"):
            _fill(study, told)
        assert len(told) > 5
        assert journal.read_bytes().endswith(b"\n")
        assert list(JournalReader(journal).read_logs(0))
        if not same_process:
            with suppress(StateError):  # says so where the last ask never reached the disk
                study.close()
        free_space()
        if not same_process:
            study = SweepStudy.open(config, journal=journal, name="run", create=False)
        for trial in study.known_trials():
            if trial.state == "running":
                assert study.tell(trial.number, "failed")
        done = {t.number: t for t in study.known_trials() if t.state == "completed"}
        assert list(done) == told
        assert all(t.values == (float(n),) for n, t in done.items())
        more = study.ask()
        assert study.tell(more.number, "completed", [1.0])
        study.close()
        again = SweepStudy.open(config, journal=journal, name="run", create=False)
        assert [t.number for t in again.known_trials() if t.state == "completed"] == [
            *told,
            more.number,
        ]
        assert not [t for t in again.known_trials() if t.state == "running"]
        again.close()
