"""The real command as a subprocess, cheap trainers on disk, and a count of what it leaves behind."""

import json
import os
import subprocess
import sys
import textwrap
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest

TRAINERS = '''
"""Cheap trainers; each says in `diary` when an attempt begins and when it ends."""
import os, signal, time

def note(ctx, what):
    fd = os.open(ctx.settings["diary"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, f"{ctx.number} {ctx.attempt} {what}\\n".encode())
    os.close(fd)

def kind(number):
    return {4: "fails", 7: "crashes once", 9: "fails otherwise"}.get(number % 13, "good")

def mixed(ctx):
    """Good, pruned, failing and crashing trials of 0.05 to 0.3 s."""
    note(ctx, "starts")
    x = ctx.params["x"]
    for step in range(5):
        time.sleep(0.01 + 0.05 * x)
        if kind(ctx.number) == "crashes once" and ctx.attempt == 0 and step == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        ctx.report(step, x * (step + 1))
        if ctx.should_stop():
            break
    if kind(ctx.number).startswith("fails"):
        raise ValueError(f"{kind(ctx.number)} at {x:.4f}")
    note(ctx, "ends")
    return x

def seeded(ctx):
    """A value that depends on parameters and seed alone."""
    import random
    noise = random.Random(ctx.seed).random()
    for step in range(3):
        ctx.report(step, ctx.params["x"] + noise + step)
    return ctx.params["x"] + noise

def seeded_slowly(ctx):
    """The same, with curves that a pruner ends and time to be killed in."""
    import random
    noise = random.Random(ctx.seed).random()
    for step in range(4):
        time.sleep(0.03)
        ctx.report(step, (ctx.params["x"] + noise) * (step + 1))
    return ctx.params["x"] + noise

def long(ctx):
    """Runs for `seconds`, and stops when asked."""
    end = time.monotonic() + ctx.settings.get("seconds", 60)
    step = 0
    while time.monotonic() < end and not ctx.should_stop():
        time.sleep(0.02)
        ctx.report(step, ctx.params["x"])
        step += 1
    if ctx.should_stop():
        from hpo_handler.context import TrialStopped
        raise TrialStopped
    return ctx.params["x"]

def same_error(ctx):
    raise RuntimeError("the same every time")

def other_errors(ctx):
    raise RuntimeError("word " + "abcdefghijklmnopqrstuvwxyz"[ctx.number])

def graduated(ctx):
    """A value at every step, the same for a seed, until the pruner says stop."""
    from hpo_handler.context import TrialStopped
    for step in range(5):
        ctx.report(step, ctx.params["x"])
        time.sleep(0.02)
        if ctx.should_stop():
            raise TrialStopped
    return ctx.params["x"]

def two(ctx):
    return {"a": ctx.params["x"], "b": 1 - ctx.params["x"]}
'''

SWEEP = """
trainer: {trainer}
space: {{x: {{type: float, low: 0, high: 1}}}}
trials: 4
concurrent_workers: 2
plot_generation: none
run_name: s
sampler: random
pruner: none
"""


def alive(pid):
    """Say whether a process runs; a zombie, which only waits to be reaped, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Hpo:
    """The command in a folder of its own; every process it starts carries a mark."""

    def __init__(self, folder):
        self.folder = folder
        self.mark = f"HPO_TEST_MARK={uuid.uuid4().hex}"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("HPO_")}
        self.env["HPO_TEST_MARK"] = self.mark.partition("=")[2]
        self.started = []
        self.write("work.py", TRAINERS)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(textwrap.dedent(text))
        return path

    def sweep(self, trainer="mixed", name="s.yaml", **more):
        """Write a sweep file; `more` keys replace or add to the usual ones."""
        keys = dict(
            line.split(": ", 1)
            for line in SWEEP.format(trainer="").strip().splitlines()
            if ": " in line
        )
        keys |= {"trainer": f"work:{trainer}"} | {k: json.dumps(v) for k, v in more.items()}
        return self.write(name, "".join(f"{k}: {v}\n" for k, v in keys.items()))

    def start(self, *arguments, python=(), **more):
        """Start `hpo ARGUMENTS`; text pipes unless `more` says otherwise."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        options = {"cwd": self.folder, "env": self.env, "text": True} | pipes | more
        command = [sys.executable, *python, "-m", "hpocli", *map(str, arguments)]
        process = subprocess.Popen(command, **options)
        self.started.append(process)
        return process

    def __call__(self, *arguments, timeout=60, **more):
        """Run `hpo ARGUMENTS` to its end; a result with rc, out and err."""
        process = self.start(*arguments, **more)
        out, err = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def run_dir(self, name="s"):
        return self.folder / "runs" / name

    def events(self, name="s"):
        """Return the complete events of a run as mappings; none where there is no log yet."""
        path = self.run_dir(name) / "events.jsonl"
        if not path.exists():
            return []
        lines = path.read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]

    def named(self, event, name="s"):
        return [e for e in self.events(name) if e["event"] == event]

    def wait_for_event(self, event, count=1, name="s", within_s=30):
        return wait_for(lambda: len(self.named(event, name)) >= count, within_s)

    def orphans(self):
        """Return the live processes that carry this command's mark."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if self.mark.encode() in environment and alive(int(folder.name)):
                found.append(int(folder.name))
        return found

    def no_orphans(self, within_s=5):
        """Wait until nothing that this command started is alive."""
        wait_for(lambda: not self.orphans(), within_s)

    def check(self, trials, name="s"):
        """Hold log and study (read by Optuna's own reader) to each other; return the study."""
        told = Counter(e["trial"] for e in self.named("trial_finished", name))
        assert told == Counter(range(trials))
        assert [e["seq"] for e in self.events(name)] == list(range(1, len(self.events(name)) + 1))
        states = {e["trial"]: e["state"] for e in self.named("trial_finished", name)}
        values = {e["trial"]: e["values"] for e in self.named("trial_finished", name)}
        params = {e["trial"]: e["params"] for e in self.named("trial_created", name)}
        study = open_study(self.run_dir(name) / "study.journal")
        assert [t.number for t in study.trials] == list(range(trials))
        names = {"COMPLETE": "completed", "PRUNED": "pruned", "FAIL": "failed"}
        assert {t.number: names.get(t.state.name, t.state.name) for t in study.trials} == states
        for trial in study.trials:
            assert trial.params == params[trial.number]
            if states[trial.number] == "completed":
                assert trial.values == values[trial.number]
        return study


def open_study(journal):
    """Open a run's study with the stock reader of Optuna."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
    [summary] = optuna.get_all_study_summaries(storage)
    return optuna.load_study(study_name=summary.study_name, storage=storage)


def wait_for(condition, within_s=10.0):
    end = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
    return found


@pytest.fixture
def hpo_in(tmp_path):
    """`hpo_in(name)`: the command in a fresh folder; after the test nothing of it may be left."""
    made = []

    def build(name):
        folder = tmp_path / name
        folder.mkdir()
        made.append(Hpo(folder))
        return made[-1]

    yield build
    for command in made:
        for process in command.started:
            if process.poll() is None:
                process.kill()
                process.communicate()
        command.no_orphans()


@pytest.fixture
def hpo(hpo_in):
    """The command in a fresh folder."""
    return hpo_in("hpo")


@pytest.fixture
def wait():
    """`wait(condition, within_s)`: poll until it holds."""
    return wait_for


@pytest.fixture
def fails_cleanly():
    """Check that a command failed with one sentence, no traceback and this exit code."""

    def check(result, code, *words):
        assert result.returncode == code, (result.returncode, result.stdout, result.stderr)
        assert "Traceback" not in result.stderr + result.stdout
        lines = result.stderr.splitlines()
        errors = [line for line in lines if line.startswith("error: ")]
        assert len(errors) == 1, result.stderr
        assert all(line.startswith(("error: ", "hint: ")) for line in lines), result.stderr
        assert "a bug in hpo" not in errors[0]
        for word in words:
            assert word in result.stderr
        return errors[0]

    return check
