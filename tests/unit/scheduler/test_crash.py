"""A kill at every instant: both files cut where they stood after each write, then resumed."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from hpocli.config import PrunerConfig
from hpocli.errors import ExitCode
from hpocli.spi import FailureClass, TrialError, TrialLost, TrialRequest
from hpocli.testing import Play

TRIALS = 6


def script(request: TrialRequest) -> Play:
    """Good, bad, lost and failing trials, so that every branch of the ledger is crossed."""
    if request.trial == 1 and request.attempt == 0:
        return Play(raises=TrialLost("gone"))
    if request.trial == 2:
        return Play(error=TrialError(failure=FailureClass.USER, message="no", fingerprint="f"))
    value = 0.9 if request.trial in (0, 1, 3) else 0.1
    return Play(duration_s=10 + request.trial, curve=[value] * 4)


def record_sizes(sweep) -> list[tuple[int, int]]:
    """Run the sweep, noting the sizes of (event log, journal) after every write to either."""
    import os

    sizes: list[tuple[int, int]] = []
    real = os.write

    def noting(fd: int, data: bytes) -> int:
        written = real(fd, data)
        if sweep.events.exists() and sweep.journal.exists():
            sizes.append((sweep.events.stat().st_size, sweep.journal.stat().st_size))
        return written

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", noting)
        assert sweep.run().code is ExitCode.OK
    return list(dict.fromkeys(sizes))


def cut(source: Path, target: Path, size: int) -> None:
    target.write_bytes(source.read_bytes()[:size])


@pytest.mark.parametrize("reproducible", [False, True])
def test_a_kill_after_any_write_loses_no_trial_and_repeats_none(world, tmp_path, reproducible):
    changes = {
        "trials": TRIALS,
        "reproducible": reproducible,
        "pruner": PrunerConfig(name="median", options={"n_startup_trials": 2}),
    }
    sweep = world(**changes)
    sweep.script = script
    sizes = record_sizes(sweep)
    assert len(sizes) > 80
    finished_params = {n: t.params for n, t in sweep.state.trials.items()}
    for number, (events, journal) in enumerate(sizes):
        again = world(tmp_path / f"k{number}", **changes)
        again.script = script
        cut(sweep.events, again.events, events)
        cut(sweep.journal, again.journal, journal)
        told_before = {e.trial: e for e in again.named("trial_finished")}
        assert again.run().code is ExitCode.OK, f"after write {number}"
        told = Counter(e.trial for e in again.named("trial_finished"))
        assert told == Counter(range(TRIALS)), f"after write {number}"
        assert not again.state.open_trials()
        for trial, event in told_before.items():
            assert again.state.trials[trial].status == event.state
            assert trial not in {r.trial for r in again.executor.requests}
        if reproducible:
            assert {n: t.params for n, t in again.state.trials.items()} == finished_params
        check_study(again)
        shutil.rmtree(again.root)


def check_study(sweep) -> None:
    """The study agrees with the ledger, trial by trial, and holds no zombie."""
    from hpocli.study import SweepStudy

    study = SweepStudy.open(sweep.config, journal=sweep.journal, name="sweep", create=False)
    try:
        known = {t.number: t.state for t in study.known_trials()}
    finally:
        study.close()
    assert known == {n: t.status for n, t in sweep.state.trials.items()}


def test_a_torn_last_event_is_cut_and_the_sweep_goes_on(world):
    sweep = world(trials=3)
    sweep.run()
    with sweep.events.open("ab") as file:
        file.write(b'{"v":1,"seq":99,"ts":"2026')
    sweep.config = sweep.config.model_copy(update={"trials": 5})
    assert sweep.run().code is ExitCode.OK
    assert [r.seq for r in sweep.records()] == list(range(1, len(sweep.records()) + 1))


def test_a_power_loss_that_took_the_journals_tail_is_mended_from_the_ledger(world):
    sweep = world(trials=6)
    sizes = record_sizes(sweep)
    journal_of_half = sizes[len(sizes) // 2][1]
    data = sweep.journal.read_bytes()
    whole = data[: data.rindex(b"\n", 0, journal_of_half) + 1]
    sweep.journal.write_bytes(whole)
    assert sweep.run().code is ExitCode.OK
    assert Counter(e.trial for e in sweep.named("trial_finished")) == Counter(range(6))
    check_study(sweep)
