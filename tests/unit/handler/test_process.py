"""The trial process itself: its protocol, its endings, its death."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from hpo_handler.attempt import GRACE_S
from hpo_handler.contract import JobReport, JobResult, JobStage, JobStarted, Trainer, dump_job

pytestmark = pytest.mark.timeout(60)


def test_a_job_is_answered_by_started_stages_reports_and_the_result(shared):
    key = shared.function(
        """
        def objective(ctx):
            for step in range(3):
                ctx.report(step, step / 2, total_steps=3, loss=0.25)
            return ctx.params["x"] * 2
        """,
        params={"x": 0.25},
    )
    result, seen = shared.until_result()
    assert isinstance(seen[0], JobStarted)
    assert [m.stage for m in seen if isinstance(m, JobStage)] == ["importing", "training"]
    assert seen[-1] == JobReport(key=key, step=2, value=1.0, total_steps=3, metrics={"loss": 0.25})
    assert (result.key, result.state, result.metrics) == (key, "completed", {"value": 0.5})
    assert result.duration_s is not None


def test_prints_go_to_the_log_and_never_forge_a_result(child):
    forged = json.dumps({"type": "result", "key": "sweep/0/0", "state": "completed"})
    result = child.run(
        f"""
        import os, subprocess, sys
        def objective(ctx):
            forged = {forged!r}
            print(forged)
            os.write(1, forged.encode() + b"\\n")
            sys.__stdout__.write(forged + "\\n")
            subprocess.run(["echo", forged], check=True)
            return 0.5
        """
    )
    assert result.metrics == {"value": 0.5}
    child.close()
    assert child.log.count(forged.encode()) == 4


def test_a_forked_child_of_the_objective_cannot_write_to_the_protocol(shared):
    result = shared.run(
        """
        import os
        def objective(ctx):
            pid = os.fork()
            if not pid:
                try:
                    ctx.report(0, 99.0)
                finally:
                    os._exit(0)
            os.waitpid(pid, 0)
            return 0.5
        """
    )
    assert result.metrics == {"value": 0.5}


def test_a_flood_of_output_does_not_disturb_the_protocol(child):
    result = child.run(
        """
        def objective(ctx):
            for _ in range(50):
                print("x" * 2**20)
            return 1
        """
    )
    assert result.state == "completed"
    child.close()
    assert len(child.log) > 50 * 2**20


def test_standard_input_is_empty_for_the_trainer(shared):
    result = shared.run("import sys\ndef objective(ctx): return len(sys.stdin.read())")
    assert result.metrics == {"value": 0.0}


def test_a_second_job_runs_after_a_failing_first(shared):
    assert shared.run("def objective(ctx): 1 / 0").state == "failed"
    assert shared.run("def objective(ctx): return 2").metrics == {"value": 2.0}


def test_jobs_sent_together_run_one_after_the_other(shared):
    first = shared.function("def objective(ctx): return 1")
    second = shared.function("def objective(ctx): return 2")
    assert [shared.until_result()[0].key, shared.until_result()[0].key] == [first, second]


def test_a_report_storm_is_thinned_in_order_and_keeps_the_last(shared):
    shared.function(
        """
        def objective(ctx):
            for step in range(50_000):
                ctx.report(step, step)
            return 1
        """
    )
    _, seen = shared.until_result()
    steps = [m.step for m in seen if isinstance(m, JobReport)]
    assert steps == sorted(set(steps))
    assert steps[:1000] == list(range(1000))
    assert steps[-1] == 49_999
    assert len(steps) < 2_500


def test_a_report_that_waits_arrives_without_a_later_one(shared):
    key = shared.function(
        """
        def objective(ctx):
            for step in range(1500):
                ctx.report(step, step)
            while not ctx.should_stop():
                ctx._stop.wait()
        """
    )
    while shared.until_report().step < 1499:
        pass
    shared.stop(key)
    assert shared.until_result()[0].state == "cancelled"


@pytest.mark.parametrize(
    ("ending", "state"),
    [
        ("return None", "cancelled"),
        ("return 0.5", "cancelled"),
        ("from hpo_handler.context import TrialStopped; raise TrialStopped", "cancelled"),
        ("import optuna; raise optuna.TrialPruned", "cancelled"),
        ("raise ValueError('stopped')", "failed"),
    ],
)
def test_a_stop_ends_a_trial_as_its_own_ending_says(shared, ending, state):
    key = shared.function(
        f"""
        def objective(ctx):
            ctx.report(0, 0.1)
            ctx._stop.wait()
            assert ctx.should_stop()
            {ending}
        """
    )
    shared.until_report()
    shared.stop(key)
    assert shared.until_result()[0].state == state


def test_a_stop_before_the_trial_begins_cancels_it_unrun(child):
    first = child.function("def objective(ctx):\n ctx.report(0, 1)\n ctx._stop.wait()\n return 1")
    second = child.function("def objective(ctx): print('the second ran')")
    child.until_report()
    child.stop(second)
    child.stop(first)
    assert child.until_result()[0].state == "completed"
    assert child.until_result()[0].state == "cancelled"
    child.close()
    assert b"the second ran" not in child.log


def test_a_stop_after_the_result_and_for_strangers_is_ignored(shared):
    assert shared.run("def objective(ctx): return 1").state == "completed"
    shared.stop("sweep/0/0")
    shared.stop("nobody/1/0")
    assert shared.run("def objective(ctx): return float(ctx.should_stop())").metrics["value"] == 0


def test_sigint_is_left_to_the_client(child):
    key = child.function("def objective(ctx):\n ctx.report(0, 1)\n ctx._stop.wait()\n return 1")
    child.until_report()
    os.killpg(child.process.pid, signal.SIGINT)
    child.stop(key)
    assert child.until_result()[0].state == "completed"


def test_past_its_deadline_a_trial_is_asked_to_stop_and_has_timed_out(shared):
    result = shared.run("def objective(ctx): ctx._stop.wait(); return 1", deadline_s=0.2)
    assert result.error is not None
    assert (result.error.failure, "0.2 s" in result.error.message) == ("timeout", True)
    assert shared.run("def objective(ctx): return 1").state == "completed"


@pytest.mark.slow
def test_a_trial_that_ignores_its_deadline_takes_the_process_with_it(start, gone):
    child = start()
    began = time.monotonic()
    result = child.run(
        """
        import subprocess, threading
        def objective(ctx):
            ctx.report(0, subprocess.Popen(["sleep", "60"]).pid)
            while True:
                pass
        """,
        deadline_s=0.1,
    )
    assert result.error is not None
    assert result.error.failure == "timeout"
    assert GRACE_S <= time.monotonic() - began < GRACE_S + 3
    assert child.process.wait(timeout=5) == -signal.SIGKILL


def test_a_huge_result_is_the_users_error(shared):
    result = shared.run(
        "def objective(ctx): return {'value': 1, **{f'{i}' + 'x' * 1000: 1 for i in range(900)}}"
    )
    assert result.error is not None
    assert (result.error.failure, "fewer or shorter" in result.error.message) == ("user", True)


def test_credentials_are_not_in_the_trials_environment(start):
    names = ("RUNPOD_API_KEY", "HF_TOKEN", "AWS_REGION", "MY_SECRETS_FILE", "DB_PASSWORD")
    child = start(**dict.fromkeys(names, "hush"), PLAIN="1", TOKENIZERS_PARALLELISM="false")
    child.run("import os\ndef objective(ctx): print(sorted(os.environ)); return 1")
    child.close()
    assert b"PLAIN" in child.log
    assert b"TOKENIZERS_PARALLELISM" in child.log
    assert not [name for name in names if name.encode() in child.log]


def test_seeds_make_the_global_generators_repeat(shared):
    source = """
        import random
        def objective(ctx):
            import numpy
            return random.random() + numpy.random.random()
        """
    first, again = shared.run(source), shared.run(source)
    assert first.metrics == again.metrics
    assert shared.run(source, seed=8).metrics != first.metrics


def test_the_folder_of_the_process_is_given_back_after_a_trial(shared):
    shared.run("import os\ndef objective(ctx): os.chdir('/'); return 1")
    result = shared.run("import os\ndef objective(ctx): return {'value': os.getcwd() != '/'}")
    assert result.metrics == {"value": 1.0}


def test_an_unknown_trainer_is_rejected_by_name(shared):
    shared.submit(Trainer(kind="builtin", name="keras-imagine"))
    error = shared.until_result()[0].error
    assert error is not None
    assert error.failure == "rejected"
    assert "'keras-imagine'" in error.message
    assert "keras-image" in error.message


@pytest.mark.parametrize(
    "line", [b"garbage\n", b"[]\n", b'{"type":"job","v":99,"key":"k"}\n', b'{"type":"x"}\n']
)
def test_a_line_that_breaks_the_contract_is_refused_and_the_next_job_runs(shared, line):
    shared.send(line)
    result = shared.next()
    assert isinstance(result, JobResult)
    assert result.error is not None
    assert result.error.failure == "rejected"
    assert shared.run("def objective(ctx): return 1").state == "completed"


def test_a_bad_line_with_the_key_of_a_running_job_does_not_end_it(shared):
    key = shared.function("def objective(ctx):\n ctx.report(0, 1)\n ctx._stop.wait()\n return 1")
    shared.until_report()
    shared.send(json.dumps({"type": "job", "v": 99, "key": key}).encode() + b"\n")
    shared.stop(key)
    assert shared.until_result()[0].state == "completed"


def test_preloading_what_cannot_be_had_is_a_line_in_the_log(start):
    child = start(HPO_PRELOAD="nonsense")
    assert child.run("def objective(ctx): return 1").state == "completed"
    child.close()
    assert b"cannot preload nonsense" in child.log


def test_the_process_and_its_children_die_when_the_client_hangs_up_in_mid_training(start, gone):
    child = start()
    child.function(
        """
        import subprocess
        def objective(ctx):
            ctx.report(0, subprocess.Popen(["sleep", "60"]).pid)
            while True:
                pass
        """
    )
    grandchild = int(child.until_report().value)
    child.hang_up()
    assert child.process.wait(timeout=5) == -signal.SIGKILL
    gone(grandchild)


def test_children_die_with_a_trial_process_that_is_killed(start, gone):
    child = start()
    child.function(
        """
        import subprocess
        def objective(ctx):
            ctx.report(0, subprocess.Popen(["sleep", "60"]).pid)
            ctx._stop.wait()
        """
    )
    grandchild = int(child.until_report().value)
    os.kill(child.process.pid, signal.SIGKILL)
    gone(grandchild)


CLIENT = """
import os, subprocess, sys, time
job = sys.stdin.buffer.readline()
child = subprocess.Popen(
    [sys.executable, "-P", "-m", "hpo_handler.process"], stdin=-1, stdout=-1,
    start_new_session=True, env={**os.environ, "HPO_PARENT_PID": str(os.getpid())},
)
child.stdin.write(job)
child.stdin.flush()
for line in child.stdout:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
"""


@pytest.mark.parametrize("kind", ["function", "command", "frozen"])
def test_nothing_survives_a_client_that_is_killed(tmp_path, gone, kind):
    (tmp_path / "never.py").write_text(
        "import os, json, subprocess, time\n"
        "def objective(ctx):\n"
        "    ctx.report(0, subprocess.Popen(['sleep', '60']).pid)\n"
        "    while True: pass\n"
        "def frozen(ctx):\n"
        "    import ctypes\n"
        "    ctx.report(0, subprocess.Popen(['sleep', '60']).pid)\n"
        "    ctypes.PyDLL(None).sleep(60)  # holds the interpreter lock\n"
        "if __name__ == '__main__':\n"
        "    line = {'step': 0, 'value': subprocess.Popen(['sleep', '60']).pid}\n"
        "    os.write(int(os.environ['HPO_REPORT_FD']), json.dumps(line).encode() + b'\\n')\n"
        "    time.sleep(60)\n"
    )
    function = "frozen" if kind == "frozen" else "objective"
    trainer = {
        "kind": "command" if kind == "command" else "function",
        "name": f"never:{function}",
        "command": [sys.executable, "never.py"],
        "pythonpath": [str(tmp_path)],
    }
    job = {
        "type": "job",
        "v": 1,
        "key": "s/0/0",
        "trainer": trainer,
        "params": {},
        "settings": {},
        "objectives": ["value"],
        "seed": 1,
        "gpus": 0,
    }
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert client.stdin
    assert client.stdout
    with client:
        client.stdin.write(json.dumps(job).encode() + b"\n")
        client.stdin.flush()
        messages = {}
        while "report" not in messages:
            message = json.loads(client.stdout.readline())
            messages[message["type"]] = message
        client.kill()
    gone(messages["ready"]["pid"])
    gone(int(messages["report"]["value"]))


def test_a_process_whose_parent_is_gone_already_ends_at_once():
    done = subprocess.run(
        [sys.executable, "-P", "-m", "hpo_handler.process"],
        env={**os.environ, "HPO_PARENT_PID": "1"},
        stdin=subprocess.DEVNULL,
        timeout=10,
        check=False,
    )
    assert done.returncode == 1


def test_the_start_imports_nothing_heavy():
    heavy = ("numpy", "tensorflow", "optuna", "asyncio", "requests", "pydantic")
    code = (
        "import sys, hpo_handler.process\n"
        f"print([m for m in {heavy!r} if m in sys.modules], 'hpocli' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"


def test_a_job_without_objectives_is_rejected(shared):
    from hpo_handler.contract import Job

    trainer = Trainer(kind="function", name="m:f")
    shared.send(
        dump_job(Job(key="k", trainer=trainer, params={}, settings={}, objectives=(), seed=1))
    )
    result = shared.next()
    assert isinstance(result, JobResult)
    assert result.state == "failed"
