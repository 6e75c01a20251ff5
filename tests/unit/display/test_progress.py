"""Counts, fractions and the estimate of the end, over made-up runs."""

from synthetic import START, Sweep, header, records, run_events

from hpocli import events as ev
from hpocli.estimate import remaining_s
from hpocli.progress import aggregate, trial_progress
from hpocli.state import fold


def errors_after_a_third(sweep_of, seeds=60):
    """Return the relative errors of the predicted end, counted from the start."""
    found = []
    for seed in range(seeds):
        sweep = sweep_of(seed)
        timed = run_events(sweep)
        end = timed[-1][0]
        now = end / 3
        known = [item for item in timed if item[0] <= now]
        state = fold(ev.Record(seq=i + 1, ts=START + t, event=e) for i, (t, e) in enumerate(known))
        found.append((now + remaining_s(state, START + now)) / end - 1)
    return found


def share_within(errors, bound):
    return sum(abs(e) <= bound for e in errors) / len(errors)


def test_the_end_is_known_within_a_fifth_after_a_third_of_an_ordinary_run():
    errors = errors_after_a_third(lambda seed: Sweep(trials=20, slots=2, sigma=0.25, seed=seed))
    assert share_within(errors, 0.2) >= 0.95


def test_pruned_trials_shorten_the_estimate():
    errors = errors_after_a_third(
        lambda s: Sweep(trials=60, slots=4, pruned=0.4, sigma=0.25, seed=s)
    )
    assert share_within(errors, 0.2) >= 0.85
    assert abs(sorted(errors)[len(errors) // 2]) < 0.08


def test_trials_that_report_nothing_are_estimated_from_those_before_them():
    errors = errors_after_a_third(
        lambda s: Sweep(trials=40, slots=4, sigma=0.25, reports=False, seed=s)
    )
    assert share_within(errors, 0.2) >= 0.9


def test_the_tail_with_empty_slots_is_counted():
    state = fold(records(Sweep(trials=9, slots=8, sigma=0.0, cold_s=0.0), until=5.5))
    left = remaining_s(state, START + 5.5)
    assert 13.0 < left < 16.0  # 4.5 s for those that run, then 10 s for a single one


def test_nothing_is_predicted_before_anything_is_known():
    assert remaining_s(fold(records(Sweep(), until=0.0)), START) is None


def test_a_finished_run_has_no_time_left():
    state = fold(records(Sweep()))
    progress = aggregate(state, START + 1e6)
    assert progress.eta_s is None
    assert progress.elapsed_s == state.finished.elapsed_s


def test_the_counts_add_up_to_the_fixed_total_at_every_event():
    sweep = Sweep(trials=15, slots=3, pruned=0.4, failed=0.2)
    state = fold([])
    for record in records(sweep):
        state.apply(record)
        p = aggregate(state, record.ts)
        assert p.total == 15
        assert p.running + p.completed + p.pruned + p.failed + p.waiting == 15
        assert p.running <= 3
        assert min(p.waiting, p.running) >= 0
    assert p.done == 1.0


def test_the_best_follows_the_direction():
    for direction, choose in (("maximize", max), ("minimize", min)):
        state = fold(records(Sweep(directions=(direction,))))
        values = [t.values[0] for t in state.trials.values() if t.values]
        progress = aggregate(state, START)
        assert progress.best_value == choose(values)
        assert state.trials[progress.best_trial].values[0] == choose(values)


def test_a_running_trial_shows_its_epoch_and_its_worker():
    state = fold(records(Sweep(slots=1, sigma=0.0, cold_s=0.0), until=4.5))
    shown = trial_progress(state.trials[0], START + 4.5)
    assert (shown.worker, shown.step, shown.total_steps, shown.fraction) == ("w0", 3, 10, 0.4)
    assert 4.4 < shown.elapsed_s < 4.6


def test_a_reduced_limit_lengthens_the_estimate():
    sweep = Sweep(trials=30, slots=4, sigma=0.1)
    state = fold(records(sweep, until=20.0))
    before = remaining_s(state, START + 20)
    reduced = ev.CapacityChanged(limit=1, cause="429")
    state.apply(ev.Record(seq=state.seq + 1, ts=START + 20, event=reduced))
    assert remaining_s(state, START + 20) > 2.5 * before
    assert aggregate(state, START + 20).limit == 1


def test_pauses_between_processes_are_not_elapsed_time():
    state = fold(records(Sweep(trials=4)))
    spent = state.previous_elapsed_s
    again = ev.Record(seq=999, ts=START + 10_000, event=header(Sweep(trials=8)))
    state.apply(again)
    assert aggregate(state, START + 10_005).elapsed_s == spent + 5
