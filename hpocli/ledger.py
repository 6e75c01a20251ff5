"""The event log, the state it folds to, and whoever listens, kept in step.

`emit` is the only way an event comes to be: written first, then applied, then shown.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from hpocli.errors import HpoError
from hpocli.eventlog import EventLog
from hpocli.events import Event, Record
from hpocli.state import RunState

Listener = Callable[[Record, RunState], None]

_log = logging.getLogger(__name__)


class Ledger:
    """One run's events; owned by the scheduler's thread.

    A listener that raises is dropped after a warning: what is shown never endangers what is kept.
    """

    def __init__(self, log: EventLog, state: RunState) -> None:
        self._log = log
        self.state = state
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every later record and the state after it."""
        self._listeners.append(listener)

    def emit(self, event: Event, *, durable: bool = False) -> Record:
        """Write the event (to the disk, if `durable`), apply it, and tell the listeners.

        Raises StateError where the disk takes no more.
        """
        record = self._log.append(event)
        if durable:
            self._log.barrier()
        self.state.apply(record)
        for listener in tuple(self._listeners):
            self._tell(listener, record)
        return record

    def _tell(self, listener: Listener, record: Record) -> None:
        try:
            listener(record, self.state)
        except HpoError:
            raise
        except Exception:  # noqa: BLE001 - costs this listener only
            self._listeners.remove(listener)
            _log.exception("a listener failed on %s and is not called again", record.event.name)

    def barrier(self) -> None:
        """Return once everything emitted is on the disk."""
        self._log.barrier()

    def close(self) -> None:
        """Make everything durable and close the log; idempotent."""
        self._log.close()
