"""Every exit status of docs/exit-codes.md that this version can give, by the real command."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(120)
DOC = Path(__file__).parents[2] / "docs" / "exit-codes.md"


def test_the_documented_statuses_are_those_of_the_code():
    from hpocli.errors import ExitCode

    rows = [line for line in DOC.read_text().splitlines() if re.match(r"\| \d", line)]
    documented = {int(n) for row in rows for n in re.findall(r"\d+", row.split("|")[1])}
    assert documented | {7} == set(map(int, ExitCode))


def test_0_complete_even_where_some_trials_failed(hpo):
    hpo.sweep("mixed", trials=6, settings={"diary": str(hpo.folder / "diary")})
    assert hpo("run", "local", "s.yaml", "--quiet").returncode == 0
    study = hpo.check(6)
    assert [t.state.name for t in study.trials].count("FAIL") == 1


def test_1_the_same_error_again_and_again(hpo):
    hpo.sweep("same_error", trials=10, concurrent_workers=1)
    result = hpo("run", "local", "s.yaml")
    assert result.returncode == 1
    assert "3 trials in a row failed in the same way: " in result.stdout + result.stderr
    assert "the same every time" in result.stdout
    assert len(hpo.named("trial_finished")) == 3
    assert hpo("resume", "s", "max_identical_failures=100", "--quiet").returncode == 1


def test_1_more_failures_than_allowed(hpo):
    hpo.sweep("other_errors", trials=10, concurrent_workers=1, max_failures=2)
    result = hpo("run", "local", "s.yaml")
    assert result.returncode == 1
    assert "more than max_failures=2" in result.stdout
    assert len(hpo.named("trial_finished")) == 3


def test_1_no_trial_completed(hpo):
    hpo.sweep("other_errors", trials=2, concurrent_workers=1)
    result = hpo("run", "local", "s.yaml")
    assert result.returncode == 1
    assert "none of the 2 trials completed" in result.stdout


def test_3_the_time_is_up_and_resume_goes_on(hpo):
    hpo.sweep("long", trials=3)
    result = hpo("run", "local", "s.yaml", "timeout=1.5")
    assert result.returncode == 3
    assert "timeout of 1.5 s has passed" in result.stdout
    assert not hpo.named("trial_finished")
    result = hpo("resume", "s", "settings.seconds=0.05", "timeout=1m", "--quiet")
    assert result.returncode == 0, result.stdout + result.stderr
    hpo.check(3)


BROKEN_EXECUTOR = """
from dataclasses import dataclass
from hpocli.spi import ExecutorSpec, hookimpl

@dataclass(frozen=True)
class Options:
    speed: int = 1

def build(options, context):
    raise RuntimeError("no such machine")

@hookimpl
def hpo_register_executors():
    return [ExecutorSpec(name="broken", help="x", options=Options, build=build)]
"""


def install(hpo, name, source):
    """Write a distribution as an installer would, and let the command find it."""
    site = hpo.folder / "site"
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (site / f"{name}.py").write_text(source)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[hpocli]\n{name} = {name}\n")
    hpo.env["PYTHONPATH"] = str(site)


def test_5_an_executor_that_cannot_be_built(hpo, fails_cleanly):
    install(hpo, "broken", BROKEN_EXECUTOR)
    hpo.sweep("seeded")
    result = hpo("run", "broken", "s.yaml", "--quiet")
    fails_cleanly(result, 5, "'broken' could not be built: RuntimeError: no such machine")


def test_2_the_executor_of_a_run_is_not_installed_any_more(hpo, fails_cleanly):
    hpo.sweep("seeded", trials=2)
    assert hpo("run", "local", "s.yaml", "--quiet").returncode == 0
    path = hpo.run_dir() / "sweep.yaml"
    own = r"^(threads_per_worker|gpu|trials_per_worker|worker_memory_mb|stop_grace_s|start_timeout_s): .*\n"
    text = re.sub(own, "", path.read_text(), flags=re.MULTILINE)
    path.write_text(text.replace("executor: local", "executor: gone"))
    fails_cleanly(hpo("resume", "s", "trials=3", "--quiet"), 2, "'gone'")


def test_2_an_unknown_executor_names_the_known_ones(hpo):
    hpo.sweep("seeded")
    result = hpo("run", "lokal", "s.yaml")
    assert result.returncode == 2
    assert "lokal" in result.stderr
    assert not hpo.run_dir().exists()


@pytest.mark.parametrize(
    "source", ["raise RuntimeError('boom')", "import sys; sys.exit(3)", "def ("]
)
def test_a_broken_plugin_leaves_all_commands_working(hpo, source):
    install(hpo, "rotten", source)
    hpo.sweep("seeded", trials=2)
    assert hpo("run", "local", "s.yaml", "--quiet").returncode == 0
    listed = hpo("plugins")
    assert listed.returncode == 0
    assert "rotten" in listed.stdout
    assert "did not import" in listed.stdout
    assert "Traceback" not in listed.stdout + listed.stderr


def test_6_a_second_process_is_refused_naming_the_first(hpo, fails_cleanly):
    hpo.sweep("long", trials=2)
    first = hpo.start("run", "local", "s.yaml", "--quiet")
    hpo.wait_for_event("trial_reported")
    before = (hpo.run_dir() / "sweep.yaml").read_bytes()
    result = hpo("resume", "s", "trials=9")
    fails_cleanly(result, 6, f"in use by process {first.pid}")
    assert (hpo.run_dir() / "sweep.yaml").read_bytes() == before
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert hpo("resume", "s", "settings.seconds=0.05", "--quiet").returncode == 0
    hpo.check(2)


def damaged(hpo, change):
    """Run a small sweep to its end and damage its log; return the damaged bytes."""
    hpo.sweep("seeded", trials=3)
    assert hpo("run", "local", "s.yaml", "--quiet").returncode == 0
    log = hpo.run_dir() / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(change(lines)))
    return log


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [*lines[:5], b"\x00\xff\xfe garbage\n", *lines[5:]],
        lambda lines: [*lines[:5], b"[" * 100_000 + b"\n", *lines[5:]],
        lambda lines: [*lines[:5], b"\n", *lines[5:]],
        lambda lines: [*lines[:5], b'{"v":1,"event":"trial_created"}\n', *lines[5:]],
        lambda lines: [*lines[:5], b"9" * 5000 + b"\n", *lines[5:]],
    ],
    ids=["binary", "deep", "empty", "incomplete", "long number"],
)
def test_6_a_damaged_event_log_is_left_as_it_is(hpo, fails_cleanly, change):
    log = damaged(hpo, change)
    before = log.read_bytes()
    fails_cleanly(hpo("resume", "s", "trials=5"), 6, "events.jsonl")
    assert log.read_bytes() == before
    fails_cleanly(hpo("show", "s"), 6, "events.jsonl")
    assert hpo("ls").returncode == 0


def test_6_a_damaged_journal_is_left_as_it_is(hpo, fails_cleanly):
    hpo.sweep("seeded", trials=3)
    assert hpo("run", "local", "s.yaml", "--quiet").returncode == 0
    journal = hpo.run_dir() / "study.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:4], b"garbage\n", *lines[4:]]))
    before = journal.read_bytes()
    fails_cleanly(hpo("resume", "s", "trials=5"), 6, "study.journal")
    assert journal.read_bytes() == before


def test_a_torn_last_line_of_both_files_is_mended(hpo):
    log = damaged(hpo, lambda lines: [*lines, b'{"v":1,"seq":'])
    with (log.parent / "study.journal").open("ab") as journal:
        journal.write(b'{"op_code": 5, "wor')
    assert hpo("show", "s").returncode == 0
    assert hpo("resume", "s", "trials=5", "--quiet").returncode == 0
    hpo.check(5)


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of half a MiB; the kernel takes it back afterwards."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("mounting a file system needs root")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], check=False)
    if made.returncode:
        pytest.skip("this machine lets nobody mount")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_6_a_full_disk_stops_the_sweep_and_room_lets_it_go_on(hpo, tiny_disk):
    hpo.sweep("seeded", trials=40, runs_dir=str(tiny_disk))
    stuffing = tiny_disk / "stuffing"
    stuffing.write_bytes(b"x" * (512 - 128) * 1024)
    result = hpo("run", "local", "s.yaml", timeout=60)
    assert result.returncode == 6, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert "error: " in result.stderr
    assert "No space left" in result.stderr
    assert hpo.orphans() == []
    (hpo.folder / "runs").symlink_to(tiny_disk)
    committed = {e["trial"]: e["values"] for e in hpo.named("trial_finished")}
    assert committed
    stuffing.unlink()
    resumed = hpo("resume", "s", "--quiet")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    hpo.check(40)
    now = {e["trial"]: e["values"] for e in hpo.named("trial_finished")}
    assert committed.items() <= now.items()


def test_the_lock_is_refused_within_two_seconds_of_the_command_itself(hpo):
    hpo.sweep("long", trials=2)
    first = hpo.start("run", "local", "s.yaml", "--quiet")
    hpo.wait_for_event("trial_started")
    hpo("--version")
    began = time.monotonic()
    hpo("ls")
    light = time.monotonic() - began
    began = time.monotonic()
    assert hpo("resume", "s").returncode == 6
    assert time.monotonic() - began < 2 + light
    first.kill()
