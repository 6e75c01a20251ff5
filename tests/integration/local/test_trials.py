"""What a trial in a warm local process tells, and how it ends."""

import threading

import pytest

from hpocli.spi import (
    ExecutorRejected,
    ExecutorUnavailable,
    Reported,
    StageChanged,
    Started,
    Submitted,
)


def test_a_trial_reports_in_order_and_then_gives_its_result(executor, request_for):
    reports = []
    request = request_for("reporting", steps=5)
    result = executor().submit_trial(request, reports.append).result(20)
    assert (result.state, result.metrics, result.worker) == ("completed", {"value": 1.0}, "w0")
    assert isinstance(reports[0], Submitted)
    assert reports[0].ref.startswith("pid:")
    assert isinstance(reports[1], Started)
    assert reports[1].worker == "w0"
    assert any(isinstance(report, StageChanged) for report in reports)
    assert [r.step for r in reports if isinstance(r, Reported)] == [0, 1, 2, 3, 4]
    assert {r.key for r in reports} == {request.key}


def test_a_worker_is_used_again(executor, request_for):
    local = executor()
    pids = {
        local.submit_trial(request_for("pid"), _ignore).result(20).metrics["value"] for _ in "abc"
    }
    assert len(pids) == 1


def test_no_process_starts_before_the_first_trial(executor, tools):
    import os

    before = tools.descendants(os.getpid())
    executor(2)
    assert tools.descendants(os.getpid()) == before


def test_as_many_workers_as_trials_at_once_and_no_more(executor, request_for):
    local = executor(2)
    requests = [request_for("polite") for _ in range(2)]
    started = [threading.Event() for _ in requests]
    futures = [
        local.submit_trial(request, lambda r, event=event: isinstance(r, Started) and event.set())
        for request, event in zip(requests, started, strict=True)
    ]
    assert all(event.wait(20) for event in started)
    with pytest.raises(ExecutorUnavailable, match="all 2 local workers are busy"):
        local.submit_trial(request_for(), _ignore)
    for request in requests:
        local.cancel(request.key)
    assert [future.result(20).state for future in futures] == ["cancelled", "cancelled"]
    assert local.submit_trial(request_for(), _ignore).result(20).state == "completed"


def test_whoever_wakes_finds_the_slot_free(executor, request_for):
    local = executor()
    local.submit_trial(request_for(), _ignore).result(20)
    for _ in range(50):
        local.submit_trial(request_for(), _ignore).result(20)


def test_a_done_callback_may_submit_the_next_trial(executor, request_for):
    local, second = executor(), []
    done = threading.Event()

    def again(_future):
        second.append(local.submit_trial(request_for(), _ignore))
        done.set()

    local.submit_trial(request_for(), _ignore).add_done_callback(again)
    assert done.wait(20)
    assert second[0].result(20).state == "completed"


def test_a_key_that_runs_already_is_refused(executor, request_for):
    local, request = executor(2), request_for("polite")
    local.submit_trial(request, _ignore)
    with pytest.raises(ExecutorRejected, match="running already"):
        local.submit_trial(request, _ignore)


def test_a_request_too_large_for_the_wire_is_refused(executor, request_for):
    with pytest.raises(ExecutorRejected, match="at most"):
        executor().submit_trial(request_for(text="x" * 300_000), _ignore)


def test_a_request_larger_than_a_pipe_arrives(executor, request_for):
    request = request_for("prints", text="x" * 200_000)
    assert executor().submit_trial(request, _ignore).result(20).state == "completed"
    assert (request.workdir / "log.txt").read_text().count("x") >= 200_000


def test_a_report_callback_that_raises_does_not_end_the_trial(executor, request_for, caplog):
    def broken(_report):
        raise RuntimeError("the listener is broken")

    future = executor().submit_trial(request_for("reporting", steps=3), broken)
    assert future.result(20).state == "completed"
    assert "was not taken" in caplog.text


def test_a_caller_cannot_cancel_the_future_behind_our_back(executor, request_for):
    future = executor().submit_trial(request_for(), _ignore)
    assert not future.cancel()
    assert future.result(20).state == "completed"


def test_an_objective_that_raises_is_data(executor, request_for):
    local = executor()
    result = local.submit_trial(request_for("fails"), _ignore).result(20)
    assert (result.state, result.error.failure) == ("failed", "user")
    assert "no such luck" in result.error.message
    assert local.submit_trial(request_for(), _ignore).result(20).state == "completed"


def test_after_so_many_trials_the_process_is_replaced(executor, request_for, tools):
    local = executor(trials_per_worker=2)
    pids = [
        int(local.submit_trial(request_for("pid"), _ignore).result(20).metrics["value"])
        for _ in range(4)
    ]
    assert pids[0] == pids[1] != pids[2] == pids[3]
    tools.wait_for(lambda: not tools.alive(pids[0]))


def test_a_worker_that_has_grown_is_replaced_between_trials(executor, request_for):
    local = executor(worker_memory_mb=400)
    pids = [local.submit_trial(request_for("pid"), _ignore).result(20).metrics["value"]]
    grown = local.submit_trial(request_for("keeps", mb=330), _ignore).result(20)
    assert grown.state == "completed"
    pids.append(local.submit_trial(request_for("pid"), _ignore).result(20).metrics["value"])
    assert pids[0] != pids[1]


def test_a_trial_that_outgrows_the_bound_ends_as_out_of_memory(executor, request_for):
    local = executor(worker_memory_mb=200)
    future = local.submit_trial(request_for("hungry", mb=300, hold=True), _ignore)
    error = future.result(20).error
    assert error.failure == "oom"
    assert "worker_memory_mb=200" in error.message


def test_memory_in_use_is_told_by_worker(executor, request_for, tools):
    local, request = executor(), request_for("hungry", mb=100, hold=True)
    future = local.submit_trial(request, _ignore)
    tools.wait_for(lambda: local.memory().get("w0", 0) > 100 * 1024 * 1024)
    local.cancel(request.key)
    future.result(20)


def test_a_deadline_that_the_trial_ignores_ends_it_as_timeout(executor, request_for, tools):
    local = executor()
    request = request_for("hung_in_c", deadline_s=0.3)
    result = local.submit_trial(request, _ignore).result(20)
    assert (result.state, result.error.failure) == ("failed", "timeout")
    assert "0.3 s" in result.error.message
    tools.wait_for(lambda: not tools.alive(tools.pids_in(request.workdir)[0]))
    assert local.submit_trial(request_for(), _ignore).result(20).state == "completed"


def test_health_names_the_capacity(executor):
    health = executor(3).health()
    assert (health.ok, health.capacity) == (True, 3)


def _ignore(_report):
    pass
