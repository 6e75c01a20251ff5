"""The lines that a trial process writes: whole, in order, and not faster than anybody can use.

Reports pass freely for the first thousand; beyond that, a hundred a second get through. A report
that has to wait is replaced by the next one, so order is kept and the newest always arrives, at
the latest before the next stage or the result. Nothing about a job follows its result.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from hpo_handler.context import Progress
from hpo_handler.contract import (
    JobReport,
    JobResult,
    JobStage,
    JobStarted,
    Message,
    Ready,
    dump,
)

BURST = 1000
PER_SECOND = 100.0


class Outbox:
    """Writes messages to a descriptor; safe from any thread.

    `on_broken` is called when a write finds the client gone.
    """

    def __init__(self, descriptor: int, on_broken: Callable[[], object]) -> None:
        self._descriptor = descriptor
        self._on_broken = on_broken
        self._changed = threading.Condition()
        self._key: str | None = None
        self._waiting: bytes | None = None
        self._allowance = float(BURST)
        self._refilled = time.monotonic()
        self._thinner: threading.Thread | None = None
        os.register_at_fork(after_in_child=self._forget)

    def ready(self) -> None:
        """Say that jobs can come."""
        self._send(Ready(pid=os.getpid()))

    def begin(self, key: str, info: Mapping[str, Any]) -> None:
        """Say that job `key` was taken; reports and stages are its own until `finish`."""
        with self._changed:
            self._key = key
            self._send(JobStarted(key=key, info=info))

    def stage(self, name: str) -> None:
        """Say what the job is doing."""
        with self._changed:
            if self._key is not None:
                self._flush()
                self._send(JobStage(key=self._key, stage=name))

    def report(self, progress: Progress) -> None:
        """Pass a report on, now or when the rate allows. Raises ContractError if too large."""
        with self._changed:
            if self._key is None:
                return
            line = dump(_as_report(self._key, progress))
            if self._waiting is None and self._allowed():
                self._write(line)
                return
            if self._waiting is None:
                self._start_thinner()
                self._changed.notify()
            self._waiting = line

    def finish(self, result: JobResult) -> bool:
        """Write the result, the last line of its job. False where the job already has one.

        Raises ContractError where it does not fit the wire; the job is then still open.
        """
        line = dump(result)
        with self._changed:
            if self._key != result.key:
                return False
            self._flush()
            self._key = None
            self._write(line)
            return True

    def refuse(self, result: JobResult) -> None:
        """Write the result of a job that was never begun."""
        self._send(result)

    def _flush(self) -> None:
        if self._waiting is not None:
            line, self._waiting = self._waiting, None
            self._write(line)

    def _allowed(self) -> bool:
        now = time.monotonic()
        self._allowance = min(BURST, self._allowance + (now - self._refilled) * PER_SECOND)
        self._refilled = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    def _start_thinner(self) -> None:
        if self._thinner is None:
            self._thinner = threading.Thread(target=self._thin, name="hpo-reports", daemon=True)
            self._thinner.start()

    def _thin(self) -> None:
        """Write the waiting report whenever the rate allows."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting is not None)
                if self._allowed():
                    self._flush()
                else:
                    self._changed.wait(1 / PER_SECOND)

    def _send(self, message: Message) -> None:
        with self._changed:
            self._write(dump(message))

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            self._on_broken()

    def _forget(self) -> None:
        """In a forked child: only the trial process speaks for its job."""
        with contextlib.suppress(OSError):
            os.close(self._descriptor)
        self._descriptor = -1
        self._on_broken = lambda: None
        self._changed = threading.Condition()
        self._thinner = None


def _as_report(key: str, progress: Progress) -> JobReport:
    return JobReport(
        key=key,
        step=progress.step,
        value=progress.value,
        total_steps=progress.total_steps,
        metrics=progress.metrics,
    )
