"""Ctrl-C on a real terminal, SIGTERM, SIGHUP and a reader that goes away."""

import os
import pty
import select
import signal
import subprocess
import time

import pytest

pytestmark = pytest.mark.timeout(120)


class Terminal:
    """A command under a pseudo-terminal of its own, as a shell would start it."""

    def __init__(self, hpo, *arguments):
        self.fd, slave = pty.openpty()
        self.text = ""
        self.process = hpo.start(
            *arguments,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_take_terminal,
            env=hpo.env | {"TERM": "xterm", "CI": ""},
        )
        os.close(slave)

    def read_until(self, text, within_s):
        """Return the seconds it took until `text` was on the screen."""
        began = time.monotonic()
        while text not in self.text:
            left = within_s - (time.monotonic() - began)
            assert left > 0, self.text
            if select.select([self.fd], [], [], left)[0]:
                self.text += self._read()
        return time.monotonic() - began

    def ctrl_c(self):
        """Press the key: the terminal signals its whole foreground group."""
        self.text = ""
        os.write(self.fd, b"\x03")

    def wait(self, within_s):
        """Read to the end; return the exit status."""
        end = time.monotonic() + within_s
        while self.process.poll() is None:
            assert time.monotonic() < end, self.text
            if select.select([self.fd], [], [], 0.05)[0]:
                self.text += self._read()
        while select.select([self.fd], [], [], 0.05)[0] and (more := self._read()):
            self.text += more
        os.close(self.fd)
        return self.process.returncode

    def _read(self):
        try:
            return os.read(self.fd, 65536).decode("utf-8", "replace")
        except OSError:  # the other side is closed
            return ""


def _take_terminal():
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def finish(hpo, trials):
    """Resume to the end and hold everything together."""
    result = hpo("resume", "latest", "settings.seconds=0.05", "--quiet")
    assert result.returncode == 0, result.stderr
    hpo.check(trials)


def test_ctrl_c_says_at_once_what_happens_then_lets_trials_end(hpo):
    hpo.sweep("long", trials=6, settings={"seconds": 1.5})
    terminal = Terminal(hpo, "run", "local", "s.yaml")
    hpo.wait_for_event("trial_reported")
    terminal.ctrl_c()
    assert terminal.read_until("stopping: nothing new starts", 5) < 1.0
    assert terminal.wait(20) == 130
    assert "Traceback" not in terminal.text
    assert "hpo resume s" in terminal.text
    assert {e["state"] for e in hpo.named("attempt_ended")} == {"completed"}
    assert [e["policy"] for e in hpo.named("run_interrupted")] == ["drain"]
    assert hpo.orphans() == []
    finish(hpo, 6)


def test_the_second_ctrl_c_ends_at_once_and_loses_nothing(hpo):
    hpo.sweep("long", trials=4, plot_generation="best")
    terminal = Terminal(hpo, "run", "local", "s.yaml")
    hpo.wait_for_event("trial_reported")
    terminal.ctrl_c()
    terminal.read_until("stopping", 5)
    terminal.ctrl_c()
    began = time.monotonic()
    assert terminal.wait(10) == 130
    assert time.monotonic() - began < 3
    assert "Traceback" not in terminal.text
    assert hpo.orphans() == []
    finish(hpo, 4)


def test_ctrl_c_while_it_starts_leaves_no_traceback_and_no_orphan(hpo):
    hpo.sweep("long", trials=2)
    for delay in (0.2, 0.5, 0.8, 1.2):
        terminal = Terminal(
            hpo, "run", "local", "s.yaml", "on_interrupt=cancel", f"run_name=d{int(delay * 10)}"
        )
        time.sleep(delay)
        terminal.ctrl_c()
        assert terminal.wait(20) == 130
        assert "Traceback" not in terminal.text
        assert hpo.orphans() == []


def test_on_interrupt_cancel_stops_trials_now(hpo):
    hpo.sweep("long", trials=4, on_interrupt="cancel")
    process = hpo.start("run", "local", "s.yaml")
    hpo.wait_for_event("trial_reported")
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - began < 5
    assert "stopping: nothing new starts, ending 2 running trials" in out
    assert "Traceback" not in err
    assert not hpo.named("trial_finished")
    finish(hpo, 4)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_and_sighup_stop_gracefully_with_143(hpo, number):
    hpo.sweep("long", trials=4, settings={"seconds": 1.0})
    process = hpo.start("run", "local", "s.yaml", "--quiet")
    hpo.wait_for_event("trial_reported")
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert len(hpo.named("trial_finished")) == 2
    assert hpo.orphans() == []
    finish(hpo, 4)


def test_a_trial_that_ignores_the_end_is_cancelled_within_the_pipes_window(hpo):
    hpo.sweep("long", trials=2)
    process = hpo.start("run", "local", "s.yaml")
    hpo.wait_for_event("trial_reported", 2)
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert time.monotonic() - began < 8.5  # a CI system kills at 10
    assert not hpo.named("trial_finished")
    finish(hpo, 2)


def test_head_may_close_the_pipe_and_the_sweep_goes_on(hpo):
    hpo.sweep("seeded", trials=8)
    process = hpo.start("run", "local", "s.yaml")
    head = subprocess.run(["head", "-1"], stdin=process.stdout, capture_output=True, check=True)
    process.stdout.close()
    process.stdout = None
    assert b"s" in head.stdout
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    hpo.check(8)


@pytest.mark.parametrize("flag", ["--json", "--quiet"])
def test_closed_output_streams_do_not_stop_a_sweep(hpo, flag):
    hpo.sweep("seeded", trials=4)
    read, write = os.pipe()
    os.close(read)
    process = hpo.start("run", "local", "s.yaml", flag, stdout=write, stderr=write)
    os.close(write)
    assert process.wait(60) == 0
    hpo.check(4)


def test_reading_commands_survive_head(hpo):
    hpo.sweep("seeded", trials=3)
    assert hpo("run", "local", "s.yaml", "--quiet").returncode == 0
    read, write = os.pipe()
    os.close(read)
    process = hpo.start("trials", "s", "--format", "json", stdout=write)
    os.close(write)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "rror" not in err
