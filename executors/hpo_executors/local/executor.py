"""The local executor: the thread-safe face of the pool of warm trial processes."""

from __future__ import annotations

import logging
import os
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from time import monotonic as system_monotonic

from hpo_executors.local.endings import closed
from hpo_executors.local.environment import (
    scrubbed,
    threads_per_worker,
    trial_environment,
    visible_gpus,
)
from hpo_executors.local.options import LocalOptions
from hpo_executors.local.orphans import OrphanGuard
from hpo_executors.local.pool import Pool
from hpo_executors.local.trial import Trial, job_line
from hpo_executors.local.worker import Worker
from hpocli.spi import (
    Executor,
    ExecutorContext,
    ExecutorRejected,
    ExecutorUnavailable,
    Health,
    ReportCallback,
    TrialRequest,
    TrialResult,
)

TRIAL_PROCESS = (sys.executable, "-P", "-m", "hpo_handler.process")  # -P: never from the cwd
START_FAILURES = 3
RECOVERY_S = 30.0

_log = logging.getLogger(__name__)


class LocalExecutor(Executor):
    """Runs trials in at most `concurrent_workers` warm processes on this machine.

    A process starts when a trial needs it, is used again, and is replaced when it fails, will not
    stop, has run `trials_per_worker` trials or has grown too large. None outlives the client.
    command: how a trial process is started. monotonic: seconds that never run backwards.
    """

    def __init__(
        self,
        options: LocalOptions,
        context: ExecutorContext,
        *,
        command: Sequence[str] = TRIAL_PROCESS,
        monotonic: Callable[[], float] = system_monotonic,
    ) -> None:
        self._size = context.concurrent_workers
        self._gpus = visible_gpus(os.environ) if options.gpu else []
        if options.gpu and not self._gpus:
            _log.warning("no GPU was found on this machine; trials run on the CPU")
        self._now = monotonic
        self._launcher = _Launcher(command, options, self._size, self._gpus)
        self._pool = Pool(
            size=self._size,
            options=options,
            launch=self._launcher,
            guard=OrphanGuard(scrubbed(os.environ)),
            monotonic=monotonic,
        )
        self._crew = _Crew(self._pool, self._size)
        self._end = weakref.finalize(self, _Crew.close, self._crew)  # also at interpreter exit

    def submit_trial(self, request: TrialRequest, on_report: ReportCallback) -> Future[TrialResult]:
        """Hand one attempt to a warm process, or start one; see `Executor.submit_trial`.

        Raises ExecutorUnavailable while every worker is busy and ExecutorRejected for a key that
        is running already, a job too large for the wire, and after `close`.
        """
        line = job_line(request, gpus=min(1, len(self._gpus)))
        if request.trainer.kind == "builtin":
            self._launcher.preload = request.trainer.name
        trial = Trial(request, line, on_report, self._crew.forget)
        self._crew.admit(trial)
        return trial.future

    def cancel(self, trial_key: str) -> None:
        """Ask the trial to stop; what does not within `stop_grace_s` is killed."""
        self._pool.mailbox.post(lambda: self._pool.cancel(trial_key))

    def health(self) -> Health:
        """Say whether processes start; not ok after several failed in a row, for half a minute."""
        if self._crew.closed:
            return Health(ok=False, capacity=0, detail="closed")
        starts = self._pool.starts
        recent = self._now() - starts.failed_at < RECOVERY_S
        if starts.failures >= START_FAILURES and recent:
            return Health(ok=False, capacity=0, detail=starts.detail)
        return Health(ok=True, capacity=self._size)

    def memory(self) -> dict[str, int]:
        """Return the bytes each worker used at the last look, about once a second, by name."""
        return dict(self._pool.memory)

    def close(self) -> None:
        """Kill every trial process and end every future; see `Executor.close`.

        Called from a callback of its own, it returns before that is done.
        """
        self._end()
        self._crew.close()


class _Crew:
    """The trials in flight and the thread that serves them; knows nothing of the executor."""

    def __init__(self, pool: Pool, size: int) -> None:
        self.closed = False
        self._pool = pool
        self._size = size
        self._lock = threading.Lock()  # never held while anybody else's code runs
        self._trials: dict[str, Trial] = {}
        self._thread: threading.Thread | None = None
        self._owner = os.getpid()

    def admit(self, trial: Trial) -> None:
        """Take the trial up or raise; starts the thread with the first one."""
        with self._lock:
            self._check(trial.key)
            self._trials[trial.key] = trial
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="hpo-local", daemon=True)
                self._thread.start()
            self._pool.mailbox.post(lambda: self._pool.place(trial))

    def _check(self, key: str) -> None:
        if self.closed:
            raise ExecutorRejected("the local executor is closed; it takes no more trials")
        if key in self._trials:
            raise ExecutorRejected(f"trial {key} is running already")
        if len(self._trials) >= self._size:
            raise ExecutorUnavailable(f"all {self._size} local workers are busy")

    def forget(self, key: str) -> None:
        """Free the slot of a trial that ends."""
        with self._lock:
            self._trials.pop(key, None)

    def close(self) -> None:
        """End everything and wait for it, except on the serving thread itself. Idempotent."""
        if os.getpid() != self._owner:  # a fork of the client: nothing here is its own
            return
        with self._lock:
            first, self.closed = not self.closed, True
            thread = self._thread
        if thread is None:
            self._pool.dispose()
            return
        if first:
            self._pool.mailbox.post(self._pool.close)
        if thread is not threading.current_thread():
            thread.join()

    def _serve(self) -> None:
        try:
            self._pool.run()
        except Exception:  # noqa: BLE001 - whoever waits for a trial must wake
            _log.exception("the local executor failed; its trials are lost")
        finally:
            with self._lock:
                self.closed = True
            for trial in list(self._trials.values()):
                trial.end(closed())


class _Launcher:
    """Starts the worker of a slot in its own environment.

    preload: the built-in trainer whose slow imports a new process makes before it says it is ready,
    so that they count neither as the first trial's time nor against its deadline.
    """

    def __init__(
        self, command: Sequence[str], options: LocalOptions, size: int, gpus: Sequence[str]
    ) -> None:
        self._command = tuple(command)
        self._threads = threads_per_worker(options.threads_per_worker, size)
        self._gpus = tuple(gpus)
        self.preload = ""

    def __call__(self, slot: int) -> Worker:
        device = self._gpus[slot % len(self._gpus)] if self._gpus else None
        environment = trial_environment(os.environ, threads=self._threads, device=device)
        environment["HPO_PRELOAD"] = self.preload
        return Worker(f"w{slot}", self._command, environment)
