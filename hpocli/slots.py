"""The slots of a sweep: how many attempts may be in flight now, and every change as an event."""

from __future__ import annotations

import logging

from hpocli import events as ev
from hpocli.capacity import Capacity
from hpocli.clock import Clock
from hpocli.ledger import Ledger
from hpocli.spi import Executor, ExecutorError, ExecutorUnavailable, FailureClass, Health

_log = logging.getLogger(__name__)


class Slots:
    """Keeps in flight <= min(`concurrent_workers`, adaptive limit, the executor's own capacity).

    The executor's health is asked for at the start and after every pause, never in between.
    """

    def __init__(self, maximum: int, executor: Executor, ledger: Ledger, clock: Clock) -> None:
        self._capacity = Capacity(maximum)
        self._maximum = maximum
        self._executor = executor
        self._ledger = ledger
        self._clock = clock
        self._unchecked = True

    @property
    def limit(self) -> int:
        """How many attempts may be in flight."""
        return self._capacity.limit

    @property
    def epoch(self) -> int:
        """Which decrease came last; an attempt that began before it cannot cause another."""
        return self._capacity.epoch

    @property
    def exhausted(self) -> bool:
        """Whether the executor stayed unavailable through every pause."""
        return self._capacity.exhausted

    @property
    def paused_until(self) -> float:
        """When a pause ends (monotonic seconds); in the past where there is none."""
        return self._capacity.paused_until

    def free(self, in_flight: int) -> bool:
        """Say whether one more attempt may start now."""
        now = self._clock.monotonic()
        if not self._capacity.allows(in_flight, now):
            return False
        if self._unchecked:
            self._check(now)
        return self._capacity.allows(in_flight, now)

    def _check(self, now: float) -> None:
        health = self._ask_health()
        self._unchecked = not health.ok
        if not health.ok:
            cause = health.detail or "the executor is not healthy"
            if self._capacity.unavailable(self.epoch, now, 0.0):
                self._announce(cause)
        elif health.capacity is not None:
            self._capacity.bound(min(self._maximum, max(1, health.capacity)))

    def _ask_health(self) -> Health:
        try:
            return self._executor.health()
        except Exception as error:  # noqa: BLE001 - a plugin's bug is an unhealthy executor
            _log.warning("health() failed: %r", error)
            return Health(ok=False, detail=f"health() raised {type(error).__name__}: {error}")

    def succeeded(self, in_flight: int) -> None:
        """Count an attempt that ended by itself while `in_flight` were in flight."""
        if self._capacity.succeeded(in_flight):
            self._announce("trials succeed again")

    def lost(self, epoch: int, message: str) -> None:
        """Count a lost attempt that began in `epoch`."""
        if self._capacity.lost(epoch, self._clock.monotonic()):
            self._announce(message)

    def refused(self, epoch: int, error: ExecutorError) -> None:
        """Count a submission that the platform did not take."""
        if error.failure == FailureClass.REJECTED:
            return
        retry_after = error.retry_after_s if isinstance(error, ExecutorUnavailable) else None
        if self._capacity.unavailable(epoch, self._clock.monotonic(), retry_after):
            self._announce(error.message)

    def _announce(self, cause: str) -> None:
        paused = max(0.0, self._capacity.paused_until - self._clock.monotonic())
        self._unchecked = self._unchecked or paused > 0
        self._ledger.emit(
            ev.CapacityChanged(limit=self._capacity.limit, cause=cause, paused_s=round(paused, 3))
        )
