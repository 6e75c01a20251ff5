"""Objectives for the local executor's tests; they run inside real trial processes."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def quick(ctx):
    return ctx.params["x"] ** 2


def pid(ctx):
    return float(os.getpid())


def reporting(ctx):
    for step in range(ctx.params["steps"]):
        ctx.report(step, step / 10, total_steps=ctx.params["steps"])
    return 1.0


def polite(ctx):
    """Run until asked to stop."""
    _mark(ctx)
    while not ctx.should_stop():
        time.sleep(0.01)


def stubborn(ctx):
    """Run for ever, whatever is asked."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _mark(ctx)
    while True:
        time.sleep(0.05)


def hung_in_c(ctx):
    """Hold the interpreter in C code for ever: no Python thread or handler runs any more."""
    _mark(ctx)
    ctypes.PyDLL(None).sleep(1000)


def stopped(ctx):
    """Stop like a process in a debugger."""
    _mark(ctx)
    os.kill(os.getpid(), signal.SIGSTOP)


def with_grandchildren(ctx):
    """Leave a forked and a started program in the group, then hang."""
    program = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(1000)"])
    forked = os.fork()
    if forked == 0:
        time.sleep(1000)
        os._exit(0)
    _mark(ctx, program.pid, forked)
    time.sleep(1000)


def killed(ctx):
    _mark(ctx)
    os.kill(os.getpid(), getattr(signal, ctx.params["signal"]))
    time.sleep(60)


def exits(ctx):
    os._exit(7)


def floods(ctx):
    """Print `mb` MiB in lines that end in a torn character."""
    block = (b"flood " * 2730)[:-3] + b"\xe2\x82\n"
    print("first words")
    for _ in range(ctx.params["mb"] * 64):
        os.write(1, block)
    print("last words")
    return 1.0


def prints(ctx):
    print(ctx.params["text"])
    print("to stderr", file=sys.stderr)
    return 1.0


def environment(ctx):
    Path(ctx.workdir, "environment.txt").write_text(
        "\0".join(f"{name}={value}" for name, value in os.environ.items())
    )
    Path(ctx.workdir, "handler.txt").write_text(sys.modules["hpo_handler.contract"].__file__)
    return 1.0


def hungry(ctx):
    """Use `mb` MiB until asked to stop, if `hold`."""
    block = bytearray(b"x") * (ctx.params["mb"] * 1024 * 1024)
    _mark(ctx)
    while ctx.params["hold"] and not ctx.should_stop():
        time.sleep(0.05)
    return float(len(block))


def fails(ctx):
    raise ValueError("no such luck")


def _mark(ctx, *others):
    """Tell the test which processes there are, in one step."""
    draft = Path(ctx.workdir, "pids.tmp")
    draft.write_text(" ".join(map(str, (os.getpid(), *others))))
    draft.rename(Path(ctx.workdir, "pids"))


_kept = []


def keeps(ctx):
    """Leave `mb` MiB behind in the process."""
    _kept.append(bytearray(b"x") * (ctx.params["mb"] * 1024 * 1024))
    return 1.0
