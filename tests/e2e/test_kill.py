"""`kill -9` of the client at random instants, then `hpo resume`: nothing lost, nothing twice."""

import random
import signal
import time
from collections import Counter

import pytest

KILLS = 50
TRIALS = 26  # two rounds of all kinds
SEED = 20260
EVENT_BYTES = 180


def start(hpo):
    """Begin the run, or go on with it where there is one."""
    if hpo.events():
        return hpo.start("resume", "s", "--quiet")
    return hpo.start("run", "local", "s.yaml", "--quiet")


def kill_at_random(hpo, process, rng):
    """Kill some time after the start, or some events later; False where it had ended before."""
    log = hpo.run_dir() / "events.jsonl"
    if rng.random() < 0.2:  # while it starts: imports, lock, logs, study, recovery
        time.sleep(rng.uniform(0, 1.5))
    else:  # in the midst of its work
        target = size(log) + rng.randrange(1, 45) * EVENT_BYTES
        end = time.monotonic() + 30
        while size(log) < target and process.poll() is None:
            assert time.monotonic() < end, "the run stands still"
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.04))
    alive = process.poll() is None
    process.kill()
    process.communicate()
    return alive and process.returncode == -signal.SIGKILL


def size(path):
    return path.stat().st_size if path.exists() else 0


def diary(hpo, what):
    """Return how often each (trial, attempt) is noted as `what`."""
    path = hpo.folder / "diary"
    lines = path.read_text().splitlines() if path.exists() else []
    return Counter(tuple(line.split()[:2]) for line in lines if line.endswith(what))


def told(hpo):
    return {e["trial"] for e in hpo.named("trial_finished")}


def check_nothing_repeats(hpo, finished, started_before):
    """No trial that was told before the kill began again after it."""
    again = diary(hpo, "starts") - started_before
    assert not {int(trial) for trial, _ in again} & finished


def sweep_with_kills(hpo, rng, kills):
    """Kill and resume one sweep up to `kills` times; resume it to its end; return the kills made."""
    made = 0
    while made < kills:
        finished, started = told(hpo), diary(hpo, "starts")
        process = start(hpo)
        killed = kill_at_random(hpo, process, rng)
        check_nothing_repeats(hpo, finished, started)
        hpo.no_orphans()
        if not killed:
            assert process.returncode == 0
            break
        made += 1
    final = hpo("resume", "s", "--quiet") if hpo.events() else hpo("run", "local", "s.yaml")
    assert final.returncode == 0, final.stderr
    return made


def check_attempts(hpo):
    """Every attempt began at most once, and the log knows all of them."""
    begun = diary(hpo, "starts")
    assert max(begun.values()) == 1, "an attempt ran twice"
    known = {(str(e["trial"]), str(e["attempt"])) for e in hpo.named("trial_submitting")}
    assert set(begun) <= known


@pytest.mark.soak
@pytest.mark.timeout(280)
def test_fifty_kills_lose_no_trial_repeat_none_and_leave_no_process(hpo_in):
    rng = random.Random(SEED)
    made = rounds = 0
    while made < KILLS:
        hpo = hpo_in(f"round{rounds}")
        hpo.sweep(
            "mixed",
            trials=TRIALS,
            concurrent_workers=3,
            sampler="tpe",
            pruner={"name": "median", "n_startup_trials": 4},
            settings={"diary": str(hpo.folder / "diary")},
            max_identical_failures=50,
        )
        made += sweep_with_kills(hpo, rng, KILLS - made)
        rounds += 1
        study = hpo.check(TRIALS)
        check_attempts(hpo)
        hpo.no_orphans()
        failed = {t.number for t in study.trials if t.state.name == "FAIL"}
        assert failed <= {4, 9, 17, 22}, "a kill of the client made a trial fail"
    assert made == KILLS


@pytest.mark.soak
@pytest.mark.timeout(120)
def test_a_reproducible_sweep_that_was_killed_ends_with_the_same_parameters(hpo_in):
    rng = random.Random(SEED + 1)
    params = []
    for kills in (0, 6):
        hpo = hpo_in(f"kills{kills}")
        hpo.sweep(
            "seeded_slowly",
            trials=14,
            concurrent_workers=3,
            sampler={"name": "tpe", "n_startup_trials": 4},
            pruner={"name": "median", "n_startup_trials": 3},
            reproducible=True,
            seed=5,
            max_identical_failures=50,
        )
        sweep_with_kills(hpo, rng, kills)
        study = hpo.check(14)
        params.append([(t.params, t.state.name, t.values) for t in study.trials])
    assert params[0] == params[1]
