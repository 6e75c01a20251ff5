"""Scripts as trainers: arguments, reports on their own descriptor, endings, no orphans."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from hpo_handler.contract import JobReport, JobStage, Trainer

pytestmark = pytest.mark.timeout(60)

SAY = """
import json, os, signal, subprocess, sys, time
def say(**line):
    os.write(int(os.environ["HPO_REPORT_FD"]), json.dumps(line).encode() + b"\\n")
def raw(text):
    os.write(int(os.environ["HPO_REPORT_FD"]), text)
"""


def failure(result):
    assert result.state == "failed"
    return result.error


def test_a_script_reports_and_completes(shared):
    key = shared.script(
        SAY + "say(stage='loading data')\nsay(step=0, value=0.5, total_steps=2, loss=1)\n"
        "say(step=1, value=0.75)\nsay(value=0.9)"
    )
    result, seen = shared.until_result()
    assert (result.state, result.metrics) == ("completed", {"value": 0.9})
    assert JobStage(key=key, stage="loading data") in seen
    assert seen[-2:] == [
        JobReport(key=key, step=0, value=0.5, total_steps=2, metrics={"loss": 1}),
        JobReport(key=key, step=1, value=0.75),
    ]


def test_parameters_come_by_template_and_environment(child, tmp_path):
    result = child.run_script(
        SAY + "print(sys.argv[1:], flush=True)\n"
        "assert json.loads(os.environ['HPO_PARAMS']) == {'lr': 0.1, 'opt-name': 'a b', 'on': True}\n"
        "assert os.environ['HPO_PARAM_LR'] == '0.1' and os.environ['HPO_PARAM_OPT_NAME'] == 'a b'\n"
        "assert (os.environ['HPO_SEED'], os.environ['HPO_TRIAL']) == ('7', '0')\n"
        "assert os.path.isdir(os.environ['HPO_WORKDIR'])\n"
        "say(metrics={'value': 1, 'extra': 2})",
        "{lr}", "--{opt-name}--", "{on}", "{seed}/{number}", "{workdir}", "{settings.a.b}", "{{x}}",
        "$(id);*",
        params={"lr": 0.1, "opt-name": "a b", "on": True},
        settings={"a": {"b": None}},
        workdir=str(tmp_path / "trial"),
    )  # fmt: skip
    assert result.metrics == {"value": 1.0, "extra": 2.0}, result.error
    child.close()
    shown = ["0.1", "--a b--", "true", "7/0", str(tmp_path / "trial"), "null", "{x}", "$(id);*"]
    assert str(shown).encode() in child.log


def test_a_list_answers_several_objectives(shared):
    result = shared.run_script(SAY + "say(value=[1, 2])", objectives=("a", "b"))
    assert result.metrics == {"a": 1.0, "b": 2.0}


def test_prints_of_a_script_are_no_result(child):
    result = child.run_script("print('{\"value\": 1}')")
    assert "HPO_REPORT_FD" in failure(result).message
    child.close()
    assert b'{"value": 1}' in child.log


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (
            "raw(b'hello\\n')",
            "user",
            "line 1 that the command wrote to HPO_REPORT_FD is not usable: not JSON: hello",
        ),
        ("raw(b'[1]\\n')", "user", "not a JSON object"),
        ("raw(b'x' * 300_000)", "user", "longer than"),
        ("raw(b'[' * 200_000)", "user", "not JSON"),
        ("say(stepp=1)", "user", "neither a report nor a result"),
        ("say(step=0)", "user", "value must be a number"),
        ("say(step=1, value=1); say(step=0, value=1)", "user", "steps must grow"),
        ("say(step=0, value=float('nan')); time.sleep(60)", "diverged", "nan"),
        ("say(value=float('nan'))", "diverged", "'value' is nan"),
        ("say(value='x')", "user", "'value' must be a number"),
        ("say(value=1); sys.exit(3)", "user", "exit status 3"),
        ("sys.exit('out of luck')", "user", "exit status 1: out of luck"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "lost", "SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "user", "SIGSEGV"),
    ],
)
def test_bad_endings_of_a_script_are_classified_and_explained(shared, body, kind, words):
    error = failure(shared.run_script(SAY + body))
    assert (error.failure, words in error.message) == (kind, True), error


def test_a_script_that_ends_its_trial_early_is_pruned(shared):
    assert shared.run_script(SAY + "say(pruned=True)").state == "pruned"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ((), "empty"),
        (("no-such-program-here",), "not on the PATH"),
        (("./none.sh",), "does not exist"),
        (("./plain.txt",), "not executable"),
        (("echo", "{lr}", "{learning}"), "{learning}"),
        (("echo", "{nul}"), "null byte"),
    ],
)
def test_a_command_that_cannot_be_started_is_explained(shared, tmp_path, command, words):
    (tmp_path / "plain.txt").write_text("")
    shared.submit(
        Trainer(kind="command", name="c", command=command, pythonpath=(str(tmp_path),)),
        params={"lr": 1, "nul": "a\0b"},
    )
    error = failure(shared.until_result()[0])
    assert (error.failure, words in error.message) == ("user", True), error


def test_a_program_beside_the_sweep_file_is_found(shared, tmp_path):
    script = tmp_path / "train.sh"
    script.write_text('#!/bin/sh\necho "{\\"value\\": $HPO_PARAM_X}" >&$HPO_REPORT_FD\n')
    script.chmod(0o755)
    trainer = Trainer(
        kind="command", name="c", command=("./train.sh",), pythonpath=(str(tmp_path),)
    )
    shared.submit(trainer, params={"x": 0.25})
    assert shared.until_result()[0].metrics == {"value": 0.25}


def test_a_stop_ends_a_script_that_listens(shared):
    key = shared.script(SAY + "say(step=0, value=1)\ntime.sleep(60)")
    shared.until_report()
    began = time.monotonic()
    shared.stop(key)
    assert shared.until_result()[0].state == "cancelled"
    assert time.monotonic() - began < 2


def test_what_a_stopped_script_still_says_is_kept_but_does_not_complete_it(shared):
    key = shared.script(
        SAY + "signal.signal(signal.SIGTERM, lambda *_: (say(value=0.5), sys.exit(0)))\n"
        "say(step=0, value=1)\ntime.sleep(60)"
    )
    shared.until_report()
    shared.stop(key)
    result = shared.until_result()[0]
    assert (result.state, result.metrics) == ("cancelled", {"value": 0.5})


def test_a_script_that_ignores_a_stop_is_killed_with_its_children(shared, gone):
    key = shared.script(
        SAY + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "kid = subprocess.Popen(['sleep', '60'])\nsay(step=0, value=kid.pid)\n"
        "while True: time.sleep(60)"
    )
    kid = int(shared.until_report().value)
    began = time.monotonic()
    shared.stop(key)
    assert shared.until_result()[0].state == "cancelled"
    assert 3 <= time.monotonic() - began < 5
    gone(kid)


def test_what_a_script_leaves_running_is_killed_when_it_ends(shared, gone):
    result = shared.run_script(SAY + "say(value=subprocess.Popen(['sleep', '60']).pid)")
    assert result.state == "completed"
    gone(int(result.metrics["value"]))


def test_a_script_past_its_deadline_is_ended_and_timed_out(shared):
    error = failure(shared.run_script("import time; time.sleep(60)", deadline_s=0.2))
    assert error.failure == "timeout"


def test_a_script_and_its_children_die_with_a_trial_process_that_is_killed(child, gone):
    child.script(
        SAY + "say(step=0, value=os.getpid())\n"
        "say(step=1, value=subprocess.Popen(['sleep', '60']).pid)\ntime.sleep(60)"
    )
    pids = [int(child.until_report().value), int(child.until_report().value)]
    os.kill(child.process.pid, signal.SIGKILL)
    for pid in pids:
        gone(pid)


def test_a_script_gets_no_descriptor_but_its_own(shared):
    result = shared.run_script(
        SAY + "own = os.readlink('/proc/self/fd/3')\n"
        "links = [f'/proc/self/fd/{fd}' for fd in os.listdir('/proc/self/fd') if int(fd) > 2]\n"
        "others = [os.readlink(link) for link in links if os.path.exists(link)]\n"
        "say(value=len([other for other in others if other not in (own, '/proc')]))"
    )
    assert result.metrics == {"value": 0.0}


def test_the_second_job_after_a_failing_script_runs(shared):
    failure(shared.run_script("raise SystemExit(1)"))
    assert shared.run_script(SAY + "say(value=1)").state == "completed"


def test_a_flood_on_standard_error_does_not_hold_a_script(shared):
    result = shared.run_script(
        SAY + "for _ in range(20): sys.stderr.write('x' * 2**20)\nsay(value=1)"
    )
    assert result.state == "completed"
    assert sys.getsizeof(result) < 10_000
