"""The trial process: jobs come in on standard input, lines go out on standard output.

Start it as `python -P -m hpo_handler.process`, as the leader of a process group (or session) of
its own, with a pipe or file as standard error: that is the log, and it gets what trainers print.

* The protocol moves to private descriptors at once; descriptor 0 becomes /dev/null and 1 becomes
  2, so that nothing a trainer prints, from Python or C, can pass for a line of the protocol.
* One job runs at a time, on the main thread; further job lines wait their turn.
* At the end of standard input the client is gone: the process and everything it started are
  killed at once, in the middle of a training too. So keep it open until the result is there.
* HPO_PARENT_PID, if set, must be the parent's id. On Linux the process is then killed with the
  thread that started it, even while C code holds the interpreter: start it from a thread that
  lives as long as the client.
* HPO_PRELOAD names built-in trainers to import before `ready` (see `builtin`).
* SIGINT is ignored: the client decides. Credentials are removed from the environment.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import queue
import signal
import sys
import threading
from dataclasses import dataclass, field

from hpo_handler.attempt import run_attempt
from hpo_handler.builtin import preload
from hpo_handler.context import StopSignal
from hpo_handler.contract import (
    MAX_JOB_BYTES,
    ContractError,
    Job,
    JobError,
    JobResult,
    parse_job,
    parse_object,
)
from hpo_handler.environment import is_secret
from hpo_handler.guard import Guard
from hpo_handler.outbox import Outbox

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Order:
    """A job that came in, and the signal that stops it."""

    job: Job
    stop: StopSignal = field(default_factory=StopSignal)


class Inbox:
    """Reads job and stop lines on a thread of its own; the end of the input ends the process."""

    def __init__(self, descriptor: int, outbox: Outbox, guard: Guard) -> None:
        self.orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._open: dict[str, StopSignal] = {}
        self._descriptor = descriptor
        self._outbox = outbox
        self._guard = guard

    def start(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._read, name="hpo-inbox", daemon=True).start()

    def done(self, key: str) -> None:
        """Forget a job that has ended; stop lines for it mean nothing any more."""
        self._open.pop(key, None)

    def _read(self) -> None:
        try:
            with os.fdopen(self._descriptor, "rb") as stream:
                while line := stream.readline(MAX_JOB_BYTES + 2):
                    self._take(line)
        finally:
            self._guard.die()

    def _take(self, line: bytes) -> None:
        key = "unknown"
        try:
            raw = parse_object(line)
            key = str(raw.get("key", key))[:500] or key
            if raw.get("type") == "stop":
                self._stop(key)
            elif raw.get("type") == "job":
                self._accept(parse_job(line))
            else:
                raise ContractError("neither a job nor a stop")  # noqa: TRY301 - refused below
        except ContractError as error:
            self._refuse(key, str(error))

    def _accept(self, job: Job) -> None:
        if not job.objectives:
            raise ContractError("objectives must name at least one")
        if job.key in self._open:
            raise ContractError("a job with this key is here already")
        order = Order(job)
        self._open[job.key] = order.stop
        self.orders.put(order)

    def _stop(self, key: str) -> None:
        signal_ = self._open.get(key)
        if signal_ is not None:
            signal_.set()

    def _refuse(self, key: str, problem: str) -> None:
        message = f"the trial process refused a message: {problem}"
        if key in self._open:  # a result here would end the job that has this key
            sys.stderr.write(f"{message}\n")
            return
        error = JobError(failure="rejected", message=message, fingerprint="contract")
        self._outbox.refuse(JobResult(key=key, state="failed", error=error))


def main() -> None:
    """Serve jobs until the client goes."""
    incoming, outgoing = take_stdio()
    bind_to_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    for name in [name for name in os.environ if is_secret(name)]:
        del os.environ[name]
    guard = Guard()
    outbox = Outbox(outgoing, guard.die)
    inbox = Inbox(incoming, outbox, guard)
    inbox.start()
    preload(os.environ.pop("HPO_PRELOAD", ""))
    outbox.ready()
    home = os.getcwd()  # noqa: PTH109 - given back to chdir
    while True:
        order = inbox.orders.get()
        run_attempt(order.job, outbox, order.stop, guard)
        inbox.done(order.job.key)
        os.chdir(home)


def take_stdio() -> tuple[int, int]:
    """Move the protocol away from descriptors 0 and 1; return its own (in, out)."""
    incoming, outgoing = os.dup(0), os.dup(1)  # not inherited by programs that are started
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]  # text
    return incoming, outgoing


def bind_to_parent() -> None:
    """Die with the parent named by HPO_PARENT_PID; at once where it has died already."""
    parent = os.environ.pop("HPO_PARENT_PID", "")
    if not parent:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if str(os.getppid()) != parent:
        os._exit(1)


if __name__ == "__main__":
    main()
