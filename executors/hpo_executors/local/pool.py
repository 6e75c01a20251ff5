"""The pool of warm trial processes: one thread owns every worker and decides about all of them.

     submit, cancel, close ──► mailbox ─┐
     protocol pipe of each worker ──────┤                     ┌─► reports, futures
     output pipe of each worker ────────┼─► selector ─► pool ─┼─► job and stop lines, signals
     exit handle of each worker ────────┤                     └─► trial logs
     timers: start, deadline, grace ────┘

A worker: starting ─ready─► idle ─job─► busy ─result─► idle; from anywhere to dead, which ends its
trial. A slot is free again exactly when its trial has ended.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass

from hpo_executors.local import endings
from hpo_executors.local.lines import Lines, Reactions
from hpo_executors.local.mailbox import Mailbox
from hpo_executors.local.memory import MIB, process_tree_bytes
from hpo_executors.local.options import LocalOptions
from hpo_executors.local.orphans import OrphanGuard
from hpo_executors.local.trial import Ending, Trial
from hpo_executors.local.worker import NEVER, Worker
from hpo_handler.contract import ContractError, JobResult, Message, Ready, dump_stop
from hpocli.spi import ExecutorError, TrialResult

TERM_GRACE_S = 1.0
BURY_GRACE_S = 10.0
SAMPLE_S = 1.0
POLL_S = 0.1  # only where the system has no exit handles
REUSE_BELOW = 0.75  # of the memory bound: the next trial needs room of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """How starting went lately: failures in a row, the time of the last one, what it said."""

    failures: int = 0
    failed_at: float = 0.0
    detail: str = ""


class Pool:
    """Runs trials on at most `size` workers that `launch` starts by slot number.

    `place`, `cancel` and `close` are commands: post them through `mailbox`. `starts` and `memory`
    are snapshots that any thread may read.
    """

    def __init__(
        self,
        *,
        size: int,
        options: LocalOptions,
        launch: Callable[[int], Worker],
        guard: OrphanGuard,
        monotonic: Callable[[], float],
    ) -> None:
        self.mailbox = Mailbox()
        self.starts = Starts()
        self.memory: dict[str, int] = {}
        self._options = options
        self._launch = launch
        self._guard = guard
        self._now = monotonic
        self._slots: dict[int, Worker | None] = dict.fromkeys(range(size))
        self._workers: set[Worker] = set()  # those in slots, and those on their way out
        self._lines = Lines(
            self.mailbox.wake,
            Reactions(
                message=self._on_message,
                broken=self._on_broken,
                hung_up=self._on_hung_up,
                exited=self._on_exit,
            ),
        )
        self._closing = False
        self._sample_at = NEVER

    def run(self) -> None:
        """Serve until closed and every worker is gone. Whatever happens, none is left behind."""
        try:
            while self._workers or not self._closing:
                self._step()
        finally:
            for worker in list(self._workers):
                self._bury(worker)
            self.dispose()

    def dispose(self) -> None:
        """Release what a pool without workers holds. Idempotent."""
        self.memory = {}
        self._lines.close()
        self._guard.close()
        self.mailbox.close()

    def _step(self) -> None:
        self._lines.wait(self._patience())
        for command in self.mailbox.take():
            command()
        now = self._now()
        for worker in list(self._workers):
            self._check(worker, now)
        if now >= self._sample_at:
            self._sample(now)

    def _patience(self) -> float | None:
        moments = [worker.next_action_at() for worker in self._workers]
        wait = min([self._sample_at, *moments]) - self._now()
        if any(worker.handle is None for worker in self._workers):
            return max(0.0, min(POLL_S, wait))
        return None if wait == NEVER else max(0.0, wait)

    def place(self, trial: Trial) -> None:
        """Give the trial to an idle worker, else to one that is starting, else start one."""
        trial.open_log()
        free = [w for w in self._slots.values() if w and not w.trial]
        worker = min(free, key=lambda w: (not w.ready, w.name), default=None)
        if worker is None:
            self._start(trial)
            return
        worker.trial = trial
        if worker.ready:
            self._hand_over(worker, trial)

    def cancel(self, key: str) -> None:
        """Ask the trial to stop; it is killed after the grace. Unknown keys are ignored."""
        worker = next((w for w in self._workers if w.trial and w.trial.key == key), None)
        if worker is None or worker.trial is None or worker.verdict:
            return
        ending = worker.trial.cancelled()
        if not worker.ready:  # the process has not heard of it: it stays for the next trial
            self._end(worker, ending)
            return
        worker.verdict = ending
        worker.term_at = self._now() + self._options.stop_grace_s
        self._lines.send(worker, dump_stop(key))

    def close(self) -> None:
        """Kill every worker; their trials end as lost, or as cancelled where that was asked."""
        self._closing = True
        for worker in self._workers:
            self._kill(worker, endings.closed())

    def _start(self, trial: Trial) -> None:
        slot = next(slot for slot, worker in self._slots.items() if worker is None)
        try:
            worker = self._launch(slot)
        except OSError as error:
            trial.end(self._start_failed(endings.cannot_start(error)))
            return
        worker.trial = trial
        worker.start_by = self._now() + self._options.start_timeout_s
        self._slots[slot] = worker
        self._workers.add(worker)
        self._guard.add(worker.pid)
        self._lines.watch(worker)
        self._sample_at = min(self._sample_at, self._now() + SAMPLE_S)

    def _hand_over(self, worker: Worker, trial: Trial) -> None:
        deadline = trial.request.deadline_s
        if deadline is not None:
            trial.ends_at = self._now() + deadline + self._options.stop_grace_s
        self._lines.send(worker, trial.line)
        trial.submitted(worker.pid, worker.name)

    def _on_broken(self, worker: Worker, error: ContractError) -> None:
        how = f"broke the protocol: {error}"
        ready = worker.ready
        self._kill(worker, endings.lost(worker, how) if ready else self._never_ready(worker, how))

    def _on_hung_up(self, worker: Worker) -> None:
        if worker.trial is None:
            self._retire(worker)
        else:  # it is dying; if not, it is of no use any more
            worker.kill_at = min(worker.kill_at, self._now() + TERM_GRACE_S)

    def _on_message(self, worker: Worker, message: Message) -> None:
        trial = worker.trial
        if isinstance(message, Ready):
            self._on_ready(worker)
        elif trial is None or message.key != trial.key:
            if message.key != worker.last_key:  # an echo of the trial before is no harm
                raise ContractError(f"a message about {message.key[:80]!r}, which it does not run")
        elif isinstance(message, JobResult):
            self._on_result(worker, trial.result(message))
        else:
            trial.progressed(message)

    def _on_ready(self, worker: Worker) -> None:
        if worker.ready:
            raise ContractError("it says ready a second time")
        worker.ready = True
        worker.start_by = NEVER
        self.starts = Starts()
        if worker.trial is not None:
            self._hand_over(worker, worker.trial)

    def _on_result(self, worker: Worker, result: TrialResult) -> None:
        worker.trials_done += 1
        worker.verdict = None
        worker.term_at = worker.kill_at = NEVER
        self._lines.copy_output(worker)
        if worker.doomed or self._is_worn(worker):
            self._retire(worker)
        self._end(worker, result)

    def _end(self, worker: Worker, ending: Ending) -> None:
        trial, worker.trial = worker.trial, None
        if trial is not None:
            worker.last_key = trial.key
            trial.end(ending)

    def _is_worn(self, worker: Worker) -> bool:
        bound = self._options.worker_memory_mb * MIB * REUSE_BELOW
        return worker.trials_done >= self._options.trials_per_worker or (
            bound > 0 and (process_tree_bytes(worker.pid) or 0) > bound
        )

    def _retire(self, worker: Worker) -> None:
        """Free the slot and let the process end by itself, or be killed after the grace."""
        self._vacate(worker)
        self._lines.retire(worker)
        worker.kill_at = self._now() + self._options.stop_grace_s

    def _vacate(self, worker: Worker) -> None:
        for slot, holder in self._slots.items():
            if holder is worker:
                self._slots[slot] = None

    def _kill(self, worker: Worker, verdict: Ending) -> None:
        """Kill the worker and its group; its trial ends with the first verdict, at its death."""
        worker.verdict = worker.verdict or verdict
        worker.start_by = worker.term_at = worker.kill_at = NEVER
        worker.bury_at = self._now() + BURY_GRACE_S
        worker.signal_group(signal.SIGKILL)
        if worker.trial is None:
            self._vacate(worker)
        else:
            worker.trial.ends_at = NEVER

    def _on_exit(self, worker: Worker) -> None:
        worker.signal_group(signal.SIGKILL)  # before it is reaped: the number is still its own
        self._lines.hear_out(worker)
        self._bury(worker)

    def _bury(self, worker: Worker) -> None:
        """Reap the worker, free its slot, and end its trial where that has no result."""
        worker.signal_group(signal.SIGKILL)
        self._guard.discard(worker.pid)
        self._lines.forget(worker)
        status = worker.bury()
        self._workers.discard(worker)
        self._vacate(worker)
        self._end(worker, worker.verdict or self._cause_of_death(worker, status))

    def _cause_of_death(self, worker: Worker, status: int | None) -> Ending:
        how = endings.manner(status)
        if worker.ready:
            return endings.lost(worker, how, status=status)
        by_itself = status is not None and status >= 0
        return self._never_ready(worker, how, retry=not by_itself)

    def _never_ready(self, worker: Worker, how: str, *, retry: bool = False) -> ExecutorError:
        words = worker.last_words()
        return self._start_failed(endings.not_started(how, words=words, retry=retry))

    def _start_failed(self, reason: ExecutorError) -> ExecutorError:
        self.starts = Starts(
            failures=self.starts.failures + 1, failed_at=self._now(), detail=reason.message
        )
        return reason

    def _check(self, worker: Worker, now: float) -> None:
        """Do what time asks for, the latest measure first."""
        trial = worker.trial
        if worker.handle is None and worker.has_exited():
            self._on_exit(worker)
        elif now >= worker.bury_at:
            self._bury(worker)
        elif now >= worker.kill_at:
            self._kill(worker, endings.lost(worker, "closed its side of the protocol"))
        elif now >= worker.term_at:
            worker.signal_group(signal.SIGTERM)
            worker.term_at, worker.kill_at = NEVER, now + TERM_GRACE_S
        elif now >= worker.start_by:
            silent = f"said nothing for {self._options.start_timeout_s:g} s"
            self._kill(worker, self._never_ready(worker, silent, retry=True))
        elif trial is not None and worker.ready and now >= trial.ends_at:
            self._kill(worker, endings.timed_out(trial))

    def _sample(self, now: float) -> None:
        used = {worker: process_tree_bytes(worker.pid) for worker in self._slots.values() if worker}
        self.memory = {worker.name: size for worker, size in used.items() if size is not None}
        self._sample_at = now + SAMPLE_S if self._workers else NEVER
        bound = self._options.worker_memory_mb
        for worker, size in used.items():
            if bound and worker.trial and worker.ready and (size or 0) > bound * MIB:
                mib = (size or 0) // MIB
                self._kill(worker, endings.out_of_memory(worker.trial, mib, bound))
