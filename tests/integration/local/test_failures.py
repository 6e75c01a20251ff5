"""What a broken, hung, noisy or stubborn trial process costs: its own trial, nothing else."""

import os
import signal
import threading
import time

import pytest

from hpo_executors.local.triallog import KEPT_BYTES
from hpocli.spi import ExecutorRejected, ExecutorUnavailable, Started, TrialLost


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGABRT"])
def test_a_worker_killed_by_a_signal_costs_its_own_trial(executor, request_for, name):
    local = executor(2)
    other = request_for("polite")
    other_future = local.submit_trial(other, _ignore)
    with pytest.raises(TrialLost, match=name) as lost:
        local.submit_trial(request_for("killed", signal=name), _ignore).result(20)
    assert ("out-of-memory" in lost.value.hint) == (name == "SIGKILL")
    assert not other_future.done()
    assert local.submit_trial(request_for(), _ignore).result(20).state == "completed"
    local.cancel(other.key)
    assert other_future.result(20).state == "cancelled"


def test_a_worker_that_exits_says_its_status(executor, request_for):
    with pytest.raises(TrialLost, match="exited with status 7"):
        executor().submit_trial(request_for("exits"), _ignore).result(20)


def test_an_idle_worker_that_dies_is_replaced_unseen(executor, request_for, tools):
    local = executor()
    pid = int(local.submit_trial(request_for("pid"), _ignore).result(20).metrics["value"])
    os.kill(pid, signal.SIGKILL)
    tools.wait_for(lambda: not os.path.exists(f"/proc/{pid}"))
    assert local.submit_trial(request_for("pid"), _ignore).result(20).metrics["value"] != pid


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("garbage", "broke the protocol: not JSON"),
        ("endless_line", "a line of more than"),
        ("forges", "which it does not run"),
        ("hangs_up", "closed its side"),
    ],
)
def test_a_process_that_breaks_the_protocol_is_killed(executor, request_for, tools, how, says):
    local = executor(command=tools.scripted(how))
    with pytest.raises(TrialLost, match=says):
        local.submit_trial(request_for(), _ignore).result(20)


def test_an_echo_of_the_last_trial_is_no_harm(executor, request_for, tools):
    local = executor(command=tools.scripted("echoes"))
    for _ in range(3):
        assert local.submit_trial(request_for(), _ignore).result(20).state == "completed"


def test_a_process_that_cannot_start_is_rejected_with_its_last_words(executor, request_for, tools):
    local = executor(command=tools.scripted("dies_at_start"))
    for _ in range(3):
        with pytest.raises(ExecutorRejected, match=r"status 1 .*no module named tensorfluw"):
            local.submit_trial(request_for(), _ignore).result(20)
    health = local.health()
    assert not health.ok
    assert "tensorfluw" in health.detail


def test_health_recovers_half_a_minute_after_failed_starts(executor, request_for, tools):
    ahead = [0.0]
    local = executor(
        command=tools.scripted("dies_at_start"), monotonic=lambda: time.monotonic() + ahead[0]
    )
    for _ in range(3):
        with pytest.raises(ExecutorRejected):
            local.submit_trial(request_for(), _ignore).result(20)
    assert not local.health().ok
    ahead[0] = 31.0
    assert local.health().ok


def test_a_process_of_another_contract_version_is_refused(executor, request_for, tools):
    local = executor(command=tools.scripted("old_contract"))
    with pytest.raises(ExecutorRejected, match="contract version 0"):
        local.submit_trial(request_for(), _ignore).result(20)


@pytest.mark.parametrize(
    ("how", "says"), [("never_ready", "said nothing for 1 s"), ("killed_at_start", "SIGKILL")]
)
def test_a_start_that_may_work_next_time_is_unavailable(executor, request_for, tools, how, says):
    local = executor(command=tools.scripted(how), start_timeout_s=1.0)
    with pytest.raises(ExecutorUnavailable, match=says):
        local.submit_trial(request_for(), _ignore).result(20)


def test_a_system_without_room_for_a_process_is_unavailable(executor, request_for, monkeypatch):
    def no_room(*_args, **_options):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    local = executor()
    monkeypatch.setattr("hpo_executors.local.worker.subprocess.Popen", no_room)
    with pytest.raises(ExecutorUnavailable, match="temporarily unavailable"):
        local.submit_trial(request_for(), _ignore).result(20)
    monkeypatch.undo()
    assert local.submit_trial(request_for(), _ignore).result(20).state == "completed"


def test_a_program_that_is_not_there_is_rejected(executor, request_for):
    local = executor(command=("/no/such/program",))
    with pytest.raises(ExecutorRejected, match="No such file"):
        local.submit_trial(request_for(), _ignore).result(20)


def test_a_result_that_crosses_the_stop_is_kept(executor, request_for):
    local, request = executor(), request_for("reporting", steps=2)
    future = local.submit_trial(
        request, lambda r: local.cancel(r.key) if getattr(r, "step", 0) == 1 else None
    )
    assert future.result(20).state in ("completed", "cancelled")
    assert local.submit_trial(request_for(), _ignore).result(20).state == "completed"


def test_a_polite_trial_is_cancelled_and_its_worker_kept(executor, request_for, tools):
    local, request = executor(), request_for("polite")
    future = local.submit_trial(request, _ignore)
    pid = tools.pids_in(request.workdir)[0]
    local.cancel(request.key)
    local.cancel(request.key)
    assert future.result(20).state == "cancelled"
    assert local.submit_trial(request_for("pid"), _ignore).result(20).metrics["value"] == pid


@pytest.mark.parametrize("objective", ["stubborn", "hung_in_c", "stopped", "with_grandchildren"])
def test_a_trial_that_will_not_stop_is_killed_with_its_group(
    executor, request_for, tools, objective
):
    local, request = executor(stop_grace_s=0.2), request_for(objective)
    future = local.submit_trial(request, _ignore)
    pids = tools.pids_in(request.workdir)
    local.cancel(request.key)
    local.cancel(request.key)
    assert future.result(10).state == "cancelled"
    tools.wait_for(lambda: not any(map(tools.alive, pids)), 3)
    assert local.submit_trial(request_for(), _ignore).result(20).state == "completed"


def test_a_trial_cancelled_before_its_worker_is_ready_never_runs(executor, request_for, tools):
    local = executor(command=tools.scripted("slow_start"))
    reports = []
    request = request_for()
    future = local.submit_trial(request, reports.append)
    local.cancel(request.key)
    assert future.result(0.9).state == "cancelled"
    assert local.submit_trial(request_for(), _ignore).result(20).state == "completed"
    assert reports == []


def test_cancelling_what_is_unknown_or_over_is_ignored(executor, request_for):
    local, request = executor(), request_for()
    local.cancel("sweep/99/0")
    local.submit_trial(request, _ignore).result(20)
    local.cancel(request.key)
    assert local.submit_trial(request_for(), _ignore).result(20).state == "completed"


def test_closing_ends_everything_and_wakes_whoever_waits(executor, request_for, tools):
    local = executor(2)
    requests = [request_for("hung_in_c"), request_for("with_grandchildren")]
    futures = [local.submit_trial(request, _ignore) for request in requests]
    pids = [pid for request in requests for pid in tools.pids_in(request.workdir)]
    woken = threading.Event()
    futures[0].add_done_callback(lambda _: woken.set())
    local.close()
    local.close()
    assert woken.is_set()
    for future in futures:
        with pytest.raises(TrialLost, match="was closed"):
            future.result(0)
    tools.wait_for(lambda: not any(map(tools.alive, pids)), 3)
    with pytest.raises(ExecutorRejected, match="closed"):
        local.submit_trial(request_for(), _ignore)
    local.cancel(requests[0].key)
    assert not local.health().ok


def test_closing_from_a_report_does_not_wait_for_itself(executor, request_for):
    local = executor()
    future = local.submit_trial(
        request_for("polite"), lambda r: local.close() if isinstance(r, Started) else None
    )
    with pytest.raises(TrialLost):
        future.result(20)


def test_closing_an_executor_that_never_ran_leaves_nothing_open(executor):
    before = os.listdir("/proc/self/fd")
    executor().close()
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_an_executor_that_is_dropped_ends_its_processes(request_for, tools, tmp_path):
    from hpo_executors.local.executor import LocalExecutor
    from hpo_executors.local.options import LocalOptions
    from hpocli.spi import ExecutorContext

    local = LocalExecutor(LocalOptions(), ExecutorContext(concurrent_workers=1, run_dir=tmp_path))
    pid = int(local.submit_trial(request_for("pid"), _ignore).result(20).metrics["value"])
    del local
    tools.wait_for(lambda: not tools.alive(pid), 5)


def test_the_log_holds_what_the_trial_printed(executor, request_for):
    local = executor()
    texts = ["of the first", "of the second"]
    for text in texts:
        request = request_for("prints", text=text)
        local.submit_trial(request, _ignore).result(20)
        assert (request.workdir / "log.txt").read_text() == f"{text}\nto stderr\n"


def test_a_flood_costs_neither_disk_nor_other_trials(executor, request_for):
    local = executor(2)
    for warm in [local.submit_trial(request_for(), _ignore) for _ in range(2)]:
        warm.result(20)
    loud = request_for("floods", mb=200)
    future = local.submit_trial(loud, _ignore)
    quiet = 0
    while not future.done():
        assert local.submit_trial(request_for(), _ignore).result(20).state == "completed"
        quiet += 1
    assert future.result(60).state == "completed"
    assert quiet > 1
    text = (loud.workdir / "log.txt").read_bytes()
    assert len(text) < 2 * KEPT_BYTES + 100
    assert text.startswith(b"first words")
    assert text.endswith(b"last words\n")
    assert b"bytes left out ...]" in text


def test_a_folder_that_cannot_be_written_costs_the_log_only(executor, request_for, caplog):
    request = request_for("prints", text="unheard")
    (request.workdir / "log.txt").mkdir()
    assert executor().submit_trial(request, _ignore).result(20).state == "completed"
    assert "no log at" in caplog.text


def test_thirty_trials_leak_no_descriptor_and_no_thread(executor, request_for, tools):
    local = executor(2, trials_per_worker=4)
    local.submit_trial(request_for(), _ignore).result(20)
    fds, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for number in range(30):
        objective = "exits" if number % 10 == 9 else "quick"
        local.submit_trial(request_for(objective), _ignore).exception(20)
    local.submit_trial(request_for(), _ignore).result(20)
    tools.wait_for(lambda: len(os.listdir("/proc/self/fd")) <= fds)
    assert threading.active_count() == threads
    local.close()
    assert "hpo-local" not in {thread.name for thread in threading.enumerate()}


def test_the_child_gets_threads_but_no_credentials(executor, request_for, monkeypatch):
    monkeypatch.setenv("RUNPOD_API_KEY", "rp-secret")
    monkeypatch.setenv("AWS_PROFILE", "prod")
    monkeypatch.setenv("DB_URL", "postgresql://me:secret@db/x")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:needed@proxy")
    monkeypatch.setenv("PLAIN", "kept")
    request = request_for("environment")
    executor(threads_per_worker=3).submit_trial(request, _ignore).result(20)
    lines = (request.workdir / "environment.txt").read_text().split("\0")
    found = dict(line.split("=", 1) for line in lines)
    assert "secret" not in str(found)
    assert "AWS_PROFILE" not in found
    assert (found["PLAIN"], found["HTTPS_PROXY"]) == ("kept", "http://me:needed@proxy")
    assert found["OMP_NUM_THREADS"] == found["TF_NUM_INTRAOP_THREADS"] == "3"
    assert found["CUDA_VISIBLE_DEVICES"] == "-1"
    assert found["PYTHONHASHSEED"] == "0"


def test_modules_in_the_current_folder_do_not_shadow_ours(
    executor, request_for, tmp_path, monkeypatch
):
    (tmp_path / "hpo_handler").mkdir()
    (tmp_path / "hpo_handler" / "__init__.py").write_text("raise SystemExit('shadowed')")
    (tmp_path / "handler.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    assert executor().submit_trial(request_for(), _ignore).result(20).state == "completed"


def _ignore(_report):
    pass
