"""What is shown while a run goes on: to a terminal, a pipe, a program, or nobody."""

import io
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import START, Sweep, header, records

from hpocli import events as ev
from hpocli.config import SweepConfig
from hpocli.console import JsonLines, LiveView, PlainLines, Quiet, make_console
from hpocli.lines import event_line, final_lines
from hpocli.progress import aggregate
from hpocli.runs import RunFolder
from hpocli.spi import TrainerRef
from hpocli.state import RunState, fold

CONFIG = SweepConfig(trainer=TrainerRef(kind="builtin", name="keras-image"), run_name="made-up")
SWEEP = Sweep(trials=6, pruned=0.3, failed=0.3, seed=4)


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Now:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.at = START

    def time(self):
        return self.at

    def monotonic(self):
        return self.at

    def receive(self, inbox, timeout_s):
        raise AssertionError("the console waits for nothing")


def shown(tmp_path, *, stdout=None, sweep=SWEEP, until=None, **options):
    """Return what a whole run writes to stdout and stderr."""
    out, err = stdout or io.StringIO(), io.StringIO()
    options = {"json": False, "quiet": False, "environ": {"TERM": "xterm"}} | options
    console = make_console(stdout=out, stderr=err, clock=Now(), **options)
    console.start(header(sweep))
    state = RunState()
    for record in records(sweep, until):
        state.apply(record)
        console.on_record(record, state)
    console.finish(state, RunFolder(tmp_path / "made-up"), CONFIG)
    return out.getvalue(), err.getvalue()


@pytest.mark.parametrize(
    ("stdout", "environ", "flags", "kind"),
    [
        (Terminal(), {"TERM": "xterm"}, {}, LiveView),
        (Terminal(), {"TERM": "dumb"}, {}, PlainLines),
        (Terminal(), {"TERM": "xterm", "CI": "true"}, {}, PlainLines),
        (io.StringIO(), {"TERM": "xterm"}, {}, PlainLines),
        (Terminal(), {"TERM": "xterm"}, {"quiet": True}, Quiet),
        (Terminal(), {"TERM": "xterm"}, {"json": True}, JsonLines),
    ],
)
def test_the_console_fits_what_it_writes_to(stdout, environ, flags, kind):
    options = {"json": False, "quiet": False} | flags
    console = make_console(stdout=stdout, stderr=io.StringIO(), environ=environ, **options)
    assert type(console) is kind


def test_a_pipe_gets_one_line_for_each_trial_that_ended_and_what_to_do_next(tmp_path):
    out, err = shown(tmp_path)
    ended = [line for line in out.splitlines() if line.startswith("[")]
    assert len(ended) == 6
    assert ended[-1].startswith("[6/6] trial ")
    assert err == ""
    assert "\x1b" not in out
    last = out[out.index("next:") :]
    assert "hpo show" in last
    assert "hpo trials" in last


def test_an_unfinished_run_says_how_to_go_on(tmp_path):
    out, _ = shown(tmp_path, until=15.0)
    assert "not run" in out
    assert out[out.index("next:") :].split("\n")[0].split("hpo ")[1].startswith("resume ")


def test_an_exhausted_grid_is_complete_with_fewer_trials_than_asked_for(tmp_path):
    first, *others = records(Sweep(trials=6))
    grid = replace(first.event, trials=50, sampler="grid")
    state = fold([replace(first, event=grid), *others])
    out = "\n".join(final_lines(state, RunFolder(tmp_path / "made-up"), CONFIG, START))
    assert "6 trials" in out
    assert "grid is exhausted" in out
    assert "not run" not in out
    assert "hpo resume" not in out
    assert aggregate(state, START).total == 6


def test_a_run_of_failures_points_to_the_log_and_says_each_failure_once(tmp_path):
    log = RunFolder(tmp_path / "made-up").trial(0) / "log.txt"
    log.parent.mkdir(parents=True)
    log.write_text("boom")
    (tmp_path / "made-up" / "best.yaml").write_text("trial: null")
    out, _ = shown(tmp_path, sweep=Sweep(trials=3, failed=1.0))
    assert out.count("shapes (3,)") == 1
    assert "the same as trial" in out
    assert str(log) in out[out.index("next:") :].splitlines()[0]
    assert "hpo best" not in out
    assert "best.yaml" not in out


def test_a_trial_put_back_while_stopping_is_not_called_tried_again():
    event = ev.TrialRetrying(trial=1, attempt=1, failure="interrupted", delay_s=0.0)
    assert event_line(ev.Record(seq=1, ts=START, event=event), RunState()) == (
        "trial 1 goes back to the queue"
    )


def test_json_gives_every_event_on_stdout_and_words_on_stderr(tmp_path):
    out, err = shown(tmp_path, json=True)
    assert [json.loads(line)["seq"] for line in out.splitlines()] == [r.seq for r in records(SWEEP)]
    assert "next:" in err


def test_quiet_shows_only_the_end(tmp_path):
    out, _ = shown(tmp_path, quiet=True)
    assert out.splitlines()[1].startswith("run ")
    assert "[6/6]" not in out


def test_the_live_view_draws_and_leaves_a_clean_screen(tmp_path):
    out, _ = shown(tmp_path, stdout=Terminal())
    assert "\x1b[" in out
    assert out.count("\x1b[?25l") == out.count("\x1b[?25h")  # the cursor is back
    assert "next:" in out


def test_no_color_means_no_color_on_a_terminal(tmp_path):
    out, _ = shown(tmp_path, stdout=Terminal(), environ={"TERM": "xterm", "NO_COLOR": "1"})
    assert "\x1b[32m" not in out
    assert "\x1b[1;32m" not in out


def test_the_picture_names_running_trials_counts_and_best():
    from rich.console import Console

    from hpocli.liveview import render

    state = fold(records(Sweep(trials=12, slots=3, sigma=0.2), until=25.0))
    for width in (120, 40):
        text = io.StringIO()
        screen = Console(file=text, width=width, height=30, markup=False)
        screen.print(render(state, aggregate(state, START + 25), screen))
        words = text.getvalue()
        assert words.count("trial") >= 3
        assert "3 running" in words
        assert "best" in words
        assert max(map(len, words.splitlines())) <= width


def test_the_picture_never_grows_beyond_the_screen():
    from rich.console import Console

    from hpocli.liveview import render

    state = fold(records(Sweep(trials=100, slots=64, sigma=0.1), until=8.0))
    text = io.StringIO()
    screen = Console(file=text, width=80, height=20)
    screen.print(render(state, aggregate(state, START + 8), screen))
    assert len(text.getvalue().splitlines()) < 20
    assert "and 52 more" in text.getvalue()


def test_text_of_a_worker_cannot_move_the_cursor_or_style(tmp_path):
    evil = "\x1b[2J[link=http://x]\u202egnp\x07\r\nboom"
    events = [
        header(Sweep(trials=1)),
        ev.TrialCreated(trial=0, params={"a\x1b": "\x1b[31m"}, seed=1),
        ev.TrialFinished(trial=0, state="failed", failure="user", message=evil),
        ev.Warned(message=evil),
    ]
    for stdout in (io.StringIO(), Terminal()):
        console = make_console(
            json=False, quiet=False, stdout=stdout, stderr=io.StringIO(), environ={"TERM": "xterm"}
        )
        state = RunState()
        for seq, event in enumerate(events):
            record = ev.Record(seq=seq + 1, ts=START, event=event)
            state.apply(record)
            console.on_record(record, state)
        console.say(evil)
        console.close()
        text = stdout.getvalue()
        assert "\x1b[2J" not in text.replace("\x1b[2K", "")
        assert "\u202e" not in text
        assert "\x07" not in text
        assert "[link=http://x]" in text


def test_a_quiet_minute_brings_a_heartbeat(tmp_path):
    out, clock = io.StringIO(), Now()
    console = make_console(
        json=False, quiet=False, stdout=out, stderr=io.StringIO(), environ={}, clock=clock
    )
    state = fold(records(Sweep(), until=4.0))
    console.on_record(records(Sweep(), until=4.0)[-1], state)
    clock.at += 61
    deadline = time.monotonic() + 5
    while "[0/20]" not in out.getvalue() and time.monotonic() < deadline:
        time.sleep(0.02)
    console.close()
    assert out.getvalue().count("[0/20]") == 1


class Broken(io.StringIO):
    def write(self, text):
        raise BrokenPipeError


@pytest.mark.parametrize("flags", [{}, {"json": True}, {"quiet": True}])
def test_a_reader_that_went_away_never_breaks_the_run(tmp_path, flags):
    shown(tmp_path, stdout=Broken(), **flags)


def test_a_closed_pipe_leaves_no_complaint_at_exit(tmp_path):
    code = (
        "import sys; from hpocli.streams import SafeStream\n"
        "s = SafeStream(sys.stdout)\n"
        "for _ in range(20000): s.line('x' * 50)\n"
        "print('still here', file=sys.stderr)"
    )
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=write,
        stderr=subprocess.PIPE,
        timeout=30,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    os.close(write)
    assert (done.returncode, done.stderr.decode().strip()) == (0, "still here")


def test_a_stream_that_cannot_spell_a_character_gets_a_question_mark():
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    make_console(json=False, quiet=True, stdout=out, stderr=out, environ={}).say("12 done · 3")
    assert raw.getvalue() == b"12 done ? 3\n"
