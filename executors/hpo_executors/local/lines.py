"""The lines to all workers: one selector over their pipes and their exits."""

from __future__ import annotations

import contextlib
import selectors
from collections.abc import Callable
from dataclasses import dataclass

from hpo_executors.local.worker import Worker
from hpo_handler.contract import ContractError, Message

_DRAIN_READS = 64  # more than a pipe holds: what is left belongs to a flood


@dataclass(frozen=True, slots=True, kw_only=True)
class Reactions:
    """What is done about what the lines bring; all are called on the thread that waits.

    message: the worker said something; may raise ContractError. broken: it broke the contract.
    hung_up: it closed its protocol pipe. exited: the process has ended.
    """

    message: Callable[[Worker, Message], None]
    broken: Callable[[Worker, ContractError], None]
    hung_up: Callable[[Worker], None]
    exited: Callable[[Worker], None]


class Lines:
    """Waits for all workers at once, serving each a piece at a time, so that none starves."""

    def __init__(self, wake: int, reactions: Reactions) -> None:
        self._react = reactions
        self._selector = selectors.DefaultSelector()
        self._selector.register(wake, selectors.EVENT_READ, None)

    def wait(self, seconds: float | None) -> None:
        """Handle what there is to handle, or return after `seconds` or at a wake-up."""
        for key, _ in self._selector.select(seconds):
            if key.data is not None:
                react, worker = key.data
                if not worker.buried:  # it may have died of an event in the same batch
                    react(worker)

    def watch(self, worker: Worker) -> None:
        """Listen to a worker from now on."""
        self._listen(worker.protocol, self._on_protocol, worker)
        self._listen(worker.output, self._on_output, worker)
        if worker.handle is not None:
            self._listen(worker.handle, self._react.exited, worker)

    def send(self, worker: Worker, line: bytes) -> None:
        """Write a line to a worker, now or as soon as it reads."""
        if not worker.send(line) and not self._watches(worker.jobs) and worker.jobs is not None:
            self._selector.register(worker.jobs, selectors.EVENT_WRITE, (self._on_writable, worker))

    def hear_out(self, worker: Worker) -> None:
        """Handle all that a dead worker still said, as far as it makes sense."""
        with contextlib.suppress(BlockingIOError, EOFError, ContractError):
            for _ in range(_DRAIN_READS):
                for message in worker.messages():
                    self._react.message(worker, message)
        self.copy_output(worker)

    def copy_output(self, worker: Worker) -> None:
        """Move the output that is waiting to the trial's log."""
        with contextlib.suppress(EOFError):
            for _ in range(_DRAIN_READS):
                if not worker.copy_output():
                    return

    def forget(self, worker: Worker) -> None:
        """Stop listening to a worker, before its descriptors are closed."""
        for source in (worker.jobs, worker.protocol, worker.output, worker.handle):
            self._drop(source)

    def retire(self, worker: Worker) -> None:
        """Tell a worker that no more jobs come."""
        self._drop(worker.jobs)
        worker.retire()

    def close(self) -> None:
        """Release the selector."""
        self._selector.close()

    def _listen(self, source: int, react: Callable[[Worker], None], worker: Worker) -> None:
        self._selector.register(source, selectors.EVENT_READ, (react, worker))

    def _on_writable(self, worker: Worker) -> None:
        if worker.flush():
            self._drop(worker.jobs)

    def _on_output(self, worker: Worker) -> None:
        try:
            worker.copy_output()
        except EOFError:
            self._drop(worker.output)

    def _on_protocol(self, worker: Worker) -> None:
        try:
            for message in worker.messages():
                self._react.message(worker, message)
        except BlockingIOError:
            pass
        except EOFError:
            self._drop(worker.protocol)
            self._react.hung_up(worker)
        except ContractError as error:
            self._react.broken(worker, error)

    def _watches(self, source: int | None) -> bool:
        return source is not None and source in self._selector.get_map()

    def _drop(self, source: int | None) -> None:
        if source is not None and self._watches(source):
            self._selector.unregister(source)
