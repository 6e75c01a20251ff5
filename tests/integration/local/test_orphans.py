"""Nothing survives the client, however either side ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HANGING = ["stubborn", "hung_in_c", "stopped", "with_grandchildren"]


@pytest.fixture
def client(tmp_path, tools):
    """Start a client that runs hanging objectives; return it and every process below it."""
    started = []

    def start(*objectives, **environment):
        process = subprocess.Popen(
            [sys.executable, str(tools.here / "client.py"), str(tmp_path), *objectives],
            env={**os.environ, **environment},
            start_new_session=True,
        )
        started.append(process)
        for objective in objectives:
            tools.pids_in(tmp_path / objective)
        return process, tools.descendants(process.pid)

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.timeout(90)
def test_kill_9_of_the_client_leaves_nothing(client, tools):
    process, below = client(*HANGING)
    assert len(below) >= len(HANGING) + 3  # the workers, two grandchildren, the reaper
    process.send_signal(signal.SIGKILL)
    process.wait()
    tools.wait_for(lambda: not any(map(tools.alive, below)), 5)


@pytest.mark.timeout(90)
def test_a_copy_of_the_client_does_not_keep_its_workers_alive(client, tools, tmp_path):
    process, _ = client("stopped", "with_grandchildren", CLIENT_FORKS="1")
    fork = int(tools.wait_for(lambda: _text(tmp_path / "fork")))
    below = [pid for pid in tools.descendants(process.pid) if pid != fork]
    try:
        process.send_signal(signal.SIGKILL)
        process.wait()
        tools.wait_for(lambda: not any(map(tools.alive, below)), 5)
        assert tools.alive(fork)
    finally:
        os.kill(fork, signal.SIGKILL)


@pytest.mark.timeout(90)
def test_ctrl_c_reaches_the_client_only(client, tools):
    process, below = client("polite")
    groups = {os.getpgid(pid) for pid in below} - {process.pid}
    os.killpg(process.pid, signal.SIGINT)
    process.wait(20)
    assert len(groups) >= 2  # worker and reaper lead groups of their own
    assert all(os.getpgid(pid) != process.pid for pid in below if tools.alive(pid))
    tools.wait_for(lambda: not any(map(tools.alive, below)), 5)


@pytest.mark.timeout(90)
def test_a_dead_reaper_is_replaced_and_told_everything(tmp_path, tools):
    from hpo_executors.local.orphans import OrphanGuard

    sleepers = [subprocess.Popen(["sleep", "1000"], start_new_session=True) for _ in "ab"]
    guard = OrphanGuard({})
    guard.add(sleepers[0].pid)
    [reaper] = [pid for pid in tools.descendants(os.getpid()) if _is_reaper(pid)]
    os.kill(reaper, signal.SIGKILL)
    tools.wait_for(lambda: not tools.alive(reaper))
    guard.add(sleepers[1].pid)
    guard.close()  # the end of its input is all that the reaper knows of the client
    assert [sleeper.wait(5) for sleeper in sleepers] == [-signal.SIGKILL, -signal.SIGKILL]


def test_a_group_that_was_let_go_is_not_killed(tools):
    from hpo_executors.local.orphans import OrphanGuard

    sleeper = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    guard = OrphanGuard({})
    guard.add(sleeper.pid)
    guard.discard(sleeper.pid)
    guard.close()
    assert tools.alive(sleeper.pid)
    sleeper.kill()
    sleeper.wait()


def _is_reaper(pid):
    return b"reaper.py" in Path(f"/proc/{pid}/cmdline").read_bytes()


def _text(path):
    return path.read_text() if path.exists() else ""
